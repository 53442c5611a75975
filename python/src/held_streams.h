// SPDX-License-Identifier: Apache-2.0
//
// Writers and readers for Python: each keeps alive what it was opened on, releases the GIL around
// every call, and refuses to be used once it is closed. files.py makes file objects of them.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "buffers.h"
#include "status.h"

namespace strata::python {

// kInfoDict turns what Finish() returns into a dict.
template <typename Owner, typename Writer, auto kInfoDict>
class HeldWriter {
 public:
  HeldWriter(std::shared_ptr<Owner> owner, std::unique_ptr<Writer> writer)
      : owner_(std::move(owner)), writer_(std::move(writer)) {}

  size_t Write(const pybind11::object& data) {
    BufferView view(data, /*writable=*/false);
    Check(Unlocked([&] { return Open().Write(view.bytes()); }));
    return view.bytes().size();
  }
  pybind11::dict Finish() {
    auto info = Value(Unlocked([&] {
      if constexpr (requires { writer_->Finish(); }) {
        return Open().Finish();
      } else {
        return Open().Finish({});
      }
    }));
    Abandon();
    return kInfoDict(info);
  }
  void Abandon() {
    Unlocked([&] { writer_.reset(); });
    owner_.reset();
  }

  static void Bind(pybind11::module_& m) {
    pybind11::class_<HeldWriter>(m, "Writer")
        .def("write", &HeldWriter::Write, pybind11::arg("data"))
        .def("finish", &HeldWriter::Finish)
        .def("abandon", &HeldWriter::Abandon);
  }

 private:
  Writer& Open() {
    if (!writer_) throw pybind11::value_error("the writer is closed");
    return *writer_;
  }
  std::shared_ptr<Owner> owner_;
  std::unique_ptr<Writer> writer_;
};

// kInfoDict turns what info() returns into a dict.
template <typename Owner, typename Reader, auto kInfoDict>
class HeldReader {
 public:
  HeldReader(std::shared_ptr<Owner> owner, std::unique_ptr<Reader> reader)
      : owner_(std::move(owner)), reader_(std::move(reader)) {}

  size_t ReadInto(uint64_t offset_bytes, const pybind11::object& out) {
    BufferView view(out, /*writable=*/true);
    return Value(Unlocked([&] {
      Reader& reader = Open();
      return Of(owner_->path(), reader.Read(offset_bytes, view.bytes()));
    }));
  }
  pybind11::dict Info() { return kInfoDict(Open().info()); }
  void Close() {
    Unlocked([&] { reader_.reset(); });
    owner_.reset();
  }

  static void Bind(pybind11::module_& m) {
    pybind11::class_<HeldReader>(m, "Reader")
        .def("read_into", &HeldReader::ReadInto, pybind11::arg("offset"), pybind11::arg("out"))
        .def("info", &HeldReader::Info)
        .def("close", &HeldReader::Close);
  }

 private:
  Reader& Open() {
    if (!reader_) throw pybind11::value_error("the reader is closed");
    return *reader_;
  }
  std::shared_ptr<Owner> owner_;
  std::unique_ptr<Reader> reader_;
};

}  // namespace strata::python

// SPDX-License-Identifier: Apache-2.0
//
// Writers and readers for Python: each keeps alive what it was opened on, releases the GIL around
// every call, and refuses to be used once it is closed. Threads may share them: their calls take
// turns. files.py makes file objects of them.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "buffers.h"
#include "shared_stream.h"
#include "status.h"

namespace strata::python {

// kInfoDict turns what Finish() returns into a dict.
template <typename Owner, typename Writer, auto kInfoDict>
class HeldWriter {
 public:
  HeldWriter(std::shared_ptr<Owner> owner, std::unique_ptr<Writer> writer)
      : stream_("writer", std::move(owner), std::move(writer)) {}
  ~HeldWriter() { Abandon(); }

  size_t Write(const pybind11::object& data) {
    BufferView view(data, /*writable=*/false);
    Check(Unlocked([&] {
      return stream_.Use([&](Owner&, Writer& writer) { return writer.Write(view.bytes()); });
    }));
    return view.bytes().size();
  }
  pybind11::dict Finish() {
    return kInfoDict(Value(Unlocked([&] {
      return stream_.UseLast([](Owner&, Writer& writer) {
        if constexpr (requires { writer.Finish(); }) {
          return writer.Finish();
        } else {
          return writer.Finish({});
        }
      });
    })));
  }
  void Abandon() {
    Unlocked([&] { stream_.Close(); });
  }

  static void Bind(pybind11::module_& m) {
    pybind11::class_<HeldWriter>(m, "Writer")
        .def("write", &HeldWriter::Write, pybind11::arg("data"))
        .def("finish", &HeldWriter::Finish)
        .def("abandon", &HeldWriter::Abandon);
  }

 private:
  SharedStream<Owner, Writer> stream_;
};

// kInfoDict turns what info() returns into a dict.
template <typename Owner, typename Reader, auto kInfoDict>
class HeldReader {
 public:
  HeldReader(std::shared_ptr<Owner> owner, std::unique_ptr<Reader> reader)
      : stream_("reader", std::move(owner), std::move(reader)) {}
  ~HeldReader() { Close(); }

  size_t ReadInto(uint64_t offset_bytes, const pybind11::object& out) {
    BufferView view(out, /*writable=*/true);
    return Value(Unlocked([&] {
      return stream_.Use([&](Owner& owner, Reader& reader) {
        return Of(owner.path(), reader.Read(offset_bytes, view.bytes()));
      });
    }));
  }
  pybind11::dict Info() {
    return kInfoDict(Unlocked([&] {
      return stream_.Use([](Owner&, Reader& reader) {
        auto info = reader.info();  // A copy: the reader may go when the lock does.
        return info;
      });
    }));
  }
  void Close() {
    Unlocked([&] { stream_.Close(); });
  }

  static void Bind(pybind11::module_& m) {
    pybind11::class_<HeldReader>(m, "Reader")
        .def("read_into", &HeldReader::ReadInto, pybind11::arg("offset"), pybind11::arg("out"))
        .def("info", &HeldReader::Info)
        .def("close", &HeldReader::Close);
  }

 private:
  SharedStream<Owner, Reader> stream_;
};

}  // namespace strata::python

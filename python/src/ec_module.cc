// SPDX-License-Identifier: Apache-2.0
//
// strata._ec: erasure codes over NumPy arrays, without copying. strata/ec.py documents them. Every
// call that computes releases the GIL.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "buffers.h"
#include "status.h"
#include "strata/base/crc32c.h"
#include "strata/ec/code.h"

namespace strata::python {
namespace {

namespace py = pybind11;
using ec::Bytes;
using ec::ConstBytes;
using ec::ShardSet;

// The shards of a call: the rows of a two-dimensional array of bytes whose rows are contiguous, or
// a sequence of buffers, one per shard. Holds them.
class Shards {
 public:
  Shards(const char* what, const py::object& object, bool writable) {
    if (py::isinstance<py::array>(object)) {
      TakeRows(what, py::reinterpret_borrow<py::array>(object), writable);
      return;
    }
    if (!py::isinstance<py::sequence>(object) || PyObject_CheckBuffer(object.ptr()) != 0) {
      throw py::type_error(std::string(what) +
                           " is neither a two-dimensional array nor a sequence of buffers");
    }
    for (const py::handle item : py::reinterpret_borrow<py::sequence>(object)) {
      views_.push_back(
          std::make_unique<BufferView>(py::reinterpret_borrow<py::object>(item), writable));
      spans_.push_back(views_.back()->bytes());
    }
  }

  const std::vector<Bytes>& spans() const { return spans_; }
  std::vector<ConstBytes> const_spans() const { return {spans_.begin(), spans_.end()}; }

 private:
  void TakeRows(const char* what, const py::array& array, bool writable) {
    if (array.ndim() != 2 || array.itemsize() != 1) {
      throw py::value_error(std::string(what) + " is not a two-dimensional array of bytes");
    }
    if (array.size() > 0 && array.shape(1) > 1 && array.strides(1) != 1) {
      throw py::value_error(std::string(what) + ": its rows are not contiguous");
    }
    if (writable && !array.writeable()) {
      throw py::value_error(std::string(what) + " is read-only");
    }
    array_ = array;
    auto* const base = static_cast<std::byte*>(const_cast<void*>(array.data()));
    for (py::ssize_t row = 0; row < array.shape(0); ++row) {
      spans_.emplace_back(base + row * array.strides(0), static_cast<size_t>(array.shape(1)));
    }
  }

  py::array array_;
  std::vector<std::unique_ptr<BufferView>> views_;
  std::vector<Bytes> spans_;
};

// Outputs that lie on one another, or on an input, would be written while they are read.
void RefuseOverlap(const std::vector<ConstBytes>& inputs, const std::vector<Bytes>& outputs) {
  struct Stretch {
    const std::byte* begin;
    const std::byte* end;
    bool output;
  };
  std::vector<Stretch> stretches;
  const auto add = [&](ConstBytes bytes, bool output) {
    if (!bytes.empty()) stretches.push_back({bytes.data(), bytes.data() + bytes.size(), output});
  };
  for (const ConstBytes bytes : inputs) add(bytes, false);
  for (const Bytes bytes : outputs) add(bytes, true);
  std::sort(stretches.begin(), stretches.end(),
            [](const Stretch& a, const Stretch& b) { return std::less<>()(a.begin, b.begin); });
  const std::byte* any_end = nullptr;
  const std::byte* output_end = nullptr;
  for (const Stretch& stretch : stretches) {
    const std::byte* const limit = stretch.output ? any_end : output_end;
    if (limit != nullptr && std::less<>()(stretch.begin, limit)) {
      throw py::value_error("what is written overlaps what is read, or itself");
    }
    any_end = std::max(any_end, stretch.end, std::less<>());
    if (stretch.output) output_end = std::max(output_end, stretch.end, std::less<>());
  }
}

ShardSet SetOf(const std::vector<int>& numbers) {
  ShardSet set;
  for (const int number : numbers) {
    if (number < 0 || number >= ec::kMaxShards) {
      throw py::value_error("there is no shard " + std::to_string(number));
    }
    set.set(static_cast<size_t>(number));
  }
  return set;
}

py::tuple Numbers(std::span<const int> numbers) {
  py::tuple tuple(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) tuple[i] = numbers[i];
  return tuple;
}

class PyRepair {
 public:
  explicit PyRepair(std::unique_ptr<ec::Repair> repair) : repair_(std::move(repair)) {}

  py::tuple sources() const { return Numbers(repair_->sources()); }
  py::tuple targets() const { return Numbers(repair_->targets()); }
  void Run(const py::object& source_shards, const py::object& target_shards) const {
    const Shards from("sources", source_shards, /*writable=*/false);
    const Shards to("targets", target_shards, /*writable=*/true);
    RefuseOverlap(from.const_spans(), to.spans());
    Check(Unlocked([&] { return repair_->Run(from.const_spans(), to.spans()); }));
  }

 private:
  std::unique_ptr<ec::Repair> repair_;
};

class PyCode {
 public:
  explicit PyCode(std::unique_ptr<ec::Code> code) : code_(std::move(code)) {}

  int data_shards() const { return code_->data_shards(); }
  int parity_shards() const { return code_->parity_shards(); }
  std::string name() const { return code_->name(); }

  py::array_t<uint8_t> Matrix() const {
    const std::span<const uint8_t> matrix = code_->ParityMatrix();
    py::array_t<uint8_t> array({code_->parity_shards(), code_->data_shards()});
    std::copy(matrix.begin(), matrix.end(), array.mutable_data());
    return array;
  }
  // The parity: `out`, or a new array when that is None.
  py::object Encode(const py::object& data, const py::object& out) const {
    const Shards from("data", data, /*writable=*/false);
    py::object parity = out;
    if (out.is_none()) {
      const size_t size = from.spans().empty() ? 0 : from.spans()[0].size();
      parity = py::array_t<uint8_t>({static_cast<size_t>(parity_shards()), size});
    }
    const Shards to("parity", parity, /*writable=*/true);
    RefuseOverlap(from.const_spans(), to.spans());
    Check(Unlocked([&] { return code_->Encode(from.const_spans(), to.spans()); }));
    return parity;
  }
  void Verify(const py::object& data, const py::object& parity) const {
    const Shards first("data", data, /*writable=*/false);
    const Shards second("parity", parity, /*writable=*/false);
    Check(Unlocked([&] { return code_->Verify(first.const_spans(), second.const_spans()); }));
  }
  void Update(int shard, const py::object& old_data, const py::object& new_data,
              const py::object& parity) const {
    const BufferView before(old_data, /*writable=*/false);
    const BufferView after(new_data, /*writable=*/false);
    const Shards to("parity", parity, /*writable=*/true);
    RefuseOverlap({before.bytes(), after.bytes()}, to.spans());
    Check(
        Unlocked([&] { return code_->Update(shard, before.bytes(), after.bytes(), to.spans()); }));
  }
  void Reconstruct(const py::object& shards, const std::vector<int>& lost) const {
    const Shards all("shards", shards, /*writable=*/true);
    const ShardSet set = SetOf(lost);
    CheckKnown(set);
    RefuseOverlap({}, all.spans());
    Check(Unlocked([&] { return code_->Reconstruct(all.spans(), code_->AllShards() & ~set); }));
  }
  bool IsRecoverable(const std::vector<int>& lost) const {
    const ShardSet set = SetOf(lost);
    CheckKnown(set);
    return code_->IsRecoverable(code_->AllShards() & ~set);
  }
  std::unique_ptr<PyRepair> PlanRepair(const std::vector<int>& present,
                                       const std::vector<int>& wanted) const {
    return std::make_unique<PyRepair>(Value(code_->PlanRepair(SetOf(present), SetOf(wanted))));
  }

 private:
  void CheckKnown(const ShardSet& set) const {
    if ((set & ~code_->AllShards()).any()) {
      throw py::value_error("the code has " + std::to_string(code_->total_shards()) + " shards");
    }
  }
  std::unique_ptr<ec::Code> code_;
};

std::unique_ptr<PyCode> ReedSolomon(int data_shards, int parity_shards, const std::string& kernel) {
  return std::make_unique<PyCode>(
      Value(ec::CreateReedSolomon({.data_shards = data_shards,
                                   .parity_shards = parity_shards,
                                   .kernel = Value(ec::ParseKernel(kernel))})));
}

std::unique_ptr<PyCode> LocallyRepairable(int data_shards, int groups, int global_parities,
                                          const std::string& kernel) {
  return std::make_unique<PyCode>(
      Value(ec::CreateLocallyRepairable({.data_shards = data_shards,
                                         .groups = groups,
                                         .global_parities = global_parities,
                                         .kernel = Value(ec::ParseKernel(kernel))})));
}

std::vector<std::string> Kernels() {
  std::vector<std::string> names;
  for (const ec::Kernel kernel : ec::SupportedKernels()) {
    names.emplace_back(ec::KernelName(kernel));
  }
  return names;
}

uint32_t Checksum(const py::object& data, uint32_t crc) {
  const BufferView view(data, /*writable=*/false);
  return Unlocked([&] { return ExtendCrc32c(crc, view.bytes()); });
}

}  // namespace

PYBIND11_MODULE(_ec, m) {
  m.doc() = "Erasure codes. Use strata.ec.";

  m.def("reed_solomon", &ReedSolomon, py::arg("data_shards"), py::arg("parity_shards"),
        py::arg("kernel"));
  m.def("locally_repairable", &LocallyRepairable, py::arg("data_shards"), py::arg("groups"),
        py::arg("global_parities"), py::arg("kernel"));
  m.def("kernels", &Kernels, "The kernels that this CPU can run, the fastest first.");
  m.def("crc32c", &Checksum, py::arg("data"), py::arg("crc") = 0,
        "CRC-32C of a buffer; `crc`: of what came before it.");
  m.def("combine_crc32c", &CombineCrc32c, py::arg("first"), py::arg("second"),
        py::arg("second_bytes"), "CRC-32C of A and B together, from both and the length of B.");

  py::class_<PyRepair>(m, "Repair")
      .def_property_readonly("sources", &PyRepair::sources)
      .def_property_readonly("targets", &PyRepair::targets)
      .def("run", &PyRepair::Run, py::arg("sources"), py::arg("targets"));
  py::class_<PyCode>(m, "Code")
      .def_property_readonly("data_shards", &PyCode::data_shards)
      .def_property_readonly("parity_shards", &PyCode::parity_shards)
      .def_property_readonly("name", &PyCode::name)
      .def_property_readonly("matrix", &PyCode::Matrix)
      .def("encode", &PyCode::Encode, py::arg("data"), py::arg("out"))
      .def("verify", &PyCode::Verify, py::arg("data"), py::arg("parity"))
      .def("update", &PyCode::Update, py::arg("shard"), py::arg("old_data"), py::arg("new_data"),
           py::arg("parity"))
      .def("reconstruct", &PyCode::Reconstruct, py::arg("shards"), py::arg("lost"))
      .def("is_recoverable", &PyCode::IsRecoverable, py::arg("lost"))
      .def("plan_repair", &PyCode::PlanRepair, py::arg("present"), py::arg("wanted"));
}

}  // namespace strata::python

// SPDX-License-Identifier: Apache-2.0
//
// strata._dedup: chunkers, fingerprints and the store, as thin as they go. strata/dedup.py makes
// file objects of the readers and writers. Every call that computes or waits releases the GIL.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "buffers.h"
#include "chunk_scanner.h"
#include "held_streams.h"
#include "progress.h"
#include "secret.h"
#include "status.h"
#include "strata/dedup/chunker.h"
#include "strata/dedup/directory.h"
#include "strata/dedup/fingerprint.h"
#include "strata/dedup/report_fields.h"
#include "strata/dedup/store.h"

namespace strata::python {
namespace {

namespace py = pybind11;
using dedup::StreamId;
using dedup::StreamInfo;

static_assert(std::is_same_v<dedup::ChunkerKey, dedup::EncryptionKey>);

dedup::ChunkerOptions MakeChunkerOptions(const std::string& algorithm, uint32_t min_bytes,
                                         uint32_t avg_bytes, uint32_t max_bytes,
                                         uint32_t normalization, const py::object& key) {
  dedup::ChunkerOptions options;
  options.algorithm = Value(dedup::ParseChunkAlgorithm(algorithm));
  options.min_bytes = min_bytes;
  options.avg_bytes = avg_bytes;
  options.max_bytes = max_bytes;
  options.normalization = normalization;
  options.key = SecretOf(key, "a chunker's key");
  return options;
}

// A NumPy array that owns `values`; nothing is copied.
template <typename T>
py::array_t<T> ArrayOf(std::vector<T> values) {
  auto* const held = new std::vector<T>(std::move(values));
  py::capsule owner(held, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(static_cast<py::ssize_t>(held->size()), held->data(), owner);
}

std::unique_ptr<ChunkScanner> MakeScanner(const std::string& algorithm, uint32_t min_bytes,
                                          uint32_t avg_bytes, uint32_t max_bytes,
                                          uint32_t normalization, const py::object& key,
                                          bool digests) {
  return std::make_unique<ChunkScanner>(
      Value(dedup::CreateChunker(
          MakeChunkerOptions(algorithm, min_bytes, avg_bytes, max_bytes, normalization, key))),
      digests);
}

std::vector<std::string> AlgorithmNames() {
  std::vector<std::string> names;
  for (const dedup::ChunkAlgorithm algorithm : dedup::AllChunkAlgorithms()) {
    names.emplace_back(dedup::ChunkAlgorithmName(algorithm));
  }
  return names;
}

py::bytes FingerprintBytes(const py::object& data) {
  BufferView view(data, /*writable=*/false);
  const dedup::Fingerprint fingerprint =
      Unlocked([&] { return dedup::FingerprintOf(view.bytes()); });
  return py::bytes(reinterpret_cast<const char*>(fingerprint.bytes.data()),
                   fingerprint.bytes.size());
}

py::dict InfoDict(const StreamInfo& info) {
  py::dict dict;
  dict["id"] = info.id.ToHex();
  dict["size_bytes"] = info.size_bytes;
  dict["chunk_count"] = info.chunk_count;
  dict["created_ns"] = info.created_ns;
  dict["new_chunk_bytes"] = info.new_chunk_bytes;
  dict["new_stored_bytes"] = info.new_stored_bytes;
  return dict;
}

// The store outlives what it handed out: each writer and reader holds it.
using SharedDirectory = std::shared_ptr<dedup::Directory>;

using PyWriter = HeldWriter<dedup::Directory, dedup::Writer, InfoDict>;
using PyReader = HeldReader<dedup::Directory, dedup::Reader, InfoDict>;

class PyStore {
 public:
  explicit PyStore(const dedup::DirectoryOptions& options)
      : directory_(Value(Unlocked([&] { return dedup::Directory::Open(options); }))) {}

  std::unique_ptr<PyWriter> NewWriter() {
    SharedDirectory directory = Open();
    auto writer = directory->store().NewWriter();
    return std::make_unique<PyWriter>(std::move(directory), std::move(writer));
  }
  std::unique_ptr<PyReader> OpenReader(const std::string& id) {
    const StreamId stream = Value(StreamId::FromHex(id));
    SharedDirectory directory = Open();
    auto reader = Value(Unlocked([&] { return directory->store().OpenReader(stream); }));
    return std::make_unique<PyReader>(std::move(directory), std::move(reader));
  }
  void Delete(const std::string& id) {
    const StreamId stream = Value(StreamId::FromHex(id));
    const SharedDirectory directory = Open();
    Check(Unlocked([&] { return directory->store().Delete(stream); }));
  }
  py::dict Stat(const std::string& id) {
    const StreamId stream = Value(StreamId::FromHex(id));
    const SharedDirectory directory = Open();
    return InfoDict(Value(Unlocked([&] { return directory->store().Stat(stream); })));
  }
  py::list List(const std::string& after, size_t max_count) {
    const StreamId start = after.empty() ? StreamId{} : Value(StreamId::FromHex(after));
    const SharedDirectory directory = Open();
    const auto streams = Value(Unlocked([&] { return directory->store().List(start, max_count); }));
    py::list list;
    for (const StreamInfo& info : streams) list.append(InfoDict(info));
    return list;
  }
  // Collects by `method` of the store, which takes `Options`.
  template <typename Options, auto method>
  py::dict Collect(double rewrite_below_live_ratio, uint64_t max_bytes_per_second,
                   py::object progress) {
    ProgressBridge bridge(std::move(progress));
    Options options;
    options.rewrite_below_live_ratio = rewrite_below_live_ratio;
    options.max_bytes_per_second = max_bytes_per_second;
    options.progress = bridge.callback();
    const SharedDirectory directory = Open();
    auto report =
        Unlocked([&] { return Of(directory->path(), (directory->store().*method)(options)); });
    bridge.Finish();
    const dedup::GarbageReport value = Value(std::move(report));
    py::dict dict;
    for (const auto& field : dedup::GarbageReportFields()) dict[field.name] = value.*field.member;
    return dict;
  }
  py::dict Verify(bool read_data, py::object progress) {
    ProgressBridge bridge(std::move(progress));
    dedup::VerifyOptions options;
    options.read_data = read_data;
    options.progress = bridge.callback();
    const SharedDirectory directory = Open();
    auto report = Unlocked([&] { return directory->store().Verify(options); });
    bridge.Finish();
    const dedup::VerifyReport value = Value(std::move(report));
    py::list streams;
    for (const dedup::Damage& damage : value.streams) {
      py::dict entry;
      entry["stream"] = damage.stream.ToHex();
      entry["offset_bytes"] = damage.offset_bytes;
      entry["size_bytes"] = damage.size_bytes;
      entry["detail"] = damage.detail;
      streams.append(entry);
    }
    py::dict dict;
    for (const auto& field : dedup::VerifyReportFields()) dict[field.name] = value.*field.member;
    dict["container_damage"] = value.container_damage;
    dict["index_damage"] = value.index_damage;
    dict["streams"] = streams;
    return dict;
  }
  void RebuildIndex(py::object progress) {
    ProgressBridge bridge(std::move(progress));
    const dedup::ProgressCallback callback = bridge.callback();
    const absl::Status status = Unlocked([&] { return Open()->store().RebuildIndex(callback); });
    bridge.Finish();
    Check(status);
  }
  py::dict Stats() {
    const SharedDirectory directory = Open();
    const dedup::Stats stats = Unlocked([&] { return directory->store().Stats(); });
    py::dict dict;
    for (const auto& field : dedup::StatsFields()) dict[field.name] = stats.*field.member;
    return dict;
  }
  void Close() {
    SharedDirectory directory = std::move(directory_);
    Unlocked([&] { directory.reset(); });
  }

 private:
  // A copy, which a call takes before it releases the GIL: another thread may close the store.
  SharedDirectory Open() {
    if (!directory_) throw py::value_error("the store is closed");
    return directory_;
  }
  SharedDirectory directory_;  // Touched with the GIL alone.
};

dedup::Compression ParseCompression(const std::string& name) {
  if (name == "none") return dedup::Compression::kNone;
  if (name == "lz4") return dedup::Compression::kLz4;
  if (name == "zstd") return dedup::Compression::kZstd;
  if (name == "gzip") return dedup::Compression::kGzip;
  throw py::value_error("compression is 'none', 'lz4', 'zstd' or 'gzip', not '" + name + "'");
}

dedup::Mode ParseMode(const std::string& name) {
  if (name == "inline") return dedup::Mode::kInline;
  if (name == "hybrid") return dedup::Mode::kHybrid;
  if (name == "post-process") return dedup::Mode::kPostProcess;
  throw py::value_error("mode is 'inline', 'hybrid' or 'post-process', not '" + name + "'");
}

std::unique_ptr<PyStore> OpenStore(const std::string& path, bool create, bool read_only,
                                   bool assume_unlocked, uint64_t max_size_bytes,
                                   const std::string& mode, const std::string& compression,
                                   int level, bool defer_compression, uint32_t region_bytes,
                                   uint32_t workers, const std::string& algorithm,
                                   uint32_t min_bytes, uint32_t avg_bytes, uint32_t max_bytes,
                                   uint32_t normalization, const py::object& key,
                                   const py::object& encryption_key) {
  dedup::DirectoryOptions options;
  options.path = path;
  options.create = create;
  options.read_only = read_only || assume_unlocked;
  options.assume_unlocked = assume_unlocked;
  options.max_size_bytes = max_size_bytes;
  options.store.mode = ParseMode(mode);
  options.store.compression = ParseCompression(compression);
  options.store.compression_level = level;
  options.store.defer_compression = defer_compression;
  options.store.region_bytes = region_bytes;
  options.store.worker_threads = workers;
  options.store.encryption_key = SecretOf(encryption_key, "an encryption key");
  options.store.chunker =
      MakeChunkerOptions(algorithm, min_bytes, avg_bytes, max_bytes, normalization, key);
  return std::make_unique<PyStore>(options);
}

}  // namespace

PYBIND11_MODULE(_dedup, m) {
  const dedup::ChunkerOptions chunker;
  const std::string algo(dedup::ChunkAlgorithmName(chunker.algorithm));
  const dedup::StoreOptions store;
  PYBIND11_NUMPY_DTYPE(ChunkRow, offset, length, digest);
  m.doc() = "Deduplication: chunkers, fingerprints and the store. Use strata.dedup.";

  m.def("fingerprint", &FingerprintBytes, py::arg("data"), "SHA-256 of a buffer: 32 bytes.");

  m.def("algorithms", &AlgorithmNames, "The names of all chunkers.");

  py::class_<ChunkScanner>(m, "Scanner")
      .def(py::init(&MakeScanner), py::arg("algo"), py::arg("min"), py::arg("avg"), py::arg("max"),
           py::arg("normalization"), py::arg("key"), py::arg("digests"))
      .def(
          "update",
          [](ChunkScanner& scanner, const py::object& data) {
            BufferView view(data, /*writable=*/false);
            Unlocked([&] { scanner.Update(view.bytes()); });
          },
          py::arg("data"))
      .def("finish", [](ChunkScanner& scanner) { Unlocked([&] { scanner.Finish(); }); })
      .def("take",
           [](ChunkScanner& scanner) { return ArrayOf(Unlocked([&] { return scanner.Take(); })); })
      .def_property_readonly("chunking_seconds", &ChunkScanner::chunking_seconds);

  PyWriter::Bind(m);
  PyReader::Bind(m);
  py::class_<PyStore>(m, "Store")
      .def(py::init(&OpenStore), py::arg("path"), py::kw_only(), py::arg("create") = true,
           py::arg("read_only") = false, py::arg("assume_unlocked") = false,
           py::arg("max_size_bytes") = 0, py::arg("mode") = "inline",
           py::arg("compression") = "zstd", py::arg("level") = 1,
           py::arg("defer_compression") = false, py::arg("region_bytes") = store.region_bytes,
           py::arg("workers") = store.worker_threads, py::arg("algo") = algo,
           py::arg("min") = chunker.min_bytes, py::arg("avg") = chunker.avg_bytes,
           py::arg("max") = chunker.max_bytes, py::arg("normalization") = chunker.normalization,
           py::arg("key") = py::none(), py::arg("encryption_key") = py::none())
      .def("new_writer", &PyStore::NewWriter)
      .def("open_reader", &PyStore::OpenReader, py::arg("id"))
      .def("delete", &PyStore::Delete, py::arg("id"))
      .def("stat", &PyStore::Stat, py::arg("id"))
      .def("list", &PyStore::List, py::arg("after") = "", py::arg("max_count") = 1000)
      .def("collect_garbage",
           &PyStore::Collect<dedup::GarbageOptions, &dedup::Store::CollectGarbage>,
           py::arg("rewrite_below_live_ratio") = dedup::GarbageOptions{}.rewrite_below_live_ratio,
           py::arg("max_bytes_per_second") = 0, py::arg("progress") = py::none())
      .def("deduplicate", &PyStore::Collect<dedup::FoldOptions, &dedup::Store::FoldDuplicates>,
           py::arg("rewrite_below_live_ratio") = dedup::FoldOptions{}.rewrite_below_live_ratio,
           py::arg("max_bytes_per_second") = 0, py::arg("progress") = py::none())
      .def("verify", &PyStore::Verify, py::arg("read_data") = true,
           py::arg("progress") = py::none())
      .def("rebuild_index", &PyStore::RebuildIndex, py::arg("progress") = py::none())
      .def("stats", &PyStore::Stats)
      .def("close", &PyStore::Close);
}

}  // namespace strata::python

// SPDX-License-Identifier: Apache-2.0
//
// Measures libdedup, one thread unless said otherwise.
//
//   dedup_bench [--ops a,b,...] [--mb N] [--dir FOLDER] [--file FILE[,FILE...]] [--threads N]
//               [--compression none|lz4|zstd|gzip] [--level N] [--region_kb N] [--workers N]
//               [--encrypted 0|1] [--store_mb N]
//
// Operations:
//   chunk            FastCDC 2/8/64 KiB over random bytes
//   chunk_plain      the same algorithm a byte at a time, as a yardstick
//   fingerprint      SHA-256 of 8 KiB chunks, many at once
//   fingerprint_one  the same, one at a time through OpenSSL
//   ingest           one stream of new, half compressible bytes into a new store
//   ingest_again     the same bytes into that store
//   ingest_reopened  the same bytes after reopening the store: every table comes from the device
//   large            --mb of new bytes into a store that holds --store_mb [4096], processor time of
//                    the whole process for each GB: after reopening the store, and then, with other
//                    bytes, once lookups of new chunks hardly reach the kv store any more; how long
//                    the opening took
//   restore          the stream read back
//   versions         the --file list as versions of one thing, each into the store after reopening
//                    it, then the first and the last read back into a file; sizes, peak memory
//   aging            twenty versions, each with 2 % of the one before changed at random places; then
//                    the speed of reading the last, as a share of that of the first when it was new
//   lookup_miss      nanoseconds to find that a chunk is new
//   lookup_hit       nanoseconds to find a chunk that was seen recently
//   small            streams of 4 KiB from --threads threads, each durable; flushes per stream
//   gc               collection after every second of many streams was deleted
//   gc_half          the same with streams of 64 MB of random bytes, after reopening the store:
//                    processor time, of the whole process, per gigabyte that was freed
//   gc_tiny          the most memory that is resident during a collection of a store with 200,000
//                    streams of 11 bytes, each committed by itself, after every second was deleted
//   index_memory     what the index of a TiB of unique data keeps in memory, in chunks of 8 KiB: the
//                    filter, filled with as many keys, and the caches by default; how often the
//                    filter asks for a lookup in vain
// Each prints: name, value, unit. chunk, fingerprint and lookup count processor time, the others
// wall time; ingest, restore and versions print bytes per second of processor time as well (of the
// calling thread; versions: of the whole process, which noise from other programs touches least).
//
// --file: ingest this file's bytes instead of made ones. --dir: the store lies there, in a file and
// RocksDB [in memory]. --mb: bytes per operation [256].
#include <malloc.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "chunking/gear_table.h"
#include "index/chunk_index.h"
#include "index/summary_filter.h"
#include "strata/base/check.h"
#include "strata/base/random.h"
#include "strata/block/devices.h"
#include "strata/dedup/chunker.h"
#include "strata/dedup/directory.h"
#include "strata/dedup/fingerprint.h"
#include "strata/dedup/store.h"
#include "strata/kv/engines.h"
#include "support/must.h"

namespace strata::dedup {
namespace {

struct Flags {
  std::string ops =
      "chunk,chunk_plain,fingerprint,fingerprint_one,ingest,ingest_again,"
      "ingest_reopened,restore,lookup_miss,lookup_hit,small,gc";
  size_t bytes = 256u << 20;
  size_t store_bytes = size_t{4} << 30;
  std::string folder;
  std::string file;
  int threads = 16;
  uint32_t workers = 1;
  bool encrypted = false;
  int level = 1;
  uint32_t region_bytes = StoreOptions().region_bytes;
  Compression compression = Compression::kZstd;
};

class Timer {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

uint64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void Print(const char* name, double value, const char* unit) {
  std::printf("%-16s %10.2f %s\n", name, value, unit);
  std::fflush(stdout);
}

using test::Must;

std::vector<std::byte> Content(uint64_t seed, size_t size) {
  std::vector<std::byte> bytes(size);
  Random(seed).Fill(bytes);
  for (size_t i = 0; i < size; ++i) {
    if ((i / 64) % 2 == 0) bytes[i] = static_cast<std::byte>('a' + i % 7);
  }
  return bytes;
}

double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Processor time of the best of several runs: what one core does, however many others want it.
double BestSeconds(const std::function<void()>& run) {
  double best = 1e9;
  for (int i = 0; i < 9; ++i) {
    const double begin = ProcessorSeconds();
    run();
    best = std::min(best, ProcessorSeconds() - begin);
  }
  return best;
}

size_t SplitPlain(const ChunkerOptions& options, std::span<const std::byte> data) {
  constexpr uint64_t kStrict = 0x0000d90f03530000;  // 2^15: two bits more than 8 KiB.
  constexpr uint64_t kLax = 0x0000d90003530000;     // 2^11.
  size_t count = 0;
  while (!data.empty()) {
    const size_t end = std::min<size_t>(data.size(), options.max_bytes);
    const size_t center = std::min<size_t>(end, options.avg_bytes);
    uint64_t hash = 0;
    size_t i = std::min<size_t>(options.min_bytes, end);
    for (; i < end; ++i) {
      hash = (hash << 1) + kGear[static_cast<uint8_t>(data[i])];
      if ((hash & (i < center ? kStrict : kLax)) == 0) break;
    }
    data = data.subspan(i);
    ++count;
  }
  return count;
}

class Bench {
 public:
  explicit Bench(const Flags& flags) : flags_(flags) {}

  int Run() {
    const std::map<std::string, void (Bench::*)()> operations = {
        {"chunk", &Bench::Chunk},
        {"chunk_plain", &Bench::ChunkPlain},
        {"fingerprint", &Bench::FingerprintLanes},
        {"fingerprint_one", &Bench::FingerprintOne},
        {"ingest", &Bench::Ingest},
        {"ingest_again", &Bench::IngestAgain},
        {"ingest_reopened", &Bench::IngestReopened},
        {"large", &Bench::Large},
        {"restore", &Bench::Restore},
        {"versions", &Bench::Versions},
        {"aging", &Bench::Aging},
        {"lookup_miss", &Bench::LookupMiss},
        {"lookup_hit", &Bench::LookupHit},
        {"small", &Bench::Small},
        {"gc", &Bench::Collect},
        {"gc_half", &Bench::CollectHalf},
        {"gc_tiny", &Bench::CollectTiny},
        {"index_memory", &Bench::IndexMemory}};
    for (size_t at = 0; at < flags_.ops.size();) {
      const size_t end = std::min(flags_.ops.find(',', at), flags_.ops.size());
      const auto found = operations.find(flags_.ops.substr(at, end - at));
      if (found == operations.end()) {
        std::fprintf(stderr, "dedup_bench: no operation '%s'\n",
                     flags_.ops.substr(at, end - at).c_str());
        return 2;
      }
      (this->*found->second)();
      at = end + 1;
    }
    Close();
    return 0;
  }

 private:
  const ChunkerOptions kWide{.algorithm = ChunkAlgorithm::kFastCdc2020,
                             .min_bytes = 2048,
                             .avg_bytes = 8192,
                             .max_bytes = 65536};
  static constexpr size_t kInCache = 16u << 20;

  void Chunk() {
    const auto data = Random(1, kInCache);
    const auto chunker = Must(CreateChunker(kWide));
    std::vector<uint32_t> lengths;
    const double seconds = BestSeconds([&] {
      lengths.clear();
      chunker->Split(data, true, &lengths);
    });
    Print("chunk", static_cast<double>(data.size()) / seconds / 1e9, "GB/s");
  }

  void ChunkPlain() {
    const auto data = Random(1, kInCache);
    std::vector<uint32_t> lengths;
    Must(CreateChunker(kWide))->Split(data, true, &lengths);
    size_t count = 0;
    const double seconds = BestSeconds([&] { count = SplitPlain(kWide, data); });
    STRATA_CHECK(count == lengths.size(), "both cut alike");
    Print("chunk_plain", static_cast<double>(data.size()) / seconds / 1e9, "GB/s");
  }

  static std::vector<std::byte> Random(uint64_t seed, size_t size) {
    std::vector<std::byte> bytes(size);
    strata::Random(seed).Fill(bytes);
    return bytes;
  }

  void FingerprintLanes() {
    const auto data = Random(1, kInCache);
    std::vector<std::span<const std::byte>> chunks;
    for (size_t at = 0; at < data.size(); at += 8192) {
      chunks.push_back(std::span(data).subspan(at, 8192));
    }
    std::vector<Fingerprint> out(chunks.size());
    const double seconds = BestSeconds([&] { FingerprintMany(chunks, out); });
    Print("fingerprint", static_cast<double>(data.size()) / seconds / 1e9, "GB/s");
  }

  void FingerprintOne() {
    const auto data = Random(1, kInCache);
    const double seconds = BestSeconds([&] {
      for (size_t at = 0; at < data.size(); at += 8192) {
        unsigned char digest[32];
        EVP_Digest(data.data() + at, 8192, digest, nullptr, EVP_sha256(), nullptr);
      }
    });
    Print("fingerprint_one", static_cast<double>(data.size()) / seconds / 1e9, "GB/s");
  }

  void Open(bool fresh) {
    Close();
    if (fresh || store_bytes_ == 0) {
      device_.reset();
      kv_.reset();
      if (!flags_.folder.empty()) {
        std::filesystem::remove_all(flags_.folder + "/containers");
        std::filesystem::remove_all(flags_.folder + "/kv");
      }
    }
    store_bytes_ = (flags_.bytes >> 20) * (4u << 20) + (512u << 20) + extra_bytes_;
    if (!flags_.folder.empty()) {
      device_ = Must(block::OpenFileDevice({.path = flags_.folder + "/containers",
                                            .size_bytes = store_bytes_,
                                            .create = true,
                                            .log = {}}));
      kv_ = Must(kv::OpenRocksDbStore({.directory = flags_.folder + "/kv", .log = {}}));
    } else if (device_ == nullptr) {
      device_ = Must(block::CreateMemoryDevice({.block_count = store_bytes_ / 4096}));
      kv_ = kv::CreateMemoryStore();
    }
    StoreOptions options;
    options.device = device_.get();
    options.kv = kv_.get();
    options.compression = flags_.compression;
    options.compression_level = flags_.level;
    options.region_bytes = flags_.region_bytes;
    options.worker_threads = flags_.workers;
    options.read_ahead_bytes = 16u << 20;  // As a backup product has it.
    if (flags_.encrypted) options.encryption_key = EncryptionKey{std::byte{1}};
    const Timer timer;
    store_ = Must(Store::Open(options));
    open_seconds_ = timer.seconds();
  }

  void Close() {
    store_.reset();
    if (flags_.folder.empty()) return;
    kv_.reset();
    device_.reset();
  }

  void IngestOnce(const char* name) {
    const double begin = ProcessorSeconds();
    Timer timer;
    const auto writer = store_->NewWriter();
    for (size_t at = 0; at < content_.size(); at += 1u << 20) {
      const auto piece =
          std::span(content_).subspan(at, std::min<size_t>(1u << 20, content_.size() - at));
      if (!writer->Write(piece).ok()) break;
    }
    stream_ = Must(writer->Finish()).id;
    if (name == nullptr) return;
    PrintBytes(name, timer.seconds(), ProcessorSeconds() - begin);
    const Stats stats = store_->Stats();
    Print((std::string(name) + ".reads").c_str(), static_cast<double>(stats.index_reads),
          "index reads");
    Print((std::string(name) + ".device").c_str(), static_cast<double>(stats.container_bytes),
          "bytes");
  }

  void PrintBytes(const std::string& name, double seconds, double processor_seconds) {
    const double megabytes = static_cast<double>(content_.size()) / 1e6;
    Print(name.c_str(), megabytes / seconds, "MB/s");
    Print((name + ".core").c_str(), megabytes / processor_seconds, "MB/s");
  }

  std::vector<std::byte> MakeContent() const {
    if (flags_.file.empty()) return Content(7, flags_.bytes);
    std::vector<std::byte> bytes(flags_.bytes);
    std::FILE* file = std::fopen(flags_.file.c_str(), "rb");
    STRATA_CHECK(file != nullptr && std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size(),
                 "the file can be read");
    std::fclose(file);
    return bytes;
  }

  void Ingest() {
    content_ = MakeContent();
    Open(/*fresh=*/true);
    IngestOnce("ingest");
  }
  void NeedIngested() {
    if (!content_.empty() && store_ != nullptr) return;
    content_ = MakeContent();
    Open(/*fresh=*/true);
    IngestOnce(nullptr);
  }
  void IngestAgain() {
    NeedIngested();
    IngestOnce("ingest_again");
  }
  void IngestReopened() {
    NeedIngested();
    Open(/*fresh=*/false);
    IngestOnce("ingest_reopened");
  }

  void Large() {
    constexpr int kMaxPasses = 16;
    constexpr double kHardly = 0.1;  // Of the chunks; the filter is wrong about a few.
    extra_bytes_ = flags_.store_bytes + kMaxPasses * flags_.bytes;
    Open(/*fresh=*/true);
    constexpr size_t kPiece = 64u << 20;
    for (size_t at = 0; at < flags_.store_bytes; at += kPiece) {
      content_ = Random(1000 + at, std::min(kPiece, flags_.store_bytes - at));
      IngestOnce(nullptr);
    }
    Open(/*fresh=*/false);
    Print("large.open", open_seconds_ * 1e3, "ms");
    for (int pass = 0; pass < kMaxPasses; ++pass) {
      content_ = Content(7 + static_cast<uint64_t>(pass), flags_.bytes);
      const Stats before = store_->Stats();
      const double begin = ProcessSeconds();
      IngestOnce(nullptr);
      const double seconds = ProcessSeconds() - begin;
      const Stats after = store_->Stats();
      const double reads = static_cast<double>(after.index_reads - before.index_reads) /
                           static_cast<double>(after.ingested_chunks - before.ingested_chunks);
      const bool whole = pass > 0 && reads < kHardly;
      const std::string name = whole ? "large.whole" : "large." + std::to_string(pass);
      Print(name.c_str(), seconds / (static_cast<double>(flags_.bytes) / 1e9), "s/GB");
      Print((name + ".reads").c_str(), reads * 100, "% of chunks");
      if (whole) break;
    }
    content_.clear();
    extra_bytes_ = 0;
  }

  void Restore() {
    NeedIngested();
    Open(/*fresh=*/false);
    const auto reader = Must(store_->OpenReader(stream_));
    std::vector<std::byte> piece(1u << 20);
    const double begin = ProcessorSeconds();
    Timer timer;
    for (size_t at = 0; at < content_.size(); at += piece.size()) {
      const size_t size = Must(reader->Read(at, piece));
      STRATA_CHECK(std::memcmp(piece.data(), content_.data() + at, size) == 0, "what was written");
    }
    PrintBytes("restore", timer.seconds(), ProcessorSeconds() - begin);
  }

  void Versions() {
    STRATA_CHECK(!flags_.folder.empty() && !flags_.file.empty(), "versions needs --dir and --file");
    std::vector<std::pair<std::string, StreamId>> versions;
    for (size_t at = 0; at < flags_.file.size();) {
      const size_t end = std::min(flags_.file.find(',', at), flags_.file.size());
      versions.emplace_back(flags_.file.substr(at, end - at), StreamId{});
      at = end + 1;
    }
    for (size_t i = 0; i < versions.size(); ++i) {
      Close();
      versions[i].second =
          StoreFile(versions[i].first, /*fresh=*/i == 0, "version" + std::to_string(i + 1));
    }
    RestoreFile(versions.front().first, versions.front().second, "restore_first");
    RestoreFile(versions.back().first, versions.back().second, "restore_last");
    Print("peak_memory", PeakMegabytes(), "MB");
  }

  void Aging() {
    constexpr int kVersions = 20;
    constexpr size_t kChangeBytes = 16u << 10;
    strata::Random random(3);
    content_ = Content(7, flags_.bytes);
    double first_speed = 0;
    for (int version = 1; version <= kVersions; ++version) {
      Open(/*fresh=*/version == 1);
      IngestOnce(nullptr);
      if (version == 1) first_speed = BestReadSpeed(stream_);
      Close();
      for (size_t changed = 0; changed < content_.size() / 50; changed += kChangeBytes) {
        const size_t at = random.Uniform(content_.size() - kChangeBytes);
        const auto change = Content(random.Next64(), kChangeBytes);
        std::copy(change.begin(), change.end(), content_.begin() + static_cast<ptrdiff_t>(at));
      }
    }
    const double last_speed = BestReadSpeed(stream_);
    Print("aging.first", first_speed, "MB/s");
    Print("aging.last", last_speed, "MB/s");
    Print("aging", last_speed / first_speed, "of the first");
    Print("aging.device", static_cast<double>(store_->Stats().container_bytes), "bytes");
  }

  double BestReadSpeed(const StreamId& id) {
    double best = 0;
    for (int round = 0; round < 5; ++round) best = std::max(best, ReadSpeed(id));
    return best;
  }

  double ReadSpeed(const StreamId& id) {
    Open(/*fresh=*/false);
    const auto reader = Must(store_->OpenReader(id));
    std::vector<std::byte> piece(1u << 20);
    Timer timer;
    for (uint64_t at = 0; at < reader->info().size_bytes; at += piece.size()) {
      Must(reader->Read(at, piece));
    }
    return static_cast<double>(reader->info().size_bytes) / timer.seconds() / 1e6;
  }

  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
  static File OpenFile(const std::string& path, const char* mode) {
    File file(std::fopen(path.c_str(), mode), &std::fclose);
    STRATA_CHECK(file != nullptr, "the file can be opened");
    std::setvbuf(file.get(), nullptr, _IONBF, 0);
    return file;
  }

  // Of all threads, the kernel's work for them included.
  static double ProcessSeconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
  }

  // From opening the store to closing it.
  StreamId StoreFile(const std::string& path, bool fresh, const std::string& name) {
    const double begin = ProcessSeconds();
    Timer timer;
    Open(fresh);
    const File file = OpenFile(path, "rb");
    auto writer = store_->NewWriter();
    std::vector<std::byte> piece(1u << 20);
    while (const size_t size = std::fread(piece.data(), 1, piece.size(), file.get())) {
      STRATA_CHECK(writer->Write(std::span(piece).first(size)).ok(), "written");
    }
    const StreamInfo info = Must(writer->Finish());
    writer.reset();
    const double device_bytes = static_cast<double>(store_->Stats().container_bytes);
    Close();
    const double megabytes = static_cast<double>(info.size_bytes) / 1e6;
    Print(name.c_str(), megabytes / timer.seconds(), "MB/s");
    Print((name + ".core").c_str(), megabytes / (ProcessSeconds() - begin), "MB/s");
    Print((name + ".device").c_str(), device_bytes, "bytes");
    return info.id;
  }

  void RestoreFile(const std::string& original, const StreamId& id, const std::string& name) {
    Close();
    const std::string restored = flags_.folder + "/restored";
    std::vector<std::byte> piece(1u << 20);
    {
      const double begin = ProcessSeconds();
      Timer timer;
      Open(/*fresh=*/false);
      const auto reader = Must(store_->OpenReader(id));
      const File file = OpenFile(restored, "wb");
      const uint64_t size_bytes = reader->info().size_bytes;
      for (uint64_t at = 0; at < size_bytes; at += piece.size()) {
        const size_t size = Must(reader->Read(at, piece));
        STRATA_CHECK(std::fwrite(piece.data(), 1, size, file.get()) == size, "written");
      }
      const double megabytes = static_cast<double>(size_bytes) / 1e6;
      Print(name.c_str(), megabytes / timer.seconds(), "MB/s");
      Print((name + ".core").c_str(), megabytes / (ProcessSeconds() - begin), "MB/s");
    }
    const File wanted = OpenFile(original, "rb");
    const File got = OpenFile(restored, "rb");
    std::vector<std::byte> other(piece.size());
    for (size_t size = piece.size(); size == piece.size();) {
      size = std::fread(piece.data(), 1, piece.size(), wanted.get());
      STRATA_CHECK(std::fread(other.data(), 1, other.size(), got.get()) == size &&
                       std::memcmp(piece.data(), other.data(), size) == 0,
                   "what was written");
    }
    std::filesystem::remove(restored);
  }

  static double PeakMegabytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
  }

  // A chunk index over the store's own containers.
  void Lookup(const char* name, bool hit) {
    const auto kv = kv::CreateMemoryStore();
    ContainerTable table(100);
    ChunkIndex index({.kv = kv.get(),
                      .chunks = *kv->OpenSpace("chunks", {}),
                      .containers = *kv->OpenSpace("containers", {}),
                      .metadata_cache_bytes = 64u << 20,
                      .table = &table,
                      .container_reader = nullptr});
    strata::Random random(1);
    std::vector<Fingerprint> known;
    for (uint64_t id = 1; id <= 50; ++id) {
      STRATA_CHECK(table.Add(id, {.slot = static_cast<uint32_t>(id)}).ok(), "a free slot");
      SealedContainer sealed{id, {.slot = static_cast<uint32_t>(id), .sealed = true}, {}};
      ContainerContents& contents = sealed.contents;
      contents.regions = {{1, 1000, 4000, RegionKind::kData}};
      contents.chunks.resize(4000);
      for (Fingerprint& chunk : contents.chunks) random.Fill(chunk.bytes);
      index.AddUnsealed(id, contents.regions[0], contents.chunks, 0);
      const SealedContainer* const list[] = {&sealed};
      STRATA_CHECK(index.CommitSealed(list).ok(), "sealed");
      known.insert(known.end(), contents.chunks.begin(), contents.chunks.end());
    }
    std::vector<Fingerprint> asked = known;
    if (!hit) {
      for (Fingerprint& chunk : asked) random.Fill(chunk.bytes);
    }
    PinSet pins;
    std::vector<std::optional<FoundChunk>> found(64);
    const double begin = ProcessorSeconds();
    for (size_t at = 0; at + 64 <= asked.size(); at += 64) {
      STRATA_CHECK(index.FindForDuplicates(std::span(asked).subspan(at, 64), &pins, found).ok(),
                   "found");
    }
    Print(name, (ProcessorSeconds() - begin) * 1e9 / static_cast<double>(asked.size()), "ns");
  }
  void LookupMiss() { Lookup("lookup_miss", false); }
  void LookupHit() { Lookup("lookup_hit", true); }

  void Small() {
    Open(/*fresh=*/true);
    constexpr int kEach = 200;
    std::vector<std::thread> threads;
    std::atomic<int> failed{0};
    Timer timer;
    for (int t = 0; t < flags_.threads; ++t) {
      threads.emplace_back([this, t, &failed] {
        for (int i = 0; i < kEach; ++i) {
          const auto data = Random(t * 1000003 + i, 4096);
          const auto writer = store_->NewWriter();
          if (!writer->Write(data).ok() || !writer->Finish().ok()) ++failed;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    STRATA_CHECK(failed == 0, "a small stream failed");
    const double count = flags_.threads * kEach;
    Print("small", count / timer.seconds(), "streams/s");
    Print("small.flushes", static_cast<double>(store_->Stats().device_flushes) / count,
          "per stream");
    Print("small.device", static_cast<double>(store_->Stats().container_bytes) / count,
          "bytes/stream");
  }

  void Collect() {
    Open(/*fresh=*/true);
    std::vector<StreamId> streams;
    for (uint64_t i = 0; i * 200000 < flags_.bytes; ++i) {
      const auto writer = store_->NewWriter();
      if (!writer->Write(Random(i, 200000)).ok()) break;
      streams.push_back(Must(writer->Finish()).id);
    }
    for (size_t i = 0; i < streams.size(); i += 2) {
      STRATA_CHECK(store_->Delete(streams[i]).ok(), "deleted");
    }
    const double before = static_cast<double>(store_->Stats().container_bytes);
    Timer timer;
    const GarbageReport report = Must(store_->CollectGarbage({.progress = nullptr}));
    Print("gc", before / timer.seconds() / 1e6, "MB/s examined");
    Print("gc.freed", static_cast<double>(report.freed_bytes) / before, "of the device");
  }

  void CollectHalf() {
    constexpr size_t kStreamBytes = 64u << 20;
    Open(/*fresh=*/true);
    std::vector<StreamId> streams;
    for (uint64_t i = 0; i * kStreamBytes < flags_.bytes; ++i) {
      const auto writer = store_->NewWriter();
      STRATA_CHECK(writer->Write(Random(i, kStreamBytes)).ok(), "written");
      streams.push_back(Must(writer->Finish()).id);
    }
    for (size_t i = 0; i < streams.size(); i += 2) {
      STRATA_CHECK(store_->Delete(streams[i]).ok(), "deleted");
    }
    Open(/*fresh=*/false);
    const double begin = ProcessSeconds();
    const GarbageReport report = Must(store_->CollectGarbage({.progress = nullptr}));
    Close();
    const double gigabytes = static_cast<double>(report.freed_bytes) / 1e9;
    Print("gc_half", (ProcessSeconds() - begin) / gigabytes, "core-seconds/GB freed");
    Print("gc_half.freed", gigabytes, "GB");
    Print("gc_half.copied", static_cast<double>(report.live_bytes_copied) / 1e9, "GB");
  }

  void CollectTiny() {
    constexpr size_t kStreams = 200000;
    Open(/*fresh=*/true);
    std::vector<StreamId> streams;
    for (size_t i = 0; i < kStreams; ++i) {
      const auto writer = store_->NewWriter();
      STRATA_CHECK(writer->Write(Random(i, 11)).ok(), "written");
      streams.push_back(Must(writer->Finish()).id);
    }
    for (size_t i = 0; i < kStreams; i += 2) {
      STRATA_CHECK(store_->Delete(streams[i]).ok(), "deleted");
    }
    Open(/*fresh=*/false);
    malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5";  // The peak is that of now.
    const double begin = ProcessSeconds();
    const GarbageReport report = Must(store_->CollectGarbage({.progress = nullptr}));
    Print("gc_tiny", PeakResidentMegabytes(), "MB");
    Print("gc_tiny.core", ProcessSeconds() - begin, "core-seconds");
    Print("gc_tiny.freed", static_cast<double>(report.freed_bytes) / 1e6, "MB");
  }

  // VmHWM, which clear_refs sets back, as it does not ru_maxrss.
  static double PeakResidentMegabytes() {
    std::ifstream file("/proc/self/status");
    for (std::string word; file >> word;) {
      double kilobytes = 0;
      if (word == "VmHWM:" && file >> kilobytes) return kilobytes / 1000;
    }
    return 0;
  }

  void IndexMemory() {
    constexpr uint64_t kChunks = (uint64_t{1} << 40) / 8192;
    const uint64_t before = ResidentBytes();
    SummaryFilter filter(/*expected=*/0);
    strata::Random random(1);
    const auto next = [&random] {
      Fingerprint fingerprint;
      random.Fill(fingerprint.bytes);
      return fingerprint;
    };
    for (uint64_t i = 0; i < kChunks; ++i) filter.Add(next());
    const uint64_t caches = StoreOptions().metadata_cache_bytes + DirectoryOptions().kv_cache_bytes;
    Print("index_memory.filter", static_cast<double>(ResidentBytes() - before) / (1 << 20), "MiB");
    Print("index_memory", static_cast<double>(ResidentBytes() - before + caches) / (1 << 20),
          "MiB a TiB");
    constexpr int kProbes = 1 << 20;
    int vain = 0;
    for (int i = 0; i < kProbes; ++i) vain += filter.MayContain(next());
    Print("index_memory.vain", 100.0 * vain / kProbes, "%");
  }

  const Flags flags_;
  std::unique_ptr<block::Device> device_;
  std::unique_ptr<kv::Store> kv_;
  std::unique_ptr<Store> store_;
  uint64_t store_bytes_ = 0;
  size_t extra_bytes_ = 0;
  double open_seconds_ = 0;  // What Store::Open() took the last time.
  std::vector<std::byte> content_;
  StreamId stream_;
};

}  // namespace
}  // namespace strata::dedup

int main(int argc, char** argv) {
  strata::dedup::Flags flags;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--ops") {
      flags.ops = value;
    } else if (name == "--mb") {
      flags.bytes = std::stoul(value) << 20;
    } else if (name == "--store_mb") {
      flags.store_bytes = std::stoul(value) << 20;
    } else if (name == "--dir") {
      flags.folder = value;
    } else if (name == "--file") {
      flags.file = value;
      flags.bytes = std::filesystem::file_size(value.substr(0, value.find(',')));
    } else if (name == "--threads") {
      flags.threads = std::stoi(value);
    } else if (name == "--encrypted") {
      flags.encrypted = value == "1";
    } else if (name == "--workers") {
      flags.workers = static_cast<uint32_t>(std::stoul(value));
    } else if (name == "--level") {
      flags.level = std::stoi(value);
    } else if (name == "--region_kb") {
      flags.region_bytes = static_cast<uint32_t>(std::stoul(value)) << 10;
    } else if (name == "--compression") {
      using strata::dedup::Compression;
      flags.compression = value == "none"   ? Compression::kNone
                          : value == "lz4"  ? Compression::kLz4
                          : value == "gzip" ? Compression::kGzip
                                            : Compression::kZstd;
    } else {
      std::fprintf(stderr, "dedup_bench: unknown flag %s\n", name.c_str());
      return 2;
    }
  }
  return strata::dedup::Bench(flags).Run();
}

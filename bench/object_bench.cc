// SPDX-License-Identifier: Apache-2.0
//
// Measures the object store. Operations:
//   md5_4k             MD5 of 4 KiB, the floor under every PUT, and a measure of the machine
//   put_4k             PUT of distinct 4 KiB objects by one thread
//   get_4k             GET of them: open, read all, close
//   put_4k_parallel    PUT of distinct 4 KiB objects by --threads threads, per object
//   dedup_21000        the dedup store takes in 21,000 bytes that it has already: a stream of the
//   same content rebuild_11000      the dedup store gives back a stream of 11,000 bytes that was
//   read before put_21000          PUT of 21,000 bytes that are stored already, with MD5 and all
//   put_1m, get_1m     distinct objects of 1 MiB
//   list_thousand      first page of 1000 with a delimiter, of 1,000 keys in 1,000 groups
//   list_million       the same of 1,000,000 keys in 1,000 groups
//   list_flat_million  the first page of 1000 of a million keys, without a delimiter
//   list_versions      the first page of 1000 versions of 500 keys
//
//   object_bench [--store memory|disk] [--folder F] [--ops a,b] [--seconds S] [--threads N]
//
// Prints `OP  WALL us  PROCESSOR us` lines: the mean time of one operation on the clock, and that
// of the thread's processor, which a busy machine does not stretch. Content cannot be compressed.
// --store disk: RocksDB and a file in --folder, every PUT durable; memory (the default): neither.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "records/digests.h"
#include "records/key_layout.h"
#include "records/records.h"
#include "strata/base/check.h"
#include "strata/base/random.h"
#include "strata/block/devices.h"
#include "strata/dedup/store.h"
#include "strata/kv/engines.h"
#include "strata/object/store.h"
#include "support/must.h"

namespace {

using strata::object::ObjectReader;
using strata::object::ObjectWriter;
using strata::object::Store;

struct Settings {
  bool on_disk = false;
  std::string folder = ".";
  std::string ops;
  double seconds = 1;
  int threads = 16;
};

using test::Must;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of the calling thread.
double ProcessorTime() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Means of one operation, in microseconds.
struct Cost {
  double wall_us = 0;
  double processor_us = 0;
};

std::string Content(uint64_t seed, size_t size) {
  strata::Random random(seed);
  std::string content(size, '\0');
  random.Fill(std::as_writable_bytes(std::span(content.data(), content.size())));
  return content;
}

// A store, and under it what the settings say.
class Bench {
 public:
  explicit Bench(const Settings& settings) : settings_(settings) {
    if (settings.on_disk) {
      kv_ = Must(strata::kv::OpenRocksDbStore({.directory = settings.folder + "/kv", .log = {}}));
      device_ = Must(strata::block::OpenFileDevice({.path = settings.folder + "/containers",
                                                    .size_bytes = uint64_t{64} << 30,
                                                    .create = true}));
    } else {
      kv_ = strata::kv::CreateMemoryStore();
      device_ =
          Must(strata::block::CreateMemoryDevice({.block_count = (uint64_t{16} << 30) / 4096}));
    }
    strata::dedup::StoreOptions dedup_options;
    dedup_options.device = device_.get();
    dedup_options.kv = kv_.get();
    dedup_ = Must(strata::dedup::Store::Open(dedup_options));
    strata::object::StoreOptions options;
    options.dedup = dedup_.get();
    options.kv = kv_.get();
    store_ = Must(Store::Open(options));
    Must(store_->CreateBucket("bench", ""));
  }

  Store& store() { return *store_; }
  strata::dedup::Store& dedup() { return *dedup_; }

  void Put(const std::string& key, std::string_view content) {
    const std::unique_ptr<ObjectWriter> writer = Must(store_->NewWriter("bench", key, {}));
    writer->OmitSha256();
    Must(writer->Write(strata::object::AsBytes(content)));
    Must(writer->Finish({}).status());
  }

  void Get(const std::string& key, std::span<std::byte> out) {
    const std::unique_ptr<ObjectReader> reader = Must(store_->OpenReader("bench", key, {}));
    STRATA_CHECK(Must(reader->Read(0, out)) == out.size(), "the whole range");
  }

  // Writes the records of empty objects straight to the kv store: a million PUTs take long.
  void FillBucket(const std::string& bucket, int groups, int keys_per_group) {
    namespace object = strata::object;
    Must(store_->CreateBucket(bucket, ""));
    const strata::kv::SpaceId space = Must(kv_->OpenSpace("object.records", {}));
    const auto snapshot = kv_->NewSnapshot();
    const std::string value = *Must(snapshot->Get(space, object::BucketKey(bucket)));
    const uint64_t bucket_id = Must(object::DecodeBucket(value)).id;
    object::ObjectRecord record;
    record.sequence = 1;
    record.is_null = true;
    record.md5 = std::string(16, 'm');
    const std::string encoded = object::Encode(record);
    for (int group = 0; group < groups; ++group) {
      strata::kv::WriteBatch batch;
      for (int i = 0; i < keys_per_group; ++i) {
        char key[64];
        std::snprintf(key, sizeof(key), "folder-%04d/object-%04d", group, i);
        batch.Put(space, object::CurrentKey(bucket_id, key), encoded);
      }
      Must(kv_->Write(batch, strata::kv::Durability::kAsync));
    }
    Must(kv_->Sync());
  }

  // The mean cost of operation(i), i = 0, 1, ...
  Cost Measure(const std::function<void(uint64_t)>& operation) const {
    const double begin = Now(), processor_begin = ProcessorTime();
    double elapsed = 0;
    uint64_t count = 0;
    for (; elapsed < settings_.seconds; elapsed = Now() - begin) operation(count++);
    const double each_us = 1e6 / static_cast<double>(count);
    return {elapsed * each_us, (ProcessorTime() - processor_begin) * each_us};
  }

 private:
  const Settings& settings_;
  std::unique_ptr<strata::kv::Store> kv_;
  std::unique_ptr<strata::block::Device> device_;
  std::unique_ptr<strata::dedup::Store> dedup_;
  std::unique_ptr<Store> store_;
};

// Distinct contents without the cost of making them: each begins with its number.
class Distinct {
 public:
  Distinct(uint64_t seed, size_t size) : content_(Content(seed, size)) {}
  std::string_view Next(uint64_t number) {
    // A number in every KiB, so that no chunk is the one of before.
    for (size_t at = 0; at + 8 <= content_.size(); at += 1024) {
      std::memcpy(content_.data() + at, &number, sizeof(number));
    }
    return content_;
  }

 private:
  std::string content_;
};

Cost Md5(Bench& bench) {
  const std::string content = Content(1, 4096);
  return bench.Measure([&](uint64_t) {
    strata::object::DigestOf(strata::object::ChecksumAlgorithm::kMd5, content);
  });
}

Cost PutDistinct(Bench& bench, const std::string& prefix, size_t size) {
  Distinct contents(size, size);
  return bench.Measure(
      [&](uint64_t i) { bench.Put(prefix + std::to_string(i), contents.Next(i)); });
}

Cost GetDistinct(Bench& bench, const std::string& prefix, size_t size) {
  Distinct contents(size + 1, size);
  constexpr uint64_t kObjects = 256;
  for (uint64_t i = 0; i < kObjects; ++i) {
    bench.Put(prefix + std::to_string(i), contents.Next(i));
  }
  std::vector<std::byte> buffer(size);
  return bench.Measure(
      [&](uint64_t i) { bench.Get(prefix + std::to_string(i % kObjects), buffer); });
}

Cost PutParallel(Bench& bench, const Settings& settings) {
  std::vector<std::thread> threads;
  std::vector<Cost> costs(static_cast<size_t>(settings.threads));
  for (size_t t = 0; t < costs.size(); ++t) {
    threads.emplace_back([&, t] {
      costs[t] = PutDistinct(bench, "parallel-" + std::to_string(t) + "-", 4096 - 8 * t);
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Per object: so many are under way at once.
  Cost mean;
  for (const Cost& cost : costs) {
    mean.wall_us += cost.wall_us / static_cast<double>(costs.size() * costs.size());
    mean.processor_us += cost.processor_us / static_cast<double>(costs.size());
  }
  return mean;
}

Cost PutRepeated(Bench& bench) {
  const std::string content = Content(5, 21000);
  bench.Put("repeated", content);
  return bench.Measure([&](uint64_t) { bench.Put("repeated-again", content); });
}

strata::dedup::StreamId TakeIn(Bench& bench, std::string_view content) {
  const std::unique_ptr<strata::dedup::Writer> writer = bench.dedup().NewWriter();
  Must(writer->Write(strata::object::AsBytes(content)));
  return Must(writer->Finish()).id;
}

Cost DedupRepeated(Bench& bench) {
  const std::string content = Content(7, 21000);
  TakeIn(bench, content);
  return bench.Measure([&](uint64_t) { TakeIn(bench, content); });
}

Cost Rebuild(Bench& bench) {
  const auto reader = Must(bench.dedup().OpenReader(TakeIn(bench, Content(6, 11000))));
  std::vector<std::byte> buffer(11000);
  return bench.Measure([&](uint64_t) { Must(reader->Read(0, buffer).status()); });
}

Cost ListFirstPage(Bench& bench, const std::string& bucket, int groups, int keys_per_group,
                   const std::string& delimiter) {
  if (!bench.store().GetBucket(bucket).ok()) bench.FillBucket(bucket, groups, keys_per_group);
  strata::object::ListOptions options;
  options.delimiter = delimiter;
  return bench.Measure([&](uint64_t) {
    const auto page = Must(bench.store().List(bucket, options));
    STRATA_CHECK(page.objects.size() + page.common_prefixes.size() == 1000, "a full page");
  });
}

Cost ListVersionsPage(Bench& bench) {
  Must(bench.store().CreateBucket("versions", ""));
  Must(bench.store().SetVersioning("versions", strata::object::Versioning::kEnabled));
  for (int i = 0; i < 1500; ++i) {
    Must(Must(bench.store().NewWriter("versions", std::to_string(i % 500), {}))
             ->Finish({})
             .status());
  }
  return bench.Measure([&](uint64_t) {
    STRATA_CHECK(Must(bench.store().ListVersions("versions", {})).objects.size() == 1000,
                 "a full page");
  });
}

int Run(const Settings& settings) {
  Bench bench(settings);
  const std::vector<std::pair<std::string, std::function<Cost()>>> operations = {
      {"md5_4k", [&] { return Md5(bench); }},
      {"put_4k", [&] { return PutDistinct(bench, "put-4k-", 4096); }},
      {"get_4k", [&] { return GetDistinct(bench, "get-4k-", 4096); }},
      {"put_4k_parallel", [&] { return PutParallel(bench, settings); }},
      {"dedup_21000", [&] { return DedupRepeated(bench); }},
      {"rebuild_11000", [&] { return Rebuild(bench); }},
      {"put_21000", [&] { return PutRepeated(bench); }},
      {"put_1m", [&] { return PutDistinct(bench, "put-1m-", 1u << 20); }},
      {"get_1m", [&] { return GetDistinct(bench, "get-1m-", 1u << 20); }},
      {"list_thousand", [&] { return ListFirstPage(bench, "thousand", 1000, 1, "/"); }},
      {"list_million", [&] { return ListFirstPage(bench, "million", 1000, 1000, "/"); }},
      {"list_flat_million", [&] { return ListFirstPage(bench, "million", 1000, 1000, ""); }},
      {"list_versions", [&] { return ListVersionsPage(bench); }},
  };
  const std::string wanted = "," + settings.ops + ",";
  for (const auto& [name, operation] : operations) {
    if (!settings.ops.empty() && wanted.find("," + name + ",") == std::string::npos) continue;
    const Cost cost = operation();
    std::printf("%-18s %.3f us  %.3f us\n", name.c_str(), cost.wall_us, cost.processor_us);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--store")
      settings.on_disk = value == "disk";
    else if (flag == "--folder")
      settings.folder = value;
    else if (flag == "--ops")
      settings.ops = value;
    else if (flag == "--seconds")
      settings.seconds = std::stod(value);
    else if (flag == "--threads")
      settings.threads = std::stoi(value);
    else
      return std::fprintf(stderr, "unknown option %s\n", argv[i]), 2;
  }
  if (argc % 2 == 0) return std::fprintf(stderr, "an option without a value\n"), 2;
  return Run(settings);
}

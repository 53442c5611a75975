// SPDX-License-Identifier: Apache-2.0
//
// Compares the chunkers: how fast they cut on one core, and how much of the data is left when every
// chunk is kept once.
//
//   chunker_bench [--algos a,b,...] [--min N] [--avg N] [--max N] [--normalization N] [FILE...]
//
// Without files: speed over a MiB of random bytes, in cache, for every algorithm and for every
// variant of LinCDC that this CPU runs (lincdc.portable, lincdc.avx2, lincdc.avx512).
// With files: these are the versions of one thing, chunked one after the other.
// Each line: name, GB/s of processor time; with files also: reduction (bytes / bytes of distinct
// chunks), mean length of a chunk, number of chunks. Sizes are bytes [2048, 8192, 65536].
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "chunking/lincdc.h"
#include "strata/base/check.h"
#include "strata/base/random.h"
#include "strata/dedup/chunker.h"
#include "strata/dedup/fingerprint.h"
#include "support/must.h"

namespace strata::dedup {
namespace {

struct Flags {
  std::string algorithms;  // Empty: all.
  ChunkerOptions options{.min_bytes = 2048, .avg_bytes = 8192, .max_bytes = 65536};
  std::vector<std::string> files;
};

struct Contestant {
  std::string name;
  std::unique_ptr<const Chunker> chunker;
  double seconds = 0;
  size_t bytes = 0;
  size_t distinct_bytes = 0;
  size_t chunks = 0;
  absl::flat_hash_set<Fingerprint, FingerprintHash> seen{};
};

using test::Must;

// Processor time of the best of several runs: what one core does, however many others want it.
double BestSeconds(int runs, const std::function<void()>& run) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const double begin = now();
    run();
    best = std::min(best, now() - begin);
  }
  return best;
}

std::string_view VariantName(LinCdcVariant variant) {
  switch (variant) {
    case LinCdcVariant::kPortable:
      return "lincdc.portable";
    case LinCdcVariant::kAvx2:
      return "lincdc.avx2";
    case LinCdcVariant::kAvx512:
      return "lincdc.avx512";
  }
  return "";
}

std::vector<Contestant> MakeContestants(const Flags& flags) {
  std::vector<Contestant> contestants;
  const auto wanted = [&flags](std::string_view name) {
    return flags.algorithms.empty() ||
           ("," + flags.algorithms + ",").find("," + std::string(name) + ",") != std::string::npos;
  };
  ChunkerOptions options = flags.options;
  for (const ChunkAlgorithm algorithm : AllChunkAlgorithms()) {
    const std::string name(ChunkAlgorithmName(algorithm));
    options.algorithm = algorithm;
    if (wanted(name))
      contestants.push_back({.name = name, .chunker = Must(CreateChunker(options))});
  }
  options.algorithm = ChunkAlgorithm::kLinCdc;
  for (const LinCdcVariant variant : kLinCdcVariants) {
    const std::string name(VariantName(variant));
    if (!HasLinCdcVariant(variant) || !wanted(name) || !flags.files.empty()) continue;
    contestants.push_back({.name = name, .chunker = CreateLinCdcChunker(options, variant)});
  }
  return contestants;
}

void MeasureInCache(std::vector<Contestant>* contestants) {
  constexpr size_t kInCache = 1u << 20;
  std::vector<std::byte> data(kInCache);
  Random(1).Fill(data);
  std::vector<uint32_t> lengths;
  std::vector<double> best(contestants->size(), 1e9);
  for (int round = 0; round < 50; ++round) {  // In turns: what disturbs meets all.
    for (size_t i = 0; i < best.size(); ++i) {
      best[i] = std::min(best[i], BestSeconds(4, [&] {
                           lengths.clear();
                           (*contestants)[i].chunker->Split(data, /*last=*/true, &lengths);
                         }));
    }
  }
  for (size_t i = 0; i < best.size(); ++i) {
    std::printf("%-16s %10.2f\n", (*contestants)[i].name.c_str(),
                static_cast<double>(data.size()) / best[i] / 1e9);
  }
}

std::vector<std::byte> ReadFile(const std::string& path) {
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  std::FILE* file = std::fopen(path.c_str(), "rb");
  STRATA_CHECK(file != nullptr && std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size(),
               "the file can be read");
  std::fclose(file);
  return bytes;
}

void Count(std::span<const std::byte> data, std::span<const uint32_t> lengths,
           Contestant* contestant) {
  std::vector<std::span<const std::byte>> chunks;
  for (const uint32_t length : lengths) {
    chunks.push_back(data.first(length));
    data = data.subspan(length);
  }
  std::vector<Fingerprint> fingerprints(chunks.size());
  FingerprintMany(chunks, fingerprints);
  for (size_t i = 0; i < chunks.size(); ++i) {
    if (contestant->seen.insert(fingerprints[i]).second) {
      contestant->distinct_bytes += chunks[i].size();
    }
  }
  contestant->chunks += chunks.size();
}

void MeasureVersions(const std::vector<std::string>& files, std::vector<Contestant>* contestants) {
  for (const std::string& file : files) {
    const std::vector<std::byte> data = ReadFile(file);
    std::vector<uint32_t> lengths;
    for (Contestant& contestant : *contestants) {
      contestant.seconds += BestSeconds(3, [&] {
        lengths.clear();
        contestant.chunker->Split(data, /*last=*/true, &lengths);
      });
      contestant.bytes += data.size();
      Count(data, lengths, &contestant);
    }
  }
  for (const Contestant& contestant : *contestants) {
    const auto bytes = static_cast<double>(contestant.bytes);
    std::printf("%-16s %10.2f %8.4f %10.0f %10zu\n", contestant.name.c_str(),
                bytes / contestant.seconds / 1e9,
                bytes / static_cast<double>(contestant.distinct_bytes),
                bytes / static_cast<double>(contestant.chunks), contestant.chunks);
  }
}

}  // namespace
}  // namespace strata::dedup

int main(int argc, char** argv) {
  using namespace strata::dedup;
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (!name.starts_with("--")) {
      flags.files.push_back(name);
      continue;
    }
    const std::string value = i + 1 < argc ? argv[++i] : "";
    const auto number = [&value] { return static_cast<uint32_t>(std::stoul(value)); };
    if (name == "--algos") {
      flags.algorithms = value;
    } else if (name == "--min") {
      flags.options.min_bytes = number();
    } else if (name == "--avg") {
      flags.options.avg_bytes = number();
    } else if (name == "--max") {
      flags.options.max_bytes = number();
    } else if (name == "--normalization") {
      flags.options.normalization = number();
    } else {
      std::fprintf(stderr, "chunker_bench: unknown flag %s\n", name.c_str());
      return 2;
    }
  }
  std::vector<Contestant> contestants = MakeContestants(flags);
  if (flags.files.empty()) {
    MeasureInCache(&contestants);
  } else {
    MeasureVersions(flags.files, &contestants);
  }
  return 0;
}

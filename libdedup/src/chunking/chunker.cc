// SPDX-License-Identifier: Apache-2.0
#include "strata/dedup/chunker.h"

#include <array>
#include <bit>
#include <utility>

#include "absl/strings/str_format.h"
#include "chunking/fastcdc.h"
#include "chunking/gear.h"
#include "chunking/hashless.h"
#include "chunking/key.h"
#include "chunking/lincdc.h"
#include "chunking/rabin.h"

namespace strata::dedup {
namespace {

constexpr uint32_t kKiB = 1u << 10;
constexpr uint32_t kMiB = 1u << 20;

absl::Status CheckRange(const char* name, uint32_t value, uint32_t least, uint32_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("chunker: %s is %d, must be %d..%d", name, value, least, most));
}

constexpr std::pair<ChunkAlgorithm, std::string_view> kNames[] = {
    {ChunkAlgorithm::kFixed, "fixed"},
    {ChunkAlgorithm::kFastCdc2020, "fastcdc2020"},
    {ChunkAlgorithm::kFastCdc2016, "fastcdc2016"},
    {ChunkAlgorithm::kGear, "gear"},
    {ChunkAlgorithm::kRabin, "rabin"},
    {ChunkAlgorithm::kAe, "ae"},
    {ChunkAlgorithm::kRam, "ram"},
    {ChunkAlgorithm::kSeqCdc, "seqcdc"},
    {ChunkAlgorithm::kLinCdc, "lincdc"},
};

constexpr auto kAll = [] {
  std::array<ChunkAlgorithm, std::size(kNames)> all{};
  for (size_t i = 0; i < all.size(); ++i) all[i] = kNames[i].first;
  return all;
}();

absl::Status CheckSizes(const ChunkerOptions& options) {
  absl::Status status = CheckRange("min_bytes", options.min_bytes, 64, kMiB);
  if (status.ok()) status = CheckRange("avg_bytes", options.avg_bytes, 256, 4 * kMiB);
  if (status.ok()) status = CheckRange("max_bytes", options.max_bytes, kKiB, 16 * kMiB);
  if (status.ok()) status = CheckRange("normalization", options.normalization, 0, 3);
  if (!status.ok()) return status;
  if (!std::has_single_bit(options.avg_bytes)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("chunker: avg_bytes is %d, must be a power of two", options.avg_bytes));
  }
  if (options.min_bytes > options.avg_bytes || options.avg_bytes > options.max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("chunker: min_bytes %d, avg_bytes %d, max_bytes %d must not decrease",
                        options.min_bytes, options.avg_bytes, options.max_bytes));
  }
  return absl::OkStatus();
}

absl::Status Check(const ChunkerOptions& options) {
  const std::string_view name = ChunkAlgorithmName(options.algorithm);
  if (name == "unknown") {
    return absl::InvalidArgumentError(
        absl::StrFormat("chunker: algorithm %d is not known", static_cast<int>(options.algorithm)));
  }
  if (options.key.has_value() && !TakesKey(options.algorithm)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("chunker: a key has no use with %s", std::string(name)));
  }
  if (options.algorithm == ChunkAlgorithm::kFixed) {
    return CheckRange("avg_bytes", options.avg_bytes, 64, 16 * kMiB);
  }
  return CheckSizes(options);
}

class FixedChunker final : public Chunker {
 public:
  explicit FixedChunker(const ChunkerOptions& options) : options_(options) {}

  size_t Split(std::span<const std::byte> data, bool last,
               std::vector<uint32_t>* lengths) const override {
    const size_t whole = data.size() / options_.avg_bytes;
    lengths->insert(lengths->end(), whole, options_.avg_bytes);
    const size_t rest = data.size() % options_.avg_bytes;
    if (!last || rest == 0) return data.size() - rest;
    lengths->push_back(static_cast<uint32_t>(rest));
    return data.size();
  }

  const ChunkerOptions& options() const override { return options_; }

 private:
  const ChunkerOptions options_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<const Chunker>> CreateChunker(const ChunkerOptions& options) {
  if (absl::Status status = Check(options); !status.ok()) return status;
  switch (options.algorithm) {
    case ChunkAlgorithm::kFixed:
      return std::make_unique<const FixedChunker>(options);
    case ChunkAlgorithm::kFastCdc2020:
    case ChunkAlgorithm::kFastCdc2016:
      return CreateFastCdcChunker(options);
    case ChunkAlgorithm::kGear:
      return CreateGearChunker(options);
    case ChunkAlgorithm::kRabin:
      return CreateRabinChunker(options);
    case ChunkAlgorithm::kAe:
      return CreateAeChunker(options);
    case ChunkAlgorithm::kRam:
      return CreateRamChunker(options);
    case ChunkAlgorithm::kSeqCdc:
      return CreateSeqCdcChunker(options);
    case ChunkAlgorithm::kLinCdc:
      return CreateLinCdcChunker(options);
  }
  return absl::InternalError("chunker: an algorithm without an implementation");
}

absl::StatusOr<ChunkAlgorithm> ParseChunkAlgorithm(std::string_view name) {
  std::string known;
  for (const auto& [algorithm, its_name] : kNames) {
    if (name == its_name) return algorithm;
    known.append(known.empty() ? "" : ", ").append(its_name);
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("chunker: '%s' is not known; there are %s", std::string(name), known));
}

std::string_view ChunkAlgorithmName(ChunkAlgorithm algorithm) {
  for (const auto& [known, name] : kNames) {
    if (algorithm == known) return name;
  }
  return "unknown";
}

std::span<const ChunkAlgorithm> AllChunkAlgorithms() { return kAll; }

}  // namespace strata::dedup

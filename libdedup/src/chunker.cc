// SPDX-License-Identifier: Apache-2.0
#include "strata/dedup/chunker.h"

#include <bit>

#include "absl/strings/str_format.h"
#include "chunker_fastcdc.h"

namespace strata::dedup {
namespace {

constexpr uint32_t kKiB = 1u << 10;
constexpr uint32_t kMiB = 1u << 20;

absl::Status CheckRange(const char* name, uint32_t value, uint32_t least, uint32_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("chunker: %s is %d, must be %d..%d", name, value, least, most));
}

absl::Status CheckFastCdc(const ChunkerOptions& options) {
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
  switch (options.algorithm) {
    case ChunkAlgorithm::kFixed: {
      absl::Status status = CheckRange("avg_bytes", options.avg_bytes, 64, 16 * kMiB);
      if (!status.ok()) return status;
      return std::make_unique<const FixedChunker>(options);
    }
    case ChunkAlgorithm::kFastCdc2020: {
      absl::Status status = CheckFastCdc(options);
      if (!status.ok()) return status;
      return CreateFastCdcChunker(options);
    }
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("chunker: algorithm %d is not known", static_cast<int>(options.algorithm)));
}

absl::StatusOr<ChunkAlgorithm> ParseChunkAlgorithm(std::string_view name) {
  if (name == "fixed") return ChunkAlgorithm::kFixed;
  if (name == "fastcdc2020") return ChunkAlgorithm::kFastCdc2020;
  return absl::InvalidArgumentError(absl::StrFormat(
      "chunker: '%s' is not known; there are fixed, fastcdc2020", std::string(name)));
}

std::string_view ChunkAlgorithmName(ChunkAlgorithm algorithm) {
  switch (algorithm) {
    case ChunkAlgorithm::kFixed:
      return "fixed";
    case ChunkAlgorithm::kFastCdc2020:
      return "fastcdc2020";
  }
  return "unknown";
}

}  // namespace strata::dedup

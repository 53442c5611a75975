// SPDX-License-Identifier: Apache-2.0
#include "chunking/hashless.h"

#include <algorithm>

#include "chunking/first_cut.h"
#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

class AeChunker final : public FirstCutChunker {
 public:
  explicit AeChunker(const ChunkerOptions& options)
      : FirstCutChunker(options),
        // A chunk of random bytes is (e - 1) times as long as the window, on average.
        window_(static_cast<size_t>(options.avg_bytes) * 1000 / 1718),
        skip_(options.min_bytes > window_ ? options.min_bytes - window_ : 0) {}

 private:
  size_t FirstCut(std::span<const std::byte> data) const override {
    if (data.size() < skip_ + sizeof(uint64_t)) return data.size();
    const size_t end = data.size() - sizeof(uint64_t) + 1;
    size_t extremum = skip_;
    while (extremum + window_ < end) {
      const uint64_t greatest = LoadBe64(data.data() + extremum);
      size_t at = extremum + 1;
      const size_t stop = extremum + window_;
      while (at <= stop && LoadBe64(data.data() + at) <= greatest) ++at;
      if (at > stop) return stop + 1;
      extremum = at;
    }
    return data.size();  // No window fits behind this extremum, nor behind a later one.
  }

  const size_t window_;
  const size_t skip_;
};

class RamChunker final : public FirstCutChunker {
 public:
  explicit RamChunker(const ChunkerOptions& options)
      : FirstCutChunker(options),
        // Behind it, random bytes come to their greatest value after 256 on average.
        window_(std::max(options.min_bytes, options.avg_bytes - 256)) {}

 private:
  size_t FirstCut(std::span<const std::byte> data) const override {
    if (data.size() <= window_) return data.size();
    uint8_t greatest = 0;
    for (const std::byte byte : data.first(window_)) {
      greatest = std::max(greatest, static_cast<uint8_t>(byte));
    }
    size_t at = window_;
    while (at < data.size() && static_cast<uint8_t>(data[at]) < greatest) ++at;
    return std::min(at + 1, data.size());
  }

  const size_t window_;
};

class SeqCdcChunker final : public FirstCutChunker {
 public:
  explicit SeqCdcChunker(const ChunkerOptions& options)
      : FirstCutChunker(options), skip_(SkipFor(options.avg_bytes - options.min_bytes)) {}

 private:
  static constexpr int kRun = 5;  // Pairs in a row, each rising.
  static constexpr int kFallsToSkip = 50;

  // In random bytes a run ends after about 840, and 50 fall within 100.
  static size_t SkipFor(uint32_t distance) {
    const uint64_t per_hundred = uint64_t{distance} * 100 / 840;
    return per_hundred > 100 ? static_cast<size_t>(per_hundred - 100) : 0;
  }

  size_t FirstCut(std::span<const std::byte> data) const override {
    int run = 0;
    int falls = 0;
    for (size_t at = options().min_bytes - 1; at < data.size(); ++at) {
      if (data[at] > data[at - 1]) {
        if (++run == kRun) return at + 1;
        continue;
      }
      run = 0;
      if (data[at] == data[at - 1] || ++falls < kFallsToSkip) continue;
      falls = 0;
      at += skip_;
    }
    return data.size();
  }

  const size_t skip_;
};

}  // namespace

std::unique_ptr<const Chunker> CreateAeChunker(const ChunkerOptions& options) {
  return std::make_unique<const AeChunker>(options);
}

std::unique_ptr<const Chunker> CreateRamChunker(const ChunkerOptions& options) {
  return std::make_unique<const RamChunker>(options);
}

std::unique_ptr<const Chunker> CreateSeqCdcChunker(const ChunkerOptions& options) {
  return std::make_unique<const SeqCdcChunker>(options);
}

}  // namespace strata::dedup

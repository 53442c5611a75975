// SPDX-License-Identifier: Apache-2.0
#include "chunking/gear.h"

#include <bit>

#include "chunking/first_cut.h"
#include "chunking/gear_table.h"
#include "chunking/key.h"

namespace strata::dedup {
namespace {

constexpr size_t kWindow = 64;

class GearChunker final : public FirstCutChunker {
 public:
  explicit GearChunker(const ChunkerOptions& options)
      : FirstCutChunker(options),
        gear_(GearTableOf(options.key)),
        shift_(64 - std::countr_zero(options.avg_bytes)) {}

 private:
  size_t FirstCut(std::span<const std::byte> data) const override {
    uint64_t hash = 0;
    size_t at = options().min_bytes - kWindow;
    for (; at < options().min_bytes - 1; ++at) hash = Next(hash, data[at]);
    for (; at < data.size(); ++at) {
      hash = Next(hash, data[at]);
      if (hash >> shift_ == 0) return at + 1;
    }
    return data.size();
  }

  uint64_t Next(uint64_t hash, std::byte byte) const {
    return (hash << 1) + gear_[static_cast<uint8_t>(byte)];
  }

  const GearTable gear_;
  const int shift_;
};

}  // namespace

GearTable GearTableOf(const std::optional<ChunkerKey>& key) {
  if (!key.has_value()) return kGear;
  GearTable table;
  KeyStream stream(*key, "strata gear");
  for (uint64_t& entry : table) entry = stream.Next64();
  return table;
}

std::unique_ptr<const Chunker> CreateGearChunker(const ChunkerOptions& options) {
  return std::make_unique<const GearChunker>(options);
}

}  // namespace strata::dedup

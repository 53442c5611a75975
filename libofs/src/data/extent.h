// SPDX-License-Identifier: Apache-2.0
//
// Extents as values: which bytes of a file lie where in which stripe. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "format/records.h"
#include "stripes/stripe_reader.h"

namespace strata::ofs {

struct Extent {
  uint64_t offset = 0;  // In the file.
  ExtentRecord record{};

  uint64_t end() const { return offset + record.length_bytes; }
  friend bool operator==(const Extent&, const Extent&) = default;
};

// Joined extents stay so short that a change of one byte touches a short row.
inline constexpr uint64_t kMaxExtentBytes = 64u << 20;

// DataLoss: the row is not one of an extent.
absl::StatusOr<Extent> DecodeExtentRow(std::string_view key, std::string_view value);

// Its bytes [begin, end). REQUIRES: not compressed; the range is not empty and lies inside.
Extent Slice(const Extent& extent, uint64_t begin, uint64_t end);

// Where a byte of the file lies, and how many bytes of the extent follow it, itself included, in
// the same stripe. REQUIRES: not compressed; the byte lies inside.
struct StripePlace {
  StripeName stripe;
  uint32_t payload_offset = 0;
  uint32_t bytes = 0;
};
StripePlace PlaceOf(const Extent& extent, uint64_t offset);

// What is freed when the extent goes: a piece for each of its stripes.
void AppendFreed(const Extent& extent, std::vector<FreedPiece>* pieces);

// Blocks of 4 KiB, as stat() counts them.
inline uint64_t StoredBlocks(const Extent& extent) {
  return DivideUp(extent.record.length_bytes, kBlockBytes);
}

// Makes one extent of two whose whole stripes follow each other, in the file and in their group.
// False: they do not.
bool Join(Extent* first, const Extent& next);

}  // namespace strata::ofs

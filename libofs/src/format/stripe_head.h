// SPDX-License-Identifier: Apache-2.0
//
// The block before each unit of a stripe. It says which stripe this is, what the stripe holds, and
// the checksums of all its units, so that any surviving unit can judge the others. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/layout.h"
#include "strata/ofs/types.h"

namespace strata::ofs {

enum class Codec : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

// A piece of a file in the payload of a stripe.
struct StripeRecord {
  uint64_t inode = 0;
  uint64_t file_offset = 0;
  uint32_t payload_offset = 0;
  uint32_t stored_bytes = 0;
  uint32_t raw_bytes = 0;
  Codec codec = Codec::kNone;
  friend bool operator==(const StripeRecord&, const StripeRecord&) = default;
};

inline constexpr size_t kMaxStripeRecords = 120;

struct StripeHead {
  Uuid filesystem{};
  uint64_t group = 0;
  uint32_t column = 0;  // Of the head; the unit's blocks are in the columns that follow.
  uint64_t birth = 0;
  Protection protection;
  uint32_t unit_blocks = 1;    // u
  uint32_t payload_bytes = 0;  // Used of the k x u blocks; the rest is zeroes.
  std::vector<StripeRecord> records{};
  uint32_t granule_blocks = 1;  // Blocks that a checksum covers; the last one of a unit fewer.
  std::vector<uint32_t> checksums{};  // Unit after unit; a mirror has those of one unit.

  uint32_t granules_per_unit() const {
    return static_cast<uint32_t>(DivideUp(unit_blocks, granule_blocks));
  }
  uint32_t checksum(int unit, uint32_t granule) const {
    const uint32_t row = protection.kind == Protection::Kind::kMirror ? 0 : unit;
    return checksums[row * granules_per_unit() + granule];
  }
  friend bool operator==(const StripeHead&, const StripeHead&) = default;
};

// The finest granule with which so many records fit into a head.
// REQUIRES: record_count <= kMaxStripeRecords; the protection is valid.
uint32_t ChooseGranuleBlocks(const Protection& protection, uint32_t unit_blocks,
                             size_t record_count);

// The checksums of one unit, in granules. REQUIRES: whole blocks.
void AppendChecksums(std::span<const std::byte> unit, uint32_t granule_blocks,
                     std::vector<uint32_t>* checksums);

// InvalidArgument: a field is out of range, or records lie outside the payload or overlap.
absl::Status CheckStripeHead(const StripeHead& head);

// kBlockBytes bytes into `block`. REQUIRES: CheckStripeHead() is OK.
void EncodeStripeHead(const StripeHead& head, int unit, std::span<std::byte> block);

struct DecodedStripeHead {
  StripeHead head;
  int unit = 0;
};
// NotFound: no head; DataLoss: damaged; Unimplemented: a newer format.
absl::StatusOr<DecodedStripeHead> DecodeStripeHead(std::span<const std::byte> block);

}  // namespace strata::ofs

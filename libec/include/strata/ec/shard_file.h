// SPDX-License-Identifier: Apache-2.0
//
// The format of shard files: a file cut into data shards, with parity, each shard a file of its own
// that says what it is and can be checked alone. docs/formats/ec.md has the tables. Pure: bytes in,
// bytes out; `strata ec` does the I/O.
//
// Thread safety: pure functions, safe from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/ec/code.h"

namespace strata::ec {

inline constexpr size_t kShardHeaderBytes = 128;
inline constexpr uint32_t kMinUnitBytes = 512;
inline constexpr uint32_t kMaxUnitBytes = 16u << 20;  // A power of two between the two.

// How a file lies in its shards. Stripe s covers k * unit_bytes of the file; data shard i has unit
// i of it. The last stripe is shorter: its units are just large enough, and padded with zeros.
struct STRATA_EXPORT ShardLayout {
  int data_shards = 4;
  int parity_shards = 2;  // Local ones included.
  int groups = 0;         // 0: Reed-Solomon; otherwise of a locally repairable code.
  uint32_t unit_bytes = 128u << 10;
  uint64_t file_bytes = 0;

  friend bool operator==(const ShardLayout&, const ShardLayout&) = default;

  uint64_t stripe_count() const;
  // Of each shard in that stripe. REQUIRES: stripe < stripe_count().
  uint32_t UnitBytes(uint64_t stripe) const;
  // Where the stripe's unit begins, behind the header.
  uint64_t UnitOffset(uint64_t stripe) const;
  // All units of one shard.
  uint64_t shard_bytes() const;
  // Of a shard file: header, units, checksums.
  uint64_t shard_file_bytes() const;
  // Where the stripe begins in the file, and how many bytes of the file it has.
  uint64_t FileOffset(uint64_t stripe) const;
  uint64_t FileBytes(uint64_t stripe) const;
};

// InvalidArgument: a layout that there cannot be, named.
STRATA_EXPORT absl::Status CheckLayout(const ShardLayout& layout);

// The code of a layout. InvalidArgument.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<Code>> CreateCode(const ShardLayout& layout,
                                                               Kernel kernel = Kernel::kFastest);

struct ShardHeader {
  ShardLayout layout;
  int shard = 0;                       // This shard's number.
  std::array<std::byte, 16> set_id{};  // The same in all shards of one encoding, random.
};

// REQUIRES: CheckLayout() is OK and the shard number within it.
STRATA_EXPORT std::array<std::byte, kShardHeaderBytes> EncodeShardHeader(const ShardHeader& header);

// DataLoss: not a shard file, or damaged. Unimplemented: another version, or a code not known here.
STRATA_EXPORT absl::StatusOr<ShardHeader> DecodeShardHeader(ConstBytes bytes);

// What stands behind the units.
struct ShardTrailer {
  std::vector<uint32_t> unit_crcs;  // CRC-32C of this shard's units, by stripe.
  uint32_t file_crc = 0;            // CRC-32C of the whole file.
};

STRATA_EXPORT size_t ShardTrailerBytes(const ShardLayout& layout);
STRATA_EXPORT std::vector<std::byte> EncodeShardTrailer(const ShardTrailer& trailer);

// `header`: of the same file. DataLoss: damaged, or not whole.
STRATA_EXPORT absl::StatusOr<ShardTrailer> DecodeShardTrailer(const ShardHeader& header,
                                                              ConstBytes bytes);

}  // namespace strata::ec

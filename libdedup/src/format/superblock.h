// SPDX-License-Identifier: Apache-2.0
//
// What a store writes once about itself, at two places of its device. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "format/layout.h"
#include "strata/dedup/chunker.h"

namespace strata::dedup {

struct Superblock {
  Uuid uuid{};
  uint64_t created_ns = 0;
  uint32_t block_bytes =
      4096;  // Groups of regions begin at multiples of this: the device's block size at birth.
  uint32_t container_bytes = 0;
  ChunkerOptions chunker;  // Without its key.
  bool encrypted = false;
  std::array<std::byte, 32> key_check{};  // Encrypted only.
  // A chunker's key that the caller gives at each opening; where the store is encrypted and the
  // caller gave none, the key is derived and this is false.
  bool chunker_keyed = false;
  std::array<std::byte, 32> chunker_key_check{};
  // What is committed to the kv store is in the container log as well.
  bool journaled = false;
};

// kSuperblockBytes bytes.
std::vector<std::byte> EncodeSuperblock(const Superblock& superblock);

// NotFound: all zeroes; DataLoss: damaged, or something else; Unimplemented: a newer format.
absl::StatusOr<Superblock> DecodeSuperblock(std::span<const std::byte> bytes);

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
//
// Superblocks and stripe heads, of any bytes: the input is the front of a block, zeroes follow, and
// the checksum is made right, so that what lies past it is reached. What decodes must encode to
// what decodes to the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "format/stripe_head.h"
#include "format/superblock.h"
#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::ofs {
namespace {

void CheckRefusal(const absl::Status& status) {
  STRATA_CHECK(
      absl::IsNotFound(status) || absl::IsDataLoss(status) || absl::IsUnimplemented(status),
      status.ToString());
}

void TrySuperblock(std::span<const std::byte> block) {
  for (const int copy : {0, 1}) {
    const absl::StatusOr<Superblock> superblock = DecodeSuperblock(block, copy);
    if (!superblock.ok()) {
      CheckRefusal(superblock.status());
      continue;
    }
    const auto again = DecodeSuperblock(EncodeSuperblock(*superblock, copy), copy);
    STRATA_CHECK(again.ok() && *again == *superblock, "a superblock changed on its way");
  }
}

void TryStripeHead(std::span<const std::byte> block) {
  const absl::StatusOr<DecodedStripeHead> decoded = DecodeStripeHead(block);
  if (!decoded.ok()) return CheckRefusal(decoded.status());
  std::vector<std::byte> encoded(kBlockBytes);
  EncodeStripeHead(decoded->head, decoded->unit, encoded);
  const absl::StatusOr<DecodedStripeHead> again = DecodeStripeHead(encoded);
  STRATA_CHECK(again.ok() && again->head == decoded->head && again->unit == decoded->unit,
               "a stripe head changed on its way");
}

}  // namespace
}  // namespace strata::ofs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata;
  std::vector<std::byte> block(ofs::kBlockBytes);
  if (size > 0) std::memcpy(block.data(), data, std::min<size_t>(size, block.size() - 4));
  ofs::TrySuperblock(block);
  ofs::TryStripeHead(block);
  StoreLe32(block.data() + block.size() - 4, Crc32c({block.data(), block.size() - 4}));
  ofs::TrySuperblock(block);
  ofs::TryStripeHead(block);
  return 0;
}

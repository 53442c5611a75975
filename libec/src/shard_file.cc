// SPDX-License-Identifier: Apache-2.0
#include "strata/ec/shard_file.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::ec {
namespace {

constexpr char kMagic[] = "STRATAEC";
constexpr uint32_t kVersion = 1;
constexpr uint8_t kReedSolomon = 1;
constexpr uint8_t kLocallyRepairable = 2;
constexpr size_t kCrcAt = kShardHeaderBytes - 4;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 62;
constexpr uint64_t kMaxStripes = uint64_t{1} << 32;

uint64_t StripeBytes(const ShardLayout& layout) {
  return static_cast<uint64_t>(layout.data_shards) * layout.unit_bytes;
}

uint8_t ByteAt(ConstBytes bytes, size_t at) { return std::to_integer<uint8_t>(bytes[at]); }

bool AreZero(ConstBytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

uint64_t ShardLayout::stripe_count() const {
  return file_bytes / StripeBytes(*this) + (file_bytes % StripeBytes(*this) != 0 ? 1 : 0);
}

uint64_t ShardLayout::FileOffset(uint64_t stripe) const { return stripe * StripeBytes(*this); }

uint64_t ShardLayout::FileBytes(uint64_t stripe) const {
  return std::min(StripeBytes(*this), file_bytes - FileOffset(stripe));
}

uint32_t ShardLayout::UnitBytes(uint64_t stripe) const {
  const auto k = static_cast<uint64_t>(data_shards);
  return static_cast<uint32_t>((FileBytes(stripe) + k - 1) / k);
}

uint64_t ShardLayout::UnitOffset(uint64_t stripe) const {
  return kShardHeaderBytes + stripe * unit_bytes;
}

uint64_t ShardLayout::shard_bytes() const {
  const uint64_t stripes = stripe_count();
  return stripes == 0 ? 0 : (stripes - 1) * unit_bytes + UnitBytes(stripes - 1);
}

uint64_t ShardLayout::shard_file_bytes() const {
  return kShardHeaderBytes + shard_bytes() + ShardTrailerBytes(*this);
}

absl::StatusOr<std::unique_ptr<Code>> CreateCode(const ShardLayout& layout, Kernel kernel) {
  if (layout.groups == 0) {
    return CreateReedSolomon({.data_shards = layout.data_shards,
                              .parity_shards = layout.parity_shards,
                              .kernel = kernel});
  }
  return CreateLocallyRepairable({.data_shards = layout.data_shards,
                                  .groups = layout.groups,
                                  .global_parities = layout.parity_shards - layout.groups,
                                  .kernel = kernel});
}

absl::Status CheckLayout(const ShardLayout& layout) {
  STRATA_RETURN_IF_ERROR(CreateCode(layout, Kernel::kPortable).status());
  if (!std::has_single_bit(layout.unit_bytes) || layout.unit_bytes < kMinUnitBytes ||
      layout.unit_bytes > kMaxUnitBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a unit of ", layout.unit_bytes,
                                                   " bytes is not a power of two from ",
                                                   kMinUnitBytes, " to ", kMaxUnitBytes));
  }
  if (layout.file_bytes > kMaxFileBytes || layout.stripe_count() > kMaxStripes) {
    return absl::InvalidArgumentError(absl::StrCat(
        layout.file_bytes, " bytes are too many for units of ", layout.unit_bytes, " bytes"));
  }
  return absl::OkStatus();
}

std::array<std::byte, kShardHeaderBytes> EncodeShardHeader(const ShardHeader& header) {
  const ShardLayout& layout = header.layout;
  STRATA_CHECK(CheckLayout(layout).ok(), "the layout of a shard file");
  STRATA_CHECK(header.shard >= 0 && header.shard < layout.data_shards + layout.parity_shards,
               "a shard number within the layout");
  std::array<std::byte, kShardHeaderBytes> bytes{};
  std::memcpy(bytes.data(), kMagic, 8);
  StoreLe32(&bytes[8], kVersion);
  StoreLe32(&bytes[12], kShardHeaderBytes);
  bytes[16] = std::byte{layout.groups == 0 ? kReedSolomon : kLocallyRepairable};
  bytes[17] = static_cast<std::byte>(layout.data_shards);
  bytes[18] = static_cast<std::byte>(layout.parity_shards);
  bytes[19] = static_cast<std::byte>(layout.groups);
  bytes[20] = static_cast<std::byte>(header.shard);
  StoreLe64(&bytes[24], layout.file_bytes);
  StoreLe32(&bytes[32], layout.unit_bytes);
  std::copy(header.set_id.begin(), header.set_id.end(), &bytes[40]);
  StoreLe32(&bytes[kCrcAt], Crc32c(ConstBytes(bytes).first(kCrcAt)));
  return bytes;
}

absl::StatusOr<ShardHeader> DecodeShardHeader(ConstBytes bytes) {
  if (bytes.size() < kShardHeaderBytes || std::memcmp(bytes.data(), kMagic, 8) != 0) {
    return absl::DataLossError("not a shard file");
  }
  bytes = bytes.first(kShardHeaderBytes);
  if (LoadLe32(&bytes[8]) != kVersion) {
    return absl::UnimplementedError(
        absl::StrCat("a shard file of version ", LoadLe32(&bytes[8]), "; ", kVersion, " is known"));
  }
  if (LoadLe32(&bytes[kCrcAt]) != Crc32c(bytes.first(kCrcAt))) {
    return absl::DataLossError("the header's checksum does not fit it");
  }
  const uint8_t kind = ByteAt(bytes, 16);
  if (kind != kReedSolomon && kind != kLocallyRepairable) {
    return absl::UnimplementedError(absl::StrCat("a code of kind ", kind, " is not known"));
  }
  ShardHeader header;
  header.layout.data_shards = ByteAt(bytes, 17);
  header.layout.parity_shards = ByteAt(bytes, 18);
  header.layout.groups = ByteAt(bytes, 19);
  header.layout.file_bytes = LoadLe64(&bytes[24]);
  header.layout.unit_bytes = LoadLe32(&bytes[32]);
  header.shard = ByteAt(bytes, 20);
  std::copy_n(&bytes[40], header.set_id.size(), header.set_id.begin());
  if (LoadLe32(&bytes[12]) != kShardHeaderBytes || !AreZero(bytes.subspan(21, 3)) ||
      !AreZero(bytes.subspan(36, 4)) || !AreZero(bytes.subspan(56, kCrcAt - 56)) ||
      (kind == kReedSolomon) != (header.layout.groups == 0)) {
    return absl::DataLossError("the header has values where version 1 has none");
  }
  if (const absl::Status status = CheckLayout(header.layout); !status.ok()) {
    return absl::DataLossError(
        absl::StrCat("the header's layout cannot be: ", std::string(status.message())));
  }
  if (header.shard >= header.layout.data_shards + header.layout.parity_shards) {
    return absl::DataLossError(absl::StrCat("the header calls itself shard ", header.shard));
  }
  return header;
}

size_t ShardTrailerBytes(const ShardLayout& layout) {
  return 4 * static_cast<size_t>(layout.stripe_count()) + 8;
}

std::vector<std::byte> EncodeShardTrailer(const ShardTrailer& trailer) {
  std::vector<std::byte> bytes(4 * trailer.unit_crcs.size() + 8);
  for (size_t i = 0; i < trailer.unit_crcs.size(); ++i) {
    StoreLe32(&bytes[4 * i], trailer.unit_crcs[i]);
  }
  StoreLe32(&bytes[bytes.size() - 8], trailer.file_crc);
  StoreLe32(&bytes[bytes.size() - 4], Crc32c(ConstBytes(bytes).first(bytes.size() - 4)));
  return bytes;
}

absl::StatusOr<ShardTrailer> DecodeShardTrailer(const ShardHeader& header, ConstBytes bytes) {
  if (bytes.size() != ShardTrailerBytes(header.layout)) {
    return absl::DataLossError("the checksums behind the units are not all there");
  }
  if (LoadLe32(&bytes[bytes.size() - 4]) != Crc32c(bytes.first(bytes.size() - 4))) {
    return absl::DataLossError("the checksum of the checksums does not fit them");
  }
  ShardTrailer trailer;
  trailer.unit_crcs.resize(static_cast<size_t>(header.layout.stripe_count()));
  for (size_t i = 0; i < trailer.unit_crcs.size(); ++i) {
    trailer.unit_crcs[i] = LoadLe32(&bytes[4 * i]);
  }
  trailer.file_crc = LoadLe32(&bytes[bytes.size() - 8]);
  return trailer;
}

}  // namespace strata::ec

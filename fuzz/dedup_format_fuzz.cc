// SPDX-License-Identifier: Apache-2.0
//
// What is read from the device, on any bytes. The first byte chooses: bits 0-2 the structure, bit 3
// whether its checksums are made to fit first, so that what lies behind them is reached.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "format/codec.h"
#include "format/container_format.h"
#include "format/container_scan.h"
#include "format/region_format.h"
#include "format/superblock.h"
#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

constexpr size_t kMaxDecompressed = 1u << 20;

void Expect(const absl::Status& status) {
  STRATA_CHECK(status.ok() || absl::IsDataLoss(status) || absl::IsUnimplemented(status) ||
                   absl::IsNotFound(status) || absl::IsOutOfRange(status),
               status.ToString());
}

void FixCrc(std::span<std::byte> bytes, size_t crc_at) {
  if (bytes.size() < crc_at + 4) return;
  StoreLe32(bytes.data() + crc_at, Crc32c(bytes.first(crc_at)));
}

void FixRegion(std::span<std::byte> bytes) {
  if (bytes.size() < kRegionHeaderBytes) return;
  FixCrc(bytes, 60);
  const absl::StatusOr<RegionHeader> header = DecodeRegionHeader(bytes);
  if (!header.ok() || header->total_bytes() > bytes.size()) return;
  StoreLe32(bytes.data() + 40, Crc32c(bytes.subspan(kRegionHeaderBytes,
                                                    header->table_bytes() + header->stored_bytes)));
  FixCrc(bytes, 60);
}

void TryRegion(std::span<const std::byte> bytes, Codec& codec) {
  const absl::StatusOr<DecodedRegion> region = DecodeRegion(bytes, nullptr);
  Expect(region.status());
  if (!region.ok() || region->header.raw_bytes > kMaxDecompressed) return;
  std::vector<std::byte> raw(region->header.raw_bytes);
  Expect(codec.Decompress(region->header.codec, region->payload, raw));
}

void FixFooter(std::span<std::byte> bytes) {
  if (bytes.size() < kContainerTrailerBytes) return;
  const std::span<std::byte> trailer = bytes.last(kContainerTrailerBytes);
  const uint32_t footer_bytes = LoadLe32(trailer.data() + 40);
  if (footer_bytes >= kContainerTrailerBytes && footer_bytes <= bytes.size()) {
    StoreLe32(trailer.data() + 44,
              Crc32c(bytes.last(footer_bytes).first(footer_bytes - kContainerTrailerBytes)));
  }
  FixCrc(trailer, 60);
}

// A container of one region, both made to fit each other.
void FixContainer(std::span<std::byte> bytes) {
  FixCrc(bytes.first(std::min<size_t>(bytes.size(), kContainerHeaderBytes)), 60);
  if (bytes.size() < kContainerHeaderBytes + kRegionHeaderBytes) return;
  const std::span<std::byte> region = bytes.subspan(kContainerHeaderBytes);
  StoreLe64(region.data() + 8, LoadLe64(bytes.data() + 8));
  StoreLe32(region.data() + 36, LoadLe32(bytes.data() + 60));
  FixRegion(region);
}

void DecodeOne(const uint8_t* data, size_t size) {
  static const std::unique_ptr<Codec> codec = CreateCodec();
  const bool fix = (data[0] & 8) != 0;
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin + 1, begin + size);
  switch (data[0] & 7) {
    case 0:
      if (fix) FixCrc(bytes, kSuperblockBytes - 4);
      Expect(DecodeSuperblock(bytes).status());
      break;
    case 1:
      if (fix) FixCrc(bytes, 60);
      Expect(DecodeContainerHeader(bytes).status());
      break;
    case 2:
      if (fix) FixRegion(bytes);
      TryRegion(bytes, *codec);
      break;
    case 3: {
      if (fix) FixFooter(bytes);
      size_t footer_bytes = 0;
      Expect(DecodeFooter(bytes, nullptr, &footer_bytes).status());
      break;
    }
    default:
      if (fix) FixContainer(bytes);
      Expect(ScanContainer(bytes, 512, nullptr).status());
      break;
  }
}

}  // namespace
}  // namespace strata::dedup

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) strata::dedup::DecodeOne(data, size);
  return 0;
}

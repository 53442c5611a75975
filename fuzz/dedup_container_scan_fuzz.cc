// SPDX-License-Identifier: Apache-2.0
//
// A damaged container's scan: a whole container of a few regions, and damage as the input says.
// Each edit is five bytes: what (1), where (2), with what (2). Whatever is damaged, a scan finds
// each region of which no byte was touched, with the header and without it, and no region that the
// log did not write.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "format/codec.h"
#include "format/container_format.h"
#include "format/container_scan.h"
#include "format/region_format.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

constexpr size_t kSlotBytes = 32u << 10;
constexpr uint32_t kBlockBytes = 512;
constexpr size_t kMaxEdits = 64;

struct Whole {
  ContainerHeader header;
  std::vector<std::byte> slot;
  std::vector<RegionExtent> regions;
};

const Whole& WholeContainer() {
  static const Whole whole = [] {
    const std::unique_ptr<Codec> codec = CreateCodec();
    Whole made;
    made.header = {.id = 0x100000002, .slot = 3, .container_bytes = kSlotBytes, .nonce = 0x5eed};
    made.slot.resize(kSlotBytes);
    EncodeContainerHeader(&made.header, made.slot.data());
    uint64_t at = kContainerHeaderBytes;
    uint32_t previous = made.header.header_crc;
    for (uint32_t i = 0; i < 8; ++i) {
      if (i % 3 == 2) at = AlignUp(at, kBlockBytes);
      std::vector<std::byte> raw(100 + 700 * i);
      for (size_t k = 0; k < raw.size(); ++k)
        raw[k] = static_cast<std::byte>(k * (i + 3) >> (i % 4));
      ChunkEntry entry{.fingerprint = {}, .size_bytes = static_cast<uint32_t>(raw.size())};
      entry.fingerprint.bytes.fill(std::byte(i + 1));
      EncodedRegion region;
      EncodeRegion(i % 2 == 0 ? RegionKind::kData : RegionKind::kRecipes, {&entry, 1}, raw,
                   i % 3 == 0 ? Compression::kNone : Compression::kLz4, 1, *codec, nullptr,
                   &region);
      PlaceRegion({.container_id = made.header.id,
                   .container_nonce = made.header.nonce,
                   .sequence = i,
                   .offset_units = static_cast<uint32_t>(at / kUnitBytes),
                   .previous_crc = previous},
                  &region);
      previous = region.header.header_crc;
      std::byte* out = made.slot.data() + at;
      out = std::copy(region.front.begin(), region.front.end(), out);
      std::copy(region.uncompressed.begin(), region.uncompressed.end(), out);
      made.regions.push_back({region.header.offset_units, region.header.size_units(), 1, {}});
      at += region.size_bytes();
    }
    STRATA_CHECK(at < kSlotBytes, "the regions fit");
    return made;
  }();
  return whole;
}

void Edit(std::span<const uint8_t> edit, std::vector<std::byte>* slot) {
  const size_t at = (size_t{edit[1]} | size_t{edit[2]} << 8) % kSlotBytes;
  const size_t with = size_t{edit[3]} | size_t{edit[4]} << 8;
  const size_t size = std::min<size_t>(with, kSlotBytes - at);
  const auto begin = slot->begin() + static_cast<ptrdiff_t>(at);
  switch (edit[0] % 4) {
    case 0:
      (*slot)[at] ^= static_cast<std::byte>(with);
      break;
    case 1:  // A block that was never written.
      std::fill_n(begin, size, std::byte{0});
      break;
    case 2:  // A write that went astray: what lies at the beginning, a unit of it at a time.
      std::copy_n(slot->begin(), std::min(size, at), begin);
      break;
    default: {  // A write that was torn: the second half of something else.
      const size_t from = at / 2;
      std::copy_n(slot->begin() + static_cast<ptrdiff_t>(from), std::min(size, at - from), begin);
      break;
    }
  }
}

void CheckScan(const Whole& whole, std::span<const std::byte> slot, const ContainerScan& scan) {
  std::set<uint32_t> found;
  uint32_t before = 0;
  for (const RegionExtent& region : scan.contents.regions) {
    STRATA_CHECK(region.offset_units > before, "regions out of order");
    before = region.offset_units;
    found.insert(region.offset_units);
  }
  for (const RegionExtent& region : whole.regions) {
    const size_t at = size_t{region.offset_units} * kUnitBytes;
    const size_t size = size_t{region.size_units} * kUnitBytes;
    const bool untouched = std::equal(slot.begin() + static_cast<ptrdiff_t>(at),
                                      slot.begin() + static_cast<ptrdiff_t>(at + size),
                                      whole.slot.begin() + static_cast<ptrdiff_t>(at));
    STRATA_CHECK(!untouched || found.contains(region.offset_units), "a whole region was passed by");
    found.erase(region.offset_units);
  }
  STRATA_CHECK(found.empty(), "a region that nobody wrote");
}

void Run(std::span<const uint8_t> input) {
  const Whole& whole = WholeContainer();
  std::vector<std::byte> slot = whole.slot;
  for (size_t i = 0; input.size() >= 5 && i < kMaxEdits; ++i, input = input.subspan(5)) {
    Edit(input.first(5), &slot);
  }
  const absl::StatusOr<ContainerScan> scan = ScanContainer(slot, kBlockBytes, nullptr);
  if (scan.ok() && scan->header.nonce == whole.header.nonce && scan->header.id == whole.header.id) {
    CheckScan(whole, slot, *scan);
  }
  const absl::StatusOr<ContainerScan> headless =
      ScanWithoutHeader(slot, whole.header, kBlockBytes, nullptr);
  if (headless.ok()) CheckScan(whole, slot, *headless);
}

}  // namespace
}  // namespace strata::dedup

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::dedup::Run({data, size});
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "data/extent.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "format/key_layout.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"
#include "strata/base/errno_status.h"

namespace strata::ofs {
namespace {

// Where in the payloads of its stripes, laid end to end, a byte of the extent is.
uint64_t RunOffset(const Extent& extent, uint64_t offset) {
  return extent.record.payload_offset + (offset - extent.offset);
}

uint32_t ColumnsOf(const ExtentRecord& record) { return 1 + record.unit_blocks; }

}  // namespace

absl::StatusOr<Extent> DecodeExtentRow(std::string_view key, std::string_view value) {
  if (key.size() != ExtentKey(0, 0).size() || key[0] != static_cast<char>(Table::kExtent)) {
    return absl::DataLossError("a row among extents has another key");
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(key.data());
  absl::StatusOr<ExtentRecord> record = DecodeExtent(value);
  const uint64_t offset = LoadBe64(bytes + 9);
  if (!record.ok()) {
    return Annotate(record.status(),
                    absl::StrCat("inode ", LoadBe64(bytes + 1), ", extent at ", offset));
  }
  return Extent{offset, *std::move(record)};
}

Extent Slice(const Extent& extent, uint64_t begin, uint64_t end) {
  const ExtentRecord& whole = extent.record;
  STRATA_CHECK(
      whole.codec == Codec::kNone && extent.offset <= begin && begin < end && end <= extent.end(),
      "a slice outside its extent");
  const uint64_t first = RunOffset(extent, begin);
  const auto skipped = static_cast<uint32_t>(first / whole.stripe_bytes);
  const auto last = static_cast<uint32_t>((RunOffset(extent, end) - 1) / whole.stripe_bytes);
  Extent slice{begin, whole};
  slice.record.length_bytes = end - begin;
  slice.record.column += skipped * ColumnsOf(whole);
  slice.record.birth += skipped;
  slice.record.stripe_count = last - skipped + 1;
  slice.record.payload_offset = static_cast<uint32_t>(first % whole.stripe_bytes);
  return slice;
}

StripePlace PlaceOf(const Extent& extent, uint64_t offset) {
  const ExtentRecord& record = extent.record;
  STRATA_CHECK(record.codec == Codec::kNone && extent.offset <= offset && offset < extent.end(),
               "a byte outside its extent");
  const uint64_t at = RunOffset(extent, offset);
  const auto skipped = static_cast<uint32_t>(at / record.stripe_bytes);
  const auto inside = static_cast<uint32_t>(at % record.stripe_bytes);
  return {
      .stripe = {.group = record.group,
                 .column = record.column + skipped * ColumnsOf(record),
                 .unit_blocks = record.unit_blocks,
                 .birth = record.birth + skipped},
      .payload_offset = inside,
      .bytes = static_cast<uint32_t>(
          std::min<uint64_t>(record.stripe_bytes - inside, extent.end() - offset)),
  };
}

void AppendFreed(const Extent& extent, std::vector<FreedPiece>* pieces) {
  for (uint64_t at = extent.offset; at < extent.end();) {
    const StripePlace place = PlaceOf(extent, at);
    pieces->push_back({.group = place.stripe.group,
                       .column = place.stripe.column,
                       .unit_blocks = place.stripe.unit_blocks,
                       .payload_bytes = extent.record.stripe_bytes,
                       .freed_bytes = place.bytes,
                       .birth = place.stripe.birth});
    at += place.bytes;
  }
}

bool Join(Extent* first, const Extent& next) {
  ExtentRecord& record = first->record;
  const ExtentRecord& other = next.record;
  const uint64_t whole = uint64_t{record.stripe_count} * record.stripe_bytes;
  const bool is_whole = record.payload_offset == 0 && record.length_bytes == whole &&
                        other.payload_offset == 0 &&
                        other.length_bytes == uint64_t{other.stripe_count} * other.stripe_bytes;
  if (!is_whole || record.codec != Codec::kNone || other.codec != Codec::kNone ||
      next.offset != first->end() || other.group != record.group ||
      other.column != record.column + record.stripe_count * ColumnsOf(record) ||
      other.birth != record.birth + record.stripe_count ||
      other.unit_blocks != record.unit_blocks || other.stripe_bytes != record.stripe_bytes ||
      other.born_epoch != record.born_epoch ||
      record.length_bytes + other.length_bytes > kMaxExtentBytes) {
    return false;
  }
  record.length_bytes += other.length_bytes;
  record.stripe_count += other.stripe_count;
  return true;
}

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
#include "check/data_check.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>

#include "absl/strings/str_cat.h"
#include "data/extent.h"
#include "disks/transfers.h"
#include "format/key_layout.h"
#include "groups/group_rows.h"
#include "namespace/paths.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"
#include "strata/block/buffer.h"

namespace strata::ofs {
namespace {

constexpr uint64_t kStripesBetweenCalls = 64;
constexpr size_t kMaxLostRanges = 4096;

std::string StripeText(const StripeName& stripe) {
  return absl::StrCat(GroupText(stripe.group), ", column ", stripe.column, ", stripe ",
                      stripe.birth);
}

// Whether a unit, its head in front, is that of this stripe and has the right checksums.
bool IsRight(std::span<const std::byte> unit, int number, const Uuid& filesystem,
             const StripeName& name, const Protection& protection,
             std::optional<StripeHead>* first) {
  absl::StatusOr<DecodedStripeHead> decoded = DecodeStripeHead(unit.first(kBlockBytes));
  if (!decoded.ok()) return false;
  StripeHead& head = decoded->head;
  if (head.filesystem != filesystem || head.group != name.group || head.column != name.column ||
      head.birth != name.birth || head.unit_blocks != name.unit_blocks ||
      head.protection != protection || decoded->unit != number) {
    return false;
  }
  if (!first->has_value()) *first = head;
  if (head != **first) return false;
  for (uint32_t granule = 0; granule < head.granules_per_unit(); ++granule) {
    const size_t begin = size_t{1 + granule * head.granule_blocks} * kBlockBytes;
    const size_t end = std::min(begin + size_t{head.granule_blocks} * kBlockBytes, unit.size());
    if (Crc32c(unit.subspan(begin, end - begin)) != head.checksum(number, granule)) return false;
  }
  return true;
}

}  // namespace

DataCheck::DataCheck(CheckContext* context)
    : context_(*context),
      groups_(context->metadata),
      reader_({.filesystem = context->rows.format.filesystem,
               .disks = context->disks,
               .groups = &groups_,
               .codes = &codes_,
               .on_damage = [this](const Damage& damage) { damage_.push_back(damage); }}) {}

bool DataCheck::ReadsWell(const StripeName& name, const GroupRecord& record,
                          const UsedStripe& stripe, bool* parity_is_wrong) {
  const size_t unit_bytes = size_t{1 + name.unit_blocks} * kBlockBytes;
  const block::Buffer buffer(unit_bytes * record.units.size());
  std::vector<Transfer> reads;
  std::vector<int> of_unit;
  for (size_t unit = 0; unit < record.units.size(); ++unit) {
    const SegmentPlace& place = record.units[unit];
    std::shared_ptr<Disk> disk = context_.disks->Find(place.disk);
    if (disk == nullptr || place.segment >= disk->superblock().segment_count) continue;
    const uint64_t offset = disk->SegmentOffset(place.segment);
    reads.push_back({.disk = std::move(disk),
                     .offset_bytes = offset + uint64_t{name.column} * kBlockBytes,
                     .memory = buffer.span().subspan(unit * unit_bytes, unit_bytes)});
    of_unit.push_back(static_cast<int>(unit));
  }
  RunTransfers(reads);
  std::optional<StripeHead> head;
  for (size_t i = 0; i < reads.size(); ++i) {
    if (!reads[i].status.ok()) return false;
    context_.report->bytes_read += unit_bytes;
    if (!IsRight(reads[i].memory, of_unit[i], context_.rows.format.filesystem, name,
                 record.protection, &head)) {
      return false;
    }
  }
  if (!head.has_value()) return false;
  if (head->payload_bytes != stripe.payload_bytes) {
    context_.Add(FindingKind::kStripe,
                 absl::StrCat(StripeText(name), ": its head says ", head->payload_bytes,
                              " bytes, and extents say ", stripe.payload_bytes));
  }
  const auto losses = static_cast<size_t>(record.protection.tolerated_losses());
  if (reads.size() < record.units.size()) return reads.size() + losses >= record.units.size();
  const absl::StatusOr<const ec::Code*> code = codes_.Find(record.protection);
  if (!code.ok() || *code == nullptr) return true;  // A mirror has one table of checksums.
  std::vector<ec::ConstBytes> data;
  std::vector<ec::ConstBytes> parity;
  for (size_t unit = 0; unit < reads.size(); ++unit) {
    (unit < record.protection.data_units ? data : parity)
        .push_back(reads[unit].memory.subspan(kBlockBytes));
  }
  *parity_is_wrong = !(*code)->Verify(data, parity).ok();
  return true;
}

absl::Status DataCheck::Read(uint64_t group, const GroupRecord& record, const UsedStripe& stripe) {
  if (stripes_++ % kStripesBetweenCalls == 0) {
    STRATA_RETURN_IF_ERROR(context_.Tell("stripes read", stripes_, 0));
  }
  const uint32_t columns = context_.rows.format.segment_bytes / kBlockBytes;
  if (uint64_t{stripe.column} + 1 + stripe.unit_blocks > columns) return absl::OkStatus();
  const StripeName name{group, stripe.column, stripe.unit_blocks, stripe.birth};
  bool parity_is_wrong = false;
  if (ReadsWell(name, record, stripe, &parity_is_wrong)) {
    if (parity_is_wrong) {
      context_.Add(FindingKind::kParity, StripeText(name) + ": the parity is not that of the data");
    }
    return absl::OkStatus();
  }
  // The reader knows what is wrong, and whether the others can give it back.
  damage_.clear();
  const absl::Status found = reader_.FindDamage(name).status();
  for (const Damage& damage : damage_) {
    context_.Add(FindingKind::kDamagedUnit, std::string(damage.status.message()));
  }
  const block::Buffer payload(size_t{record.protection.data_units} * name.unit_blocks *
                              kBlockBytes);
  const uint32_t bytes =
      static_cast<uint32_t>(std::min<uint64_t>(stripe.payload_bytes, payload.span().size()));
  const bool is_lost =
      absl::IsDataLoss(found) || !reader_.Read(name, 0, payload.span().first(bytes)).ok();
  if (is_lost && lost_.size() < kMaxLostStripes) lost_.insert(name);
  if (is_lost && lost_.size() == kMaxLostStripes) {
    context_.Add(FindingKind::kLostRange, StripeText(name) + ": it is lost");
  }
  return absl::OkStatus();
}

absl::Status DataCheck::AddLost(uint64_t inode, uint64_t begin, uint64_t end) {
  const absl::StatusOr<std::string> path =
      PathOf(*context_.metadata.store->NewSnapshot(), context_.metadata, inode);
  const LostRange range{inode, path.ok() ? *path : "", begin, end - begin};
  context_.Add(FindingKind::kLostRange, absl::StrCat("inode ", inode, " (", range.path, "): bytes ",
                                                     begin, " to ", end, " are lost"));
  if (context_.report->lost.size() < kMaxLostRanges) context_.report->lost.push_back(range);
  return absl::OkStatus();
}

absl::Status DataCheck::NameLost() {
  if (lost_.empty()) return absl::OkStatus();
  // The range that grows while one piece follows the other.
  uint64_t lost_inode = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
  const auto add = [&](uint64_t inode, uint64_t from, uint64_t to) -> absl::Status {
    if (inode == lost_inode && from == end) {
      end = to;
      return absl::OkStatus();
    }
    if (lost_inode != 0) STRATA_RETURN_IF_ERROR(AddLost(lost_inode, begin, end));
    lost_inode = inode;
    begin = from;
    end = to;
    return absl::OkStatus();
  };
  const block::Buffer block(kBlockBytes);
  const auto try_piece = [&](uint64_t inode, uint64_t at,
                             const StripePlace& place) -> absl::Status {
    // Block after block: what is left of the stripe can be read.
    for (uint32_t done = 0; done < place.bytes;) {
      const uint32_t from = place.payload_offset + done;
      const uint32_t bytes = std::min(place.bytes - done, kBlockBytes - from % kBlockBytes);
      if (!reader_.Read(place.stripe, from, block.span().first(bytes)).ok()) {
        STRATA_RETURN_IF_ERROR(add(inode, at + done, at + done + bytes));
      }
      done += bytes;
    }
    return absl::OkStatus();
  };
  uint64_t count = 0;
  STRATA_RETURN_IF_ERROR(kv::ForEach(
      *context_.metadata.store, context_.metadata.extents, TableRange(Table::kExtent),
      [&](const kv::KeyValue& row) -> absl::Status {
        if (count++ % 4096 == 0) {
          STRATA_RETURN_IF_ERROR(context_.Tell("what is lost", count, context_.report->extents));
        }
        const absl::StatusOr<Extent> extent = DecodeExtentRow(row.key, row.value);
        if (!extent.ok() || extent->record.codec != Codec::kNone) return absl::OkStatus();
        if (extent->record.length_bytes > kMaxFileBytes ||
            extent->offset > kMaxFileBytes - extent->record.length_bytes) {
          return absl::OkStatus();
        }
        const uint64_t inode = LoadBe64(reinterpret_cast<const std::byte*>(row.key.data()) + 1);
        for (uint64_t at = extent->offset; at < extent->end();) {
          const StripePlace place = PlaceOf(*extent, at);
          if (lost_.contains(place.stripe)) {
            STRATA_RETURN_IF_ERROR(try_piece(inode, at, place));
          }
          at += place.bytes;
        }
        return absl::OkStatus();
      }));
  return lost_inode == 0 ? absl::OkStatus() : AddLost(lost_inode, begin, end);
}

}  // namespace strata::ofs

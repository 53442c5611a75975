// SPDX-License-Identifier: Apache-2.0
#include "check/stripe_check.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "check/stripe_uses.h"
#include "check/table_cursor.h"
#include "data/extent.h"
#include "format/key_layout.h"
#include "groups/group_rows.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr uint64_t kRowsBetweenCalls = 4096;

std::string StripeText(uint64_t group, const UsedStripe& stripe) {
  const std::string user = stripe.inode == 0 ? "freed" : absl::StrCat("of inode ", stripe.inode);
  return absl::StrCat(GroupText(group), ", column ", stripe.column, ", stripe ", stripe.birth, " (",
                      user, ")");
}

class StripeCheck final {
 public:
  StripeCheck(CheckContext* context, DataCheck* data) : context_(*context), data_(data) {}

  absl::Status Run() {
    uint64_t first = 0;
    do {
      StripeUses uses(first, context_.options.memory_bytes);
      STRATA_RETURN_IF_ERROR(AddExtents(&uses));
      STRATA_RETURN_IF_ERROR(AddFreed(&uses, first == 0));
      STRATA_RETURN_IF_ERROR(CheckGroups(first, &uses));
      first = uses.end();
    } while (first != UINT64_MAX);
    return absl::OkStatus();
  }

 private:
  absl::Status AddExtents(StripeUses* uses) {
    uint64_t count = 0;
    return kv::ForEach(
        *context_.metadata.store, context_.metadata.extents, TableRange(Table::kExtent),
        [&](const kv::KeyValue& row) -> absl::Status {
          if (count++ % kRowsBetweenCalls == 0) {
            STRATA_RETURN_IF_ERROR(context_.Tell("extents", count, context_.report->extents));
          }
          const absl::StatusOr<Extent> decoded = DecodeExtentRow(row.key, row.value);
          if (!decoded.ok() || decoded->record.codec != Codec::kNone) return absl::OkStatus();
          const Extent& extent = *decoded;
          if (extent.record.length_bytes > kMaxFileBytes ||
              extent.offset > kMaxFileBytes - extent.record.length_bytes) {
            return absl::OkStatus();
          }
          const uint64_t inode = LoadBe64(reinterpret_cast<const std::byte*>(row.key.data()) + 1);
          for (uint64_t at = extent.offset; at < extent.end();) {
            const StripePlace place = PlaceOf(extent, at);
            uses->Add(place.stripe.group,
                      {.birth = place.stripe.birth,
                       .inode = inode,
                       .column = place.stripe.column,
                       .payload_bytes = extent.record.stripe_bytes,
                       .offset = place.payload_offset,
                       .bytes = place.bytes,
                       .unit_blocks = static_cast<uint8_t>(place.stripe.unit_blocks)});
            at += place.bytes;
          }
          return absl::OkStatus();
        });
  }

  absl::Status AddFreed(StripeUses* uses, bool reports) {
    return kv::ForEach(
        *context_.metadata.store, context_.metadata.meta, TableRange(Table::kFreed),
        [&](const kv::KeyValue& row) -> absl::Status {
          const absl::StatusOr<FreedRecord> record = DecodeFreed(row.value);
          const bool has_key = row.key.size() == FreedKey(0, 0).size();
          const std::string text = has_key ? absl::StrCat("freed pieces ", SequenceOf(row.key),
                                                          " of session ", SessionOf(row.key))
                                           : "freed pieces with a malformed key";
          if (!record.ok()) context_.has_damaged_freed = true;
          if (reports && !(record.ok() && has_key)) {
            context_.Add(FindingKind::kRow, absl::StrCat(text, ": ", record.status().message()));
          }
          if (!record.ok()) return absl::OkStatus();
          if (reports && has_key && !context_.IsGivenOut("session", SessionOf(row.key))) {
            context_.Add(FindingKind::kCounter, text + ", which never was");
          }
          for (const FreedPiece& piece : record->pieces) {
            uses->Add(piece.group, {.birth = piece.birth,
                                    .column = piece.column,
                                    .payload_bytes = piece.payload_bytes,
                                    .bytes = piece.freed_bytes,
                                    .unit_blocks = static_cast<uint8_t>(piece.unit_blocks)});
            if (reports && !context_.IsGivenOut("session", piece.birth >> kBirthSequenceBits)) {
              context_.Add(FindingKind::kCounter, absl::StrCat(text, ": the session of birth ",
                                                               piece.birth, " never was"));
            }
          }
          return absl::OkStatus();
        });
  }

  static uint32_t SessionOf(std::string_view key) {
    return LoadBe32(reinterpret_cast<const std::byte*>(key.data()) + 1);
  }
  static uint64_t SequenceOf(std::string_view key) {
    return LoadBe64(reinterpret_cast<const std::byte*>(key.data()) + 5);
  }

  // Groups [first, uses->end()).
  absl::Status CheckGroups(uint64_t first, StripeUses* uses) {
    const kv::Range range{AllocationKey(first), uses->end() == UINT64_MAX
                                                    ? TableRange(Table::kAllocation).end
                                                    : AllocationKey(uses->end())};
    TableCursor rows(context_.metadata.store, context_.metadata.meta, range);
    for (uint64_t from = first;;) {
      STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* row, rows.Peek());
      const absl::StatusOr<uint64_t> of_row =
          row == nullptr ? UINT64_MAX : GroupOf(Table::kAllocation, row->key);
      if (!of_row.ok()) {
        rows.Next();
        continue;
      }
      uint64_t group = UINT64_MAX;
      const bool has_uses = uses->FindFrom(from, &group);
      if (row == nullptr && !has_uses) return absl::OkStatus();
      group = std::min(group, *of_row);
      STRATA_RETURN_IF_ERROR(context_.Tell("groups' columns", group, 0));
      const bool has_row = row != nullptr && *of_row == group;
      const std::vector<UsedStripe> stripes = uses->Take(group);
      STRATA_RETURN_IF_ERROR(CheckGroup(group, has_row ? &row->value : nullptr, stripes));
      if (has_row) rows.Next();
      from = group + 1;
    }
  }

  absl::Status CheckGroup(uint64_t group, const std::string* row,
                          const std::vector<UsedStripe>& stripes) {
    context_.report->stripes += stripes.size();
    const absl::StatusOr<GroupRecord> places =
        GetGroup(context_.metadata, *context_.metadata.store->NewSnapshot(), group);
    if (row == nullptr) {
      // Half of a group is a finding of its own.
      if (!absl::IsNotFound(places.status())) return absl::OkStatus();
      for (const UsedStripe& stripe : stripes) {
        context_.Add(FindingKind::kStripe, StripeText(group, stripe) + ": there is no such group");
      }
      return absl::OkStatus();
    }
    const absl::StatusOr<AllocationRecord> allocation = DecodeAllocation(*row);
    if (!allocation.ok()) return absl::OkStatus();  // It was found before.
    CheckColumns(group, *allocation, places.ok() ? &*places : nullptr, stripes);
    if (data_ == nullptr || !places.ok()) return absl::OkStatus();
    for (const UsedStripe& stripe : stripes) {
      if (stripe.live_bytes == 0) continue;
      STRATA_RETURN_IF_ERROR(data_->Read(group, *places, stripe));
    }
    return absl::OkStatus();
  }

  // Whether the stripe can be one of this group.
  bool CheckShape(uint64_t group, const AllocationRecord& allocation, const GroupRecord* places,
                  const UsedStripe& stripe) {
    if (uint64_t{stripe.column} + 1 + stripe.unit_blocks > allocation.taken.size()) {
      context_.Add(FindingKind::kStripe, StripeText(group, stripe) + ": it is beyond the end");
      return false;
    }
    const uint64_t most_bytes = places == nullptr ? UINT64_MAX
                                                  : uint64_t{places->protection.data_units} *
                                                        stripe.unit_blocks * kBlockBytes;
    if (stripe.payload_bytes > most_bytes) {
      context_.Add(FindingKind::kStripe,
                   absl::StrCat(StripeText(group, stripe), ": it has room for ", most_bytes,
                                " bytes, and not for ", stripe.payload_bytes));
    }
    return true;
  }

  void CheckColumns(uint64_t group, const AllocationRecord& allocation, const GroupRecord* places,
                    const std::vector<UsedStripe>& stripes) {
    const Bitmap& taken = allocation.taken;
    const bool is_open = allocation.state == AllocationState::kOpen;
    Bitmap used(taken.size());
    std::map<uint32_t, uint32_t> dead;  // By column, as the row has it.
    for (const PartlyDead& stripe : allocation.partly_dead) dead[stripe.column] = stripe.dead_bytes;
    for (const UsedStripe& stripe : stripes) {
      if (!CheckShape(group, allocation, places, stripe)) continue;
      const uint32_t columns = 1 + stripe.unit_blocks;
      if (!used.AllClear(stripe.column, columns)) {
        context_.Add(FindingKind::kSharedColumn,
                     StripeText(group, stripe) + ": another stripe in use has columns of it");
        dead.erase(stripe.column);
        continue;
      }
      used.Set(stripe.column, columns);
      // What the session took that has it open is in no row.
      const bool is_new = is_open && taken.AllClear(stripe.column, columns);
      if (!is_new && !taken.AllSet(stripe.column, columns)) {
        context_.Add(FindingKind::kFreeColumn,
                     StripeText(group, stripe) + ": columns of it are free");
      }
      const auto entry = dead.find(stripe.column);
      const uint32_t dead_bytes = entry == dead.end() ? 0 : entry->second;
      if (entry != dead.end()) dead.erase(entry);
      CheckBytes(group, stripe, dead_bytes, is_new);
    }
    FindLeaks(group, taken, used);
    for (const auto& [column, bytes] : dead) {
      if (!used.Test(column)) continue;  // It is taken, and leaked.
      context_.Add(FindingKind::kDeadBytes,
                   absl::StrCat(GroupText(group), ", column ", column, ": ", bytes,
                                " bytes are dead of a stripe that does not begin there"));
    }
  }

  void CheckBytes(uint64_t group, const UsedStripe& stripe, uint32_t dead_bytes, bool is_new) {
    const uint64_t accounted = stripe.live_bytes + stripe.freed_bytes + dead_bytes;
    const std::string text = absl::StrCat(
        StripeText(group, stripe), ": of its ", stripe.payload_bytes, " bytes ", stripe.live_bytes,
        " are in use, ", stripe.freed_bytes, " freed and ", dead_bytes, " dead");
    if (stripe.has_shared_bytes || stripe.live_bytes + stripe.freed_bytes > stripe.payload_bytes) {
      context_.Add(FindingKind::kSharedBytes, text);
    } else if (accounted > stripe.payload_bytes ||
               (accounted < stripe.payload_bytes && !is_new && !context_.has_damaged_extents &&
                !context_.has_damaged_freed)) {
      context_.Add(FindingKind::kDeadBytes, text);
    }
  }

  void FindLeaks(uint64_t group, const Bitmap& taken, const Bitmap& used) {
    if (context_.has_damaged_extents || context_.has_damaged_freed) return;
    for (uint32_t at = taken.FindSet(0); at < taken.size(); at = taken.FindSet(at)) {
      if (used.Test(at)) {
        ++at;
        continue;
      }
      const uint32_t begin = at;
      while (at < taken.size() && taken.Test(at) && !used.Test(at)) ++at;
      context_.Add(FindingKind::kLeakedColumn,
                   absl::StrCat(GroupText(group), ": columns ", begin, " to ", at - 1,
                                " are taken, and nothing refers to them"));
    }
  }

  CheckContext& context_;
  DataCheck* const data_;
};

}  // namespace

absl::Status CheckStripes(CheckContext* context, DataCheck* data) {
  return StripeCheck(context, data).Run();
}

}  // namespace strata::ofs

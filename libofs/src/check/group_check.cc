// SPDX-License-Identifier: Apache-2.0
#include "check/group_check.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "check/table_cursor.h"
#include "format/key_layout.h"
#include "groups/group_rows.h"
#include "groups/placement.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr uint64_t kRowsBetweenCalls = 1024;

// A group with those of its rows that there are. Null: absent, or malformed.
struct Group {
  uint64_t number = 0;
  bool has_places = false;
  bool has_allocation = false;
  std::optional<GroupRecord> places{};
  std::optional<AllocationRecord> allocation{};
};

std::string PlaceText(const SegmentPlace& place) {
  return absl::StrCat("segment ", place.segment, " of disk ", place.disk);
}

class GroupCheck final {
 public:
  explicit GroupCheck(CheckContext* context) : context_(*context) {}

  absl::Status Run() {
    // A bit for each segment; as many disks at a time as fit.
    const uint64_t most_bits = context_.options.memory_bytes * 8;
    auto disk = context_.rows.disks.begin();
    for (bool is_first = true; is_first || disk != context_.rows.disks.end(); is_first = false) {
      used_.clear();
      uint64_t bits = 0;
      for (; disk != context_.rows.disks.end(); ++disk) {
        if (!used_.empty() && bits + disk->second.segment_count > most_bits) break;
        bits += disk->second.segment_count;
        used_.emplace(disk->first, Bitmap(disk->second.segment_count));
      }
      STRATA_RETURN_IF_ERROR(WalkGroups(is_first));
      STRATA_RETURN_IF_ERROR(CheckMaps());
    }
    return CheckOtherMaps();
  }

 private:
  void Add(FindingKind kind, uint64_t group, std::string_view what) {
    context_.Add(kind,
                 absl::StrCat(GroupText(group), ": ", absl::string_view(what.data(), what.size())));
  }

  // The number of the next row; nullopt: there is none.
  absl::StatusOr<std::optional<uint64_t>> NumberOf(Table table, TableCursor& cursor, bool reports) {
    while (true) {
      STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* row, cursor.Peek());
      if (row == nullptr) return std::optional<uint64_t>();
      const absl::StatusOr<uint64_t> group = GroupOf(table, row->key);
      if (group.ok()) return std::optional<uint64_t>(*group);
      if (reports) context_.Add(FindingKind::kRow, std::string(group.status().message()));
      cursor.Next();
    }
  }

  absl::Status WalkGroups(bool is_first) {
    const Metadata& metadata = context_.metadata;
    TableCursor places(metadata.store, metadata.meta, TableRange(Table::kGroup));
    TableCursor allocations(metadata.store, metadata.meta, TableRange(Table::kAllocation));
    uint64_t count = 0;
    while (true) {
      STRATA_ASSIGN_OR_RETURN(const auto place, NumberOf(Table::kGroup, places, is_first));
      STRATA_ASSIGN_OR_RETURN(const auto allocation,
                              NumberOf(Table::kAllocation, allocations, is_first));
      if (!place.has_value() && !allocation.has_value()) break;
      Group group{.number = std::min(place.value_or(UINT64_MAX), allocation.value_or(UINT64_MAX))};
      if (count++ % kRowsBetweenCalls == 0) {
        STRATA_RETURN_IF_ERROR(context_.Tell("groups", count, 0));
      }
      if (place == group.number) {
        STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* row, places.Peek());
        group.has_places = true;
        group.places = Take(DecodeGroup(row->value), group.number, is_first);
        places.Next();
      }
      if (allocation == group.number) {
        STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* row, allocations.Peek());
        group.has_allocation = true;
        group.allocation = Take(DecodeAllocation(row->value), group.number, is_first);
        allocations.Next();
      }
      if (is_first) CheckRows(group);
      MarkSegments(group);
    }
    if (is_first) context_.report->groups = count;
    return absl::OkStatus();
  }

  template <typename Record>
  std::optional<Record> Take(absl::StatusOr<Record> record, uint64_t group, bool reports) {
    if (record.ok()) return *std::move(record);
    context_.has_damaged_groups = true;
    if (reports) {
      const absl::string_view why = record.status().message();
      Add(FindingKind::kRow, group, {why.data(), why.size()});
    }
    return std::nullopt;
  }

  void CheckRows(const Group& group) {
    if (!context_.IsGivenOut("group", group.number)) {
      Add(FindingKind::kCounter, group.number, "its counter has not given it out");
    }
    if (!group.has_places) Add(FindingKind::kGroup, group.number, "nothing says where it lies");
    if (!group.has_allocation) {
      Add(FindingKind::kGroup, group.number, "nothing says which of its columns are taken");
    }
    if (group.places.has_value()) CheckPlaces(group.number, *group.places);
    if (group.allocation.has_value()) CheckAllocation(group);
  }

  void CheckPlaces(uint64_t number, const GroupRecord& record) {
    const absl::Status protection = CheckProtection(record.protection);
    if (!protection.ok()) Add(FindingKind::kGroup, number, protection.ToString());
    const bool has_pool =
        context_.has_damaged_pools ||
        std::any_of(context_.rows.pools.begin(), context_.rows.pools.end(),
                    [&](const auto& pool) { return pool.second.number == record.pool; });
    if (!has_pool) {
      Add(FindingKind::kPool, number, absl::StrCat("there is no pool ", record.pool));
    }
    CheckDisks(number, record.units, "");
    if (record.wanted.has_value()) {
      Add(FindingKind::kBelowPolicy, number,
          absl::StrCat("it is ", ProtectionName(record.protection), " instead of ",
                       ProtectionName(*record.wanted)));
    }
    std::string lost;
    for (const SegmentPlace& place : record.units) {
      const auto disk = context_.rows.disks.find(place.disk);
      if (disk == context_.rows.disks.end()) continue;
      const bool is_lost =
          disk->second.state == DiskState::kFailed || context_.disks->Find(place.disk) == nullptr;
      if (is_lost) absl::StrAppend(&lost, lost.empty() ? "" : ", ", place.disk);
    }
    if (!lost.empty()) {
      Add(FindingKind::kDegraded, number,
          absl::StrCat("units of it are on disks that failed or are absent: ", lost));
    }
  }

  void CheckDisks(uint64_t number, const std::vector<SegmentPlace>& units, std::string_view moves) {
    const std::string where(moves);
    std::map<std::string, uint32_t, std::less<>> domains;
    for (const SegmentPlace& place : units) {
      const auto disk = context_.rows.disks.find(place.disk);
      if (disk == context_.rows.disks.end()) {
        if (context_.damaged_disks.contains(place.disk)) continue;
        Add(FindingKind::kPlace, number,
            absl::StrCat(where, PlaceText(place), ": there is no such disk"));
        continue;
      }
      if (disk->second.state == DiskState::kRemoved) {
        Add(FindingKind::kPlace, number,
            absl::StrCat(where, PlaceText(place), ": the disk was removed"));
      }
      if (place.segment >= disk->second.segment_count) {
        Add(FindingKind::kPlace, number,
            absl::StrCat(where, PlaceText(place), ": the disk has ", disk->second.segment_count));
      }
      const std::string_view domain =
          DomainOf(disk->second.domain, context_.rows.format.domain_depth);
      const auto [other, is_new] = domains.emplace(domain, place.disk);
      if (is_new) continue;
      Add(FindingKind::kSharedDomain, number,
          absl::StrCat(where, "disks ", other->second, " and ", place.disk,
                       " are both in the failure domain ", other->first));
    }
  }

  void CheckAllocation(const Group& group) {
    const AllocationRecord& record = *group.allocation;
    const uint32_t columns = context_.rows.format.segment_bytes / kBlockBytes;
    if (record.taken.size() != columns) {
      Add(FindingKind::kGroup, group.number,
          absl::StrCat("its row has ", record.taken.size(), " columns instead of ", columns));
    }
    if (record.state != AllocationState::kSealed) ++context_.report->unsealed_groups;
    if (record.owner != 0 && !context_.IsGivenOut("session", record.owner)) {
      Add(FindingKind::kCounter, group.number,
          absl::StrCat("session ", record.owner, " has it, which never was"));
    }
    if (record.moving_to.empty()) return;
    if (group.places.has_value() && record.moving_to.size() != group.places->units.size()) {
      Add(FindingKind::kGroup, group.number,
          absl::StrCat("it has ", group.places->units.size(), " units, and ",
                       record.moving_to.size(), " move"));
    }
    CheckDisks(group.number, record.moving_to, "on its move: ");
  }

  void MarkSegments(const Group& group) {
    if (group.places.has_value()) {
      for (const SegmentPlace& place : group.places->units) Mark(group.number, place);
    }
    if (!group.allocation.has_value()) return;
    const std::vector<SegmentPlace>& moving = group.allocation->moving_to;
    for (size_t unit = 0; unit < moving.size(); ++unit) {
      const bool stays = group.places.has_value() && unit < group.places->units.size() &&
                         group.places->units[unit] == moving[unit];
      if (!stays && group.places.has_value()) Mark(group.number, moving[unit]);
    }
  }

  void Mark(uint64_t group, const SegmentPlace& place) {
    const auto it = used_.find(place.disk);
    if (it == used_.end() || place.segment >= it->second.size()) return;
    if (it->second.Test(place.segment)) {
      Add(FindingKind::kSharedSegment, group,
          absl::StrCat(PlaceText(place), " is another group's, too, or twice its own"));
    }
    it->second.Set(place.segment, 1);
  }

  // Compares the maps of these disks with what groups use.
  absl::Status CheckMaps() {
    for (const auto& [disk, used] : used_) {
      for (uint32_t begin = 0; begin < used.size(); begin += kSegmentsPerChunk) {
        const uint32_t chunk = begin / kSegmentsPerChunk;
        const uint32_t count = std::min(kSegmentsPerChunk, used.size() - begin);
        STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                                context_.metadata.store->NewSnapshot()->Get(
                                    context_.metadata.meta, SegmentsKey(disk, chunk)));
        Bitmap taken(count);
        if (row.has_value()) {
          const absl::StatusOr<SegmentsRecord> record = DecodeSegments(*row);
          const std::string text = absl::StrCat("segment map ", chunk, " of disk ", disk, ": ");
          if (!record.ok() || record->taken.size() != count) {
            context_.Add(FindingKind::kRow,
                         record.ok() ? absl::StrCat(text, "it has ", record->taken.size(),
                                                    " segments instead of ", count)
                                     : absl::StrCat(text, record.status().message()));
            continue;
          }
          taken = record->taken;
        }
        for (uint32_t i = 0; i < count; ++i) {
          const bool is_used = used.Test(begin + i);
          if (taken.Test(i) == is_used) continue;
          const std::string place = PlaceText({disk, begin + i});
          if (is_used) {
            context_.Add(FindingKind::kFreeSegment,
                         absl::StrCat(place, " is free in its map, and a group lies in it"));
          } else if (!context_.has_damaged_groups) {
            context_.Add(FindingKind::kLeakedSegment,
                         absl::StrCat(place, " is taken, and no group names it"));
          }
        }
      }
    }
    return absl::OkStatus();
  }

  // Maps of disks that there are not, or beyond the end of one.
  absl::Status CheckOtherMaps() {
    return kv::ForEach(
        *context_.metadata.store, context_.metadata.meta, TableRange(Table::kSegments),
        [&](const kv::KeyValue& row) {
          const absl::StatusOr<SegmentsChunk> chunk = SegmentsOf(row.key);
          if (!chunk.ok()) {
            context_.Add(FindingKind::kRow, std::string(chunk.status().message()));
            return absl::OkStatus();
          }
          const auto disk = context_.rows.disks.find(chunk->disk);
          const bool is_known =
              disk != context_.rows.disks.end()
                  ? uint64_t{chunk->chunk} * kSegmentsPerChunk < disk->second.segment_count
                  : context_.damaged_disks.contains(chunk->disk);
          if (!is_known) {
            context_.Add(FindingKind::kRow,
                         absl::StrCat("segment map ", chunk->chunk, " of disk ", chunk->disk,
                                      ": there is no such disk, or it is smaller"));
          }
          return absl::OkStatus();
        });
  }

  CheckContext& context_;
  std::map<uint32_t, Bitmap> used_;
};

}  // namespace

absl::Status CheckGroups(CheckContext* context) { return GroupCheck(context).Run(); }

}  // namespace strata::ofs

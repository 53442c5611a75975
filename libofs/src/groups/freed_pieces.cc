// SPDX-License-Identifier: Apache-2.0
#include "groups/freed_pieces.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "disks/session_rows.h"
#include "format/key_layout.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {

std::vector<FreedRecord> CutIntoRows(std::span<const FreedPiece> pieces) {
  std::vector<FreedRecord> rows;
  std::set<uint64_t> groups;
  for (const FreedPiece& piece : pieces) {
    const bool fits = !rows.empty() && rows.back().pieces.size() < kMaxFreedPieces &&
                      (groups.contains(piece.group) || groups.size() < kMaxFreedGroups);
    if (!fits) {
      rows.emplace_back();
      groups.clear();
    }
    groups.insert(piece.group);
    rows.back().pieces.push_back(piece);
  }
  return rows;
}

absl::Status Fold(const FreedPiece& piece, AllocationRecord* allocation) {
  const auto refuse = [&](absl::string_view why) {
    return absl::DataLossError(absl::StrCat("group ", piece.group, ", column ", piece.column, ": ",
                                            piece.freed_bytes, " bytes are freed, ", why));
  };
  const uint32_t columns = 1 + piece.unit_blocks;
  Bitmap& taken = allocation->taken;
  if (piece.column >= taken.size() || columns > taken.size() - piece.column) {
    return refuse("beyond the end of the group");
  }
  if (!taken.AllSet(piece.column, columns)) return refuse("and the stripe was free already");
  std::vector<PartlyDead>& partly_dead = allocation->partly_dead;
  const auto it = std::lower_bound(
      partly_dead.begin(), partly_dead.end(), piece.column,
      [](const PartlyDead& stripe, uint32_t column) { return stripe.column < column; });
  const bool is_known = it != partly_dead.end() && it->column == piece.column;
  const uint64_t dead_bytes = uint64_t{is_known ? it->dead_bytes : 0} + piece.freed_bytes;
  if (dead_bytes > piece.payload_bytes) return refuse("and some of them were freed before");
  if (dead_bytes < piece.payload_bytes) {
    const PartlyDead stripe{piece.column, static_cast<uint32_t>(dead_bytes)};
    is_known ? void(*it = stripe) : void(partly_dead.insert(it, stripe));
    return absl::OkStatus();
  }
  if (is_known) partly_dead.erase(it);
  taken.Clear(piece.column, columns);
  return absl::OkStatus();
}

absl::StatusOr<FoldedRow> FoldRow(const Metadata& metadata, uint32_t session,
                                  const std::string& key) {
  FoldedRow folded;
  const auto fold = [&](kv::Transaction& txn) -> absl::Status {
    folded = {};
    STRATA_RETURN_IF_ERROR(CheckSession(metadata, txn, session));
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row, txn.Get(metadata.meta, key));
    if (!row.has_value()) return absl::OkStatus();  // Another session was quicker.
    STRATA_ASSIGN_OR_RETURN(const FreedRecord freed, DecodeFreed(*row));
    std::map<uint64_t, AllocationRecord> groups;
    FreedRecord rest;
    for (const FreedPiece& piece : freed.pieces) {
      if (!groups.contains(piece.group)) {
        STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> allocation,
                                txn.Get(metadata.meta, AllocationKey(piece.group)));
        if (!allocation.has_value()) {
          return absl::DataLossError(absl::StrCat("group ", piece.group, ", column ", piece.column,
                                                  ": it is freed, and there is no such group"));
        }
        absl::StatusOr<AllocationRecord> decoded = DecodeAllocation(*allocation);
        if (!decoded.ok()) {
          return Annotate(decoded.status(), absl::StrCat("group ", piece.group));
        }
        groups[piece.group] = *std::move(decoded);
      }
      AllocationRecord& allocation = groups[piece.group];
      if (allocation.state == AllocationState::kSealed) {
        STRATA_RETURN_IF_ERROR(Fold(piece, &allocation));
      } else {
        rest.pieces.push_back(piece);
      }
    }
    folded.left = rest.pieces.size();
    if (folded.left == freed.pieces.size()) return absl::OkStatus();
    for (const auto& [group, allocation] : groups) {
      if (allocation.state != AllocationState::kSealed) continue;
      folded.groups.push_back(group);
      STRATA_RETURN_IF_ERROR(txn.Put(metadata.meta, AllocationKey(group), Encode(allocation)));
    }
    return rest.pieces.empty() ? txn.Delete(metadata.meta, key)
                               : txn.Put(metadata.meta, key, Encode(rest));
  };
  STRATA_RETURN_IF_ERROR(kv::RunTransaction(*metadata.store, kv::Durability::kAsync, fold));
  return folded;
}

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
#include "stripes/ownerless_groups.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "disks/transfers.h"
#include "format/key_layout.h"
#include "format/stripe_head.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/block/buffer.h"

namespace strata::ofs {
namespace {

constexpr uint32_t kBlocksAtOnce = 256;

// By column and birth.
using Heads = std::map<std::pair<uint32_t, uint64_t>, StripeHead>;

struct Group {
  uint64_t number = 0;
  GroupRecord record;
  AllocationRecord allocation;
};

absl::StatusOr<Group> ReadGroup(const Metadata& metadata, uint64_t number) {
  const std::unique_ptr<kv::Snapshot> snapshot = metadata.store->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> record,
                          snapshot->Get(metadata.meta, GroupKey(number)));
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> allocation,
                          snapshot->Get(metadata.meta, AllocationKey(number)));
  if (!record.has_value() || !allocation.has_value()) {
    return absl::NotFoundError("it is not there");
  }
  Group group{.number = number, .record = {}, .allocation = {}};
  STRATA_ASSIGN_OR_RETURN(group.record, DecodeGroup(*record));
  STRATA_ASSIGN_OR_RETURN(group.allocation, DecodeAllocation(*allocation));
  return group;
}

// Adds the heads that one unit has in the columns that were free.
absl::Status AddHeads(const Uuid& filesystem, const Group& group, int unit,
                      const std::shared_ptr<Disk>& disk, Heads* heads) {
  const Bitmap& taken = group.allocation.taken;
  const uint64_t start = disk->SegmentOffset(group.record.units[static_cast<size_t>(unit)].segment);
  const block::Buffer buffer(size_t{kBlocksAtOnce} * kBlockBytes);
  absl::Status failed;
  bool any = false;
  for (uint32_t at = 0; at < taken.size(); at += kBlocksAtOnce) {
    const uint32_t count = std::min(kBlocksAtOnce, taken.size() - at);
    if (taken.AllSet(at, count)) continue;
    Transfer read{.disk = disk,
                  .offset_bytes = start + uint64_t{at} * kBlockBytes,
                  .memory = buffer.span().first(size_t{count} * kBlockBytes)};
    RunTransfers({&read, 1});
    for (uint32_t i = 0; i < count; ++i) {
      if (taken.Test(at + i)) continue;
      const std::span<std::byte> block =
          buffer.span().subspan(size_t{i} * kBlockBytes, kBlockBytes);
      if (!read.status.ok()) {
        // One bad block must not hide the heads around it.
        Transfer single{.disk = disk,
                        .offset_bytes = start + (uint64_t{at} + i) * kBlockBytes,
                        .memory = block};
        RunTransfers({&single, 1});
        if (!single.status.ok()) {
          failed = single.status;
          continue;
        }
      }
      any = true;
      absl::StatusOr<DecodedStripeHead> decoded = DecodeStripeHead(block);
      if (absl::IsUnimplemented(decoded.status())) return decoded.status();
      if (!decoded.ok()) continue;
      StripeHead& head = decoded->head;
      const bool is_ours = head.filesystem == filesystem && head.group == group.number &&
                           head.column == at + i && decoded->unit == unit &&
                           head.protection == group.record.protection &&
                           head.column + 1 + head.unit_blocks <= taken.size();
      if (is_ours) heads->emplace(std::pair(head.column, head.birth), std::move(head));
    }
  }
  return any ? absl::OkStatus() : failed;
}

// A published stripe had its head in all units. More of them than may be lost are read, so that
// one whole copy of each head is among them.
absl::StatusOr<Heads> ReadHeads(const OwnerlessOptions& options, const Group& group) {
  Heads heads;
  const int wanted = group.record.protection.tolerated_losses() + 1;
  int read = 0;
  std::string wrong;
  for (int unit = 0; unit < group.record.protection.total_units() && read < wanted; ++unit) {
    const uint32_t number = group.record.units[static_cast<size_t>(unit)].disk;
    const std::shared_ptr<Disk> disk = options.disks->Find(number);
    if (disk == nullptr) {
      absl::StrAppend(&wrong, "; disk ", number, " is absent");
      continue;
    }
    const absl::Status status = AddHeads(options.filesystem, group, unit, disk, &heads);
    if (absl::IsUnimplemented(status)) return status;
    if (status.ok()) {
      ++read;
    } else {
      absl::StrAppend(&wrong, "; ", status.message());
    }
  }
  if (read == 0) return absl::UnavailableError(absl::StrCat("no disk of it can be read", wrong));
  return heads;
}

// Bytes of this group's stripes that rows of `Z` list.
absl::StatusOr<std::map<std::pair<uint32_t, uint64_t>, FreedPiece>> ReadFreed(
    const Metadata& metadata, uint64_t group) {
  std::map<std::pair<uint32_t, uint64_t>, FreedPiece> freed;
  STRATA_RETURN_IF_ERROR(kv::ForEach(
      *metadata.store->NewSnapshot(), metadata.meta, TableRange(Table::kFreed),
      [&](const kv::KeyValue& row) -> absl::Status {
        STRATA_ASSIGN_OR_RETURN(const FreedRecord record, DecodeFreed(row.value));
        for (const FreedPiece& piece : record.pieces) {
          if (piece.group != group) continue;
          const auto [it, is_new] = freed.emplace(std::pair(piece.column, piece.birth), piece);
          if (!is_new) it->second.freed_bytes += piece.freed_bytes;
        }
        return absl::OkStatus();
      }));
  return freed;
}

absl::Status Seal(const OwnerlessOptions& options, const OwnerlessGroup& ownerless) {
  STRATA_ASSIGN_OR_RETURN(const Group group, ReadGroup(options.metadata, ownerless.group));
  STRATA_ASSIGN_OR_RETURN(Heads heads, ReadHeads(options, group));
  STRATA_ASSIGN_OR_RETURN(const auto freed, ReadFreed(options.metadata, ownerless.group));
  Bitmap taken = group.allocation.taken;
  std::vector<PartlyDead> partly_dead = group.allocation.partly_dead;
  const auto take = [&](uint32_t column, uint32_t unit_blocks) -> absl::Status {
    if (column + 1 + unit_blocks > taken.size() || !taken.AllClear(column, 1 + unit_blocks)) {
      return absl::DataLossError(
          absl::StrCat("column ", column, ": two stripes that live overlap"));
    }
    taken.Set(column, 1 + unit_blocks);
    return absl::OkStatus();
  };
  for (const auto& [key, head] : heads) {
    STRATA_ASSIGN_OR_RETURN(const uint32_t live_bytes, options.live_bytes(head));
    const auto piece = freed.find(key);
    const uint32_t listed = piece == freed.end() ? 0 : piece->second.freed_bytes;
    if (live_bytes + uint64_t{listed} > head.payload_bytes) {
      return absl::DataLossError(absl::StrCat("column ", head.column, ": ", live_bytes,
                                              " bytes live and ", listed, " are freed, of ",
                                              head.payload_bytes));
    }
    if (live_bytes + listed == 0) continue;
    STRATA_RETURN_IF_ERROR(take(head.column, head.unit_blocks));
    const uint32_t dead_bytes = head.payload_bytes - live_bytes - listed;
    if (dead_bytes > 0) partly_dead.push_back({head.column, dead_bytes});
  }
  // Freed stripes whose head nobody has any more: folding expects their columns to be taken.
  for (const auto& [key, piece] : freed) {
    if (heads.contains(key) || taken.AllSet(piece.column, 1 + piece.unit_blocks)) continue;
    STRATA_RETURN_IF_ERROR(take(piece.column, piece.unit_blocks));
  }
  std::sort(partly_dead.begin(), partly_dead.end(),
            [](const PartlyDead& a, const PartlyDead& b) { return a.column < b.column; });
  return options.allocator->SealOwnerless(ownerless.group, ownerless.session, std::move(taken),
                                          std::move(partly_dead));
}

}  // namespace

absl::StatusOr<std::vector<OwnerlessGroup>> ListOwnerlessGroups(const Metadata& metadata) {
  std::vector<OwnerlessGroup> ownerless;
  const std::unique_ptr<kv::Snapshot> snapshot = metadata.store->NewSnapshot();
  STRATA_RETURN_IF_ERROR(kv::ForEach(
      *snapshot, metadata.meta, TableRange(Table::kAllocation),
      [&](const kv::KeyValue& row) -> absl::Status {
        STRATA_ASSIGN_OR_RETURN(const uint64_t group, GroupOf(Table::kAllocation, row.key));
        const absl::StatusOr<AllocationRecord> record = DecodeAllocation(row.value);
        if (!record.ok()) return Annotate(record.status(), absl::StrCat("group ", group));
        if (record->state == AllocationState::kSealed) return absl::OkStatus();
        STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> session,
                                snapshot->Get(metadata.meta, SessionKey(record->owner)));
        if (!session.has_value()) {
          ownerless.push_back(
              {group, record->owner, record->state == AllocationState::kEvacuating});
        }
        return absl::OkStatus();
      }));
  return ownerless;
}

absl::Status SealOwnerless(const OwnerlessOptions& options, const OwnerlessGroup& ownerless) {
  if (ownerless.is_claimed) {
    return options.allocator->ReleaseOwnerless(ownerless.group, ownerless.session);
  }
  return Annotate(Seal(options, ownerless), absl::StrCat("group ", ownerless.group));
}

}  // namespace strata::ofs

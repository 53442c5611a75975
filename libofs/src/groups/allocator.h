// SPDX-License-Identifier: Apache-2.0
//
// Gives out columns to new stripes, from groups that one session has open.
//
//   STRATA_ASSIGN_OR_RETURN(Columns columns, allocator->Take({.wanted = protection}, 512 << 10));
//   ... write the stripe, flush it, commit the extents that refer to it ...
//   allocator->Keep(columns);  // Or Drop(columns), when nothing came to refer to it.
//
// A group is opened, sealed and freed in one kv transaction each; columns cost none. The rows of
// what is in memory alone (which columns of an open group are taken) are written when it is sealed.
//
// Thread safety: any thread. No lock is held across a kv call; a thread that needs a new group
// waits for another that is opening one of the same kind.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "disks/disk.h"
#include "disks/disk_rows.h"
#include "format/records.h"
#include "groups/group_table.h"
#include "groups/placement.h"
#include "groups/segment_space.h"
#include "strata/base/mutex.h"

namespace strata::ofs {

// What kind of group a stripe goes to.
struct GroupKind {
  uint32_t pool = kDefaultPool;
  Protection wanted{};
  friend auto operator<=>(const GroupKind&, const GroupKind&) = default;
};

inline GroupKind KindOf(const GroupRecord& record) {
  return {record.pool, record.wanted.value_or(record.protection)};
}

// Columns [column, column + 1 + unit_blocks) of a group, for one stripe.
struct Columns {
  uint64_t group = 0;
  uint32_t column = 0;
  uint32_t unit_blocks = 0;
  uint64_t birth = 0;
  GroupPointer record{};
};

struct AllocatorOptions {
  Metadata metadata{};
  FilesystemRows rows{};
  const DiskSet* disks = nullptr;
  GroupTable* groups = nullptr;
  uint32_t session = 0;
  size_t max_open_per_kind = 4;
};

// What a stripe of this protection holds at most.
constexpr uint32_t MostPayloadBytes(const Protection& protection) {
  return protection.data_units * kMaxUnitBlocks * kBlockBytes;
}

// Of so many bytes of data units, what full stripes hold: each has a head for its 32 blocks.
constexpr uint64_t WithoutHeads(uint64_t bytes) {
  return bytes * kMaxUnitBlocks / (kMaxUnitBlocks + 1);
}

// A sealed group in one hand: until it is settled or released nobody takes or frees its columns.
struct ClaimedGroup {
  uint64_t group = 0;
  GroupRecord record{};
  Bitmap taken{};
  std::vector<SegmentPlace> places{};  // Of the units, in order, once it is settled.

  std::vector<int> moving_units() const;
  uint64_t taken_bytes() const { return uint64_t{taken.set_count()} * kBlockBytes; }
};

class Allocator final {
 public:
  // Reads all segment maps and allocation rows.
  static absl::StatusOr<std::unique_ptr<Allocator>> Open(AllocatorOptions options);

  // Columns for a stripe with so much payload. ResourceExhausted: no space, or too few failure
  // domains. OutOfRange: with fewer data units than were wanted, the payload does not fit into one
  // stripe; the caller cuts it. InvalidArgument: it does not fit as wanted either.
  // FailedPrecondition: the session was ended.
  absl::StatusOr<Columns> Take(const GroupKind& kind, uint32_t payload_bytes);

  // One of both, once, for each stripe that was taken. After Keep() the columns are freed by a row
  // of `Z` alone; after Drop() they are free.
  void Keep(const Columns& columns);
  void Drop(const Columns& columns);

  // Gives out no more columns of the group; it is sealed when no stripe of it is under way.
  void Retire(uint64_t group);

  // Nobody knows which stripes of the group live: it gives out no more columns, and this session
  // does not seal it. The next one asks its heads.
  void Abandon(uint64_t group);

  // Seals the groups that give out no more columns and have no stripe under way.
  absl::Status SealRetired();
  // Seals all. REQUIRES: no stripe is under way.
  absl::Status Close();

  // Puts the pieces into rows of `Z`, in the transaction that drops the references to them.
  absl::Status Free(kv::Transaction& txn, std::span<const FreedPiece> pieces);

  struct Folded {
    size_t rows = 0;      // That were folded, whole or in part.
    bool is_end = false;  // All rows were seen: the next call begins with the first.
    size_t pieces_left = 0;
    size_t groups_freed = 0;  // That were empty then; their segments are free.
  };
  // Looks at no more than so many rows, of all sessions, where the last call ended, and folds them.
  // A row that cannot be folded is passed over; the first such error is returned after the others
  // are done. Open groups of which much is dead give out no more columns from the end of a round
  // on.
  absl::StatusOr<Folded> FoldFreed(size_t max_rows);

  // Gives the segments of a group back that is sealed and empty; whether it was.
  absl::StatusOr<bool> FreeIfEmpty(uint64_t group);

  // The disks' states as of now, for groups that are opened from now on.
  void SetDisks(std::map<uint32_t, DiskRecord> disks);

  // Adds a disk whose row is written already; SetDisks() makes it a place for new groups.
  absl::Status AddDisk(uint32_t disk, uint32_t segment_count);

  // ---- Moving

  // Claims a sealed group, durably, and takes a segment for each unit on a disk that `leaves`
  // names, in a failure domain where the group has no other. nullopt: there is no such group, it is
  // not sealed, or nothing is in it. ResourceExhausted: no segment is free in such a domain.
  absl::StatusOr<std::optional<ClaimedGroup>> Claim(
      uint64_t group, const std::function<bool(uint32_t disk)>& leaves);
  // The group lies at its new places, durably, and its old segments are free. REQUIRES: the units
  // that move are there, and were flushed.
  absl::Status Settle(const ClaimedGroup& claim);
  // It lies where it was; the segments for its units are free again.
  absl::Status Release(const ClaimedGroup& claim);
  // The same, of a session that is dead.
  absl::Status ReleaseOwnerless(uint64_t group, uint32_t dead_session);

  // A group of a session that is dead is sealed: `taken` and `partly_dead` were found in its heads.
  absl::Status SealOwnerless(uint64_t group, uint32_t dead_session, Bitmap taken,
                             std::vector<PartlyDead> partly_dead);

  // ResourceExhausted: too few failure domains for groups of this kind.
  absl::Status CheckPlacement(const GroupKind& kind) const;
  // Of the disks that are here and online; free are those of disks that take writes.
  struct OnlineSegments {
    uint64_t total = 0;
    uint64_t free = 0;
  };
  OnlineSegments online_segments() const;
  // What the free columns of groups hold, but those of free segments.
  uint64_t FreePayloadBytes() const;

  uint32_t segment_columns() const { return options_.rows.format.segment_bytes / kBlockBytes; }
  uint64_t NextBirth();
  const SegmentSpace& space() const { return space_; }
  size_t open_group_count() const;

 private:
  struct OpenGroup {
    uint64_t group = 0;
    GroupKind kind{};
    GroupPointer record{};
    Bitmap taken{};
    std::vector<PartlyDead> partly_dead{};
    uint32_t cursor = 0;
    uint32_t under_way = 0;
    bool retired = false;
    bool sealing = false;
  };

  explicit Allocator(AllocatorOptions options);

  absl::Status ReadRows();
  bool IsUsable(const GroupRecord& record) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<uint32_t> ChooseTarget(const GroupRecord& record,
                                        const std::vector<SegmentPlace>& places, int unit) const;
  absl::Status EndClaim(uint64_t group, uint32_t owner);
  std::vector<DiskSpace> Candidates(uint32_t pool) const;
  bool TakeFromOpen(const GroupKind& kind, uint32_t payload_bytes, Columns* columns,
                    uint32_t* most_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RetireWorst(const GroupKind& kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::StatusOr<std::unique_ptr<OpenGroup>> OpenOne(const GroupKind& kind, uint32_t payload_bytes);
  absl::StatusOr<std::unique_ptr<OpenGroup>> OpenNew(const GroupKind& kind);
  // Null: none of the sealed groups will do.
  absl::StatusOr<std::unique_ptr<OpenGroup>> OpenAgain(const GroupKind& kind, uint32_t least_free,
                                                       uint32_t payload_bytes);
  absl::StatusOr<uint64_t> NextGroup();

  absl::Status Seal(OpenGroup& group);
  absl::Status SealWhere(const std::function<bool(const OpenGroup&)>& wanted);
  void NoteSealed(uint64_t group, const GroupKind& kind, uint32_t free_columns);
  void ForgetSealed(uint64_t group);
  bool IsOpenForAll(const FreedRecord& record);
  void RetireMostlyDead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const AllocatorOptions options_;
  SegmentSpace space_;
  mutable Mutex mutex_;
  CondVar opened_;
  std::map<uint32_t, DiskRecord> disks_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::unique_ptr<OpenGroup>> open_ ABSL_GUARDED_BY(mutex_);
  std::set<GroupKind> opening_ ABSL_GUARDED_BY(mutex_);
  // Sealed groups with free columns: by kind, the most free first.
  std::map<GroupKind, std::set<std::pair<uint32_t, uint64_t>, std::greater<>>> sealed_
      ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::pair<GroupKind, uint32_t>> sealed_by_group_ ABSL_GUARDED_BY(mutex_);
  uint64_t sealed_free_ ABSL_GUARDED_BY(mutex_) = 0;  // Columns of them, times data units.
  uint64_t next_group_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t groups_end_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t freed_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string fold_from_ ABSL_GUARDED_BY(mutex_);  // A key, or empty.
  // In this round of folding: bytes that are dead in open groups.
  std::map<uint64_t, uint64_t> dead_in_open_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// The records behind the tables of key_layout.h, and their encodings; docs/formats/ofs.md gives
// each tag. Decoding never trusts its input: DataLoss names what is malformed or out of range,
// Unimplemented what a newer version wrote. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "format/bitmap.h"
#include "format/layout.h"
#include "format/name_hash.h"
#include "format/stripe_head.h"
#include "strata/ofs/nodes.h"
#include "strata/ofs/types.h"

namespace strata::ofs {

// ---- The filesystem, its disks and its space

struct FormatRecord {
  Uuid filesystem{};
  NameKey name_key{};
  uint64_t created_ns = 0;
  uint32_t segment_bytes = 0;
  // Components of a disk's domain path that make its failure domain; 0: the whole path.
  uint32_t domain_depth = 0;
  Protection default_protection{};
  friend bool operator==(const FormatRecord&, const FormatRecord&) = default;
};

struct EpochRecord {
  uint64_t epoch = 0;
  friend bool operator==(const EpochRecord&, const EpochRecord&) = default;
};

struct DiskRecord {
  Uuid disk{};
  std::string uri{};  // Where it was last; empty: the application opened it.
  DiskClass disk_class = DiskClass::kSsd;
  std::string domain{};
  DiskState state = DiskState::kOnline;
  uint64_t generation = 1;  // Grows with each change of the state.
  uint32_t pool = 0;
  uint32_t segment_count = 0;
  std::string reason{};  // Why the state is not online.
  uint64_t changed_ns = 0;
  friend bool operator==(const DiskRecord&, const DiskRecord&) = default;
};

struct PoolRecord {
  uint32_t number = 0;
  uint32_t fill_limit_percent = 0;  // Moves into it stop there; 0: none.
  friend bool operator==(const PoolRecord&, const PoolRecord&) = default;
};

struct SegmentsRecord {
  Bitmap taken{};  // One bit for each segment of the chunk.
  friend bool operator==(const SegmentsRecord&, const SegmentsRecord&) = default;
};

struct SegmentPlace {
  uint32_t disk = 0;
  uint32_t segment = 0;
  friend auto operator<=>(const SegmentPlace&, const SegmentPlace&) = default;
};

struct GroupRecord {
  Protection protection{};
  uint32_t pool = 0;
  std::vector<SegmentPlace> units{};  // In the order of the units.
  uint64_t generation = 1;            // Grows when a unit moves.
  // What the policy asked for where that could not be had; then the group is below policy.
  std::optional<Protection> wanted{};
  friend bool operator==(const GroupRecord&, const GroupRecord&) = default;
};

enum class AllocationState : uint8_t { kOpen = 1, kSealed = 2, kEvacuating = 3 };

// A stripe of which a part is dead. The whole stripe is freed when all its payload is.
struct PartlyDead {
  uint32_t column = 0;
  uint32_t dead_bytes = 0;
  friend bool operator==(const PartlyDead&, const PartlyDead&) = default;
};

struct AllocationRecord {
  AllocationState state = AllocationState::kOpen;
  uint32_t owner = 0;  // The session that has it open, or moves it.
  // Sealed: the taken columns. Open: those that were taken when the owner opened the group.
  Bitmap taken{};
  std::vector<PartlyDead> partly_dead{};  // Columns ascend.
  // Evacuating: where the units will lie, in order. The owner has taken the segments that the
  // group's row does not name. Empty: none moves.
  std::vector<SegmentPlace> moving_to{};
  friend bool operator==(const AllocationRecord&, const AllocationRecord&) = default;
};

// Some of the payload of a stripe that nothing refers to any more.
struct FreedPiece {
  uint64_t group = 0;
  uint32_t column = 0;
  uint32_t unit_blocks = 0;
  uint32_t payload_bytes = 0;  // Of the whole stripe.
  uint32_t freed_bytes = 0;
  uint64_t birth = 0;
  friend bool operator==(const FreedPiece&, const FreedPiece&) = default;
};

inline constexpr size_t kMaxFreedGroups = 32;  // Groups that one row names.
inline constexpr size_t kMaxFreedPieces = 4096;

struct FreedRecord {
  std::vector<FreedPiece> pieces{};
  friend bool operator==(const FreedRecord&, const FreedRecord&) = default;
};

struct SessionRecord {
  std::string host{};
  uint64_t process = 0;
  uint64_t started_ns = 0;
  friend bool operator==(const SessionRecord&, const SessionRecord&) = default;
};

struct HeartbeatRecord {
  uint64_t beat_ns = 0;
  uint64_t seen_unlink = 0;
  friend bool operator==(const HeartbeatRecord&, const HeartbeatRecord&) = default;
};

struct CounterRecord {
  uint64_t next = 0;
  friend bool operator==(const CounterRecord&, const CounterRecord&) = default;
};

// How far a job has come.
struct JobRecord {
  uint64_t next_group = 0;
  friend bool operator==(const JobRecord&, const JobRecord&) = default;
};

// ---- Files

inline constexpr size_t kMaxInlineBytes = 4096;

// How the data of a file is stored; what is absent is inherited.
struct LayoutRecord {
  uint32_t pool = 0;
  std::optional<Protection> protection{};
  std::optional<Codec> codec{};
  uint32_t level = 0;  // Of the codec; 0: its usual one.
  friend bool operator==(const LayoutRecord&, const LayoutRecord&) = default;
};

struct InodeRecord {
  FileType type = FileType::kRegular;
  uint32_t mode = 0;  // The lower 12 bits.
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t link_count = 0;
  uint64_t size_bytes = 0;
  int64_t atime_ns = 0;  // Nanoseconds since 1970, negative before; so are all times.
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  int64_t birth_ns = 0;
  uint64_t change = 0;  // Grows with each change of data or attributes.
  uint32_t subdirectory_count = 0;
  uint64_t device = 0;  // Of a character or block device.
  uint64_t parent = 0;  // Of the first link.
  uint64_t name_hash = 0;
  uint64_t quota = 0;
  LayoutRecord layout{};
  // Bytes from here on are holes; whoever finds this deletes their extents first.
  std::optional<uint64_t> trim_from{};
  std::string inline_data{};
  std::string symlink_target{};
  uint64_t born_epoch = 0;
  uint64_t stored_blocks = 0;  // Of kBlockBytes; what stat() shows.
  friend bool operator==(const InodeRecord&, const InodeRecord&) = default;
};

struct TouchRecord {
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  friend bool operator==(const TouchRecord&, const TouchRecord&) = default;
};

struct EntryRecord {
  uint64_t inode = 0;
  FileType type = FileType::kRegular;
  friend bool operator==(const EntryRecord&, const EntryRecord&) = default;
};

struct LinkRecord {
  friend bool operator==(const LinkRecord&, const LinkRecord&) = default;
};

struct AttributeRecord {
  std::string value{};
  friend bool operator==(const AttributeRecord&, const AttributeRecord&) = default;
};

struct OrphanRecord {
  uint64_t since_ns = 0;
  friend bool operator==(const OrphanRecord&, const OrphanRecord&) = default;
};

// A run of equal, adjacent stripes that hold adjacent bytes of a file; one stripe, or a part of
// one, when the data is compressed or the stripe holds pieces of several files.
struct ExtentRecord {
  uint64_t length_bytes = 0;  // Of the file.
  uint64_t group = 0;
  uint32_t column = 0;       // Of the head of the first stripe.
  uint32_t unit_blocks = 0;  // Of each stripe.
  uint32_t stripe_count = 1;
  uint64_t birth = 0;           // Of the first stripe; those of the others follow.
  uint32_t stripe_bytes = 0;    // Payload of each stripe, all that is in it.
  uint32_t payload_offset = 0;  // In the first stripe.
  Codec codec = Codec::kNone;
  uint32_t stored_bytes = 0;  // Compressed: of the record.
  uint32_t raw_bytes = 0;     // Compressed: of the record.
  uint32_t raw_offset = 0;    // Compressed: where in the record the extent begins.
  uint64_t born_epoch = 0;
  uint64_t written_ns = 0;
  friend bool operator==(const ExtentRecord&, const ExtentRecord&) = default;
};

std::string Encode(const FormatRecord& record);
std::string Encode(const EpochRecord& record);
std::string Encode(const DiskRecord& record);
std::string Encode(const PoolRecord& record);
std::string Encode(const SegmentsRecord& record);
std::string Encode(const GroupRecord& record);
std::string Encode(const AllocationRecord& record);
std::string Encode(const FreedRecord& record);
std::string Encode(const SessionRecord& record);
std::string Encode(const HeartbeatRecord& record);
std::string Encode(const CounterRecord& record);
std::string Encode(const JobRecord& record);
std::string Encode(const InodeRecord& record);
std::string Encode(const TouchRecord& record);
std::string Encode(const EntryRecord& record);
std::string Encode(const LinkRecord& record);
std::string Encode(const AttributeRecord& record);
std::string Encode(const OrphanRecord& record);
std::string Encode(const ExtentRecord& record);

absl::StatusOr<FormatRecord> DecodeFormat(std::string_view value);
absl::StatusOr<EpochRecord> DecodeEpoch(std::string_view value);
absl::StatusOr<DiskRecord> DecodeDisk(std::string_view value);
absl::StatusOr<PoolRecord> DecodePool(std::string_view value);
absl::StatusOr<SegmentsRecord> DecodeSegments(std::string_view value);
absl::StatusOr<GroupRecord> DecodeGroup(std::string_view value);
absl::StatusOr<AllocationRecord> DecodeAllocation(std::string_view value);
absl::StatusOr<FreedRecord> DecodeFreed(std::string_view value);
absl::StatusOr<SessionRecord> DecodeSession(std::string_view value);
absl::StatusOr<HeartbeatRecord> DecodeHeartbeat(std::string_view value);
absl::StatusOr<CounterRecord> DecodeCounter(std::string_view value);
absl::StatusOr<JobRecord> DecodeJob(std::string_view value);
absl::StatusOr<InodeRecord> DecodeInode(std::string_view value);
absl::StatusOr<TouchRecord> DecodeTouch(std::string_view value);
absl::StatusOr<EntryRecord> DecodeEntry(std::string_view value);
absl::StatusOr<LinkRecord> DecodeLink(std::string_view value);
absl::StatusOr<AttributeRecord> DecodeAttribute(std::string_view value);
absl::StatusOr<OrphanRecord> DecodeOrphan(std::string_view value);
absl::StatusOr<ExtentRecord> DecodeExtent(std::string_view value);

}  // namespace strata::ofs

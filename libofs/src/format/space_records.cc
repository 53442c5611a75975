// SPDX-License-Identifier: Apache-2.0
//
// The records of the filesystem, its disks and its space.
#include <algorithm>
#include <bit>
#include <set>

#include "format/key_layout.h"
#include "format/record_fields.h"
#include "format/records.h"

namespace strata::ofs {
namespace {

using absl::string_view;

// Disk, segment; for each unit.
struct PlacesCodec {
  static void Append(std::string* out, const std::vector<SegmentPlace>& places) {
    for (const SegmentPlace& place : places) {
      kv::AppendVarint(out, place.disk);
      kv::AppendVarint(out, place.segment);
    }
  }
  static void Take(kv::ByteParser* parser, std::vector<SegmentPlace>* places) {
    while (!parser->done()) {
      const uint64_t disk = parser->Varint();
      const uint64_t segment = parser->Varint();
      if (!parser->status().ok()) return;
      if (disk < 1 || disk > kMaxDisks || segment >= kMaxSegmentsPerDisk ||
          places->size() == kMaxUnits) {
        return parser->Fail("names a disk or a segment out of range");
      }
      places->push_back({static_cast<uint32_t>(disk), static_cast<uint32_t>(segment)});
    }
  }
};

// Columns since the one before, dead bytes; for each stripe.
struct PartlyDeadCodec {
  static void Append(std::string* out, const std::vector<PartlyDead>& stripes) {
    uint32_t before = 0;
    for (const PartlyDead& stripe : stripes) {
      kv::AppendVarint(out, stripe.column - before);
      kv::AppendVarint(out, stripe.dead_bytes);
      before = stripe.column;
    }
  }
  static void Take(kv::ByteParser* parser, std::vector<PartlyDead>* stripes) {
    uint64_t column = 0;
    while (!parser->done()) {
      const uint64_t step = parser->Varint();
      const uint64_t dead_bytes = parser->Varint();
      if (!parser->status().ok()) return;
      if (step > BitmapCodec::kMaxBits || (step == 0 && !stripes->empty()) || dead_bytes == 0 ||
          dead_bytes >= uint64_t{kMaxUnits} * kMaxUnitBlocks * kBlockBytes) {
        return parser->Fail("names a partly dead stripe out of range");
      }
      column += step;
      if (column >= BitmapCodec::kMaxBits) {
        return parser->Fail("names a partly dead stripe out of range");
      }
      stripes->push_back({static_cast<uint32_t>(column), static_cast<uint32_t>(dead_bytes)});
    }
  }
};

string_view WhatIsWrong(const FreedPiece& piece) {
  const uint64_t most_bytes = uint64_t{kMaxUnits} * piece.unit_blocks * kBlockBytes;
  if (piece.group == 0 || piece.unit_blocks < 1 || piece.unit_blocks > kMaxUnitBlocks ||
      uint64_t{piece.column} + 1 + piece.unit_blocks > BitmapCodec::kMaxBits ||
      piece.payload_bytes == 0 || piece.payload_bytes > most_bytes || piece.freed_bytes == 0 ||
      piece.freed_bytes > piece.payload_bytes) {
    return "names a freed piece out of range";
  }
  return "";
}

// Group, column, unit blocks, payload bytes, freed bytes, birth; for each piece.
struct FreedCodec {
  static void Append(std::string* out, const std::vector<FreedPiece>& pieces) {
    for (const FreedPiece& piece : pieces) {
      for (const uint64_t number :
           {piece.group, uint64_t{piece.column}, uint64_t{piece.unit_blocks},
            uint64_t{piece.payload_bytes}, uint64_t{piece.freed_bytes}, piece.birth}) {
        kv::AppendVarint(out, number);
      }
    }
  }
  static uint32_t Take32(kv::ByteParser* parser) {
    const uint64_t value = parser->Varint();
    if (value > ~uint32_t{0}) parser->Fail("names a freed piece out of range");
    return static_cast<uint32_t>(value);
  }
  static void Take(kv::ByteParser* parser, std::vector<FreedPiece>* pieces) {
    std::set<uint64_t> groups;
    while (!parser->done()) {
      FreedPiece piece;
      piece.group = parser->Varint();
      piece.column = Take32(parser);
      piece.unit_blocks = Take32(parser);
      piece.payload_bytes = Take32(parser);
      piece.freed_bytes = Take32(parser);
      piece.birth = parser->Varint();
      if (!parser->status().ok()) return;
      const string_view wrong = WhatIsWrong(piece);
      if (!wrong.empty()) return parser->Fail({wrong.data(), wrong.size()});
      groups.insert(piece.group);
      if (groups.size() > kMaxFreedGroups || pieces->size() == kMaxFreedPieces) {
        return parser->Fail("names more groups or pieces than a row may");
      }
      pieces->push_back(piece);
    }
  }
};

struct FormatFields {
  static constexpr kv::RecordKind kKind = {'F', 1, "format record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& format) {
    fields.Value(1, format.filesystem, BytesCodec());
    fields.Require(1);
    fields.Value(2, format.name_key, BytesCodec());
    fields.Require(2);
    fields.Integer(3, format.created_ns);
    fields.Integer(4, format.segment_bytes);
    fields.Integer(5, format.domain_depth);
    fields.Value(6, format.default_protection, ProtectionCodec());
    fields.Require(6);
  }
};

struct EpochFields {
  static constexpr kv::RecordKind kKind = {'S', 1, "epoch record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& epoch) {
    fields.Integer(1, epoch.epoch);
  }
};

struct DiskFields {
  static constexpr kv::RecordKind kKind = {'V', 1, "disk record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& disk) {
    fields.Value(1, disk.disk, BytesCodec());
    fields.Require(1);
    fields.Text(2, disk.uri);
    fields.Enum(3, disk.disk_class, DiskClass::kArchive);
    fields.Require(3);
    fields.Text(4, disk.domain);
    fields.Require(4);
    fields.Enum(5, disk.state, DiskState::kRemoved);
    fields.Require(5);
    fields.Integer(6, disk.generation);
    fields.Integer(7, disk.pool);
    fields.Integer(8, disk.segment_count);
    fields.Text(9, disk.reason);
    fields.Integer(10, disk.changed_ns);
  }
};

struct PoolFields {
  static constexpr kv::RecordKind kKind = {'v', 1, "pool record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& pool) {
    fields.Integer(1, pool.number);
    fields.Integer(2, pool.fill_limit_percent);
  }
};

struct SegmentsFields {
  static constexpr kv::RecordKind kKind = {'B', 1, "segment map"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& segments) {
    fields.Value(1, segments.taken, BitmapCodec());
    fields.Require(1);
  }
};

struct GroupFields {
  static constexpr kv::RecordKind kKind = {'G', 1, "group record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& group) {
    fields.Value(1, group.protection, ProtectionCodec());
    fields.Require(1);
    fields.Integer(2, group.pool);
    fields.Value(3, group.units, PlacesCodec());
    fields.Require(3);
    fields.Integer(4, group.generation);
    fields.Value(5, group.wanted, OptionalOf<ProtectionCodec>());
  }
};

struct AllocationFields {
  static constexpr kv::RecordKind kKind = {'A', 1, "allocation record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& allocation) {
    fields.Enum(1, allocation.state, AllocationState::kEvacuating);
    fields.Require(1);
    fields.Integer(2, allocation.owner);
    fields.Value(3, allocation.taken, BitmapCodec());
    fields.Require(3);
    fields.Value(4, allocation.partly_dead, PartlyDeadCodec());
    fields.Value(5, allocation.moving_to, PlacesCodec());
  }
};

struct FreedFields {
  static constexpr kv::RecordKind kKind = {'Z', 1, "freed record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& freed) {
    fields.Value(1, freed.pieces, FreedCodec());
    fields.Require(1);
  }
};

struct SessionFields {
  static constexpr kv::RecordKind kKind = {'N', 1, "session record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& session) {
    fields.Text(1, session.host);
    fields.Integer(2, session.process);
    fields.Integer(3, session.started_ns);
  }
};

struct HeartbeatFields {
  static constexpr kv::RecordKind kKind = {'n', 1, "heartbeat record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& heartbeat) {
    fields.Integer(1, heartbeat.beat_ns);
    fields.Integer(2, heartbeat.seen_unlink);
  }
};

struct CounterFields {
  static constexpr kv::RecordKind kKind = {'C', 1, "counter record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& counter) {
    fields.Integer(1, counter.next);
  }
};

struct JobFields {
  static constexpr kv::RecordKind kKind = {'J', 1, "job record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& job) {
    fields.Integer(1, job.next_group);
  }
};

string_view WhatIsWrongWithGroup(const GroupRecord& group) {
  if (group.pool < 1 || group.pool > kMaxPools) return "pool out of range";
  if (group.generation == 0) return "generation 0";
  if (static_cast<int>(group.units.size()) != group.protection.total_units()) {
    return "its units are not those of its protection";
  }
  std::set<uint32_t> disks;
  for (const SegmentPlace& place : group.units) disks.insert(place.disk);
  if (disks.size() != group.units.size()) return "two units on one disk";
  return "";
}

string_view WhatIsWrongWithAllocation(const AllocationRecord& allocation) {
  if ((allocation.state == AllocationState::kSealed) != (allocation.owner == 0)) {
    return "a sealed group has no owner, and each other has one";
  }
  if (!allocation.moving_to.empty() && allocation.state != AllocationState::kEvacuating) {
    return "units move, and the group is not evacuating";
  }
  if (allocation.owner > kMaxSession) return "owner out of range";
  for (const PartlyDead& stripe : allocation.partly_dead) {
    if (stripe.column >= allocation.taken.size() || !allocation.taken.Test(stripe.column)) {
      return "a partly dead stripe in a column that is free";
    }
  }
  return "";
}

}  // namespace

std::string Encode(const FormatRecord& record) { return kv::EncodeRecord<FormatFields>(record); }
std::string Encode(const EpochRecord& record) { return kv::EncodeRecord<EpochFields>(record); }
std::string Encode(const DiskRecord& record) { return kv::EncodeRecord<DiskFields>(record); }
std::string Encode(const PoolRecord& record) { return kv::EncodeRecord<PoolFields>(record); }
std::string Encode(const SegmentsRecord& record) {
  return kv::EncodeRecord<SegmentsFields>(record);
}
std::string Encode(const GroupRecord& record) { return kv::EncodeRecord<GroupFields>(record); }
std::string Encode(const AllocationRecord& record) {
  return kv::EncodeRecord<AllocationFields>(record);
}
std::string Encode(const FreedRecord& record) { return kv::EncodeRecord<FreedFields>(record); }
std::string Encode(const SessionRecord& record) { return kv::EncodeRecord<SessionFields>(record); }
std::string Encode(const HeartbeatRecord& record) {
  return kv::EncodeRecord<HeartbeatFields>(record);
}
std::string Encode(const CounterRecord& record) { return kv::EncodeRecord<CounterFields>(record); }
std::string Encode(const JobRecord& record) { return kv::EncodeRecord<JobFields>(record); }

absl::StatusOr<FormatRecord> DecodeFormat(std::string_view value) {
  return DecodeChecked<FormatFields, FormatRecord>(value, [](const FormatRecord& format) {
    const bool sane = std::has_single_bit(format.segment_bytes) &&
                      format.segment_bytes >= kMinSegmentBytes &&
                      format.segment_bytes <= kMaxSegmentBytes && format.domain_depth <= 16;
    return sane ? string_view() : string_view("values out of range");
  });
}
absl::StatusOr<EpochRecord> DecodeEpoch(std::string_view value) {
  return DecodeAny<EpochFields, EpochRecord>(value);
}
absl::StatusOr<DiskRecord> DecodeDisk(std::string_view value) {
  return DecodeChecked<DiskFields, DiskRecord>(value, [](const DiskRecord& disk) {
    const bool sane = disk.generation > 0 && disk.pool >= 1 && disk.pool <= kMaxPools &&
                      disk.segment_count >= 1 && disk.segment_count <= kMaxSegmentsPerDisk &&
                      disk.uri.size() <= kMaxUriBytes && disk.disk_class >= DiskClass::kSsd &&
                      disk.state >= DiskState::kOnline;
    return sane ? string_view() : string_view("values out of range");
  });
}
absl::StatusOr<PoolRecord> DecodePool(std::string_view value) {
  return DecodeChecked<PoolFields, PoolRecord>(value, [](const PoolRecord& pool) {
    const bool sane =
        pool.number >= 1 && pool.number <= kMaxPools && pool.fill_limit_percent <= 100;
    return sane ? string_view() : string_view("values out of range");
  });
}
absl::StatusOr<SegmentsRecord> DecodeSegments(std::string_view value) {
  return DecodeChecked<SegmentsFields, SegmentsRecord>(value, [](const SegmentsRecord& segments) {
    return segments.taken.size() <= kSegmentsPerChunk ? string_view()
                                                      : string_view("more segments than a chunk");
  });
}
absl::StatusOr<GroupRecord> DecodeGroup(std::string_view value) {
  return DecodeChecked<GroupFields, GroupRecord>(value, WhatIsWrongWithGroup);
}
absl::StatusOr<AllocationRecord> DecodeAllocation(std::string_view value) {
  return DecodeChecked<AllocationFields, AllocationRecord>(value, WhatIsWrongWithAllocation);
}
absl::StatusOr<FreedRecord> DecodeFreed(std::string_view value) {
  return DecodeAny<FreedFields, FreedRecord>(value);
}
absl::StatusOr<SessionRecord> DecodeSession(std::string_view value) {
  return DecodeAny<SessionFields, SessionRecord>(value);
}
absl::StatusOr<HeartbeatRecord> DecodeHeartbeat(std::string_view value) {
  return DecodeAny<HeartbeatFields, HeartbeatRecord>(value);
}
absl::StatusOr<CounterRecord> DecodeCounter(std::string_view value) {
  return DecodeAny<CounterFields, CounterRecord>(value);
}
absl::StatusOr<JobRecord> DecodeJob(std::string_view value) {
  return DecodeAny<JobFields, JobRecord>(value);
}

}  // namespace strata::ofs

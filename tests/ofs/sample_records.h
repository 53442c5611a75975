// SPDX-License-Identifier: Apache-2.0
//
// A value of every structure of the format, with every field set: what golden vectors and the
// fuzzer's corpus are made of.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "format/records.h"
#include "format/stripe_head.h"
#include "format/superblock.h"

namespace strata::ofs {

inline Uuid SampleUuid(uint8_t first) {
  Uuid uuid;
  for (size_t i = 0; i < uuid.size(); ++i) uuid[i] = static_cast<std::byte>(first + i);
  return uuid;
}

inline Superblock SampleSuperblock() {
  return {.filesystem = SampleUuid(0x10),
          .disk = SampleUuid(0x40),
          .generation = 7,
          .size_bytes = uint64_t{100} << 20,
          .segment_bytes = 1u << 20,
          .segment_count = 98,
          .disk_number = 3,
          .disk_class = DiskClass::kSata,
          .domain = "rack1/node2/disk3",
          .created_ns = 1'700'000'000'000'000'000};
}

inline StripeHead SampleHead() {
  StripeHead head{.filesystem = SampleUuid(0x10),
                  .group = 12,
                  .column = 33,
                  .birth = (uint64_t{5} << kBirthSequenceBits) | 9,
                  .protection = Protection::ReedSolomon(4, 2),
                  .unit_blocks = 2,
                  .payload_bytes = 30'000,
                  .records = {{.inode = 77,
                               .file_offset = 1 << 20,
                               .payload_offset = 0,
                               .stored_bytes = 20'000,
                               .raw_bytes = 20'000},
                              {.inode = 78,
                               .file_offset = 0,
                               .payload_offset = 20'000,
                               .stored_bytes = 10'000,
                               .raw_bytes = 16'384,
                               .codec = Codec::kZstd}},
                  .granule_blocks = 1};
  for (uint32_t i = 0; i < 12; ++i) head.checksums.push_back(0x01010101 * i);
  return head;
}

// The name of each kind of record, and a record.
inline std::vector<std::pair<std::string, std::string>> SampleRecords() {
  Bitmap taken(100);
  taken.Set(3, 5);
  taken.Set(64, 36);
  NameKey name_key;
  for (size_t i = 0; i < name_key.size(); ++i) name_key[i] = static_cast<std::byte>(i);
  const InodeRecord inode{.type = FileType::kRegular,
                          .mode = 04755,
                          .uid = 1000,
                          .gid = 100,
                          .link_count = 2,
                          .size_bytes = 4000,
                          .atime_ns = -1,
                          .mtime_ns = 1'700'000'000'000'000'000,
                          .ctime_ns = 3,
                          .birth_ns = 4,
                          .change = 5,
                          .subdirectory_count = 6,
                          .device = 0x801,
                          .parent = 1,
                          .name_hash = 0x7FFF'FFFF'FFFF'FFFF,
                          .quota = 8,
                          .layout = {.pool = 2,
                                     .protection = Protection::LocallyRepairable(12, 2, 2),
                                     .codec = Codec::kNone,
                                     .level = 3},
                          .trim_from = 0,
                          .inline_data = "inline",
                          .symlink_target = "",
                          .born_epoch = 9,
                          .stored_blocks = 10};
  InodeRecord symlink;
  symlink.type = FileType::kSymlink;
  symlink.symlink_target = "to/there";
  return {
      {"format", Encode(FormatRecord{.filesystem = SampleUuid(0x10),
                                     .name_key = name_key,
                                     .created_ns = 1,
                                     .segment_bytes = 1u << 20,
                                     .domain_depth = 2,
                                     .default_protection = Protection::ReedSolomon(4, 2)})},
      {"epoch", Encode(EpochRecord{.epoch = 300})},
      {"disk", Encode(DiskRecord{.disk = SampleUuid(0x40),
                                 .uri = "file:/disk3",
                                 .disk_class = DiskClass::kSata,
                                 .domain = "rack1/node2/disk3",
                                 .state = DiskState::kFailed,
                                 .generation = 2,
                                 .pool = 1,
                                 .segment_count = 98,
                                 .reason = "by the operator",
                                 .changed_ns = 5})},
      {"pool", Encode(PoolRecord{.number = 1, .fill_limit_percent = 90})},
      {"segments", Encode(SegmentsRecord{.taken = taken})},
      {"group", Encode(GroupRecord{.protection = Protection::ReedSolomon(2, 1),
                                   .pool = 1,
                                   .units = {{1, 0}, {2, 300}, {4096, 7}},
                                   .generation = 3,
                                   .wanted = Protection::ReedSolomon(4, 1)})},
      {"allocation", Encode(AllocationRecord{.state = AllocationState::kOpen,
                                             .owner = 5,
                                             .taken = taken,
                                             .partly_dead = {{3, 100}, {64, 5000}}})},
      {"moving allocation", Encode(AllocationRecord{.state = AllocationState::kEvacuating,
                                                    .owner = 5,
                                                    .taken = taken,
                                                    .moving_to = {{1, 0}, {3, 2}, {4096, 7}}})},
      {"freed",
       Encode(FreedRecord{.pieces = {{12, 33, 2, 30'000, 20'000, 9}, {13, 0, 1, 1, 1, 0}}})},
      {"session", Encode(SessionRecord{.host = "host", .process = 4242, .started_ns = 6})},
      {"heartbeat", Encode(HeartbeatRecord{.beat_ns = 7, .seen_unlink = 8})},
      {"counter", Encode(CounterRecord{.next = 65'536})},
      {"job", Encode(JobRecord{.next_group = 300})},
      {"inode", Encode(inode)},
      {"symlink", Encode(symlink)},
      {"touch", Encode(TouchRecord{.mtime_ns = 1, .ctime_ns = -2})},
      {"entry", Encode(EntryRecord{.inode = 77, .type = FileType::kDirectory})},
      {"link", Encode(LinkRecord{})},
      {"attribute", Encode(AttributeRecord{.value = "value"})},
      {"orphan", Encode(OrphanRecord{.since_ns = 9})},
      {"extent", Encode(ExtentRecord{.length_bytes = 1 << 20,
                                     .group = 12,
                                     .column = 33,
                                     .unit_blocks = 32,
                                     .stripe_count = 2,
                                     .birth = 9,
                                     .stripe_bytes = 512 << 10,
                                     .born_epoch = 2,
                                     .written_ns = 3})},
      {"compressed extent", Encode(ExtentRecord{.length_bytes = 4096,
                                                .group = 12,
                                                .column = 33,
                                                .unit_blocks = 2,
                                                .birth = 9,
                                                .stripe_bytes = 30'000,
                                                .payload_offset = 20'000,
                                                .codec = Codec::kZstd,
                                                .stored_bytes = 10'000,
                                                .raw_bytes = 16'384,
                                                .raw_offset = 4096})},
  };
}

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// What the commits of the kv store leave in regions of kind kJournal; docs/formats/dedup.md has the
// tables. A record is what one group of commits did, or a piece of a checkpoint; a long one is cut
// into parts, each of which is the payload of one region. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/kv/store.h"

namespace strata::dedup {

inline constexpr size_t kJournalHeaderBytes = 40;

// Where a record is: its sequence, and the container that holds its last part. {0, 0}: before all.
struct JournalPlace {
  uint64_t sequence = 0;
  uint64_t container_id = 0;
  friend bool operator==(const JournalPlace&, const JournalPlace&) = default;
};

// Regions of a container, first to end - 1 by their sequence.
struct RegionRange {
  uint64_t container_id = 0;
  uint32_t first = 0;
  uint32_t end = 0;
  friend bool operator==(const RegionRange&, const RegionRange&) = default;
};

enum class JournalKind : uint8_t { kCommit = 0, kCheckpoint = 1 };

struct JournalPart {
  JournalKind kind = JournalKind::kCommit;
  bool last_part = false;   // Of the record.
  bool sync = false;        // Commits: the next record was begun when this one was durable.
  bool last_piece = false;  // Checkpoints: the record is the last of the checkpoint's.
  uint32_t part = 0;
  uint32_t piece = 0;  // Checkpoints: which of its records.
  // Of a commit, the upper half counts openings. Of a checkpoint, that of the last commit in it.
  uint64_t sequence = 0;
  JournalPlace previous;                  // Commits: the record before this one.
  std::span<const std::byte> operations;  // Encoded; the parts' follow each other.
  friend bool operator==(const JournalPart& a, const JournalPart& b) {
    return a.kind == b.kind && a.last_part == b.last_part && a.last_piece == b.last_piece &&
           a.sync == b.sync && a.part == b.part && a.piece == b.piece && a.sequence == b.sequence &&
           a.previous == b.previous &&
           std::equal(a.operations.begin(), a.operations.end(), b.operations.begin(),
                      b.operations.end());
  }
};

std::vector<std::byte> EncodeJournalPart(const JournalPart& part);
// The operations are within `bytes`. DataLoss: cannot be decoded; Unimplemented: a newer format.
absl::StatusOr<JournalPart> DecodeJournalPart(std::span<const std::byte> bytes);

// Writes operations one after the other.
class JournalOperations final {
 public:
  using Kind = kv::WriteBatch::Operation::Kind;
  // First of all: the record means something only where these regions are on the device, too. They
  // were on their way when it was written.
  void AddNeeded(const RegionRange& regions);
  // `value` as in kv::WriteBatch::Operation.
  void Add(const kv::SpaceInfo& space, Kind kind, std::string_view key, std::string_view value);
  void Clear();
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string bytes_;
  std::string space_;  // Of the last operation.
};

struct JournalOperation {
  kv::WriteBatch::Operation::Kind kind;
  const kv::SpaceInfo& space;
  std::string_view key;
  std::string_view value;
};
// What AddNeeded() wrote. REQUIRES: VisitJournalOperations() decodes it, or nothing is returned.
std::vector<RegionRange> NeededRegions(std::span<const std::byte> bytes);
using JournalVisitor = std::function<absl::Status(const JournalOperation& operation)>;
// DataLoss: cannot be decoded; some operations were visited.
absl::Status VisitJournalOperations(std::span<const std::byte> bytes, const JournalVisitor& visit);

// Puts the records together again from their parts, in whatever order and how often these come.
class JournalRecords final {
 public:
  struct Commit {
    JournalPlace previous;
    bool sync = false;
    uint64_t container_id = 0;  // Of the last part; the newest, where it was copied.
    std::string operations;
  };
  struct Checkpoint {
    std::map<uint32_t, std::string> pieces;
    uint32_t piece_count = 0;  // 0: the last was not seen.
    bool complete() const { return piece_count > 0 && pieces.size() == piece_count; }
  };

  // Commits up to `after` are not kept.
  explicit JournalRecords(uint64_t after = 0) : after_(after) {}

  // DataLoss: parts that do not agree.
  void Add(const JournalPart& part, uint64_t container_id);

  const std::map<uint64_t, Commit>& commits() const { return commits_; }
  const std::map<uint64_t, Checkpoint>& checkpoints() const { return checkpoints_; }
  uint64_t newest_sequence() const { return newest_sequence_; }  // Seen, whole or not.
  // The container of the record of this sequence, which is whole; 0: none was seen. Older ones than
  // `after` count here.
  uint64_t ContainerOf(uint64_t sequence) const;
  const std::map<uint64_t, JournalPlace>& previous() const { return previous_; }

 private:
  struct Gathering {
    std::map<uint32_t, std::string> parts;
    uint32_t part_count = 0;
    JournalPlace previous;
    uint64_t container_id = 0;
    bool sync = false;
    bool last_piece = false;
  };
  using Key = std::pair<uint64_t, uint32_t>;  // Sequence, piece.

  const uint64_t after_;
  uint64_t newest_sequence_ = 0;
  std::map<uint64_t, uint64_t> containers_;
  std::map<uint64_t, JournalPlace> previous_;
  std::map<uint64_t, Commit> commits_;
  std::map<uint64_t, Checkpoint> checkpoints_;
  std::map<Key, Gathering> gathering_[2];  // By kind.
};

}  // namespace strata::dedup

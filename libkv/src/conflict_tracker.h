// SPDX-License-Identifier: Apache-2.0
//
// Remembers what recent commits wrote, and so tells whether something read earlier still holds.
//
// Single keys are answered by one hash lookup. Ranges are answered from the space's log of writes,
// newest first, which stops at the first write the reader has seen: the cost is what was written
// since the transaction began, not what is remembered.
//
// Memory is bounded. The newest kKeptWrites writes are always remembered, for watches; older ones
// as long as a transaction is open that began before them, up to kMaxWrites writes and kMaxBytes
// bytes of keys. A transaction that began before the oldest that is remembered cannot be judged any
// more.
//
// Thread safety: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "read_set.h"
#include "strata/kv/store.h"

namespace strata::kv {

class ConflictTracker {
 public:
  static constexpr size_t kKeptWrites = 16u << 10;
  static constexpr size_t kMaxWrites = 256u << 10;
  static constexpr size_t kMaxBytes = 16u << 20;

  // Knows every commit later than `version`.
  explicit ConflictTracker(uint64_t version) : forgotten_version_(version) {}

  // Whether everything in `reads`, read at `read_version`, is still so. Aborted: it is not; names
  // the key. OutOfRange: commits later than `read_version` are forgotten.
  absl::Status Check(const ReadSet& reads, uint64_t read_version) const;

  // Remembers a commit. No transaction will be judged that began before `oldest_transaction`.
  // REQUIRES: versions grow.
  void Record(uint64_t version, const WriteBatch& writes, uint64_t oldest_transaction);

  // The newest commit in (after, upto] that wrote to the range; nothing when there is none.
  std::optional<uint64_t> NewestWrite(SpaceId space, const Range& range, uint64_t after,
                                      uint64_t upto) const;

  // Commits up to this one are not remembered.
  uint64_t forgotten_version() const { return forgotten_version_; }

 private:
  struct Write {
    uint64_t version;
    uint64_t hash;
    std::string key;
  };
  struct RangeWrite {
    uint64_t version;
    Range range;
  };
  struct SpaceLog {  // Oldest first.
    std::deque<Write> writes;
    std::deque<RangeWrite> range_writes;
  };
  struct CommitSize {
    uint64_t version;
    size_t writes;
    size_t bytes;
  };

  const SpaceLog* FindLog(SpaceId space) const;
  bool MayForget(uint64_t oldest_transaction) const;
  void Forget(uint64_t oldest_transaction);

  absl::flat_hash_map<uint64_t, uint64_t> newest_by_hash_;  // HashKey -> version.
  std::vector<SpaceLog> logs_;                              // By SpaceId.
  std::deque<CommitSize> commits_;
  size_t write_count_ = 0;
  size_t key_bytes_ = 0;
  uint64_t forgotten_version_;
};

}  // namespace strata::kv

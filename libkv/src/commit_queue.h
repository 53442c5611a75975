// SPDX-License-Identifier: Apache-2.0
//
// Group commit. The commit that finds the queue empty leads: it takes all that wait, judges each in
// order against recent commits and against those before it in the group, applies the accepted ones
// as one batch with at most one flush, publishes the new state, and wakes the others.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "conflict_tracker.h"
#include "engine.h"
#include "publication.h"
#include "read_set.h"
#include "strata/base/mutex.h"
#include "strata/kv/store.h"

namespace strata::kv {

class CommitQueue {
 public:
  // A group takes no further member once it holds this much, so that a small commit does not wait
  // for an endless row of large ones.
  static constexpr size_t kMaxGroupBytes = 4u << 20;

  // REQUIRES: both outlive the queue.
  CommitQueue(Engine* engine, Publication* publication);

  // `reads` may be null: nothing is promised. Aborted, OutOfRange: a conflict, nothing was applied.
  // Any other error: the engine failed, now or earlier.
  absl::Status Commit(const WriteBatch& writes, const ReadSet* reads, uint64_t read_version,
                      Durability durability);

  // Makes commits up to `version` durable; does nothing when they are. Where a log is attached it
  // is the log that does, and commits to unlogged spaces are left out.
  absl::Status MakeDurable(uint64_t version);

  // Makes everything durable that is published, unlogged spaces included.
  absl::Status Sync();

  // As Store::AttachCommitLog().
  void AttachLog(CommitLog* log, const std::vector<SpaceId>& unlogged);

  // Whether an attached log, now or once, leaves the space out, or there is none.
  bool IsUnlogged(SpaceId space) const;

  // As Publication::WaitForWrite(), with what was committed before the call. When the commits after
  // `after_version` are no longer all remembered, the newest forgotten one counts as a write.
  std::optional<uint64_t> WaitForWrite(SpaceId space, const Range& range, uint64_t after_version,
                                       uint64_t timeout_ms);

 private:
  struct Member {
    const WriteBatch* writes;
    const ReadSet* reads;
    uint64_t read_version;
    bool sync;
    bool logged = false;    // It writes to logged spaces, and there is, or was, a log.
    bool unlogged = false;  // It writes to others.

    absl::Status status;
    bool done = false;
    CondVar wake;
  };

  std::vector<Member*> TakeGroup() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Returns whether the log took some of it.
  bool CommitGroup(const std::vector<Member*>& group);

  void Classify(Member* member) const;
  // Hands the accepted commits to the log. Those that it does not take get its error and are
  // dropped from `accepted`; the others are still to be written.
  bool AppendToLog(const std::vector<Member*>& group, std::vector<CommittedWrites>* accepted,
                   WriteBatch* also);
  absl::Status SyncLog(uint64_t version);
  absl::Status SyncEngine(uint64_t version);

  // Decides who of the group may commit, and records their writes.
  std::vector<CommittedWrites> Judge(const std::vector<Member*>& group);

  // After the engine failed nobody can tell what of the last group is on disk, so nothing more is
  // accepted until the store is opened again.
  absl::Status Failed() const;
  void SetFailed(const absl::Status& status);

  Engine* const engine_;
  Publication* const publication_;

  Mutex mutex_;
  std::deque<Member*> queue_ ABSL_GUARDED_BY(mutex_);  // The front leads.

  Mutex tracker_mutex_;
  ConflictTracker tracker_ ABSL_GUARDED_BY(tracker_mutex_);
  uint64_t last_version_ ABSL_GUARDED_BY(tracker_mutex_);

  // Changed only while nobody commits.
  CommitLog* log_ = nullptr;
  bool had_log_ = false;
  std::vector<SpaceId> unlogged_;

  std::atomic<uint64_t> durable_version_;  // By the engine.
  std::atomic<uint64_t> logged_version_;   // By the log: what goes there is durable so far.

  mutable Mutex failure_mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(failure_mutex_);
};

}  // namespace strata::kv

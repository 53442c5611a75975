// SPDX-License-Identifier: Apache-2.0
#include "commit_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/status_macros.h"

namespace strata::kv {

CommitQueue::CommitQueue(Engine* engine, Publication* publication)
    : engine_(engine),
      publication_(publication),
      tracker_(publication->version()),
      last_version_(publication->version()),
      durable_version_(publication->version()) {}

absl::Status CommitQueue::Commit(const WriteBatch& writes, const ReadSet* reads,
                                 uint64_t read_version, Durability durability) {
  STRATA_RETURN_IF_ERROR(engine_->CheckWritable());
  Member self{.writes = &writes,
              .reads = reads,
              .read_version = read_version,
              .sync = durability == Durability::kSync,
              .status = {},
              .done = false,
              .wake = {}};
  std::vector<Member*> group;
  {
    MutexLock lock(&mutex_);
    queue_.push_back(&self);
    while (!self.done && queue_.front() != &self) self.wake.Wait(&mutex_);
    if (self.done) return self.status;
    group = TakeGroup();
  }
  CommitGroup(group);
  {
    MutexLock lock(&mutex_);
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(group.size()));
    for (Member* member : group) {
      member->done = true;
      if (member != &self) member->wake.NotifyOne();
    }
    if (!queue_.empty()) queue_.front()->wake.NotifyOne();
  }
  return self.status;
}

// The members stay in the queue, so that whoever comes meanwhile waits behind them.
std::vector<CommitQueue::Member*> CommitQueue::TakeGroup() const {
  std::vector<Member*> group;
  size_t bytes = 0;
  for (Member* member : queue_) {
    bytes += member->writes->size_bytes();
    if (!group.empty() && bytes > kMaxGroupBytes) break;
    group.push_back(member);
  }
  return group;
}

void CommitQueue::CommitGroup(const std::vector<Member*>& group) {
  absl::Status failed = Failed();
  std::vector<CommittedWrites> accepted;
  if (failed.ok()) accepted = Judge(group);

  std::vector<const WriteBatch*> batches;
  for (const CommittedWrites& commit : accepted) batches.push_back(commit.writes);
  const bool sync = std::any_of(group.begin(), group.end(), [](const Member* member) {
    return member->status.ok() && member->sync;
  });
  if (failed.ok() && !batches.empty()) {
    failed = engine_->Apply(batches, sync);
    if (!failed.ok()) SetFailed(failed);
  }
  if (!failed.ok()) {
    for (Member* member : group) {
      if (member->status.ok()) member->status = failed;
    }
    return;
  }
  if (accepted.empty()) return;
  const uint64_t version = accepted.back().version;
  if (sync) RaiseDurableVersion(version);
  publication_->Publish({version, engine_->NewView()}, accepted);
}

std::vector<CommittedWrites> CommitQueue::Judge(const std::vector<Member*>& group) {
  std::vector<CommittedWrites> accepted;
  const uint64_t oldest_transaction = publication_->OldestTransaction();
  MutexLock lock(&tracker_mutex_);
  for (Member* member : group) {
    if (member->reads != nullptr) {
      member->status = tracker_.Check(*member->reads, member->read_version);
      if (!member->status.ok()) continue;
    }
    tracker_.Record(++last_version_, *member->writes, oldest_transaction);
    accepted.push_back({last_version_, member->writes});
  }
  return accepted;
}

absl::Status CommitQueue::MakeDurable(uint64_t version) {
  if (durable_version_.load(std::memory_order_acquire) >= version) return absl::OkStatus();
  STRATA_RETURN_IF_ERROR(Failed());
  const uint64_t published = publication_->version();
  if (absl::Status status = engine_->Sync(); !status.ok()) {
    SetFailed(status);
    return status;
  }
  RaiseDurableVersion(published);
  return absl::OkStatus();
}

std::optional<uint64_t> CommitQueue::WaitForWrite(SpaceId space, const Range& range,
                                                  uint64_t after_version, uint64_t timeout_ms) {
  return publication_->WaitForWrite(
      space, range, after_version, timeout_ms,
      [&](uint64_t current_version) -> std::optional<uint64_t> {
        MutexLock lock(&tracker_mutex_);
        const uint64_t remembered_after = std::max(after_version, tracker_.forgotten_version());
        const auto newest = tracker_.NewestWrite(space, range, remembered_after, current_version);
        if (newest.has_value()) return newest;
        const uint64_t forgotten = std::min(remembered_after, current_version);
        return forgotten > after_version ? std::optional<uint64_t>(forgotten) : std::nullopt;
      });
}

void CommitQueue::RaiseDurableVersion(uint64_t version) {
  uint64_t known = durable_version_.load(std::memory_order_relaxed);
  while (known < version && !durable_version_.compare_exchange_weak(known, version)) {
  }
}

absl::Status CommitQueue::Failed() const {
  MutexLock lock(&failure_mutex_);
  return failure_;
}

void CommitQueue::SetFailed(const absl::Status& status) {
  MutexLock lock(&failure_mutex_);
  if (!failure_.ok()) return;
  failure_ =
      absl::Status(status.code(),
                   absl::StrCat("the store takes no more writes since one failed; open it again: ",
                                status.message()));
}

}  // namespace strata::kv

// SPDX-License-Identifier: Apache-2.0
#include "commit_queue.h"

#include <algorithm>
#include <utility>

#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::kv {
namespace {

void Raise(std::atomic<uint64_t>* to, uint64_t version) {
  uint64_t known = to->load(std::memory_order_relaxed);
  while (known < version && !to->compare_exchange_weak(known, version)) {
  }
}

// For a log that needs something written while its caller leads a group.
class LeaderWrite final : public CommitLog::DirectWrite {
 public:
  explicit LeaderWrite(Engine* engine) : engine_(engine) {}
  absl::Status Write(const WriteBatch& batch, Durability durability) override {
    if (!status_.ok()) return status_;
    const WriteBatch* const batches[] = {&batch};
    status_ = engine_->Apply(batches, durability == Durability::kSync);
    return status_;
  }
  const absl::Status& status() const { return status_; }

 private:
  Engine* const engine_;
  absl::Status status_;
};

}  // namespace

CommitQueue::CommitQueue(Engine* engine, Publication* publication)
    : engine_(engine),
      publication_(publication),
      tracker_(publication->version()),
      last_version_(publication->version()),
      durable_version_(publication->version()),
      logged_version_(publication->version()) {}

absl::Status CommitQueue::Commit(const WriteBatch& writes, const ReadSet* reads,
                                 uint64_t read_version, Durability durability) {
  STRATA_RETURN_IF_ERROR(engine_->CheckWritable());
  Member self{.writes = &writes,
              .reads = reads,
              .read_version = read_version,
              .sync = durability == Durability::kSync,
              .logged = false,
              .unlogged = false,
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
  const bool logged = CommitGroup(group);
  {
    MutexLock lock(&mutex_);
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(group.size()));
    for (Member* member : group) {
      member->done = true;
      if (member != &self) member->wake.NotifyOne();
    }
    if (!queue_.empty()) queue_.front()->wake.NotifyOne();
  }
  if (logged) log_->Committed();
  return self.status;
}

// The members stay in the queue, so that commits that come during this wait after them.
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

bool CommitQueue::IsUnlogged(SpaceId space) const {
  return !had_log_ || std::find(unlogged_.begin(), unlogged_.end(), space) != unlogged_.end();
}

void CommitQueue::Classify(Member* member) const {
  if (!had_log_) return;
  for (const WriteBatch::Operation& operation : member->writes->operations()) {
    (IsUnlogged(operation.space) ? member->unlogged : member->logged) = true;
  }
}

bool CommitQueue::AppendToLog(const std::vector<Member*>& group,
                              std::vector<CommittedWrites>* accepted, WriteBatch* also) {
  std::vector<const WriteBatch*> commits;
  bool sync = false;
  for (const Member* member : group) {
    if (!member->status.ok() || !member->logged) continue;
    commits.push_back(member->writes);
    sync = sync || member->sync;
  }
  if (commits.empty()) return false;
  absl::Status status = absl::FailedPreconditionError("the log of this store's commits is closed");
  if (log_ != nullptr) {
    LeaderWrite direct(engine_);
    status = log_->Append(commits, sync ? Durability::kSync : Durability::kAsync, direct, also);
    if (!direct.status().ok()) SetFailed(direct.status());
  }
  if (status.ok()) {
    if (sync) Raise(&logged_version_, accepted->back().version);
    return true;
  }
  also->Clear();
  for (Member* member : group) {
    if (!member->status.ok() || !member->logged) continue;
    member->status = status;
    std::erase_if(*accepted, [member](const CommittedWrites& commit) {
      return commit.writes == member->writes;
    });
  }
  return false;
}

bool CommitQueue::CommitGroup(const std::vector<Member*>& group) {
  absl::Status failed = Failed();
  std::vector<CommittedWrites> accepted;
  WriteBatch also;
  bool logged = false;
  if (failed.ok()) {
    accepted = Judge(group);
    logged = AppendToLog(group, &accepted, &also);
    failed = Failed();
  }

  std::vector<const WriteBatch*> batches;
  for (const CommittedWrites& commit : accepted) batches.push_back(commit.writes);
  // What the log made durable the engine need not.
  const bool sync = std::any_of(group.begin(), group.end(), [](const Member* member) {
    return member->status.ok() && member->sync && (member->unlogged || !member->logged);
  });
  if (failed.ok() && !batches.empty()) {
    if (!also.operations().empty()) batches.push_back(&also);
    failed = engine_->Apply(batches, sync);
    if (!failed.ok()) SetFailed(failed);
  }
  if (!failed.ok()) {
    for (Member* member : group) {
      if (member->status.ok()) member->status = failed;
    }
    return false;
  }
  if (accepted.empty()) return false;
  const uint64_t version = accepted.back().version;
  if (sync) Raise(&durable_version_, version);
  publication_->Publish({version, engine_->NewView()}, accepted);
  return logged;
}

std::vector<CommittedWrites> CommitQueue::Judge(const std::vector<Member*>& group) {
  std::vector<CommittedWrites> accepted;
  const uint64_t oldest_transaction = publication_->OldestTransaction();
  MutexLock lock(&tracker_mutex_);
  for (Member* member : group) {
    Classify(member);
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
  return log_ != nullptr ? SyncLog(version) : SyncEngine(version);
}

absl::Status CommitQueue::Sync() {
  const uint64_t version = publication_->version();
  if (log_ != nullptr) STRATA_RETURN_IF_ERROR(SyncLog(version));
  return SyncEngine(version);
}

absl::Status CommitQueue::SyncLog(uint64_t version) {
  if (logged_version_.load(std::memory_order_acquire) >= version) return absl::OkStatus();
  STRATA_RETURN_IF_ERROR(Failed());
  const uint64_t published = publication_->version();
  STRATA_RETURN_IF_ERROR(log_->Sync());
  Raise(&logged_version_, published);
  return absl::OkStatus();
}

absl::Status CommitQueue::SyncEngine(uint64_t version) {
  if (durable_version_.load(std::memory_order_acquire) >= version) return absl::OkStatus();
  STRATA_RETURN_IF_ERROR(Failed());
  const uint64_t published = publication_->version();
  if (absl::Status status = engine_->Sync(); !status.ok()) {
    SetFailed(status);
    return status;
  }
  Raise(&durable_version_, published);
  return absl::OkStatus();
}

void CommitQueue::AttachLog(CommitLog* log, const std::vector<SpaceId>& unlogged) {
  log_ = log;
  if (!had_log_) had_log_ = true;  // A job of the log's owner may read it.
  if (log != nullptr) unlogged_ = unlogged;
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

absl::Status CommitQueue::Failed() const {
  MutexLock lock(&failure_mutex_);
  return failure_;
}

void CommitQueue::SetFailed(const absl::Status& status) {
  MutexLock lock(&failure_mutex_);
  if (!failure_.ok()) return;
  failure_ = Annotate(status, "the store takes no more writes since one failed; open it again");
}

}  // namespace strata::kv

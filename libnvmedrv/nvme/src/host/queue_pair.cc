// SPDX-License-Identifier: Apache-2.0
#include "host/queue_pair.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"

namespace strata::nvme {

QueuePair::QueuePair(std::unique_ptr<HostQueue> queue, uint16_t queue_id, uint32_t entries,
                     int64_t timeout_ns, const Clock& clock)
    : queue_(std::move(queue)),
      queue_id_(queue_id),
      timeout_ns_(timeout_ns),
      clock_(clock),
      slots_(entries) {
  // The lowest id first: what was used last is in the cache.
  for (size_t id = slots_.size(); id > 0; --id) free_ids_.push_back(static_cast<uint16_t>(id - 1));
}

QueuePair::~QueuePair() { STRATA_CHECK(in_flight_ == 0, "a queue pair with commands in flight"); }

absl::Status QueuePair::Submit(HostCommand* command) {
  STRATA_RETURN_IF_ERROR(broken_);
  STRATA_CHECK(in_flight_ < capacity(), "more commands than the queue pair holds");
  const uint16_t id = free_ids_.back();
  command->entry.Set(SubmissionEntry::kCommandId, id);
  // Every command of a fabric names its data with an SGL, admin commands and those without data
  // too.
  const uint8_t flags = command->entry.Get(SubmissionEntry::kFlags);
  command->entry.Set(SubmissionEntry::kFlags,
                     static_cast<uint8_t>((flags & ~kPsdtMask) | kPsdtSgl));
  STRATA_RETURN_IF_ERROR(queue_->Submit(command->entry, command->direction, command->data));
  free_ids_.pop_back();
  slots_[id] = command;
  ++in_flight_;
  command->abort_was_asked = false;
  command->submitted_ns = clock_.MonotonicNanos();
  command->deadline_ns = command->submitted_ns + timeout_ns_;
  if (command->has_deadline) Link(command);
  return absl::OkStatus();
}

int QueuePair::Poll(int max_completions) {
  if (queue_ == nullptr) return 0;
  std::array<CompletionEntry, 64> completions;
  int total = 0;
  // Without room for completions, too: what was submitted is sent.
  do {
    const size_t room = std::min<size_t>(completions.size(), max_completions - total);
    const int count = queue_->Poll(std::span(completions).first(room));
    for (int i = 0; i < count; ++i) {
      if (!Take(completions[static_cast<size_t>(i)])) return total + i;
    }
    total += count;
    if (static_cast<size_t>(count) < room) break;
  } while (total < max_completions);
  if (total == 0 && max_completions > 0) {
    if (absl::Status health = queue_->health(); !health.ok()) {
      const uint32_t before = in_flight_;
      Break(std::move(health));
      return static_cast<int>(before);
    }
  }
  return total;
}

bool QueuePair::Take(const CompletionEntry& completion) {
  if (queue_ == nullptr) return false;  // A callback broke it.
  const uint16_t id = completion.command_id();
  if (id >= slots_.size() || slots_[id] == nullptr) {
    Break(absl::DataLossError(absl::StrFormat(
        "queue %d: a completion for command %d, which is not outstanding", queue_id_, id)));
    return false;
  }
  End(id, Status::FromField(completion.Get(CompletionEntry::kStatus) >> 1),
      completion.Get(CompletionEntry::kResult));
  return true;
}

void QueuePair::End(uint16_t command_id, Status status, uint64_t result) {
  HostCommand* command = std::exchange(slots_[command_id], nullptr);
  if (command_id == reserved_id_) {
    is_reserved_ended_ = true;
  } else {
    free_ids_.push_back(command_id);
  }
  --in_flight_;
  if (command->has_deadline) Unlink(command);
  command->status = status;
  command->result = result;
  command->done(command);
}

void QueuePair::ReleaseId() {
  if (is_reserved_ended_) free_ids_.push_back(static_cast<uint16_t>(reserved_id_));
  reserved_id_ = -1;
  is_reserved_ended_ = false;
}

int64_t QueuePair::NextDeadline() const {
  const int64_t of_queue = queue_ == nullptr ? kNoDeadline : queue_->NextDeadlineNs();
  return oldest_ == nullptr ? of_queue : std::min(of_queue, oldest_->deadline_ns);
}

void QueuePair::Break(absl::Status reason) {
  if (broken_.ok()) broken_ = std::move(reason);
  queue_.reset();
  for (size_t id = 0; id < slots_.size(); ++id) {
    if (slots_[id] != nullptr) End(static_cast<uint16_t>(id), StatusCode::kHostPathError, 0);
  }
}

absl::Status QueuePair::health() const { return broken_; }

HostCommand* QueuePair::Overdue(int64_t now_ns) const {
  return oldest_ != nullptr && oldest_->deadline_ns <= now_ns ? oldest_ : nullptr;
}

void QueuePair::Extend(HostCommand* command, int64_t now_ns) {
  Unlink(command);
  command->deadline_ns = now_ns + timeout_ns_;
  Link(command);
}

void QueuePair::Link(HostCommand* command) {
  command->next = nullptr;
  command->previous = newest_;
  (newest_ == nullptr ? oldest_ : newest_->next) = command;
  newest_ = command;
}

void QueuePair::Unlink(HostCommand* command) {
  (command->previous == nullptr ? oldest_ : command->previous->next) = command->next;
  (command->next == nullptr ? newest_ : command->next->previous) = command->previous;
}

absl::StatusOr<int> QueuePair::EventFd() {
  STRATA_RETURN_IF_ERROR(broken_);
  return queue_->EventFd();
}

}  // namespace strata::nvme

// SPDX-License-Identifier: Apache-2.0
//
// What engines are made of: a first-in first-out list through the jobs themselves, and the counting
// of how they ended. Used under the owner's lock, or by one thread.
#pragma once

#include <cstdint>

#include "strata/ec/engine.h"

namespace strata::ec {

class JobQueue final {
 public:
  bool empty() const { return first_ == nullptr; }
  Job* front() const { return first_; }

  void Push(Job* job) {
    job->engine.next = nullptr;
    (first_ == nullptr ? first_ : last_->engine.next) = job;
    last_ = job;
  }

  // REQUIRES: not empty.
  Job* Pop() {
    Job* const job = first_;
    first_ = job->engine.next;
    return job;
  }

  // False: it is not here.
  bool Remove(Job* job) {
    Job* before = nullptr;
    for (Job* at = first_; at != nullptr; before = at, at = at->engine.next) {
      if (at != job) continue;
      (before == nullptr ? first_ : before->engine.next) = at->engine.next;
      if (last_ == at) last_ = before;
      return true;
    }
    return false;
  }

  // Moves the jobs whose deadline is past to *expired, with that status.
  void Expire(int64_t now_ns, JobQueue* expired) {
    JobQueue kept;
    while (!empty()) {
      Job* const job = Pop();
      if (job->deadline_ns >= now_ns) {
        kept.Push(job);
        continue;
      }
      job->status = absl::DeadlineExceededError("the job had not begun at its deadline");
      expired->Push(job);
    }
    *this = kept;
  }

 private:
  Job* first_ = nullptr;
  Job* last_ = nullptr;  // Meaningful when first_ is not null.
};

inline void CountSubmission(EngineStats& stats, uint32_t in_flight) {
  ++stats.submitted;
  if (in_flight > stats.most_in_flight) stats.most_in_flight = in_flight;
}

// Counts a job as its callback is about to run.
inline void CountEnd(EngineStats& stats, const Job& job, int64_t now_ns) {
  stats.in_flight_ns += now_ns - job.engine.submitted_ns;
  switch (job.status.code()) {
    case absl::StatusCode::kOk:
      ++stats.succeeded;
      stats.bytes += JobBytes(job);
      break;
    case absl::StatusCode::kCancelled:
      ++stats.cancelled;
      break;
    case absl::StatusCode::kDeadlineExceeded:
      ++stats.expired;
      break;
    default:
      ++stats.failed;
  }
}

}  // namespace strata::ec

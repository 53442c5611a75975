// SPDX-License-Identifier: Apache-2.0
//
// Threads that take work off a store's callers: compressing and decompressing regions,
// fingerprints, and entering full containers into the kv store (container_log.cc), the one job that
// does not just compute. No result ever depends on a thread getting round to it: whoever needs one
// does the job itself when nobody has begun. So a busy pool costs nothing but the help.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "strata/base/mutex.h"

namespace strata::dedup {

// Work that runs once. What it touches outlives it, or Cancel() comes first.
class Job final {
 public:
  explicit Job(std::function<void()> work) : work_(std::move(work)) {}
  bool done() const { return state_.load(std::memory_order_acquire) == State::kDone; }

 private:
  friend class WorkerPool;
  enum class State { kWaiting, kRunning, kDone };

  bool Begin() {
    State waiting = State::kWaiting;
    return state_.compare_exchange_strong(waiting, State::kRunning, std::memory_order_acq_rel);
  }

  std::atomic<State> state_{State::kWaiting};
  std::function<void()> work_;
};

class WorkerPool final {
 public:
  explicit WorkerPool(uint32_t thread_count);
  ~WorkerPool();  // REQUIRES: nobody waits for a job.

  bool has_threads() const { return !threads_.empty(); }
  size_t thread_count() const { return threads_.size(); }

  // A worker runs `job` when it is free, in the order of the calls.
  void Submit(std::shared_ptr<Job> job);

  // Runs `job` here unless somebody began it. False: somebody did.
  bool TryRun(Job& job);

  // Runs `job` here, or waits for who began it.
  void Finish(Job& job);

  // It does not run after this.
  void Cancel(Job& job);

 private:
  void Work();
  void RunBegun(Job& job);
  void WaitFor(Job& job);

  Mutex mutex_;
  CondVar submitted_;
  CondVar done_;
  std::deque<std::shared_ptr<Job>> queue_ ABSL_GUARDED_BY(mutex_);  // Some were taken back.
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
//
// The threads in which the store is called: made as they are needed, up to a number, and first come
// first served beyond it.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "strata/base/mutex.h"

namespace strata::s3 {

class WorkerPool final {
 public:
  using Job = absl::AnyInvocable<void()>;

  // REQUIRES: max_threads > 0.
  explicit WorkerPool(size_t max_threads);

  // Waits for all jobs, those in the queue too.
  ~WorkerPool();

  // The job must not throw. What Add() throws where the system has no memory, or no thread at all,
  // means that the job will not run.
  void Add(Job job);

  size_t thread_count() const;
  size_t queued_count() const;

 private:
  void Work();

  const size_t max_threads_;
  mutable Mutex mutex_;
  CondVar job_added_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  size_t idle_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
#include "containers/worker_pool.h"

namespace strata::dedup {

WorkerPool::WorkerPool(uint32_t thread_count) {
  for (uint32_t i = 0; i < thread_count; ++i) threads_.emplace_back([this] { Work(); });
}

WorkerPool::~WorkerPool() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    submitted_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Submit(std::shared_ptr<Job> job) {
  {
    MutexLock lock(&mutex_);
    queue_.push_back(std::move(job));
  }
  submitted_.NotifyOne();
}

void WorkerPool::Work() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      MutexLock lock(&mutex_);
      while (queue_.empty() && !stopping_) submitted_.Wait(&mutex_);
      if (stopping_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    TryRun(*job);
  }
}

bool WorkerPool::TryRun(Job& job) {
  if (!job.Begin()) return false;
  RunBegun(job);
  return true;
}

void WorkerPool::RunBegun(Job& job) {
  job.work_();
  job.work_ = nullptr;
  {
    MutexLock lock(&mutex_);
    job.state_.store(Job::State::kDone, std::memory_order_release);
  }
  done_.NotifyAll();
}

void WorkerPool::WaitFor(Job& job) {
  if (job.done()) return;
  MutexLock lock(&mutex_);
  while (!job.done()) done_.Wait(&mutex_);
}

void WorkerPool::Finish(Job& job) {
  if (!TryRun(job)) WaitFor(job);
}

void WorkerPool::Cancel(Job& job) {
  if (job.Begin()) {
    job.work_ = nullptr;
    job.state_.store(Job::State::kDone, std::memory_order_release);
  } else {
    WaitFor(job);
  }
}

}  // namespace strata::dedup

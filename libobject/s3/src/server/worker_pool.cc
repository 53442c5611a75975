// SPDX-License-Identifier: Apache-2.0
#include "server/worker_pool.h"

#include <exception>
#include <utility>

#include "strata/base/check.h"

namespace strata::s3 {

WorkerPool::WorkerPool(size_t max_threads) : max_threads_(max_threads) {
  STRATA_CHECK(max_threads > 0, "a pool needs a thread");
  threads_.reserve(max_threads);
}

WorkerPool::~WorkerPool() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    threads = std::move(threads_);
    job_added_.NotifyAll();
  }
  for (std::thread& thread : threads) thread.join();
}

void WorkerPool::Add(Job job) {
  MutexLock lock(&mutex_);
  STRATA_CHECK(!stopping_, "a job for a pool that is being destroyed");
  jobs_.push_back(std::move(job));
  if (jobs_.size() <= idle_count_ || threads_.size() == max_threads_) {
    job_added_.NotifyOne();
    return;
  }
  try {
    threads_.emplace_back([this] { Work(); });
  } catch (const std::exception&) {
    // The system has no more threads or memory. Those there are will come to the job.
    if (threads_.empty()) {
      jobs_.pop_back();
      throw;
    }
  }
}

void WorkerPool::Work() {
  mutex_.Lock();
  while (true) {
    while (jobs_.empty() && !stopping_) {
      ++idle_count_;
      job_added_.Wait(&mutex_);
      --idle_count_;
    }
    if (jobs_.empty()) break;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    mutex_.Unlock();
    job();
    job = nullptr;
    mutex_.Lock();
  }
  mutex_.Unlock();
}

size_t WorkerPool::thread_count() const {
  MutexLock lock(&mutex_);
  return threads_.size();
}

size_t WorkerPool::queued_count() const {
  MutexLock lock(&mutex_);
  return jobs_.size();
}

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <thread>
#include <vector>

#include "job_queue.h"
#include "strata/base/check.h"
#include "strata/base/fork.h"
#include "strata/base/mutex.h"
#include "strata/base/status_macros.h"
#include "strata/ec/engine.h"

namespace strata::ec {
namespace {

// The threads, and the jobs on their way through them.
class Pool final {
 public:
  Pool(int thread_count, const Clock& clock) : clock_(clock) {
    for (int i = 0; i < thread_count; ++i) threads_.emplace_back([this] { Work(); });
  }
  ~Pool() {
    {
      MutexLock lock(&mutex_);
      stopping_ = true;
    }
    job_added_.NotifyAll();
    for (std::thread& thread : threads_) thread.join();
  }

  void Add(Job* job) {
    {
      MutexLock lock(&mutex_);
      waiting_.Push(job);
    }
    job_added_.NotifyOne();
  }

  // At most `max_count` jobs that have ended.
  JobQueue TakeEnded(int max_count) {
    JobQueue ended;
    MutexLock lock(&mutex_);
    waiting_.Expire(clock_.MonotonicNanos(), &ended_);
    for (int i = 0; i < max_count && !ended_.empty(); ++i) ended.Push(ended_.Pop());
    return ended;
  }

  bool Cancel(Job* job) {
    MutexLock lock(&mutex_);
    if (!waiting_.Remove(job)) return false;
    job->status = absl::CancelledError("the job was cancelled");
    ended_.Push(job);
    return true;
  }

 private:
  void Work() {
    mutex_.Lock();
    while (!stopping_) {
      waiting_.Expire(clock_.MonotonicNanos(), &ended_);
      if (waiting_.empty()) {
        job_added_.Wait(&mutex_);
        continue;
      }
      Job* const job = waiting_.Pop();
      mutex_.Unlock();
      absl::Status status = RunJob(*job);
      mutex_.Lock();
      job->status = std::move(status);
      ended_.Push(job);
    }
    mutex_.Unlock();
  }

  const Clock& clock_;
  Mutex mutex_;
  CondVar job_added_;
  JobQueue waiting_ ABSL_GUARDED_BY(mutex_);
  JobQueue ended_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

class PoolEngine final : public Engine {
 public:
  explicit PoolEngine(const PoolEngineOptions& options)
      : clock_(options.clock != nullptr ? *options.clock : SystemClock()),
        max_in_flight_(std::max(options.max_in_flight, 1u)),
        pool_(std::make_unique<Pool>(std::max(options.threads, 1), clock_)) {}

  ~PoolEngine() override {
    STRATA_CHECK(in_flight() == 0, "an engine is destroyed with jobs in flight");
  }

  int Poll(int max_completions) override {
    if (pool_.InForkedChild()) return 0;
    JobQueue ended = pool_->TakeEnded(max_completions);
    int count = 0;
    for (; !ended.empty(); ++count) {
      Job* const job = ended.Pop();
      CountEnd(stats_, *job, clock_.MonotonicNanos());
      --in_flight_;
      job->done(job);
    }
    return count;
  }

  bool Cancel(Job* job) override { return !pool_.InForkedChild() && pool_->Cancel(job); }

  uint32_t in_flight() const override { return pool_.InForkedChild() ? 0 : in_flight_; }
  uint32_t max_in_flight() const override { return max_in_flight_; }
  EngineStats Stats() const override { return stats_; }

 protected:
  absl::Status DoSubmit(Job* job) override {
    STRATA_RETURN_IF_ERROR(pool_.Check());
    job->engine.submitted_ns = clock_.MonotonicNanos();
    CountSubmission(stats_, ++in_flight_);
    pool_->Add(job);
    return absl::OkStatus();
  }

  void CountRefusal() override { ++stats_.refused; }

 private:
  const Clock& clock_;
  const uint32_t max_in_flight_;
  uint32_t in_flight_ = 0;  // Like stats_: the owner's thread's.
  EngineStats stats_;
  const ParentOwned<Pool> pool_;
};

}  // namespace

std::unique_ptr<Engine> CreatePoolEngine(const PoolEngineOptions& options) {
  return std::make_unique<PoolEngine>(options);
}

}  // namespace strata::ec

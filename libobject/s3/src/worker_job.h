// SPDX-License-Identifier: Apache-2.0
//
// A coroutine's bridge to threads that may block: it starts a job on the pool and later joins it,
// reading or writing its socket meanwhile.
//
//   job.Start([&] { status = sink.Write(buffer); });
//   ... co_await connection.ReadSome(other, timeout) ...
//   co_await job.Join();
//
// Used in the executor's one thread; the job itself runs in another.
#pragma once

#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "absl/functional/any_invocable.h"
#include "strata/base/check.h"
#include "worker_pool.h"

namespace strata::s3 {

class WorkerJob final {
 public:
  WorkerJob(WorkerPool& pool, boost::asio::any_io_executor executor)
      : pool_(pool), executor_(std::move(executor)) {}
  ~WorkerJob() { STRATA_CHECK(!running_, "a job was left without Join()"); }
  WorkerJob(const WorkerJob&) = delete;
  WorkerJob& operator=(const WorkerJob&) = delete;

  // REQUIRES: the one before was joined.
  void Start(absl::AnyInvocable<void()> work) {
    STRATA_CHECK(!running_, "a job is started before the last one was joined");
    running_ = true;
    pool_.Add([this, work = std::move(work)]() mutable {
      work();
      work = nullptr;
      boost::asio::post(executor_, [this] { Done(); });
    });
  }

  boost::asio::awaitable<void> Join() {
    if (!running_) co_return;
    auto keep = [this](auto handler) {
      resume_ = [handler = std::move(handler)]() mutable { std::move(handler)(); };
    };
    co_await boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void()>(
        keep, boost::asio::use_awaitable);
  }

 private:
  void Done() {
    running_ = false;
    if (!resume_) return;
    absl::AnyInvocable<void()> resume = std::move(resume_);
    resume_ = nullptr;
    resume();
  }

  WorkerPool& pool_;
  const boost::asio::any_io_executor executor_;
  bool running_ = false;
  absl::AnyInvocable<void()> resume_;
};

}  // namespace strata::s3

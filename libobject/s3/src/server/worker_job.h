// SPDX-License-Identifier: Apache-2.0
//
// A coroutine's bridge to threads that may block: it starts a job on the pool and later joins it,
// reading or writing its socket meanwhile.
//
//   job.Start([&] { status = sink.Write(buffer); });
//   ... co_await connection.ReadSome(other, timeout) ...
//   co_await job.Join();
//
// What the work throws, Join() throws again: it never leaves a worker.
// Used in the executor's one thread; the job itself runs in another.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <new>
#include <thread>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "absl/functional/any_invocable.h"
#include "server/worker_pool.h"
#include "strata/base/check.h"

namespace strata::s3 {

class WorkerJob final {
  // Shared with the work, which may end after an exception has ended the owner of the job.
  struct State {
    std::atomic<bool> running{false};  // The work may use what it refers to.
    bool pending = false;              // Until the executor knows that it has ended.
    std::exception_ptr failure;        // What the work threw.
    absl::AnyInvocable<void()> resume;
  };

 public:
  // Keeps an exception from leaving a scope that the work still refers to: the destructor blocks
  // until the work has ended. It is declared after all that the work refers to. Where the job is
  // joined before the scope ends, as it is without an exception, it costs nothing.
  class Guard final {
   public:
    explicit Guard(const WorkerJob& job) : state_(job.state_) {}
    ~Guard() { state_->running.wait(true); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    const std::shared_ptr<State> state_;
  };

  // The pool ends before the executor's context: after Join() has returned, a worker may still be
  // on its way out of posting to it.
  WorkerJob(WorkerPool& pool, boost::asio::any_io_executor executor)
      : pool_(pool), executor_(std::move(executor)) {}
  ~WorkerJob() { state_->running.wait(true); }
  WorkerJob(const WorkerJob&) = delete;
  WorkerJob& operator=(const WorkerJob&) = delete;

  // REQUIRES: the one before was joined.
  void Start(absl::AnyInvocable<void()> work) {
    STRATA_CHECK(!state_->pending, "a job is started before the last one was joined");
    WorkerPool::Job job = [state = state_, executor = executor_, work = std::move(work)]() mutable {
      try {
        work();
      } catch (...) {
        state->failure = std::current_exception();
      }
      work = nullptr;
      state->running = false;
      state->running.notify_all();
      PostDone(executor, state);
    };
    state_->pending = state_->running = true;
    try {
      pool_.Add(std::move(job));
    } catch (...) {
      state_->pending = state_->running = false;
      throw;
    }
  }

  // Throws what the work threw.
  boost::asio::awaitable<void> Join() {
    if (state_->pending) {
      auto keep = [this](auto handler) {
        state_->resume = [handler = std::move(handler)]() mutable { std::move(handler)(); };
      };
      co_await boost::asio::async_initiate<decltype(boost::asio::use_awaitable), void()>(
          keep, boost::asio::use_awaitable);
    }
    if (state_->failure) std::rethrow_exception(std::exchange(state_->failure, nullptr));
  }

 private:
  static void PostDone(const boost::asio::any_io_executor& executor,
                       const std::shared_ptr<State>& state) {
    while (true) {
      try {
        boost::asio::post(executor, [state] { Done(*state); });
        return;
      } catch (const std::bad_alloc&) {
        // A session waits for this. Memory will be there again.
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
  }

  static void Done(State& state) {
    state.pending = false;
    if (!state.resume) return;
    absl::AnyInvocable<void()> resume = std::move(state.resume);
    state.resume = nullptr;
    resume();
  }

  WorkerPool& pool_;
  const boost::asio::any_io_executor executor_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace strata::s3

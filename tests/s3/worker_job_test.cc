// SPDX-License-Identifier: Apache-2.0
//
// What a coroutine sees of work that throws, and what work sees of a coroutine that does.
#include "server/worker_job.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

// GCC 12 takes the coroutine frames' own pair of operators for a mismatch.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace strata::s3 {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> JoinThrows(WorkerPool& pool, asio::io_context& io, std::string& seen) {
  WorkerJob job(pool, io.get_executor());
  job.Start([] { throw std::runtime_error("the store"); });
  try {
    co_await job.Join();
  } catch (const std::exception& error) {
    seen = error.what();
  }
  // The job can be used again.
  bool ran = false;
  job.Start([&ran] { ran = true; });
  co_await job.Join();
  if (!ran) seen = "the second job did not run";
}

TEST_CASE("what work throws in a worker is thrown where it is joined") {
  asio::io_context io(1);
  WorkerPool pool(1);  // Ends before `io`, which a worker may still be posting to.
  std::string seen;
  asio::co_spawn(io, JoinThrows(pool, io, seen), asio::detached);
  io.run();
  CHECK(seen == "the store");
}

asio::awaitable<void> LeaveByException(WorkerPool& pool, asio::io_context& io,
                                       std::atomic<bool>& go, bool& ended_in_time) {
  struct Watch {
    ~Watch() { in_time = ended; }
    bool& in_time;
    std::atomic<bool> ended{false};
  };
  WorkerJob job(pool, io.get_executor());
  try {
    Watch watch{ended_in_time};
    const WorkerJob::Guard guard(job);
    job.Start([&watch, &go] {
      go.wait(false);
      watch.ended = true;
    });
    throw std::runtime_error("a session");
  } catch (const std::exception&) {
  }
  co_await job.Join();
}

TEST_CASE("an exception does not leave a scope that work still uses") {
  asio::io_context io(1);
  WorkerPool pool(1);  // Ends before `io`, which a worker may still be posting to.
  std::atomic<bool> go{false};
  bool ended_in_time = false;
  asio::co_spawn(io, LeaveByException(pool, io, go, ended_in_time), asio::detached);
  std::thread later([&go] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    go = true;
    go.notify_all();
  });
  io.run();
  later.join();
  CHECK(ended_in_time);
}

}  // namespace
}  // namespace strata::s3

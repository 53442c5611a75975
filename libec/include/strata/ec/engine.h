// SPDX-License-Identifier: Apache-2.0
//
// An Engine runs coding jobs beside its caller's other work: submit, poll, and the
// job's callback runs. How many jobs may be in flight is bounded; a job can have a deadline and can
// be cancelled. CreatePoolEngine() is worker threads of this process; remote_engine.h hands jobs to
// an accelerator.
//
//   std::unique_ptr<Engine> engine = CreatePoolEngine({.threads = 2});
//   Job job{.kind = JobKind::kEncode,
//           .code = code,
//           .data = data,
//           .parity = parity,
//           .done = &OnDone,
//           .context = done};
//   STRATA_RETURN_IF_ERROR(engine->Submit(&job));
//   while (engine->in_flight() > 0) engine->Poll(32);
//
// A forked child has no use of its parent's engines: Submit() fails there with FailedPrecondition,
// what was in flight never ends, and destroying them waits for nothing.
//
// Thread safety: an Engine is used by one thread at a time, whatever threads it has inside.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "strata/base/clock.h"
#include "strata/base/export.h"
#include "strata/ec/code.h"

namespace strata::ec {

enum class JobKind : uint8_t { kEncode, kVerify, kReconstruct };  // As the calls of Code.

inline constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();

// One call of a Code. The caller owns it, its spans and their memory until `done` has run; engines
// allocate nothing for it.
struct Job {
  JobKind kind = JobKind::kEncode;
  const Code* code = nullptr;
  std::span<const ConstBytes> data{};  // kEncode, kVerify.
  std::span<const Bytes> parity{};     // kEncode: written. kVerify: read.
  std::span<const Bytes> shards{};     // kReconstruct.
  ShardSet present{};                  // kReconstruct.

  // On the engine's clock, MonotonicNanos(). A job that has not begun by then does not begin.
  int64_t deadline_ns = kNoDeadline;

  // Runs exactly once, from Engine::Poll(). It may submit, this job too; it may not Poll().
  void (*done)(Job*) = nullptr;
  void* context = nullptr;  // The caller's.

  // Set before `done` runs: what the call of the Code returned, or Cancelled, or DeadlineExceeded;
  // after those two, what was to be written holds anything.
  absl::Status status{};

  // The engine's while in flight.
  struct EngineState {
    Job* next = nullptr;
    int64_t submitted_ns = 0;
    uint32_t word = 0;
  } engine{};
};

// Runs the job here and now and returns what its `status` would be. Ignores deadline and callback.
STRATA_EXPORT absl::Status RunJob(const Job& job);

// Bytes that the job's shards have together; what models and statistics count.
STRATA_EXPORT uint64_t JobBytes(const Job& job);

// Since the engine was made. submitted = succeeded + failed + cancelled + expired + in flight.
struct EngineStats {
  uint64_t submitted = 0;
  uint64_t refused = 0;  // Not submitted: the engine was full.
  uint64_t succeeded = 0;
  uint64_t failed = 0;       // The call of the Code was an error.
  uint64_t cancelled = 0;    // By Cancel().
  uint64_t expired = 0;      // Did not begin, or end remotely, before the deadline.
  uint64_t bytes = 0;        // JobBytes() of those that succeeded.
  uint64_t remote = 0;       // Succeeded and failed ones that a remote encoder ran.
  uint64_t fallbacks = 0;    // Jobs that went to the local engine because the remote one failed.
  int64_t in_flight_ns = 0;  // From Submit() to the end, all jobs together.
  uint32_t most_in_flight = 0;
};

class STRATA_EXPORT Engine {
 public:
  virtual ~Engine() = default;  // REQUIRES: no job in flight.

  // Starts *job. OK: job->done runs exactly once, later, from Poll(). Error: it never runs.
  // InvalidArgument: a job without code or callback; shards that do not fit the code are found out
  // when it runs. ResourceExhausted: max_in_flight() jobs are in flight, Poll() first.
  // FailedPrecondition: the engine is a parent process's.
  absl::Status Submit(Job* job);

  // Runs up to `max_completions` callbacks; never waits. Returns how many ran.
  virtual int Poll(int max_completions) = 0;

  // True: *job, which is in flight, ends with Cancelled. False: too late, it ends as it ends. Its
  // callback runs either way. REQUIRES: the job is in flight in this engine.
  virtual bool Cancel(Job* job) = 0;

  virtual uint32_t in_flight() const = 0;
  virtual uint32_t max_in_flight() const = 0;
  virtual EngineStats Stats() const = 0;

 protected:
  // REQUIRES: the job has code and callback, and there is room for it. Error: it never runs.
  virtual absl::Status DoSubmit(Job* job) = 0;
  virtual void CountRefusal() = 0;
};

struct PoolEngineOptions {
  int threads = 1;               // At least 1.
  uint32_t max_in_flight = 256;  // At least 1.
  const Clock* clock = nullptr;  // Null: SystemClock().
};

// Worker threads, which live as long as the engine. A job that has begun cannot be cancelled.
STRATA_EXPORT std::unique_ptr<Engine> CreatePoolEngine(const PoolEngineOptions& options);

}  // namespace strata::ec

// SPDX-License-Identifier: Apache-2.0
//
// An Engine over an encoder that is not this CPU: a DPU, a card, another machine. RemoteEncoder is
// the place where one is plugged in; the loopback one stands in for it and models its time. When
// the encoder fails, jobs go to a local engine.
//
// What the loopback encoder models: a fixed latency per job, a rate at which bytes are taken, how
// many jobs it holds at once, and failures that the caller decides on. What it does not: copying to
// and from a device, its memory limits, several queues, jitter, or interference with this CPU; the
// arithmetic is done by this CPU, in Poll(), when the time is up. Use it to shape the software
// around an accelerator, not to predict one's speed.
//
// Thread safety: everything here is used by one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/clock.h"
#include "strata/base/export.h"
#include "strata/ec/engine.h"

namespace strata::ec {

class STRATA_EXPORT RemoteEncoder {
 public:
  struct Result {
    uint64_t ticket = 0;
    absl::Status status{};  // As RunJob() would return; any other error: the encoder failed.
  };

  virtual ~RemoteEncoder() = default;

  // Takes a job, whose spans stay valid until its result was polled or it was abandoned.
  // ResourceExhausted: it holds as many as it can, ask again later. Any other error: it failed.
  virtual absl::Status Begin(uint64_t ticket, const Job& job) = 0;

  // Appends the results of jobs that have ended. Never waits.
  virtual void Poll(std::vector<Result>* results) = 0;

  // Forgets a job: once this returns its memory is not touched and its result never comes.
  virtual void Abandon(uint64_t ticket) = 0;
};

struct LoopbackEncoderOptions {
  int64_t latency_ns = 10'000;    // From Begin() to the result of a job of no bytes.
  uint64_t bytes_per_second = 0;  // JobBytes() beyond that take time too. 0: they do not.
  uint32_t max_jobs = 16;         // Held at once.
  const Clock* clock = nullptr;   // Null: SystemClock().
  std::function<absl::Status(const Job&)> fault{};  // Asked as a job ends; an error is its result.
};
STRATA_EXPORT std::unique_ptr<RemoteEncoder> CreateLoopbackEncoder(LoopbackEncoderOptions options);

struct RemoteEngineOptions {
  RemoteEncoder* remote = nullptr;  // Outlives the engine.
  std::unique_ptr<Engine> local{};  // Runs what the remote encoder failed at.
  uint32_t max_in_flight = 256;     // At least 1.

  // After so many failures in a row the remote encoder gets no jobs for a while.
  uint32_t failures_before_rest = 3;
  int64_t rest_ns = 1'000'000'000;
  const Clock* clock = nullptr;  // Null: SystemClock().
};
// Jobs go to the remote encoder in the order they came. A result of Unavailable, Internal, Aborted,
// Unknown, ResourceExhausted or DeadlineExceeded means that the encoder failed, and the job is run
// locally; OK, InvalidArgument and DataLoss are the job's own. A job is cancelled, and expires,
// until its result is there. InvalidArgument: no remote encoder or no local engine.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<Engine>> CreateRemoteEngine(
    RemoteEngineOptions options);

}  // namespace strata::ec

// SPDX-License-Identifier: Apache-2.0
//
// The channel of a device that works inside Poll(): requests wait in a list, in order, and the
// device executes them one by one. What is left to the device is Execute().
//
// Thread safety: as a Channel: one thread at a time.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "request_queue.h"
#include "strata/base/check.h"
#include "strata/base/fork.h"
#include "strata/base/status_macros.h"
#include "strata/block/device.h"
#include "wakeup.h"

namespace strata::block {

class QueuedChannel : public Channel {
 public:
  // `geometry` and `opener` belong to the device, which outlives the channel.
  QueuedChannel(const Geometry& geometry, const ProcessMark& opener, uint32_t queue_depth)
      : geometry_(geometry), opener_(opener), queue_depth_(queue_depth) {}
  ~QueuedChannel() override {
    STRATA_CHECK(in_flight() == 0, "channel destroyed with I/O in flight");
  }
  QueuedChannel(const QueuedChannel&) = delete;
  QueuedChannel& operator=(const QueuedChannel&) = delete;

  int Poll(int max_completions) final {
    if (opener_.InForkedChild()) return 0;
    int completions = 0;
    while (completions < max_completions && !queue_.empty()) {
      Request* request = Next(queue_);
      Execute(request);
      --in_flight_;
      ++completions;
      request->done(request);
    }
    if (queue_.empty()) wakeup_.Clear();
    return completions;
  }

  absl::StatusOr<int> EventFd() final {
    STRATA_RETURN_IF_ERROR(opener_.Check());
    absl::StatusOr<int> fd = wakeup_.Fd();
    if (!queue_.empty()) wakeup_.Signal();
    return fd;
  }

  absl::Status RegisterMemory(std::span<std::byte>) override {
    return absl::UnimplementedError("the device gains nothing from registered memory");
  }

  uint32_t in_flight() const final { return opener_.InForkedChild() ? 0 : in_flight_; }
  const Geometry& geometry() const final { return geometry_; }

 protected:
  absl::Status DoSubmit(Request* request) final {
    STRATA_RETURN_IF_ERROR(opener_.Check());
    if (in_flight_ == queue_depth_) return absl::ResourceExhaustedError("queue full");
    ++in_flight_;
    Arrived(request);
    queue_.Push(request);
    wakeup_.Signal();
    return absl::OkStatus();
  }

  // The request was accepted and will be executed later.
  virtual void Arrived(Request* /*request*/) {}

  // Takes the request that is executed next out of `queue`, which is not empty.
  virtual Request* Next(RequestQueue& queue) { return queue.Pop(); }

  // Carries the request out and sets its status.
  virtual void Execute(Request* request) = 0;

 private:
  const Geometry& geometry_;
  const ProcessMark& opener_;
  const uint32_t queue_depth_;
  uint32_t in_flight_ = 0;
  RequestQueue queue_;
  Wakeup wakeup_;
};

}  // namespace strata::block

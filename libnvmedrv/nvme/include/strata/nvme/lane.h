// SPDX-License-Identifier: Apache-2.0
//
// One thread's way to the namespaces of a subsystem: its channels to their devices, shared by all
// queues that live on that thread, and the namespace table that they see.
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Lane> lane, subsystem->OpenLane({}));
//   for (;;) {               // A round of a worker.
//     lane->Poll(256);
//     ReadSockets();         // DeviceQueue::Start().
//   }
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "strata/base/export.h"

namespace strata::nvme {

struct LaneOptions {
  // Most requests in flight to one namespace; further commands wait in the lane.
  uint32_t channel_depth = 256;
};

class STRATA_EXPORT Lane {
 public:
  virtual ~Lane() = default;  // REQUIRES: its queues are destroyed.

  // Takes over the newest namespace table, then runs the callbacks of commands that have ended, at
  // most about `max_completions`. Never blocks. Returns how many ran.
  virtual int Poll(int max_completions) = 0;

  // A descriptor that is readable when Poll() may have something to do; Poll() clears it, as
  // block::Channel::EventFd(). Created by the first call, owned by the lane.
  virtual absl::StatusOr<int> EventFd() = 0;

  // Commands that have been started and have not ended.
  virtual uint32_t in_flight() const = 0;
};

}  // namespace strata::nvme

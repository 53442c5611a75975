// SPDX-License-Identifier: Apache-2.0
//
// How a host reaches a controller: its properties and its queues. The loop, PCIe and each fabric
// are transports; nvme::Controller drives any of them.
//
// A transport moves entries and data and understands neither: command ids, deadlines and statuses
// are the controller's affair.
//
// Thread safety: Transport: any thread. A HostQueue is used by one thread at a time.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/nvme/device_queue.h"
#include "strata/nvme/subsystem.h"
#include "strata/nvme/wire/entries.h"
#include "strata/nvme/wire/registers.h"

namespace strata::nvme {

struct TransportLimits {
  uint32_t max_transfer_bytes = 0xffffffff;
  uint32_t max_segments = 128;
  uint32_t buffer_alignment_bytes = 1;  // Of each segment's address.
};

struct QueueOptions {
  uint16_t queue_id = 0;
  uint32_t entries = 0;
  // I/O queues: how much data a command capsule carries, as Identify Controller says (IOCCSZ,
  // ICDOFF).
  uint32_t capsule_data_bytes = 0;
  // The admin queue: the controller may end when it hears nothing for so long. 0: never.
  uint32_t keep_alive_ms = 0;
};

class STRATA_EXPORT HostQueue {
 public:
  // Commands without a completion are forgotten: when the destructor returns, nothing reads or
  // writes their memory any more.
  virtual ~HostQueue() = default;

  // Whether the queue takes commands. Where a connect is an exchange of messages the queue is
  // handed over at once and opens in Poll(), or breaks within a time of its own.
  virtual bool is_open() const { return true; }

  // Hands a command over. Its id is below the queue's number of entries and not outstanding.
  // REQUIRES: is_open(). Unavailable: the queue is of no more use, and no byte of the command has
  // left.
  virtual absl::Status Submit(const SubmissionEntry& entry, DataDirection direction,
                              std::span<const block::Segment> data) = 0;

  // Takes completions, at most as many as there is room for. Never blocks. Nothing is promised of
  // their content: the peer wrote it.
  virtual int Poll(std::span<CompletionEntry> completions) = 0;

  // As block::Channel::EventFd().
  virtual absl::StatusOr<int> EventFd() = 0;

  // Why the queue is of no more use, or OK.
  virtual absl::Status health() const = 0;

  // When Poll() has something to do though the descriptor is quiet; of the clock's
  // MonotonicNanos().
  virtual int64_t NextDeadlineNs() const { return std::numeric_limits<int64_t>::max(); }
};

class STRATA_EXPORT Transport {
 public:
  virtual ~Transport() = default;  // REQUIRES: its queues are destroyed.

  virtual std::string name() const = 0;
  virtual TransportLimits limits() const = 0;

  // Properties are registers, which are read and written without waiting. False, on a fabric: the
  // controller sends Property Get and Property Set on the admin queue and calls neither of the two
  // functions below.
  virtual bool has_registers() const = 0;
  // REQUIRES: has_registers(), and the admin queue is open.
  virtual absl::StatusOr<uint64_t> ReadProperty(Property property) = 0;
  virtual absl::Status WriteProperty(Property property, uint64_t value) = 0;

  // The admin queue of a controller, which may be another one after each call. REQUIRES: there is
  // no queue. Never blocks. Unavailable: it cannot be reached; PermissionDenied: it does not admit
  // this host. A queue that opens later breaks with the same codes.
  virtual absl::StatusOr<std::unique_ptr<HostQueue>> OpenAdminQueue(
      const QueueOptions& options) = 0;

  // REQUIRES: the controller is enabled. Never blocks.
  virtual absl::StatusOr<std::unique_ptr<HostQueue>> OpenQueue(const QueueOptions& options) = 0;
};

}  // namespace strata::nvme

// SPDX-License-Identifier: Apache-2.0
//
// The device's end of a queue: where a transport hands a host's commands to the device model.
//
//   const Plan plan = queue->Examine(entry);       // What will it move? Nothing has happened yet.
//   if (!plan.status.ok()) return Respond(entry, plan.status);
//   command.entry = entry;
//   command.namespace_serial = plan.namespace_serial;
//   command.data = BufferOf(plan.data_bytes);      // From the pool, or filled by the transport.
//   command.done = &Respond;
//   queue->Start(&command);
//   lane->Poll(64);                                // Runs `done` of whatever has ended.
//
// Thread safety: a DeviceQueue belongs to its Lane, and both are used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/block/buffer.h"
#include "strata/block/device.h"
#include "strata/nvme/status.h"
#include "strata/nvme/wire/entries.h"

namespace strata::nvme {

class NamespaceChannel;
class QueueModel;

enum class DataDirection : uint8_t { kNone, kToHost, kToDevice };

// What a command moves, or why it is refused.
struct Plan {
  Status status{};
  DataDirection direction = DataDirection::kNone;
  uint32_t data_bytes = 0;
  uint64_t namespace_serial = 0;  // Of an I/O command; tells a namespace from a later one.
};

// One command under way. The caller owns it and its data until `done` has run.
struct Command {
  SubmissionEntry entry{};

  // Plan::data_bytes in all, as Examine() said. To the device: filled by the caller. Memory aligned
  // to 4096 bytes, in segments of whole blocks, is used as it is; other memory costs a copy.
  std::span<const block::Segment> data{};

  // That memory may hold what this host must not see. A read from a device that leaves memory as it
  // is gets zeroes first.
  bool data_held_others = false;

  // That of the plan. When another namespace has taken the NSID since, the command is refused:
  // its data were sent for the one that was there. 0: the command takes what is there.
  uint64_t namespace_serial = 0;

  // Runs exactly once, from Lane::Poll(). It may start commands, this one too; it may not Poll().
  void (*done)(Command*) = nullptr;
  void* context = nullptr;  // The caller's.

  // Set before `done` runs.
  Status status{};
  uint64_t result = 0;  // Dwords 0 and 1 of the completion entry.

  // The device model's while in flight.
  struct DriverState {
    Command* next = nullptr;
    QueueModel* queue = nullptr;
    NamespaceChannel* channel = nullptr;
    block::Request request{};
    block::Segment segment{};  // The copy of data that the device cannot take as it is.
    block::Buffer buffer{};
    uint32_t step = 0;     // Of a command that takes several requests.
    uint64_t bytes = 0;    // What it moves, for counters and limits.
    int64_t begin_ns = 0;  // When the channel took it.
  } driver{};
};

class STRATA_EXPORT DeviceQueue {
 public:
  // REQUIRES: in_flight() == 0: Close(), then Poll() the lane until then.
  virtual ~DeviceQueue() = default;

  // Looks at an entry and changes nothing.
  virtual Plan Examine(const SubmissionEntry& entry) const = 0;

  // Starts *command, which ends with a status of its own, the one that Examine() gave or would give
  // now among them. Allocates nothing, but for Verify and for data that must be copied.
  // REQUIRES: fewer commands in flight than the queue has entries; is_open().
  virtual void Start(Command* command) = 0;

  // Nothing more is started. Commands that wait for something other than a device's I/O end with
  // kAbortedQueueDeleted: events, limits, full channels.
  virtual void Close() = 0;
  virtual bool is_open() const = 0;

  // False once the controller was reset, lost its admin queue, or lost its host the permission to
  // connect: the transport closes the queue.
  virtual bool is_alive() const = 0;

  virtual uint32_t in_flight() const = 0;
  virtual uint16_t id() const = 0;  // 0: the admin queue.
  virtual uint16_t controller_id() const = 0;

  // Admin queue: properties by their offset, as Property Get and Property Set do it.
  virtual Status ReadProperty(uint32_t offset, uint32_t size_bytes, uint64_t* value) const = 0;
  virtual Status WriteProperty(uint32_t offset, uint32_t size_bytes, uint64_t value) = 0;

  // Admin queue: the host sent nothing within its Keep Alive timeout.
  virtual bool KeepAliveExpired() const = 0;
};

}  // namespace strata::nvme

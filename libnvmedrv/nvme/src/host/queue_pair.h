// SPDX-License-Identifier: Apache-2.0
//
// The host's end of a queue pair: command ids, deadlines, and distrust. A completion is believed
// when its command id is outstanding; anything else breaks the queue.
//
// All commands of a queue have the same time to end, so that the deadlines stand in the order in
// which the commands were submitted: a list is the wheel.
//
// Thread safety: one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "strata/base/clock.h"
#include "strata/nvme/status.h"
#include "strata/nvme/transport.h"

namespace strata::nvme {

// One command of the host. The caller owns it and its data until `done` has run.
struct HostCommand {
  SubmissionEntry entry{};
  DataDirection direction = DataDirection::kNone;
  std::span<const block::Segment> data{};
  bool has_deadline = true;  // An event request has none.
  void (*done)(HostCommand*) = nullptr;
  void* context = nullptr;

  // Set before `done` runs. kHostPathError: the queue broke or was closed under the command.
  Status status{};
  uint64_t result = 0;

  // The queue pair's while in flight.
  HostCommand* previous = nullptr;
  HostCommand* next = nullptr;
  int64_t submitted_ns = 0;
  int64_t deadline_ns = 0;
  bool abort_was_asked = false;
};

class QueuePair {
 public:
  QueuePair(std::unique_ptr<HostQueue> queue, uint16_t queue_id, uint32_t entries,
            int64_t timeout_ns, const Clock& clock);
  // REQUIRES: in_flight() == 0.
  ~QueuePair();

  // Most commands at once: one less than entries, as a ring of them holds.
  uint32_t capacity() const { return static_cast<uint32_t>(slots_.size()) - 1; }
  uint32_t in_flight() const { return in_flight_; }
  uint16_t id() const { return queue_id_; }

  // Commands can be submitted. A transport may need some polls until then.
  bool is_open() const { return queue_ != nullptr && queue_->is_open(); }

  // REQUIRES: is_open(), in_flight() < capacity(). Unavailable: the queue is broken; `done` will
  // not run.
  absl::Status Submit(HostCommand* command);

  // Runs callbacks. When the queue breaks in it, those of all commands run, with kHostPathError.
  int Poll(int max_completions);

  static constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();
  // When the next command is overdue, or the transport wants to be polled; else kNoDeadline.
  int64_t NextDeadline() const;
  // The oldest command whose deadline has passed, or null.
  HostCommand* Overdue(int64_t now_ns) const;
  // Gives the command as long again.
  void Extend(HostCommand* command, int64_t now_ns);

  // Keeps the command's id out of use when the command ends: an Abort names it, which must not meet
  // another command. One id at a time; there is one more of them than commands.
  // REQUIRES: nothing is reserved.
  void ReserveId(const HostCommand& command) { reserved_id_ = command.entry.command_id(); }
  void ReleaseId();

  // Ends all commands with kHostPathError. Their memory is the callers' again first.
  void Break(absl::Status reason);
  // Why the queue is broken, or OK.
  absl::Status health() const;

  absl::StatusOr<int> EventFd();

 private:
  bool Take(const CompletionEntry& completion);
  void Unlink(HostCommand* command);
  void Link(HostCommand* command);
  void End(uint16_t command_id, Status status, uint64_t result);

  std::unique_ptr<HostQueue> queue_;
  const uint16_t queue_id_;
  const int64_t timeout_ns_;
  const Clock& clock_;
  std::vector<HostCommand*> slots_;  // By command id; null: no command.
  std::vector<uint16_t> free_ids_;
  HostCommand* oldest_ = nullptr;
  HostCommand* newest_ = nullptr;
  uint32_t in_flight_ = 0;
  int32_t reserved_id_ = -1;
  bool is_reserved_ended_ = false;  // The command of that id has ended.
  absl::Status broken_;
};

}  // namespace strata::nvme

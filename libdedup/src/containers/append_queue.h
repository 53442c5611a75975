// SPDX-License-Identifier: Apache-2.0
//
// Appends bytes to a device, many appends to a write and many writes at a time, and flushes the
// device for everybody who waits: one flush serves all whose bytes were appended before it began.
// No thread is needed: callers drive the I/O.
//
// An append has a position; positions grow: appended >= staged (every byte was copied to where it
// is written from) >= completed >= durable. After a failed write or flush nobody knows what the
// device holds: the queue refuses everything from then on.
//
// Thread safety: callers hold the mutex that the queue was given; calls that wait give it up while
// they do.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/log.h"
#include "strata/base/mutex.h"
#include "strata/block/buffer.h"
#include "strata/block/device.h"

namespace strata::dedup {

class AppendQueue final {
 public:
  struct Options {
    block::Device* device = nullptr;
    Mutex* mutex = nullptr;
    uint32_t block_bytes = 0;  // Writes are multiples of this.
    size_t most_append_bytes = 0;
    LogSink log;
    // Everything up to `position` is durable; called with the mutex held, before anybody who waits
    // for it is told.
    std::function<void(uint64_t position)> on_durable;
  };
  static absl::StatusOr<std::unique_ptr<AppendQueue>> Create(const Options& options);
  ~AppendQueue();  // REQUIRES: Drain() was called, and nobody is inside.

  // Waits for the writes in flight. What nobody waited for may be lost.
  void Drain();

  // Whether bytes at this place continue those that were appended last, so that they may begin
  // inside a block.
  bool Continues(uint64_t device_offset) const;

  // Gives the next append its position. Its bytes follow by Stage(), all of them before
  // MarkStaged() and before the mutex is given up.
  uint64_t Begin() { return ++appended_; }
  absl::Status Stage(uint64_t device_offset, std::span<const std::byte> bytes);
  void MarkStaged(uint64_t position);

  // Writes out what is staged, without waiting.
  absl::Status Submit();
  // Submits a discard after the writes before it.
  absl::Status Discard(block::Lba lba, uint32_t block_count);

  // Too many writes are in flight for another append; waits until one is done.
  bool full() const { return in_flight_.size() >= kMaxInFlight; }
  absl::Status WaitForCompletion();

  // Everything appended up to `position` is on stable media when this returns. `flushed`: set when
  // this call flushed the device.
  absl::Status WaitDurable(uint64_t position, bool* flushed);

  uint64_t appended() const { return appended_; }
  uint64_t durable() const { return durable_; }
  uint64_t flush_count() const { return flushes_.load(std::memory_order_relaxed); }

  // OK as long as nothing has failed.
  const absl::Status& failure() const { return failure_; }
  // Nothing more is appended, for `what` failed.
  absl::Status Fail(const char* what, const absl::Status& cause);

 private:
  // A run of blocks on its way to the device, or, without a buffer, one that is given back.
  struct Write {
    block::Buffer buffer;
    uint64_t device_offset = 0;
    size_t filled_bytes = 0;
    uint64_t position = 0;  // Everything up to here lies in this write or an earlier one.
    block::Request request;
    block::Segment segment;
    bool done = false;
  };
  static constexpr size_t kMaxInFlight = 8;

  explicit AppendQueue(const Options& options);

  absl::Status Start(std::unique_ptr<Write> write, const char* what);
  std::unique_ptr<Write> NewWrite(uint64_t device_offset);
  void Poll();

  const Options options_;
  const size_t write_bytes_;  // Most bytes of one write.

  CondVar changed_;
  absl::Status failure_;
  std::unique_ptr<block::Channel> channel_;
  int event_fd_ = -1;
  uint64_t appended_ = 0;
  uint64_t staged_ = 0;
  uint64_t completed_ = 0;
  uint64_t durable_ = 0;
  std::unique_ptr<Write> staging_;
  std::deque<std::unique_ptr<Write>> in_flight_;
  std::vector<std::unique_ptr<Write>> idle_writes_;
  bool sleeping_ = false;  // Somebody waits on event_fd_ for everybody.
  bool flushing_ = false;
  std::unique_ptr<block::Channel> flush_channel_;  // Of who set flushing_.
  std::atomic<uint64_t> flushes_{0};
};

}  // namespace strata::dedup

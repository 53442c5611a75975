// SPDX-License-Identifier: Apache-2.0
//
// The device side of one controller: properties, features, events, the error log and counters.
//
// Thread safety: what is atomic or guarded may be used by any thread; the rest belongs to the
// thread of the admin queue.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "device/command_table.h"
#include "statistics/counters.h"
#include "strata/base/mutex.h"
#include "strata/nvme/subsystem.h"
#include "strata/nvme/wire/log_pages.h"
#include "strata/nvme/wire/registers.h"

namespace strata::nvme {

// What one queue did. Its lane's thread writes, any thread reads.
struct QueueCounters {
  Counter reads;
  Counter writes;
  Counter read_bytes;
  Counter written_bytes;
  Counter errors;
  Counter media_errors;

  void NoteRead(uint64_t bytes) {
    reads.Add(1);
    read_bytes.Add(bytes);
  }
  void NoteWrite(uint64_t bytes) {
    writes.Add(1);
    written_bytes.Add(bytes);
  }
};

struct CounterTotals {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  uint64_t errors = 0;
  uint64_t media_errors = 0;
  void Add(const QueueCounters& counters);
};

// Set by Set Features; back to these values when the controller is reset.
struct FeatureValues {
  uint32_t arbitration = 0x7;  // No limit of a burst.
  uint32_t power_management = 0;
  uint32_t temperature_over = 0xffff;
  uint32_t temperature_under = 0;
  uint32_t error_recovery = 0;
  uint32_t write_atomicity = 0;
  uint32_t async_events = 0;
  uint32_t queue_count = 0xfffefffe;  // Of each kind, 0-based; the subsystem bounds it.
};

class ControllerModel {
 public:
  ControllerModel(uint16_t id, const ConnectArguments& arguments, const SubsystemOptions& options,
                  const Clock& clock);

  const uint16_t id;
  const std::string host_nqn;
  const std::array<std::byte, 16> host_id;
  const FabricTraits traits;
  const std::string local_address;
  const SubsystemOptions& options;
  const Clock& clock;
  const int64_t created_ns;

  ControllerKind kind() const {
    return options.discovery == nullptr ? ControllerKind::kIo : ControllerKind::kDiscovery;
  }

  // Properties.
  uint64_t Capabilities() const;
  uint32_t configuration() const { return configuration_.load(std::memory_order_acquire); }
  uint32_t status() const { return status_.load(std::memory_order_acquire); }
  bool is_ready() const { return csts::kReady.Of(status()) != 0; }
  void SetConfiguration(uint32_t value);

  // Counts resets: an I/O queue lives as long as the epoch in which it was connected.
  uint32_t epoch() const { return epoch_.load(std::memory_order_acquire); }
  // The admin queue is gone, or its host may not connect any more. Any thread.
  void End();
  bool has_ended() const { return has_ended_.load(std::memory_order_acquire); }

  FeatureValues features;
  std::atomic<bool> write_cache_enabled{true};
  std::atomic<uint32_t> keep_alive_ms;
  std::atomic<int64_t> last_heard_ns;

  // The host has been told of no change since it last read the log.
  void NoteChanged(uint32_t nsid) ABSL_LOCKS_EXCLUDED(mutex_);
  // The discovery log has changed.
  void NoteDiscoveryChange() ABSL_LOCKS_EXCLUDED(mutex_);
  // A notice of either is due: true once, until the log has been read.
  bool TakeNotice() ABSL_LOCKS_EXCLUDED(mutex_);
  // The changed namespaces in order; `clears` them and lets the next change be told.
  std::vector<uint32_t> ChangedNamespaces(bool clears) ABSL_LOCKS_EXCLUDED(mutex_);
  void ClearEvents() ABSL_LOCKS_EXCLUDED(mutex_);

  static constexpr size_t kErrorEntries = 64;
  void NoteError(ErrorLogEntry entry) ABSL_LOCKS_EXCLUDED(mutex_);
  // Newest first.
  std::array<ErrorLogEntry, kErrorEntries> Errors() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t error_count() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Queues that exist, with the admin queue.
  bool AddQueue(uint16_t queue_id, const QueueCounters* counters) ABSL_LOCKS_EXCLUDED(mutex_);
  // Returns how many are left.
  size_t RemoveQueue(uint16_t queue_id, const QueueCounters* counters) ABSL_LOCKS_EXCLUDED(mutex_);
  size_t queue_count() const ABSL_LOCKS_EXCLUDED(mutex_);
  CounterTotals Totals() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct QueueRecord {
    uint16_t id;
    const QueueCounters* counters;
  };

  std::atomic<uint32_t> configuration_{0};
  std::atomic<uint32_t> status_{0};
  std::atomic<uint32_t> epoch_{0};
  std::atomic<bool> has_ended_{false};

  mutable Mutex mutex_;
  std::vector<uint32_t> changed_ ABSL_GUARDED_BY(mutex_);  // Ordered.
  bool too_many_changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool notice_is_due_ ABSL_GUARDED_BY(mutex_) = false;
  bool notice_was_sent_ ABSL_GUARDED_BY(mutex_) = false;
  std::array<ErrorLogEntry, kErrorEntries> errors_ ABSL_GUARDED_BY(mutex_);
  uint64_t error_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<QueueRecord> queues_ ABSL_GUARDED_BY(mutex_);
  CounterTotals ended_queues_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::nvme

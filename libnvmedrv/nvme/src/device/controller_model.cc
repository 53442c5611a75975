// SPDX-License-Identifier: Apache-2.0
#include "device/controller_model.h"

#include <algorithm>

namespace strata::nvme {

void CounterTotals::Add(const QueueCounters& counters) {
  reads += counters.reads.value();
  writes += counters.writes.value();
  read_bytes += counters.read_bytes.value();
  written_bytes += counters.written_bytes.value();
  errors += counters.errors.value();
  media_errors += counters.media_errors.value();
}

ControllerModel::ControllerModel(uint16_t controller_id, const ConnectArguments& arguments,
                                 const SubsystemOptions& subsystem_options,
                                 const Clock& subsystem_clock)
    : id(controller_id),
      host_nqn(arguments.host_nqn),
      host_id(arguments.host_id),
      traits(arguments.traits),
      local_address(arguments.local_address),
      options(subsystem_options),
      clock(subsystem_clock),
      created_ns(subsystem_clock.MonotonicNanos()),
      keep_alive_ms(arguments.keep_alive_ms),
      last_heard_ns(created_ns) {
  // Noting an event or a queue must not allocate while I/O runs.
  MutexLock lock(&mutex_);
  changed_.reserve(kMostChangedNamespaces);
  queues_.reserve(options.max_io_queues + 1);
}

uint64_t ControllerModel::Capabilities() const {
  return cap::kMaxQueueEntries0based.At(options.max_queue_entries - 1) |
         cap::kContiguousQueues.At(1) | cap::kTimeout500ms.At(20) |
         cap::kCommandSets.At(1 << 0 | 1 << 6) | cap::kReadyModes.At(1);
}

void ControllerModel::SetConfiguration(uint32_t value) {
  const bool was_enabled = cc::kEnable.Of(configuration()) != 0;
  const bool is_enabled = cc::kEnable.Of(value) != 0;
  configuration_.store(value, std::memory_order_release);
  if (was_enabled && !is_enabled) {
    epoch_.fetch_add(1, std::memory_order_acq_rel);
    status_.store(0, std::memory_order_release);
    features = FeatureValues{};
    write_cache_enabled.store(true, std::memory_order_relaxed);
    ClearEvents();
    return;
  }
  uint32_t status = this->status();
  if (!was_enabled && is_enabled) {
    const uint64_t command_set = cc::kCommandSet.Of(value);
    const bool is_valid = (command_set == 0 || command_set == 6) && cc::kPageSize.Of(value) == 0 &&
                          cc::kArbitration.Of(value) == 0 &&
                          cc::kSubmissionEntrySize.Of(value) == 6 &&
                          cc::kCompletionEntrySize.Of(value) == 4;
    status = static_cast<uint32_t>(is_valid ? csts::kReady.At(1) : csts::kFatal.At(1));
  }
  // The devices' flushes are the host's business: nothing is left to do at a shutdown.
  if (cc::kShutdown.Of(value) != 0) {
    status = static_cast<uint32_t>((status & ~csts::kShutdown.mask()) | csts::kShutdown.At(2));
  }
  status_.store(status, std::memory_order_release);
}

void ControllerModel::End() {
  has_ended_.store(true, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_acq_rel);
  status_.store(0, std::memory_order_release);
}

void ControllerModel::NoteChanged(uint32_t nsid) {
  MutexLock lock(&mutex_);
  notice_is_due_ = true;
  if (too_many_changed_) return;
  const auto at = std::lower_bound(changed_.begin(), changed_.end(), nsid);
  if (at != changed_.end() && *at == nsid) return;
  if (changed_.size() == kMostChangedNamespaces) {
    too_many_changed_ = true;
    changed_.clear();
    return;
  }
  changed_.insert(at, nsid);
}

void ControllerModel::NoteDiscoveryChange() {
  MutexLock lock(&mutex_);
  notice_is_due_ = true;
}

bool ControllerModel::TakeNotice() {
  MutexLock lock(&mutex_);
  if (!notice_is_due_ || notice_was_sent_) return false;
  notice_is_due_ = false;
  notice_was_sent_ = true;
  return true;
}

std::vector<uint32_t> ControllerModel::ChangedNamespaces(bool clears) {
  MutexLock lock(&mutex_);
  std::vector<uint32_t> changed = changed_;
  if (too_many_changed_) changed = {0xffffffff};
  if (clears) {
    changed_.clear();
    too_many_changed_ = false;
    notice_is_due_ = false;
    notice_was_sent_ = false;
  }
  return changed;
}

void ControllerModel::ClearEvents() { (void)ChangedNamespaces(true); }

void ControllerModel::NoteError(ErrorLogEntry entry) {
  MutexLock lock(&mutex_);
  entry.Set(ErrorLogEntry::kErrorCount, ++error_count_);
  errors_[error_count_ % kErrorEntries] = entry;
}

std::array<ErrorLogEntry, ControllerModel::kErrorEntries> ControllerModel::Errors() const {
  MutexLock lock(&mutex_);
  std::array<ErrorLogEntry, kErrorEntries> newest_first{};
  for (uint64_t i = 0; i < std::min<uint64_t>(error_count_, kErrorEntries); ++i) {
    newest_first[i] = errors_[(error_count_ - i) % kErrorEntries];
  }
  return newest_first;
}

uint64_t ControllerModel::error_count() const {
  MutexLock lock(&mutex_);
  return error_count_;
}

bool ControllerModel::AddQueue(uint16_t queue_id, const QueueCounters* counters) {
  MutexLock lock(&mutex_);
  for (const QueueRecord& queue : queues_) {
    if (queue.id == queue_id) return false;
  }
  queues_.push_back({queue_id, counters});
  return true;
}

size_t ControllerModel::RemoveQueue(uint16_t queue_id, const QueueCounters* counters) {
  MutexLock lock(&mutex_);
  std::erase_if(queues_, [queue_id](const QueueRecord& queue) { return queue.id == queue_id; });
  ended_queues_.Add(*counters);
  return queues_.size();
}

size_t ControllerModel::queue_count() const {
  MutexLock lock(&mutex_);
  return queues_.size();
}

CounterTotals ControllerModel::Totals() const {
  MutexLock lock(&mutex_);
  CounterTotals totals = ended_queues_;
  for (const QueueRecord& queue : queues_) totals.Add(*queue.counters);
  return totals;
}

}  // namespace strata::nvme

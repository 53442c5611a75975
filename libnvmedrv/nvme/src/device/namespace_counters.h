// SPDX-License-Identifier: Apache-2.0
//
// What the commands to a namespace did. Each lane has counters of its own, so that no two threads
// write to one cache line; a reader adds them up.
//
//   auto ledger = std::make_shared<NamespaceLedger>();        // One per namespace.
//   NamespaceCounters counters(ledger);                       // One per lane and device.
//   counters.NoteEnd(IoKind::kRead, {}, 4096, 15'000);
//   ledger->Read();
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "statistics/counters.h"
#include "strata/base/mutex.h"
#include "strata/nvme/statistics.h"
#include "strata/nvme/status.h"

namespace strata::nvme {

class NamespaceCounters;

inline bool IsMediaError(Status status) {
  return status.type() == 2 && status.code() != StatusCode::kCompareFailure;
}

// Thread safety: any thread.
class NamespaceLedger {
 public:
  // Never less than an earlier call gave.
  NamespaceStatistics Read() const;

 private:
  friend class NamespaceCounters;

  mutable Mutex mutex_;
  std::vector<const NamespaceCounters*> counters_ ABSL_GUARDED_BY(mutex_);
  NamespaceStatistics ended_ ABSL_GUARDED_BY(mutex_);  // Of counters that are gone.
};

// Thread safety: its lane's thread; AddTo() any thread.
class alignas(64) NamespaceCounters {
 public:
  explicit NamespaceCounters(std::shared_ptr<NamespaceLedger> ledger) : ledger_(std::move(ledger)) {
    MutexLock lock(&ledger_->mutex_);
    ledger_->counters_.push_back(this);
  }
  // What it counted stays in the ledger.
  ~NamespaceCounters() {
    MutexLock lock(&ledger_->mutex_);
    AddTo(&ledger_->ended_);
    std::erase(ledger_->counters_, this);
  }
  NamespaceCounters(const NamespaceCounters&) = delete;
  NamespaceCounters& operator=(const NamespaceCounters&) = delete;

  // `bytes`: of the blocks that the command named.
  void NoteEnd(IoKind kind, Status status, uint64_t bytes, int64_t latency_ns) {
    Kind& counters = by_kind_[static_cast<size_t>(kind)];
    counters.latency_ns.Add(static_cast<uint64_t>(std::max<int64_t>(latency_ns, 0)));
    counters.latency.Add(latency_ns);
    if (status.ok() || status.code() == StatusCode::kCompareFailure) [[likely]] {
      counters.bytes.Add(bytes);
    } else {
      NoteError(&counters, status);
    }
  }

  // No device was there to give the command to.
  void NoteUnserved(IoKind kind, Status status) {
    Kind& counters = by_kind_[static_cast<size_t>(kind)];
    counters.unserved.Add(1);
    NoteError(&counters, status);
  }

  void AddTo(NamespaceStatistics* sum) const {
    for (size_t kind = 0; kind < kIoKinds; ++kind) {
      IoStatistics& total = sum->by_kind[kind];
      LatencyHistogram latency;
      by_kind_[kind].latency.AddTo(&latency);
      total.commands += latency.count + by_kind_[kind].unserved.value();
      total.bytes += by_kind_[kind].bytes.value();
      total.errors += by_kind_[kind].errors.value();
      total.latency_ns += by_kind_[kind].latency_ns.value();
      total.latency.Add(latency);
    }
    sum->media_errors += media_errors_.value();
  }

 private:
  struct Kind {
    Counter bytes, latency_ns, errors;
    Counter unserved;         // Without a latency.
    LatencyCounters latency;  // Of all others, and how many they are.
  };

  void NoteError(Kind* counters, Status status) {
    counters->errors.Add(1);
    if (IsMediaError(status)) media_errors_.Add(1);
  }

  std::array<Kind, kIoKinds> by_kind_;
  Counter media_errors_;
  const std::shared_ptr<NamespaceLedger> ledger_;
};

inline NamespaceStatistics NamespaceLedger::Read() const {
  MutexLock lock(&mutex_);
  NamespaceStatistics sum = ended_;
  for (const NamespaceCounters* counters : counters_) counters->AddTo(&sum);
  return sum;
}

}  // namespace strata::nvme

// SPDX-License-Identifier: Apache-2.0
#include "stream_totals.h"

#include <memory>
#include <string>
#include <utility>

#include "stream_records.h"

namespace strata::dedup {

StreamTotals::Change::Change(StreamTotals* totals) : totals_(totals) {
  MutexLock lock(&totals_->mutex_);
  while (totals_->waiting_) totals_->may_begin_.Wait(&totals_->mutex_);
  ++totals_->changing_;
}

StreamTotals::Change::~Change() {
  MutexLock lock(&totals_->mutex_);
  if (--totals_->changing_ == 0) totals_->idle_.NotifyAll();
}

void StreamTotals::Change::Committed(const Totals& added, const Totals& removed) {
  MutexLock lock(&totals_->mutex_);
  totals_->totals_.stream_count += added.stream_count - removed.stream_count;
  totals_->totals_.logical_bytes += added.logical_bytes - removed.logical_bytes;
}

StreamTotals::Totals StreamTotals::Get(kv::Store& kv, kv::SpaceId streams, const LogSink& log) {
  std::unique_ptr<kv::Snapshot> snapshot;
  Totals before;
  {
    MutexLock lock(&mutex_);
    while (waiting_) may_begin_.Wait(&mutex_);
    if (counted_) return totals_;
    // A snapshot and what was committed up to it: no commit may be in between.
    waiting_ = true;
    while (changing_ > 0) idle_.Wait(&mutex_);
    snapshot = kv.NewSnapshot();
    before = totals_;
    waiting_ = false;
    may_begin_.NotifyAll();
  }
  Totals found;
  const auto warn = [&log](const std::string& what) {
    Log(log, LogLevel::kWarning, "dedup: not counted: " + what);
  };
  const absl::Status status = ForEachReadableStream(
      *snapshot, streams,
      [&found](const StreamId&, const StreamRecord& record) {
        ++found.stream_count;
        found.logical_bytes += record.size_bytes;
        return absl::OkStatus();
      },
      warn);
  if (!status.ok()) warn(std::string(status.message()));
  MutexLock lock(&mutex_);
  if (!counted_) {
    totals_.stream_count += found.stream_count - before.stream_count;
    totals_.logical_bytes += found.logical_bytes - before.logical_bytes;
    counted_ = true;
  }
  return totals_;
}

}  // namespace strata::dedup

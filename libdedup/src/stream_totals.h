// SPDX-License-Identifier: Apache-2.0
//
// How many streams there are, and how long they are together. Opening a store counts nothing: the
// first question does, and from then on commits keep the answer right.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>

#include "strata/base/log.h"
#include "strata/base/mutex.h"
#include "strata/kv/store.h"

namespace strata::dedup {

class StreamTotals final {
 public:
  struct Totals {
    uint64_t stream_count = 0;
    uint64_t logical_bytes = 0;
  };

  // A commit that changes streams, from before it begins until it is through.
  class Change final {
   public:
    explicit Change(StreamTotals* totals);
    ~Change();
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
    void Committed(const Totals& added, const Totals& removed);

   private:
    StreamTotals* const totals_;
  };

  // Reads all stream records, the first time. What cannot be read is not counted.
  Totals Get(kv::Store& kv, kv::SpaceId streams, const LogSink& log);

 private:
  Mutex mutex_;
  CondVar idle_;
  CondVar may_begin_;
  int changing_ ABSL_GUARDED_BY(mutex_) = 0;
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;  // For changing_ to be 0.
  bool counted_ ABSL_GUARDED_BY(mutex_) = false;
  // Counts modulo 2^64: until all are counted more may be removed than were added.
  Totals totals_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::dedup

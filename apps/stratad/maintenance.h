// SPDX-License-Identifier: Apache-2.0
//
// The upkeep that a running appliance does by itself, in one thread: it reaps what aborted uploads
// left, and collects garbage at intervals or when enough has been deleted; in the modes that leave
// equal chunks for later it folds them on the way, also when enough has come in.
//
// When to collect is a pure decision over figures (CollectionDue), so that it can be tested.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "appliance/appliance.h"
#include "strata/base/log.h"

namespace strata::appliance {

// The figures a decision needs: dedup::Stats, and the monotonic clock.
struct StorageFigures {
  uint64_t now_ns = 0;
  uint64_t logical_bytes = 0;
  uint64_t ingested_bytes = 0;  // Since the store was opened.
  uint64_t deferred_bytes = 0;  // They await their compression.
};

struct CollectionPlan {
  uint64_t interval_s = 0;  // 0: never.
  double garbage_ratio = 0.2;
  // What came in may be stored already, or awaits its compression: it is a reason as good as what
  // was deleted.
  bool leaves_work = false;
};

// Why a collection is due, given the figures at the end of the last one (or at the start); empty:
// it is not. `last_known`: false when they are those of the start: what was deleted before is not
// known, so the first interval always ends in a collection.
std::string CollectionDue(const CollectionPlan& plan, const StorageFigures& last, bool last_known,
                          const StorageFigures& now);

class Maintenance {
 public:
  // The appliance outlives it.
  static std::unique_ptr<Maintenance> Start(Appliance* appliance, LogSink log);

  // Ends the thread. REQUIRES: Appliance::Stop() was called, which ends the work in progress.
  virtual ~Maintenance() = default;
};

}  // namespace strata::appliance

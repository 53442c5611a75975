// SPDX-License-Identifier: Apache-2.0
//
// Stripes in which readers found something wrong, until they are repaired.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <set>
#include <utility>

#include "strata/base/mutex.h"
#include "stripes/damage.h"

namespace strata::ofs {

class RepairQueue final {
 public:
  static constexpr size_t kMaxStripes = 4096;  // A scrub finds those beyond.

  void Add(const StripeName& stripe) {
    MutexLock lock(&mutex_);
    if (stripes_.size() < kMaxStripes) stripes_.insert(stripe);
  }
  std::set<StripeName> TakeAll() {
    MutexLock lock(&mutex_);
    return std::exchange(stripes_, {});
  }

 private:
  Mutex mutex_;
  std::set<StripeName> stripes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::ofs

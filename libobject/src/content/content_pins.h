// SPDX-License-Identifier: Apache-2.0
//
// Which manifests are being read. The streams of a removed manifest wait in the reap queue until
// nobody pins it, so that a reader of ten thousand parts need not open them all beforehand.
// Thread-safe.
#pragma once

#include <map>

#include "records/key_layout.h"
#include "strata/base/fork.h"
#include "strata/base/mutex.h"

namespace strata::object {

class ContentPins final {
 public:
  void Pin(const RecordId& manifest_id) {
    MutexLock lock(&mutex_);
    ++counts_[manifest_id];
  }

  // REQUIRES: a Pin() without its Unpin().
  void Unpin(const RecordId& manifest_id) {
    if (opener_.InForkedChild()) return;  // The lock may be held for ever.
    MutexLock lock(&mutex_);
    const auto at = counts_.find(manifest_id);
    if (--at->second == 0) counts_.erase(at);
  }

  bool IsPinned(const RecordId& manifest_id) const {
    MutexLock lock(&mutex_);
    return counts_.contains(manifest_id);
  }

 private:
  const ProcessMark opener_;
  mutable Mutex mutex_;
  std::map<RecordId, int> counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::object

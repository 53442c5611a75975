// SPDX-License-Identifier: Apache-2.0
//
// The erasure code of each protection, made once.
//
// Thread safety: any thread; a code never changes.
#pragma once

#include <map>
#include <memory>

#include "absl/status/statusor.h"
#include "strata/base/mutex.h"
#include "strata/ec/code.h"
#include "strata/ofs/types.h"

namespace strata::ofs {

class Codes final {
 public:
  // Null for a mirror, whose units are copies: Reed-Solomon with k = 1 scales them.
  // The code lives as long as this.
  absl::StatusOr<const ec::Code*> Find(const Protection& protection);

 private:
  Mutex mutex_;
  std::map<Protection, std::unique_ptr<ec::Code>> made_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// The process's heap, which glibc keeps larger than it need be.
#pragma once

#include <memory>

namespace strata::appliance {

// glibc gives up to eight heaps to each processor, and what one of them has freed the others do not
// use: after gigabytes of requests that is half of the process. Call it before the first thread.
void LimitHeaps();

// While it lives, memory that was freed returns to the system within seconds. glibc by itself gives
// back only what lies at the end of a heap, which one small allocation prevents.
class HeapTrimmer {
 public:
  static std::unique_ptr<HeapTrimmer> Start();
  virtual ~HeapTrimmer() = default;
};

}  // namespace strata::appliance

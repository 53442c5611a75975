// SPDX-License-Identifier: Apache-2.0
#include "stratad/heap.h"

#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <thread>

#include "stratad/interruptible_sleep.h"

namespace strata::appliance {
namespace {

constexpr uint64_t kIntervalNs = 10'000'000'000;

// Below this there is nothing to be gained: the next requests would ask for the pages again.
constexpr size_t kMinFreeBytes = 8 << 20;

class TrimmerThread final : public HeapTrimmer {
 public:
  TrimmerThread() : thread_([this] { Run(); }) {}
  ~TrimmerThread() override {
    sleep_.End();
    thread_.join();
  }

 private:
  void Run() {
    while (sleep_.Sleep(kIntervalNs)) {
      // Freed and still the process's, in the heaps as a whole.
      if (mallinfo2().fordblks >= kMinFreeBytes) malloc_trim(0);
    }
  }

  InterruptibleSleep sleep_;
  std::thread thread_;
};

}  // namespace

void LimitHeaps() {
  mallopt(M_ARENA_MAX, static_cast<int>(std::max(2u, std::thread::hardware_concurrency())));
  // glibc raises this by itself, up to 32 MiB, to the largest block that was freed: then documents
  // and large buffers are pieces of a heap, and tear holes into it.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

std::unique_ptr<HeapTrimmer> HeapTrimmer::Start() { return std::make_unique<TrimmerThread>(); }

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// Brings redundancy back while a filesystem is in use, at a limited rate, in a thread of its own.
#pragma once

#include <cstdint>
#include <thread>

#include "strata/base/log.h"
#include "strata/base/mutex.h"
#include "strata/ofs/maintenance.h"

namespace strata::appliance {

struct BackgroundHealingOptions {
  uint64_t bytes_per_second = 100u << 20;  // At most so much is written. 0: nothing is healed.
  LogSink log{};
};

class BackgroundHealing final {
 public:
  // `maintenance` outlives it.
  BackgroundHealing(ofs::Maintenance* maintenance, BackgroundHealingOptions options);
  ~BackgroundHealing() { Stop(); }

  // Ends the thread after the step that it is at.
  void Stop();

 private:
  void Work();
  // Whether to go on after so long.
  bool Pause(int64_t nanos);

  ofs::Maintenance* const maintenance_;
  const BackgroundHealingOptions options_;
  Mutex mutex_;
  CondVar stopping_;
  bool must_stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace strata::appliance

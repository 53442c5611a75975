// SPDX-License-Identifier: Apache-2.0
//
// Shows how far a long command is: one line on a terminal, redrawn; nothing elsewhere. Used by one
// thread.
#pragma once

#include <chrono>
#include <string>

#include "strata/dedup/store.h"

namespace strata::appliance {

class ProgressLine final {
 public:
  explicit ProgressLine(bool wanted);
  ~ProgressLine() { Clear(); }

  void Show(const dedup::Progress& progress);
  void Clear();

 private:
  const bool wanted_;  // And stderr is a terminal.
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

// "[#####     ]  50 %  phase  1 of 2"
std::string FormatProgress(const dedup::Progress& progress);

}  // namespace strata::appliance

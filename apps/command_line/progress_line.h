// SPDX-License-Identifier: Apache-2.0
//
// Shows how far a long command is: one line on a terminal, redrawn, never longer than the terminal
// is wide; nothing elsewhere. Used by one thread.
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
  std::string phase_;
  std::chrono::steady_clock::time_point phase_begin_{};
};

// "[#####     ]  50 %  sweep  1 of 2" or, of phases that count bytes,
// "[#####     ]  50 %  ingesting  1.0 GiB of 2.0 GiB  512.0 MiB/s". After the first second of a
// phase with the time that is left at its pace: "  2 s left".
std::string FormatProgress(const dedup::Progress& progress, double elapsed_s = 0);

}  // namespace strata::appliance

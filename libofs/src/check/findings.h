// SPDX-License-Identifier: Apache-2.0
//
// What a check found, kept within limits.
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <string>

#include "strata/ofs/check.h"

namespace strata::ofs {

class Findings final {
 public:
  static constexpr size_t kMaxOfKind = 100;

  explicit Findings(CheckReport* report) : report_(*report) {}

  void Add(FindingKind kind, std::string text);

 private:
  CheckReport& report_;
};

}  // namespace strata::ofs

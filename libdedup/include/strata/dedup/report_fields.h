// SPDX-License-Identifier: Apache-2.0
//
// The numbers of Stats and of the reports with their names, for programs that show all of them: a
// new number is spelled in its struct, in this table, and nowhere else.
//
//   for (const StatsField& field : StatsFields()) Print(field.name, stats.*field.member);
//
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "strata/base/export.h"
#include "strata/dedup/types.h"

namespace strata::dedup {

struct StatsField {
  enum class Kind : uint8_t {
    kStored,  // What is stored now.
    kTotal,   // Since the store was opened.
    kCalls,   // A total of calls; the field after it is the time that they took, in ns.
    kTimeNs,
  };

  uint64_t Stats::*member = nullptr;
  Kind kind = Kind::kStored;
  const char* name = "";    // The member's.
  const char* label = "";   // In answers of programs; empty: they leave it out.
  const char* metric = "";  // In Prometheus' text, after a prefix, without "_total".
  const char* help = "";
};

// Every member of Stats once.
STRATA_EXPORT std::span<const StatsField> StatsFields();

template <typename Report>
struct ReportField {
  uint64_t Report::*member = nullptr;
  const char* name = "";
};

// Every number of the report once; its lists are left out.
STRATA_EXPORT std::span<const ReportField<GarbageReport>> GarbageReportFields();
STRATA_EXPORT std::span<const ReportField<VerifyReport>> VerifyReportFields();

}  // namespace strata::dedup

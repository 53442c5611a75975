// SPDX-License-Identifier: Apache-2.0
#include "command_line/ofs/background_healing.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/clock.h"

namespace strata::appliance {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int kStepsPerSecond = 20;  // Short, so that other writes come in between.
constexpr int64_t kIdleNanos = kSecond;

}  // namespace

BackgroundHealing::BackgroundHealing(ofs::Maintenance* maintenance,
                                     BackgroundHealingOptions options)
    : maintenance_(maintenance), options_(std::move(options)) {
  if (options_.bytes_per_second > 0) thread_ = std::thread([this] { Work(); });
}

void BackgroundHealing::Stop() {
  {
    MutexLock lock(&mutex_);
    must_stop_ = true;
    stopping_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

bool BackgroundHealing::Pause(int64_t nanos) {
  const int64_t until_ns = SystemClock().MonotonicNanos() + nanos;
  MutexLock lock(&mutex_);
  while (!must_stop_) {
    const int64_t left = until_ns - SystemClock().MonotonicNanos();
    if (left <= 0) return true;
    stopping_.WaitForNanos(&mutex_, left);
  }
  return false;
}

void BackgroundHealing::Work() {
  const uint64_t step_bytes = std::max<uint64_t>(options_.bytes_per_second / kStepsPerSecond, 1);
  std::string said;
  for (int64_t pause = kIdleNanos; Pause(pause);) {
    ofs::HealReport report;
    const int64_t begin_ns = SystemClock().MonotonicNanos();
    const absl::Status status = maintenance_->Heal(step_bytes, &report);
    const int64_t took = SystemClock().MonotonicNanos() - begin_ns;
    if (report.groups_moved + report.units_repaired > 0) {
      Log(options_.log, LogLevel::kInfo,
          absl::StrCat("ofs: ", report.groups_moved, " groups moved, ", report.units_repaired,
                       " units repaired, ", report.groups_left, " groups left"));
    }
    std::string problem(status.message());
    if (status.ok() && !report.problems.empty()) problem = report.problems[0];
    if (problem != said && !problem.empty()) {  // Once, while it is the same.
      Log(options_.log, LogLevel::kWarning, absl::StrCat("ofs: healing: ", problem));
    }
    said = std::move(problem);
    const bool is_idle = !status.ok() || report.is_done;
    const auto of_rate = static_cast<int64_t>(static_cast<double>(report.bytes_written) /
                                              static_cast<double>(options_.bytes_per_second) *
                                              static_cast<double>(kSecond));
    pause = is_idle ? kIdleNanos : std::max<int64_t>(of_rate - took, 0);
  }
}

}  // namespace strata::appliance

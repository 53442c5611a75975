// SPDX-License-Identifier: Apache-2.0
#include "progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_format.h"

namespace strata::appliance {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr uint64_t kBarWidth = 30;

}  // namespace

ProgressLine::ProgressLine(bool wanted) : wanted_(wanted && isatty(STDERR_FILENO) != 0) {}

void ProgressLine::Show(const dedup::Progress& progress) {
  const auto now = std::chrono::steady_clock::now();
  if (!wanted_ || (drawn_ && now - last_ < kRedraw)) return;
  last_ = now;
  drawn_ = true;
  std::fprintf(stderr, "\r\033[K%s", FormatProgress(progress).c_str());
}

void ProgressLine::Clear() {
  if (!drawn_) return;
  drawn_ = false;
  std::fputs("\r\033[K", stderr);
}

std::string FormatProgress(const dedup::Progress& progress) {
  if (progress.total == 0) return absl::StrFormat("%s  %d", progress.phase, progress.done);
  const double share =
      std::min(1.0, static_cast<double>(progress.done) / static_cast<double>(progress.total));
  const auto full = static_cast<size_t>(share * kBarWidth);
  return absl::StrFormat("[%s%s] %3.0f %%  %s  %d of %d", std::string(full, '#'),
                         std::string(kBarWidth - full, ' '), share * 100, progress.phase,
                         progress.done, progress.total);
}

}  // namespace strata::appliance

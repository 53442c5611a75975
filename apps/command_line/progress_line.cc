// SPDX-License-Identifier: Apache-2.0
#include "command_line/progress_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "command_line/answers.h"

namespace strata::appliance {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr uint64_t kBarWidth = 30;

// What the commands of this program count in bytes; the stores count containers and streams.
constexpr std::string_view kBytePhases[] = {"ingesting", "restoring", "scanning",  "encoding",
                                            "decoding",  "verifying", "repairing", "reading",
                                            "writing",   "copying"};

bool CountsBytes(std::string_view phase) {
  return std::ranges::find(kBytePhases, phase) != std::end(kBytePhases);
}

// "2 s", "3 min", "1 h 20 min"
std::string FormatDuration(double seconds) {
  const auto whole = static_cast<uint64_t>(std::ceil(std::min(seconds, 1e9)));
  if (whole < 100) return absl::StrFormat("%d s", whole);
  const uint64_t minutes = (whole + 59) / 60;
  if (minutes < 100) return absl::StrFormat("%d min", minutes);
  return absl::StrFormat("%d h %d min", minutes / 60, minutes % 60);
}

// 0: not known.
size_t TerminalColumns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace

ProgressLine::ProgressLine(bool wanted) : wanted_(wanted && isatty(STDERR_FILENO) != 0) {}

void ProgressLine::Show(const dedup::Progress& progress) {
  const auto now = std::chrono::steady_clock::now();
  if (!wanted_) return;
  if (phase_ != progress.phase) {
    phase_ = progress.phase;
    phase_begin_ = now;
  }
  if (drawn_ && now - last_ < kRedraw) return;
  last_ = now;
  drawn_ = true;
  std::string line =
      FormatProgress(progress, std::chrono::duration<double>(now - phase_begin_).count());
  if (const size_t columns = TerminalColumns(); columns > 0 && line.size() >= columns) {
    line.resize(columns - 1);
  }
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
}

void ProgressLine::Clear() {
  if (!drawn_) return;
  drawn_ = false;
  std::fputs("\r\033[K", stderr);
}

std::string FormatProgress(const dedup::Progress& progress, double elapsed_s) {
  const bool bytes = CountsBytes(progress.phase);
  const auto amount = [bytes](uint64_t value) {
    return bytes ? FormatSize(value) : absl::StrCat(value);
  };
  const double pace = elapsed_s < 1 ? 0 : static_cast<double>(progress.done) / elapsed_s;
  const std::string rate =
      bytes && pace > 0 ? absl::StrCat("  ", FormatSize(static_cast<uint64_t>(pace)), "/s") : "";
  const std::string phase(progress.phase);
  if (progress.total == 0) return absl::StrCat(phase, "  ", amount(progress.done), rate);
  const double share =
      std::min(1.0, static_cast<double>(progress.done) / static_cast<double>(progress.total));
  const auto full = static_cast<size_t>(share * kBarWidth);
  std::string text = absl::StrFormat("[%s%s] %3.0f %%  %s  %s of %s%s", std::string(full, '#'),
                                     std::string(kBarWidth - full, ' '), share * 100, phase,
                                     amount(progress.done), amount(progress.total), rate);
  if (pace > 0 && progress.done < progress.total) {
    const auto left = static_cast<double>(progress.total - progress.done);
    absl::StrAppend(&text, "  ", FormatDuration(left / pace), " left");
  }
  return text;
}

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// Where a library's log lines go: wherever its owner says. No library writes to stdout or stderr.
#pragma once

#include <functional>
#include <string_view>

namespace strata {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Takes one line, without a newline. It is called from any thread that uses the library, possibly
// under its locks: be quick and do not call back. An empty sink means silence.
using LogSink = std::function<void(LogLevel level, std::string_view line)>;

inline void Log(const LogSink& sink, LogLevel level, std::string_view line) {
  if (sink) sink(level, line);
}

}  // namespace strata

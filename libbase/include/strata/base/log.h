// SPDX-License-Identifier: Apache-2.0
//
// Where a library's log lines go: wherever its owner says. No library writes to stdout or stderr.
//
//   Log(options.log, LogLevel::kWarning, "the device has no O_DIRECT");
//
// Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "strata/base/export.h"

namespace strata {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Takes one line, as LogLine() makes it. It is called from any thread that uses the library,
// possibly under its locks: be quick and do not call back. An empty sink means silence.
using LogSink = std::function<void(LogLevel level, std::string_view line)>;

// `text` as one line that is safe to write to a log or a terminal. Names and messages in it may be
// a client's choice: control characters, newlines among them, and what is no UTF-8 become \xNN, and
// what is very long is cut.
STRATA_EXPORT std::string LogLine(std::string_view text);

// Gives `sink` the line LogLine(line).
STRATA_EXPORT void Log(const LogSink& sink, LogLevel level, std::string_view line);

}  // namespace strata

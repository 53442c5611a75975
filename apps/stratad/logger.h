// SPDX-License-Identifier: Apache-2.0
//
// stratad's log: lines on stderr, as text or as JSON objects. The adapter to spdlog. Thread-safe.
#pragma once

#include "strata/base/log.h"

namespace strata::appliance {

// Sets the process's log up. Called again it changes level and form.
void SetUpLog(LogLevel level, bool json);

// Writes to it.
LogSink ProcessLog();

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// stratad from its configuration to its end: opens the stores, serves, hears signals, closes again.
// Used by the main thread.
#pragma once

#include <string>

#include "appliance/config.h"
#include "appliance/root_keys.h"

namespace strata::appliance {

// What the process ends with; docs/operations.md tells operators.
enum ExitCode {
  kExitStopped = 0,  // As asked.
  kExitFailed = 1,   // Something that should not fail failed.
  kExitUsage = 2,    // The command line.
  kExitConfig = 3,   // The configuration.
  kExitData = 4,     // The data directory: in use, not accessible, damaged.
  kExitAddress = 5,  // An address cannot be listened on.
};

struct DaemonOptions {
  std::string data;
  Config config;
  ConfigSources sources;  // For reading the configuration again.
  RootKeys root_keys;     // Of the first start; empty: generated ones.
};

// Runs until SIGTERM or SIGINT (graceful; a second one: at once). At SIGHUP it reads the log's
// level and the S3 server's certificate again. Returns the exit code, having logged the reason.
ExitCode RunDaemon(const DaemonOptions& options);

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
#include "appliance/settings/sections.h"

namespace strata::appliance {

std::vector<Setting> LogSettings() {
  return {
      OneOf<LogLevel>("log", "level",
                      {{"debug", LogLevel::kDebug},
                       {"info", LogLevel::kInfo},
                       {"warning", LogLevel::kWarning},
                       {"error", LogLevel::kError}},
                      "The least severe lines that are logged: debug, info, warning or error. "
                      "SIGHUP reads it again.",
                      STRATA_FIELD(log.level)),
      Flag("log", "json", "One JSON object per line.", STRATA_FIELD(log.json)),
      Flag("log", "requests", "One line per S3 request, at level info.",
           STRATA_FIELD(log.requests)),
  };
}

}  // namespace strata::appliance

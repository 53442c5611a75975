// SPDX-License-Identifier: Apache-2.0
#include "appliance/time_text.h"

#include <ctime>

namespace strata::appliance {

std::string FormatTime(uint64_t ns_since_epoch) {
  const auto seconds = static_cast<std::time_t>(ns_since_epoch / 1'000'000'000);
  std::tm parts;
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace strata::appliance

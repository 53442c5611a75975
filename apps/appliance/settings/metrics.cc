// SPDX-License-Identifier: Apache-2.0
#include "appliance/settings/sections.h"

namespace strata::appliance {

std::vector<Setting> MetricsSettings() {
  return {
      ListenAddress("metrics", "listen", true,
                    "Address and port of /metrics, /health, /ready and the console; empty: none.",
                    STRATA_FIELD(metrics.listen)),
  };
}

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// The figures of a running appliance in Prometheus' text format. The adapter to prometheus-cpp.
// Thread-safe.
#pragma once

#include <string>

#include "appliance/appliance.h"
#include "strata/s3/server.h"

namespace strata::appliance {

// `appliance`, `server`: nullptr while the process starts or stops; their metrics are absent then.
std::string MetricsText(Appliance* appliance, const s3::Server* server);

}  // namespace strata::appliance

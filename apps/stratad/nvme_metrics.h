// SPDX-License-Identifier: Apache-2.0
//
// The figures of what is exported over NVMe/TCP. Thread-safe.
#pragma once

#include "appliance/nvme/exports.h"
#include "stratad/metric_families.h"

namespace strata::appliance {

// Those of the target are there from the start on, at 0; those of a subsystem, a namespace or a
// connection as long as it exists.
void AddExports(MetricFamilies& out, const Exports& exports);

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// The schemes of devices that hold a store: those of the block layer, and namespaces of NVMe/TCP
// targets.
#pragma once

#include "strata/base/log.h"
#include "strata/block/registry.h"

namespace strata::appliance {

block::Registry StorageDevices(LogSink log);

}  // namespace strata::appliance

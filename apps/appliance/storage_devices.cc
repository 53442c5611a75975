// SPDX-License-Identifier: Apache-2.0
#include "appliance/storage_devices.h"

#include <utility>

#include "strata/base/check.h"
#include "strata/nvmeof/initiator.h"

namespace strata::appliance {

block::Registry StorageDevices(LogSink log) {
  block::Registry devices = block::Registry::WithDefaults(log);
  STRATA_CHECK(nvmeof::RegisterNvmeTcp(&devices, std::move(log)).ok(), "nvme-tcp is taken");
  return devices;
}

}  // namespace strata::appliance

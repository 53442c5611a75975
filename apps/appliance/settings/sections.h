// SPDX-License-Identifier: Apache-2.0
//
// The configuration's sections, each in a source of its name. docs/operations.md lists their keys.
#pragma once

#include <vector>

#include "appliance/settings/setting.h"

namespace strata::appliance {

std::vector<Setting> S3Settings();
std::vector<Setting> MetricsSettings();
std::vector<Setting> StorageSettings();
std::vector<Setting> NvmeSettings();
std::vector<Setting> MaintenanceSettings();
std::vector<Setting> LogSettings();

}  // namespace strata::appliance

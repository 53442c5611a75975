// SPDX-License-Identifier: Apache-2.0
//
// Get Features and Set Features.
//
// Thread safety: the admin queue's thread.
#pragma once

#include "device/command_table.h"
#include "device/controller_model.h"
#include "strata/nvme/device_queue.h"

namespace strata::nvme {

Plan ExamineGetFeature(ControllerKind kind, const SubmissionEntry& entry);
Status CheckSetFeature(ControllerKind kind, const SubmissionEntry& entry);

// REQUIRES: the examination was OK. They set command->result.
Status GetFeature(const ControllerModel& controller, Command* command);
Status SetFeature(ControllerModel& controller, Command* command);

}  // namespace strata::nvme

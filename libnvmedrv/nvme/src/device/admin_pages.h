// SPDX-License-Identifier: Apache-2.0
//
// What Identify and Get Log Page return, as pages in memory.
//
// Thread safety: the admin queue's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "device/controller_model.h"
#include "device/namespace_table.h"
#include "strata/nvme/status.h"
#include "strata/nvme/wire/identify.h"

namespace strata::nvme {

class SubsystemModel;

using AdminPage = std::array<std::byte, kIdentifyBytes>;

// What the pages are made of.
struct AdminView {
  ControllerModel& controller;
  const SubsystemModel& subsystem;
  const NamespaceTable& table;

  const NamespaceEntry* Visible(uint32_t nsid) const {
    const NamespaceEntry* entry = table.Find(nsid);
    return entry != nullptr && entry->VisibleTo(controller.host_nqn) ? entry : nullptr;
  }
};

struct IdentifyArguments {
  uint8_t cns = 0;
  uint8_t command_set = 0;     // CSI.
  uint16_t controller_id = 0;  // CNTID.
  uint32_t nsid = 0;
};

// Why the command is refused, or OK.
Status CheckIdentify(const AdminView& view, const IdentifyArguments& arguments);
// REQUIRES: `page` is zero; CheckIdentify() is OK.
void FillIdentify(const AdminView& view, const IdentifyArguments& arguments, AdminPage& page);

// How long the page is. REQUIRES: it is supported, here and below.
uint32_t LogPageBytes(LogPage log);
// REQUIRES: `page` is zero; not the discovery log, which its source makes. `nsid`: of the health
// log; 0 or all: the controller's. `retains_event`: the host wants the page's event to stay.
void FillLogPage(const AdminView& view, LogPage log, uint32_t nsid, bool retains_event,
                 AdminPage& page);

}  // namespace strata::nvme

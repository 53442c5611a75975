// SPDX-License-Identifier: Apache-2.0
//
// The commands about what is exported over NVMe/TCP; see commands.h.
//
//   name                   arguments                                    answer
//   nvme.subsystem.create  nqn, allow_any_host, serial_number,          the subsystem
//                          model_number, first_controller_id,
//                          last_controller_id
//   nvme.subsystem.list                                                 {subsystems: [...]}
//   nvme.subsystem.set     nqn, allow_any_host                          the subsystem
//   nvme.subsystem.delete  nqn, force                                   {}
//   nvme.host.add          nqn, host                                    {}
//   nvme.host.list         nqn                                          {hosts: [...]}
//   nvme.host.remove       nqn, host                                    {}
//   nvme.namespace.add     nqn, uri, nsid, uuid, nguid, read_only,      the namespace
//                          hosts, iops, bytes_per_second, burst_ms
//   nvme.namespace.list    nqn (empty: all)                             {namespaces: [...]}
//   nvme.namespace.set     nqn, nsid, hosts, iops, bytes_per_second,    the namespace
//                          burst_ms, uri, size, reopen
//   nvme.namespace.remove  nqn, nsid                                    {}
//   nvme.listener.add      address, discovery_only                      {address}
//   nvme.listener.list                                                  {listeners: [...]}
//   nvme.listener.remove   address                                      {}
//   nvme.connections       nqn (empty: all)                             {connections: [...]}
//
// Thread-safe.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "appliance/arguments.h"
#include "appliance/json_fwd.h"
#include "appliance/nvme/exports.h"

namespace strata::appliance {

// nullptr: no command of this name.
using NvmeCommand = absl::StatusOr<Json> (*)(Exports& exports, Arguments& arguments);
NvmeCommand FindNvmeCommand(std::string_view name);

// What the console shows: subsystems with their namespaces, and connections.
Json NvmeStatusJson(const Exports& exports);

}  // namespace strata::appliance

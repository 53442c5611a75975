// SPDX-License-Identifier: Apache-2.0
//
// strata nvme serve: an NVMe/TCP target over block devices, without a data directory. Used by one
// thread.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "appliance/json_fwd.h"
#include "command_line/nvme/nvme_request.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

// Serves until `progress` returns false. `listening` is called with the addresses, the NQN and the
// namespaces when hosts can connect: {nqn, serial_number, addresses: [...], allow_any_host,
// namespaces: [{nsid, uri, uuid, block_size_bytes, size_bytes, read_only}]}. Returns {nqn,
// connections, commands, bytes_to_host, bytes_from_host, cut_connections}.
//
// InvalidArgument: names the option. FailedPrecondition: anybody could connect from elsewhere.
// Otherwise what the devices and the target say.
absl::StatusOr<Json> ServeNvme(const NvmeServeRequest& request,
                               const std::function<void(const Json&)>& listening,
                               const dedup::ProgressCallback& progress);

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// The commands of `strata nvme` that use a device of somebody else: by an nvme-tcp: URI, and, where
// they only move blocks, by any other that block::Registry knows. Used by one thread.
//
//   command        answer
//   nvme-discover  {entries: [{subsystem, address, port, type}]}
//   nvme-connect   {subsystem, serial_number, model_number, firmware, version, controller_id,
//                  namespaces: [...]}
//   nvme-list      {namespaces: [{nsid, size_bytes, block_size_bytes, read_only, uuid}]}
//   nvme-id-ctrl   the fields of Identify Controller by their names in the specification
//   nvme-id-ns     likewise of Identify Namespace
//   nvme-get-log   {page, size_bytes, data}, the data in hexadecimal digits
//   nvme-read, nvme-write, nvme-copy   {bytes, seconds}
//   nvme-bench     bench.h
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "appliance/json_fwd.h"
#include "command_line/nvme/nvme_request.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

// InvalidArgument: an argument or a URI; Unavailable: the target; otherwise what the device says.
absl::StatusOr<Json> RunNvmeHostCommand(const std::string& command, const NvmeHostRequest& request,
                                        const dedup::ProgressCallback& progress);

}  // namespace strata::appliance

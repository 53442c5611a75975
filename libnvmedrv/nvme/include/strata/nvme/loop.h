// SPDX-License-Identifier: Apache-2.0
//
// The transport within one process: a host's queues end in a subsystem's. No byte is copied on the
// way; the device reads and writes the host's memory.
//
//   STRATA_ASSIGN_OR_RETURN(auto transport, OpenLoop(subsystem, {.host_nqn = "nqn..."}));
//   STRATA_ASSIGN_OR_RETURN(auto controller, Controller::Open(std::move(transport), {}));
//
// Each queue has a lane of its own and is polled by the thread that polls the host's end.
//
// Thread safety: as nvme::Transport.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/nvme/subsystem.h"
#include "strata/nvme/transport.h"

namespace strata::nvme {

struct LoopOptions {
  std::string host_nqn = "nqn.2014-08.org.nvmexpress:strata:loop";
  std::array<std::byte, 16> host_id{};
};

STRATA_EXPORT absl::StatusOr<std::unique_ptr<Transport>> OpenLoop(
    std::shared_ptr<Subsystem> subsystem, const LoopOptions& options);

}  // namespace strata::nvme

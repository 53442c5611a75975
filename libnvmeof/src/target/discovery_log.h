// SPDX-License-Identifier: Apache-2.0
//
// The discovery log (page 70h): which subsystems a host may reach, and where. NVM Express Base 2.1,
// section 5.1.12.3.1.
//
// Thread safety: pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "target/target_model.h"

namespace strata::nvmeof {

// `local`: the address on which the host asks.
std::vector<std::byte> MakeDiscoveryLog(const TargetTable& table, uint64_t generation,
                                        std::string_view host_nqn, const Endpoint& local);

}  // namespace strata::nvmeof

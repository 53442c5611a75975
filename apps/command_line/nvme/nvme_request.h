// SPDX-License-Identifier: Apache-2.0
//
// What the commands of `strata nvme` that need no stratad ask for. Values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strata::appliance {

struct NvmeServeRequest {
  std::vector<std::string> uris;
  std::string nqn;  // Empty: derived.
  std::string listen = "127.0.0.1:4420";
  std::string discovery;  // Empty: none but `listen`.
  std::vector<std::string> hosts;
  bool allow_any_host = false;
  bool busy_poll = false;
  bool read_only = false;
  uint32_t workers = 1;
};

struct NvmeRequest {
  NvmeServeRequest serve;
};

}  // namespace strata::appliance

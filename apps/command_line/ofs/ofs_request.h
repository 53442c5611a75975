// SPDX-License-Identifier: Apache-2.0
//
// What the commands of `strata ofs` ask for. Values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace strata::appliance {

struct OfsRequest {
  std::string directory;  // The metadata folder, which names the filesystem.

  // format
  std::vector<std::string> uris;
  std::string protection = "4+2";
  std::string disk_class = "ssd";
  bool force = false;

  // mount
  std::string mount_point;
  uint32_t threads = 8;
  bool allow_other = false;
  bool read_only = false;
  bool allow_set_id = false;
  bool allow_devices = false;
  bool write_through = false;
};

}  // namespace strata::appliance

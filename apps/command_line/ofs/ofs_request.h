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
  std::string disk_class;  // Empty: ssd, or that of the disk that is replaced.
  bool force = false;

  // mount
  std::string mount_point;
  uint32_t threads = 8;
  bool allow_other = false;
  bool read_only = false;
  bool allow_set_id = false;
  bool allow_devices = false;
  bool write_through = false;
  std::string heal_rate = "100M";  // Bytes a second; 0: the mount heals nothing by itself.

  // disk
  std::string uri;
  std::string domain;
  std::string reason;
  uint32_t disk = 0;

  // heal
  bool wait = false;

  // check
  bool data = false;
};

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// What the commands of `strata nvme` that need no stratad ask for. Values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "command_line/nvme/bench.h"

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

struct NvmeHostRequest {
  std::string address;        // discover.
  std::string host_nqn;       // discover; elsewhere the URI says it.
  std::string uri;            // All others; copy: the source.
  std::string to_uri;         // copy.
  std::string file;           // read, write, get-log; -: standard output or input.
  bool force = false;         // read: replaces the file.
  uint64_t offset_bytes = 0;  // read, write, get-log.
  uint64_t length_bytes = 0;  // The same; 0: all there is; of a log page its first 4096 bytes.
  uint32_t log_page = 0;
  BenchRequest bench;
};

struct NvmeRequest {
  NvmeServeRequest serve;
  NvmeHostRequest host;
};

}  // namespace strata::appliance

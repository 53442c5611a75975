// SPDX-License-Identifier: Apache-2.0
//
// strata nvme bench: a load of equal requests on a block device, measured; with stamps that prove
// what is read back. Used by one thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "appliance/json_fwd.h"
#include "strata/block/device.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

enum class BenchPattern { kRead, kWrite, kRandomRead, kRandomWrite, kRandomMixed };

struct BenchRequest {
  std::string uri{};
  BenchPattern pattern = BenchPattern::kRandomRead;
  uint64_t block_bytes = 4096;
  uint32_t depth = 32;
  double seconds = 5;
  uint64_t size_bytes = 0;  // Of the device, from its beginning; 0: all.
  bool verify = false;      // Writes carry stamps; what was written is read again and checked.
  bool busy_poll = false;   // Waits without sleeping, as the target can.
  uint64_t seed = 0;        // Of places and stamps; 0: random.
};

// Answers {device, pattern, block_bytes, depth, seconds, seed, operations, bytes, iops,
// bytes_per_second, cpu_us_per_operation, read: {...}, write: {...}, verified_blocks, damaged,
// damage: [...]}; read and write: {operations, iops, mean_us, p50_us, p90_us, p99_us, p999_us,
// max_us}.
//
// InvalidArgument: an option, named; what the device says of a request ends the run.
absl::StatusOr<Json> RunBench(const BenchRequest& request, block::Device& device,
                              const dedup::ProgressCallback& progress);

}  // namespace strata::appliance

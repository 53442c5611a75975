// SPDX-License-Identifier: Apache-2.0
//
// Reads a container the hard way, from its header along the chain of regions: what recovery,
// verification and rebuilding share. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/container_format.h"
#include "format/region_format.h"

namespace strata::dedup {

struct ContainerScan {
  ContainerHeader header;
  ContainerContents contents;
  uint32_t next_sequence = 0;
  uint32_t last_crc = 0;       // Of the last region's header, or of the container's.
  uint64_t end_bytes = 0;      // Behind the last region.
  std::vector<uint64_t> gaps;  // Where regions are missing that others follow: damage.
  std::string end_reason;      // Why the chain ends there.
  bool has_footer = false;     // The container was closed, whatever the kv store says.
};

// Visits each region of the chain as it is found. An error ends the scan with that error.
using RegionVisitor = std::function<absl::Status(const DecodedRegion& region)>;

// `slot` is the whole slot. DataLoss, Unimplemented: the header. A region that is not the next of
// the chain ends the scan well: the container was being written when it stopped.
absl::StatusOr<ContainerScan> ScanContainer(std::span<const std::byte> slot, uint32_t block_bytes,
                                            Cipher* cipher, const RegionVisitor& visit = nullptr);

// The same for a container whose header is lost, of which `header` says what is known by other
// means. NotFound: no region of it is there.
absl::StatusOr<ContainerScan> ScanWithoutHeader(std::span<const std::byte> slot,
                                                const ContainerHeader& header, uint32_t block_bytes,
                                                Cipher* cipher,
                                                const RegionVisitor& visit = nullptr);

// Adds a region to what a container holds.
void AppendToContents(const RegionHeader& header, std::span<const ChunkEntry> table,
                      ContainerContents* contents);

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "strata/block/devices.h"
#include "support/block/device_contract.h"

namespace strata::block {
namespace {

std::unique_ptr<Device> MakeMemory(uint32_t block_size_bytes) {
  auto device = CreateMemoryDevice({.block_count = 4096, .block_size_bytes = block_size_bytes});
  REQUIRE(device.ok());
  return *std::move(device);
}

TEST_CASE("block device contract") {
  const ContractSubject subjects[] = {
      {"memory, 512-byte blocks", [] { return MakeMemory(512); }},
      {"memory, 4096-byte blocks", [] { return MakeMemory(4096); }},
  };
  for (const ContractSubject& subject : subjects) {
    for (const ContractPart& part : DeviceContract()) {
      DYNAMIC_SECTION(subject.name << ": " << part.name) { part.run(subject); }
    }
  }
}

}  // namespace
}  // namespace strata::block

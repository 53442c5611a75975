// SPDX-License-Identifier: Apache-2.0
//
// The contract of block::Device and block::Channel as tests. Every implementation runs all parts:
//
//   TEST_CASE("block device contract") {
//     for (const ContractPart& part : DeviceContract()) {
//       DYNAMIC_SECTION("my device: " << part.name) { part.run({"my device", MakeMyDevice}); }
//     }
//   }
//
// Thread safety: none; Catch2's assertions run on the calling thread only.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "strata/block/device.h"

namespace strata::block {

struct ContractSubject {
  std::string name;
  // A fresh device of at least 1024 blocks that reads as zeroes.
  std::function<std::unique_ptr<Device>()> make;
  // The same, read-only. Empty where there is no such device.
  std::function<std::unique_ptr<Device>()> make_read_only{};
};

struct ContractPart {
  const char* name;
  void (*run)(const ContractSubject& subject);
};

std::span<const ContractPart> DeviceContract();

}  // namespace strata::block

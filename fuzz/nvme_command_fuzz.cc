// SPDX-License-Identifier: Apache-2.0
//
// Sequences of commands against the device model, with a model of the data.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "support/nvme/command_storm.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using strata::nvme::CommandStorm;
  CommandStorm storm;
  for (size_t at = 0; at + CommandStorm::kStepBytes <= size; at += CommandStorm::kStepBytes) {
    std::array<std::byte, CommandStorm::kStepBytes> bytes;
    std::memcpy(bytes.data(), data + at, bytes.size());
    const std::string wrong = storm.Step(bytes);
    if (!wrong.empty()) {
      std::fprintf(stderr, "step at byte %zu: %s\n", at, wrong.c_str());
      std::abort();
    }
  }
  return 0;
}

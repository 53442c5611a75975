// SPDX-License-Identifier: Apache-2.0
//
// Random commands against a subsystem whose namespaces change, checked against a model.
#include <catch2/catch.hpp>

#include "strata/base/random.h"
#include "support/nvme/command_storm.h"
#include "support/seed.h"

namespace strata::nvme {
namespace {

TEST_CASE("random commands do what the model says") {
  Random random(test::Seed());
  for (int storm_number = 0; storm_number < 20; ++storm_number) {
    CommandStorm storm;
    for (int step = 0; step < 1500; ++step) {
      std::array<std::byte, CommandStorm::kStepBytes> bytes;
      random.Fill(bytes);
      const std::string wrong = storm.Step(bytes);
      if (!wrong.empty()) {
        FAIL("storm " << storm_number << ", step " << step << ": " << wrong);
      }
    }
  }
}

}  // namespace
}  // namespace strata::nvme

// SPDX-License-Identifier: Apache-2.0
//
// A user, an operator and misfortune, for STRATA_SIM_STEPS steps [20,000] over many seeds.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "simulation.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

TEST_CASE("whatever happens, the filesystem keeps its promises") {
  const char* text = std::getenv("STRATA_SIM_STEPS");
  const uint64_t steps = text != nullptr ? std::strtoull(text, nullptr, 10) : 20'000;
  constexpr uint64_t kStepsOfSeed = 500;
  Simulation::Counts sum;
  for (uint64_t seed = test::Seed(); sum.steps < steps; ++seed) {
    CAPTURE(seed);
    Simulation simulation(seed);
    for (uint64_t i = 0; i < kStepsOfSeed; ++i) simulation.Step();
    simulation.Finish();
    const Simulation::Counts& counts = simulation.counts();
    sum.steps += counts.steps;
    sum.crashes += counts.crashes;
    sum.power_cuts += counts.power_cuts;
    sum.failed_calls += counts.failed_calls;
    sum.groups_moved += counts.groups_moved;
    sum.units_repaired += counts.units_repaired;
    sum.flips += counts.flips;
    sum.taken_back += counts.taken_back;
  }
  const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%llu steps: %llu crashes, %llu power cuts, %llu calls failed, %llu cuts took names back, "
      "%llu groups moved, %llu units repaired, %llu bits flipped\n",
      number(sum.steps), number(sum.crashes), number(sum.power_cuts), number(sum.failed_calls),
      number(sum.taken_back), number(sum.groups_moved), number(sum.units_repaired),
      number(sum.flips));
}

}  // namespace
}  // namespace strata::ofs

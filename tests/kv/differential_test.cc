// SPDX-License-Identifier: Apache-2.0
//
// Random programs of interleaved transactions on every engine, against the model.
#include "differential.h"

#include <catch2/catch.hpp>
#include <vector>

#include "engine_under_test.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::kv {
namespace {

TEST_CASE("interleaved transactions answer as the model does") {
  const EngineUnderTest engine = EachEngine();
  Random random(test::Seed());
  // A store in memory is cheap to make: more programs, and shorter ones too.
  const int programs = engine == EngineUnderTest::kMemory ? 2000 : 25;
  for (int i = 0; i < programs; ++i) {
    std::vector<uint8_t> program(1 +
                                 random.Uniform(engine == EngineUnderTest::kMemory ? 800 : 6000));
    random.Fill(std::as_writable_bytes(std::span(program)));
    OpenedStore opened(engine);
    const std::optional<std::string> difference = FindDifference(*opened, program);
    INFO("engine " << engine << ", program " << i << " of " << program.size() << " bytes");
    INFO(difference.value_or(""));
    REQUIRE_FALSE(difference.has_value());
  }
}

}  // namespace
}  // namespace strata::kv

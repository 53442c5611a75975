// SPDX-License-Identifier: Apache-2.0
//
// A forked child of a process with engines, and a job in flight in each.
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>

#include "strata/ec/engine.h"
#include "strata/ec/remote_engine.h"
#include "stripe.h"
#include "support/forked_child.h"
#include "support/seed.h"

namespace strata::ec {
namespace {

using test::ChildReport;
using test::RunInChild;

TEST_CASE("a forked child cannot use its parent's engine, and does not harm it") {
  const std::string kind = GENERATE("pool", "remote");
  CAPTURE(kind);
  const std::unique_ptr<Code> code = *CreateReedSolomon({.data_shards = 4, .parity_shards = 2});
  const std::unique_ptr<RemoteEncoder> encoder = CreateLoopbackEncoder({});
  std::unique_ptr<Engine> engine = CreatePoolEngine({.threads = 2});
  if (kind == "remote") {
    RemoteEngineOptions options;
    options.remote = encoder.get();
    options.local = std::move(engine);
    engine = *CreateRemoteEngine(std::move(options));
  }
  Random random(test::Seed());
  Stripe stripe(*code, 3000, random);
  const auto data = stripe.const_data();
  const auto parity = stripe.parity();
  int ended = 0;
  Job job{.code = code.get(),
          .data = data,
          .parity = parity,
          .done = [](Job* done) { ++*static_cast<int*>(done->context); },
          .context = &ended};
  REQUIRE(engine->Submit(&job).ok());

  CHECK(RunInChild([&](ChildReport& report) {
          report.Expect(engine->in_flight() == 0, "in_flight is the parent's");
          Job own = job;
          report.Refused(engine->Submit(&own), "Submit");
          report.Expect(engine->Poll(32) == 0, "Poll ran a callback");
          report.Expect(!engine->Cancel(&job), "Cancel");
          report.Expect(RunJob(own).ok(), "a code needs no engine");
          engine.reset();
        }) == 0);

  while (engine->in_flight() > 0) engine->Poll(32);
  CHECK(ended == 1);
  CHECK(job.status.ok());
  CHECK(code->Verify(data, stripe.const_parity()).ok());
}

}  // namespace
}  // namespace strata::ec

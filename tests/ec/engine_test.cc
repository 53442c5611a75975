// SPDX-License-Identifier: Apache-2.0
//
// One contract for all engines, then what each does of its own: the pool's threads, the remote
// engine's failures, deadlines and rests, on a clock that the test moves.
#include "strata/ec/engine.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <string>
#include <thread>

#include "strata/ec/remote_engine.h"
#include "stripe.h"
#include "support/manual_clock.h"
#include "support/seed.h"

namespace strata::ec {
namespace {

// A stripe and a job over it.
class Work {
 public:
  Work(const Code& code, Random& random, size_t size = 3000) : stripe(code, size, random) {
    data = stripe.const_data();
    parity = stripe.parity();
    all = stripe.all();
    job.code = &code;
    job.data = data;
    job.parity = parity;
    job.context = this;
    job.done = [](Job* ended) {
      auto* const work = static_cast<Work*>(ended->context);
      ++work->ended;
      if (work->then) work->then();
    };
  }
  bool IsEncoded(const Code& code) {
    return code.Verify(stripe.const_data(), stripe.const_parity()).ok();
  }

  Stripe stripe;
  std::vector<ConstBytes> data;
  std::vector<Bytes> parity;
  std::vector<Bytes> all;
  Job job;
  int ended = 0;
  std::function<void()> then;
};

std::unique_ptr<Code> MakeCode() {
  return *CreateReedSolomon({.data_shards = 4, .parity_shards = 2});
}

// A remote encoder that does what the test says.
class ScriptedEncoder final : public RemoteEncoder {
 public:
  absl::Status Begin(uint64_t ticket, const Job& job) override {
    ++begins;
    if (!begin_status.ok()) return begin_status;
    held.push_back({ticket, &job});
    return absl::OkStatus();
  }
  void Poll(std::vector<Result>* results) override {
    results->insert(results->end(), ready.begin(), ready.end());
    ready.clear();
  }
  void Abandon(uint64_t ticket) override {
    ++abandoned;
    std::erase_if(held, [&](const auto& entry) { return entry.first == ticket; });
  }
  // Answers the oldest job; runs it when the status is OK.
  void Answer(absl::Status status = absl::OkStatus()) {
    const auto [ticket, job] = held.front();
    held.pop_front();
    if (status.ok()) status = RunJob(*job);
    ready.push_back({ticket, status});
  }

  std::deque<std::pair<uint64_t, const Job*>> held;
  std::vector<Result> ready;
  absl::Status begin_status;
  int begins = 0;
  int abandoned = 0;
};

// An engine and what it needs.
struct Setting {
  std::string name;
  std::unique_ptr<RemoteEncoder> encoder;
  std::unique_ptr<Engine> engine;
};

std::vector<Setting> AllEngines(uint32_t max_in_flight) {
  std::vector<Setting> settings;
  for (const int threads : {1, 3}) {
    settings.push_back({"pool of " + std::to_string(threads), nullptr,
                        CreatePoolEngine({.threads = threads, .max_in_flight = max_in_flight})});
  }
  const auto remote = [&](const std::string& name, LoopbackEncoderOptions options) {
    Setting setting{name, CreateLoopbackEncoder(std::move(options)), nullptr};
    setting.engine =
        *CreateRemoteEngine({.remote = setting.encoder.get(),
                             .local = CreatePoolEngine({.threads = 1, .max_in_flight = 2}),
                             .max_in_flight = max_in_flight});
    settings.push_back(std::move(setting));
  };
  remote("remote", {.latency_ns = 1000, .bytes_per_second = 1'000'000'000, .max_jobs = 2});
  remote("remote that always fails", {.latency_ns = 10, .max_jobs = 4, .fault = [](const Job&) {
                                        return absl::UnavailableError("gone");
                                      }});
  return settings;
}

void PollUntilIdle(Engine& engine) {
  while (engine.in_flight() > 0) {
    if (engine.Poll(4) == 0) std::this_thread::yield();
  }
}

TEST_CASE("every engine runs every job once and counts it") {
  Random random(test::Seed());
  const auto code = MakeCode();
  for (const Setting& setting : AllEngines(8)) {
    INFO(setting.name);
    Engine& engine = *setting.engine;
    std::deque<Work> works;
    for (int i = 0; i < 50; ++i) works.emplace_back(*code, random, 1 + random.Uniform(5000));
    for (Work& work : works) {
      while (!engine.Submit(&work.job).ok()) engine.Poll(100);
    }
    PollUntilIdle(engine);
    uint64_t bytes = 0;
    for (Work& work : works) {
      REQUIRE(work.ended == 1);
      REQUIRE(work.job.status.ok());
      REQUIRE(work.IsEncoded(*code));
      bytes += JobBytes(work.job);
    }
    const EngineStats stats = engine.Stats();
    CHECK(stats.submitted == 50);
    CHECK(stats.succeeded == 50);
    CHECK(stats.bytes == bytes);
    CHECK(stats.most_in_flight <= 8);
    CHECK(stats.most_in_flight >= 1);
    CHECK(stats.in_flight_ns >= 0);
  }
}

TEST_CASE("every engine verifies and reconstructs, and passes errors on") {
  Random random(test::Seed());
  const auto code = MakeCode();
  for (const Setting& setting : AllEngines(8)) {
    INFO(setting.name);
    Work work(*code, random);
    const auto run = [&] {
      REQUIRE(setting.engine->Submit(&work.job).ok());
      PollUntilIdle(*setting.engine);
      return work.job.status;
    };
    REQUIRE(run().ok());
    work.job.kind = JobKind::kVerify;
    CHECK(run().ok());
    work.stripe.shard(2)[7] ^= std::byte{1};
    CHECK(absl::IsDataLoss(run()));
    work.stripe.shard(2)[7] ^= std::byte{1};

    const auto before = work.stripe.Copy();
    const ShardSet present = code->AllShards().reset(0).reset(5);
    work.stripe.Lose(present);
    work.job.kind = JobKind::kReconstruct;
    work.job.shards = work.all;
    work.job.present = present;
    CHECK(run().ok());
    CHECK(work.stripe.Copy() == before);
    work.job.present = ShardSet(0b111);
    CHECK(absl::IsDataLoss(run()));
    work.job.kind = JobKind::kEncode;
    work.job.parity = work.job.parity.first(1);
    CHECK(absl::IsInvalidArgument(run()));
    CHECK(setting.engine->Stats().failed == 3);
  }
}

TEST_CASE("a full engine refuses, and takes jobs from callbacks") {
  Random random(test::Seed());
  const auto code = MakeCode();
  for (const Setting& setting : AllEngines(3)) {
    INFO(setting.name);
    Engine& engine = *setting.engine;
    std::deque<Work> works;
    for (int i = 0; i < 4; ++i) works.emplace_back(*code, random);
    int again = 5;
    works[0].then = [&] {
      if (again-- > 0 && !engine.Submit(&works[0].job).ok()) again = -100;
    };
    for (int i = 0; i < 3; ++i) REQUIRE(engine.Submit(&works[i].job).ok());
    CHECK(engine.in_flight() == 3);
    CHECK(absl::IsResourceExhausted(engine.Submit(&works[3].job)));
    PollUntilIdle(engine);
    CHECK(works[0].ended == 6);
    CHECK(works[3].ended == 0);
    CHECK(engine.Stats().refused == 1);
    CHECK(engine.Stats().submitted == 8);
    Job empty;
    CHECK(absl::IsInvalidArgument(engine.Submit(&empty)));
    CHECK(absl::IsInvalidArgument(engine.Submit(nullptr)));
  }
}

TEST_CASE("a job that waits in a pool can be cancelled, and expires") {
  Random random(test::Seed());
  const auto code = MakeCode();
  test::ManualClock clock(1'000'000);
  const auto engine = CreatePoolEngine({.threads = 1, .max_in_flight = 64, .clock = &clock});
  // The first job is long; the others wait behind it, unless it is quick to end.
  Work large(*code, random, 8u << 20);
  std::deque<Work> works;
  for (int i = 0; i < 20; ++i) works.emplace_back(*code, random);
  REQUIRE(engine->Submit(&large.job).ok());
  for (int i = 0; i < 20; ++i) {
    if (i % 2 == 0) works[i].job.deadline_ns = clock.now_ns - 1;  // Already past.
    REQUIRE(engine->Submit(&works[i].job).ok());
  }
  int cancelled = 0;
  for (int i = 1; i < 20; i += 2) cancelled += engine->Cancel(&works[i].job) ? 1 : 0;
  PollUntilIdle(*engine);
  CHECK(large.job.status.ok());
  for (int i = 0; i < 20; ++i) {
    INFO("job " << i << ": " << works[i].job.status.ToString());
    CHECK(works[i].ended == 1);
    if (i % 2 == 0) {
      CHECK(absl::IsDeadlineExceeded(works[i].job.status));
    } else {
      CHECK((works[i].job.status.ok() || absl::IsCancelled(works[i].job.status)));
    }
  }
  CHECK(engine->Stats().cancelled == static_cast<uint64_t>(cancelled));
  CHECK(engine->Stats().expired == 10);
  CHECK(engine->Stats().submitted == 21);
}

struct Remote {
  explicit Remote(uint32_t failures_before_rest = 2) {
    auto local_engine = CreatePoolEngine({.threads = 1, .max_in_flight = 4, .clock = &clock});
    engine = *CreateRemoteEngine({.remote = &encoder,
                                  .local = std::move(local_engine),
                                  .max_in_flight = 8,
                                  .failures_before_rest = failures_before_rest,
                                  .rest_ns = 1000,
                                  .clock = &clock});
  }
  test::ManualClock clock{1'000'000};
  ScriptedEncoder encoder;
  std::unique_ptr<Engine> engine;
};

TEST_CASE("jobs wait while the remote encoder is busy, in their order") {
  Random random(test::Seed());
  const auto code = MakeCode();
  Remote remote;
  Work first(*code, random);
  Work second(*code, random);
  remote.encoder.begin_status = absl::ResourceExhaustedError("busy");
  REQUIRE(remote.engine->Submit(&first.job).ok());
  REQUIRE(remote.engine->Submit(&second.job).ok());
  CHECK(remote.engine->Poll(10) == 0);
  remote.encoder.begin_status = absl::OkStatus();
  CHECK(remote.engine->Poll(10) == 0);
  REQUIRE(remote.encoder.held.size() == 2);
  CHECK(remote.encoder.held.front().second == &first.job);
  remote.encoder.Answer();
  CHECK(remote.engine->Poll(10) == 1);
  CHECK(first.ended == 1);
  CHECK(first.IsEncoded(*code));
  remote.encoder.Answer();
  CHECK(remote.engine->Poll(10) == 1);
  CHECK(second.IsEncoded(*code));
  CHECK(remote.engine->Stats().remote == 2);
  CHECK(remote.engine->Stats().fallbacks == 0);
}

TEST_CASE("a failed remote job is run locally, and after failures in a row the encoder rests") {
  Random random(test::Seed());
  const auto code = MakeCode();
  Remote remote(/*failures_before_rest=*/2);
  std::deque<Work> works;
  for (int i = 0; i < 4; ++i) works.emplace_back(*code, random);
  REQUIRE(remote.engine->Submit(&works[0].job).ok());
  REQUIRE(remote.engine->Submit(&works[1].job).ok());
  remote.encoder.Answer(absl::UnavailableError("link down"));
  remote.encoder.Answer(absl::InternalError("parity error in the card"));
  PollUntilIdle(*remote.engine);
  CHECK(works[0].IsEncoded(*code));
  CHECK(works[1].IsEncoded(*code));
  CHECK(remote.engine->Stats().fallbacks == 2);

  REQUIRE(remote.engine->Submit(&works[2].job).ok());  // While it rests.
  PollUntilIdle(*remote.engine);
  CHECK(works[2].IsEncoded(*code));
  CHECK(remote.encoder.begins == 2);

  remote.clock.now_ns += 1000;
  REQUIRE(remote.engine->Submit(&works[3].job).ok());
  CHECK(remote.encoder.begins == 3);
  remote.encoder.Answer();
  PollUntilIdle(*remote.engine);
  CHECK(works[3].IsEncoded(*code));
  const EngineStats stats = remote.engine->Stats();
  CHECK(stats.succeeded == 4);
  CHECK(stats.remote == 1);
  CHECK(stats.fallbacks == 3);
}

TEST_CASE("an encoder that cannot begin is a failure too") {
  Random random(test::Seed());
  const auto code = MakeCode();
  Remote remote;
  remote.encoder.begin_status = absl::UnavailableError("no device");
  std::deque<Work> works;
  for (int i = 0; i < 8; ++i) works.emplace_back(*code, random);
  for (Work& work : works) REQUIRE(remote.engine->Submit(&work.job).ok());
  PollUntilIdle(*remote.engine);
  for (Work& work : works) CHECK(work.IsEncoded(*code));
  CHECK(remote.encoder.begins == 2);  // Then it rests.
  CHECK(remote.engine->Stats().fallbacks == 8);
}

TEST_CASE("a remote job is abandoned when it is cancelled and when its time is up") {
  Random random(test::Seed());
  const auto code = MakeCode();
  Remote remote;
  Work cancelled(*code, random);
  Work late(*code, random);
  late.job.deadline_ns = remote.clock.now_ns + 500;
  REQUIRE(remote.engine->Submit(&cancelled.job).ok());
  REQUIRE(remote.engine->Submit(&late.job).ok());
  CHECK(remote.engine->Cancel(&cancelled.job));
  CHECK(remote.encoder.abandoned == 1);
  CHECK(remote.engine->Poll(10) == 1);
  CHECK(absl::IsCancelled(cancelled.job.status));
  remote.clock.now_ns += 501;
  CHECK(remote.engine->Poll(10) == 1);
  CHECK(absl::IsDeadlineExceeded(late.job.status));
  CHECK(remote.encoder.abandoned == 2);
  CHECK(remote.engine->in_flight() == 0);

  // What has ended cannot be cancelled any more, though its callback has not run.
  Work done(*code, random);
  REQUIRE(remote.engine->Submit(&done.job).ok());
  remote.encoder.Answer();
  CHECK(remote.engine->Poll(0) == 0);
  CHECK_FALSE(remote.engine->Cancel(&done.job));
  CHECK(remote.engine->Poll(10) == 1);
  CHECK(done.job.status.ok());
}

TEST_CASE("results that nobody waits for are ignored") {
  Random random(test::Seed());
  const auto code = MakeCode();
  Remote remote;
  Work first(*code, random);
  REQUIRE(remote.engine->Submit(&first.job).ok());
  const uint64_t ticket = remote.encoder.held.front().first;
  remote.encoder.Answer();
  CHECK(remote.engine->Poll(10) == 1);
  Work second(*code, random);
  REQUIRE(remote.engine->Submit(&second.job).ok());  // In the first one's slot.
  remote.encoder.ready = {{ticket, absl::OkStatus()}, {~uint64_t{0}, absl::OkStatus()}};
  CHECK(remote.engine->Poll(10) == 0);
  CHECK(second.ended == 0);
  remote.encoder.Answer();
  CHECK(remote.engine->Poll(10) == 1);
  CHECK(second.IsEncoded(*code));
}

TEST_CASE("the loopback encoder takes the time it was told to take") {
  Random random(test::Seed());
  const auto code = MakeCode();
  test::ManualClock clock(1'000'000);
  const auto encoder = CreateLoopbackEncoder(
      {.latency_ns = 100, .bytes_per_second = 1'000'000'000, .max_jobs = 2, .clock = &clock});
  Work small(*code, random, 0);
  Work large(*code, random, 100);  // 600 bytes: 600 ns more.
  Work third(*code, random);
  REQUIRE(encoder->Begin(1, large.job).ok());
  REQUIRE(encoder->Begin(2, small.job).ok());
  CHECK(absl::IsResourceExhausted(encoder->Begin(3, third.job)));
  std::vector<RemoteEncoder::Result> results;
  clock.now_ns += 99;
  encoder->Poll(&results);
  CHECK(results.empty());
  clock.now_ns += 1;
  encoder->Poll(&results);
  REQUIRE(results.size() == 1);
  CHECK(results[0].ticket == 2);
  clock.now_ns += 599;
  encoder->Poll(&results);
  CHECK(results.size() == 1);
  clock.now_ns += 1;
  encoder->Poll(&results);
  REQUIRE(results.size() == 2);
  CHECK(large.IsEncoded(*code));
  REQUIRE(encoder->Begin(3, third.job).ok());
  encoder->Abandon(3);
  clock.now_ns += 1'000'000;
  encoder->Poll(&results);
  CHECK(results.size() == 2);
}

TEST_CASE("a remote engine needs both its parts") {
  ScriptedEncoder encoder;
  CHECK(absl::IsInvalidArgument(CreateRemoteEngine({.remote = &encoder}).status()));
  CHECK(absl::IsInvalidArgument(CreateRemoteEngine({.local = CreatePoolEngine({})}).status()));
}

}  // namespace
}  // namespace strata::ec

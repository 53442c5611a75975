// SPDX-License-Identifier: Apache-2.0
//
// Threads that want the same thing, and one outcome that everybody agrees on. Also run under the
// thread sanitizer.
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "records/digests.h"
#include "store_fixture.h"
#include "strata/base/mutex.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::object::test {
namespace {

constexpr int kThreads = 8;

// Runs body(thread index) in kThreads threads at once.
void InThreads(const std::function<void(int)>& body) {
  std::atomic<int> ready = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      ++ready;
      while (ready < kThreads) std::this_thread::yield();
      body(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("Of many If-None-Match: * puts, exactly one wins") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  PutOptions options;
  options.conditions.if_none_match = {"*"};
  for (int round = 0; round < 20; ++round) {
    const std::string key = "k" + std::to_string(round);
    std::vector<absl::Status> results(kThreads);
    InThreads([&](int i) {
      results[i] = f.TryPut("bkt", key, "from " + std::to_string(i), options).status();
    });
    int winner = -1;
    for (int i = 0; i < kThreads; ++i) {
      INFO("thread " << i << ": " << results[i].ToString());
      if (results[i].ok()) {
        CHECK(winner == -1);
        winner = i;
      } else {
        CHECK(ReasonOf(results[i]) == Reason::kPreconditionFailed);
      }
    }
    REQUIRE(winner >= 0);
    CHECK(f.Get("bkt", key) == "from " + std::to_string(winner));
  }
  CHECK(f.StreamCount() == 20);
}

TEST_CASE("Compare-and-swap by If-Match loses no step") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  f.Put("bkt", "counter", "0");
  constexpr int kSteps = 15;
  std::vector<absl::Status> failures(kThreads);
  InThreads([&](int i) {
    for (int done = 0; done < kSteps;) {
      auto reader = f.store().OpenReader("bkt", "counter", {});
      if (!reader.ok()) {
        failures[i] = reader.status();
        return;
      }
      const int value = std::stoi(Must(ReadAll(reader->get())));
      PutOptions options;
      options.conditions.if_match = {(*reader)->info().etag};
      const absl::Status put =
          f.TryPut("bkt", "counter", std::to_string(value + 1), options).status();
      if (put.ok()) {
        ++done;
      } else if (ReasonOf(put) != Reason::kPreconditionFailed &&
                 ReasonOf(put) != Reason::kConditionalConflict) {
        failures[i] = put;
        return;
      }
    }
  });
  for (const absl::Status& failure : failures) CHECK(failure == absl::OkStatus());
  CHECK(f.Get("bkt", "counter") == std::to_string(kThreads * kSteps));
  CHECK(f.StreamCount() == 1);
}

TEST_CASE("A bucket is deleted, or holds what was put: never both") {
  StoreFixture f;
  for (int round = 0; round < 30; ++round) {
    Must(f.store().CreateBucket("bkt", ""));
    std::vector<absl::Status> puts(kThreads);
    absl::Status deletion;
    InThreads([&](int i) {
      if (i == 0) {
        deletion = f.store().DeleteBucket("bkt");
      } else {
        puts[i] = f.TryPut("bkt", "k" + std::to_string(i), "content").status();
      }
    });
    INFO("round " << round << " deletion: " << deletion.ToString());
    int stored = 0;
    for (int i = 1; i < kThreads; ++i) {
      if (puts[i].ok()) {
        ++stored;
      } else {
        CHECK(ReasonOf(puts[i]) == Reason::kNoSuchBucket);
      }
    }
    if (deletion.ok()) {
      CHECK(stored == 0);
    } else {
      CHECK(ReasonOf(deletion) == Reason::kBucketNotEmpty);
      CHECK(stored == kThreads - 1);
      for (const std::string& key : KeysOf(Must(f.store().List("bkt", {})))) {
        Must(f.store().Delete("bkt", key, "").status());
      }
      Must(f.store().DeleteBucket("bkt"));
    }
    CHECK(f.StreamCount() == 0);
  }
}

TEST_CASE("Puts to one key all succeed, and each becomes a version") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  Must(f.store().SetVersioning("bkt", Versioning::kEnabled));
  constexpr int kPuts = 20;
  std::vector<std::vector<std::string>> ids(kThreads);
  std::vector<absl::Status> failures(kThreads);
  InThreads([&](int i) {
    for (int n = 0; n < kPuts; ++n) {
      const absl::StatusOr<ObjectInfo> info = f.TryPut("bkt", "k", std::to_string(i * kPuts + n));
      if (!info.ok()) {
        failures[i] = info.status();
        return;
      }
      ids[i].push_back(info->version_id);
    }
  });
  std::set<std::string> distinct;
  for (int i = 0; i < kThreads; ++i) {
    CHECK(failures[i] == absl::OkStatus());
    for (size_t n = 0; n < ids[i].size(); ++n) {
      distinct.insert(ids[i][n]);
      CHECK(f.GetVersion("bkt", "k", ids[i][n]) == std::to_string(i * kPuts + n));
    }
  }
  CHECK(distinct.size() == kThreads * kPuts);
  CHECK(Must(f.store().ListVersions("bkt", {})).objects.size() == kThreads * kPuts);
}

TEST_CASE("Readers see one whole version while others overwrite, delete, copy and collect") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  // Every content says what it is: its first byte, repeated.
  const auto content = [](uint64_t n) {
    return std::string(20000 + n * 1000, static_cast<char>('a' + n));
  };
  f.Put("bkt", "k", content(0));
  const uint64_t seed = strata::test::Seed();
  std::atomic<bool> stop = false;
  std::vector<std::string> failures(kThreads);
  InThreads([&](int i) {
    Random random(seed + static_cast<uint64_t>(i));
    const auto fail = [&](const std::string& what) { failures[i] = what; };
    if (i == 0) {
      for (int n = 0; n < 15; ++n) {
        const absl::Status status = f.dedup().CollectGarbage({}).status();
        if (!status.ok()) fail("garbage collection: " + status.ToString());
      }
      stop = true;
      return;
    }
    while (!stop && failures[i].empty()) {
      if (i % 2 == 0) {
        const absl::StatusOr<std::string> read = f.TryGet("bkt", "k");
        if (!read.ok()) {
          if (ReasonOf(read) != Reason::kNoSuchKey) fail("get: " + read.status().ToString());
        } else if (*read != content(static_cast<uint64_t>((*read)[0] - 'a'))) {
          fail("a reader saw a mixture");
        }
        continue;
      }
      const uint64_t dice = random.Uniform(4);
      absl::Status status;
      if (dice < 2) status = f.TryPut("bkt", "k", content(random.Uniform(20))).status();
      if (dice == 2) status = f.store().Delete("bkt", "k", "").status();
      if (dice == 3) {
        status = f.store().Copy({.bucket = "bkt", .key = "k"}, "bkt", "copy", {}).status();
        if (ReasonOf(status) == Reason::kNoSuchKey) status = absl::OkStatus();
      }
      if (!status.ok()) fail("change " + std::to_string(dice) + ": " + status.ToString());
    }
  });
  for (int i = 0; i < kThreads; ++i) {
    INFO("thread " << i << " failed: " << failures[i]);
    CHECK(failures[i].empty());
  }
  CHECK(f.StreamCount() == KeysOf(Must(f.store().List("bkt", {}))).size());
  const dedup::VerifyReport report = Must(f.dedup().Verify({}));
  CHECK(report.streams.empty());
}

TEST_CASE("Of completions and aborts of one upload that race, the outcome is one of them") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  for (int round = 0; round < 20; ++round) {
    const std::string key = "k" + std::to_string(round);
    const UploadInfo upload = Must(f.store().CreateUpload("bkt", key, {}));
    const CompletedPart part = f.PutPart(upload, 1, "content");
    std::vector<absl::Status> results(kThreads);
    InThreads([&](int i) {
      if (i == 0) {
        results[i] = f.store().AbortUpload({"bkt", key, upload.upload_id});
      } else if (i < 4) {
        results[i] = f.store().CompleteUpload({"bkt", key, upload.upload_id}, {part}, {}).status();
      } else {
        results[i] = f.TryPutPart(upload, static_cast<uint32_t>(i), "late").status();
      }
    });
    const bool aborted = results[0].ok();
    INFO("round " << round << (aborted ? " aborted" : " completed"));
    for (int i = 1; i < 4; ++i) {
      CHECK(ReasonOf(results[i]) == (aborted ? Reason::kNoSuchUpload : Reason::kNone));
    }
    for (int i = 4; i < kThreads; ++i) {
      if (!results[i].ok()) CHECK(ReasonOf(results[i]) == Reason::kNoSuchUpload);
    }
    CHECK(f.TryGet("bkt", key).ok() == !aborted);
  }
  f.ReapAll();
  CHECK(f.StreamCount() == KeysOf(Must(f.store().List("bkt", {}))).size());
}

}  // namespace
}  // namespace strata::object::test

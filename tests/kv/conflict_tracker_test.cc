// SPDX-License-Identifier: Apache-2.0
//
// The conflict tracker's window: what it forgets, and that it says so.
#include "conflict_tracker.h"

#include <catch2/catch.hpp>
#include <string>

namespace strata::kv {
namespace {

constexpr SpaceId kSpace{1};
constexpr uint64_t kSomebodyIsOpen = 0;  // A transaction that began before everything.

WriteBatch PutOf(const std::string& key) {
  WriteBatch batch;
  batch.Put(kSpace, key, "value");
  return batch;
}

absl::StatusCode CheckKeyAt(const ConflictTracker& tracker, const std::string& key,
                            uint64_t version) {
  ReadSet reads;
  reads.AddKey(kSpace, key);
  return tracker.Check(reads, version).code();
}

absl::StatusCode CheckRangeAt(const ConflictTracker& tracker, const Range& range,
                              uint64_t version) {
  ReadSet reads;
  reads.AddRange(kSpace, range);
  return tracker.Check(reads, version).code();
}

TEST_CASE("pages that follow one another are one range") {
  ReadSet reads;
  reads.AddRange(kSpace, {"a", "c"});
  reads.AddRange(kSpace, {"c", "f"});
  CHECK(reads.ranges().size() == 1);
  reads.AddRange(kSpace, {"0", "a"});
  CHECK(reads.ranges().size() == 1);
  CHECK(reads.ranges()[0].range.begin == "0");
  CHECK(reads.ranges()[0].range.end == "f");
  reads.AddRange(kSpace, {"x", ""});
  reads.AddRange(kSpace, {"k", "x"});
  CHECK(reads.ranges().size() == 2);
  reads.AddRange(kSpace, {"z", "y"});
  reads.AddRange(SpaceId{2}, {"f", "g"});
  CHECK(reads.ranges().size() == 3);
  reads.AddKey(kSpace, "k");
  reads.AddKey(kSpace, "k");
  CHECK(reads.count() == 4);
}

TEST_CASE("the window holds at least seven eighths of its writes, and no more than all") {
  ConflictTracker tracker(100);
  constexpr uint64_t kCommits = 2 * ConflictTracker::kMaxWrites;
  for (uint64_t i = 1; i <= kCommits; ++i)
    tracker.Record(100 + i, PutOf(std::to_string(i)), kSomebodyIsOpen);
  const uint64_t newest = 100 + kCommits;
  const uint64_t remembered = newest - tracker.forgotten_version();
  CHECK(remembered <= ConflictTracker::kMaxWrites);
  CHECK(remembered >= ConflictTracker::kMaxWrites / 8 * 7 - 1);

  // Just inside the window everything is still known; just outside nothing is claimed.
  const uint64_t oldest = tracker.forgotten_version();
  const std::string first_known = std::to_string(oldest + 1 - 100);
  CHECK(CheckKeyAt(tracker, first_known, oldest) == absl::StatusCode::kAborted);
  CHECK(CheckKeyAt(tracker, "never written", oldest) == absl::StatusCode::kOk);
  CHECK(CheckRangeAt(tracker, {first_known, first_known + "!"}, oldest) ==
        absl::StatusCode::kAborted);
  CHECK(CheckKeyAt(tracker, "never written", oldest - 1) == absl::StatusCode::kOutOfRange);
  CHECK(CheckRangeAt(tracker, {"x", "y"}, oldest - 1) == absl::StatusCode::kOutOfRange);
  // Who read nothing depends on nothing.
  CHECK(tracker.Check(ReadSet(), 0).ok());
}

TEST_CASE("what no transaction can depend on is forgotten, but for the newest writes") {
  ConflictTracker tracker(0);
  const uint64_t newest = 4 * ConflictTracker::kKeptWrites;
  for (uint64_t i = 1; i <= newest; ++i) {
    tracker.Record(i, PutOf(std::to_string(i)), /*oldest_transaction=*/i - 1);
  }
  CHECK(newest - tracker.forgotten_version() >= ConflictTracker::kKeptWrites);
  CHECK(newest - tracker.forgotten_version() <= ConflictTracker::kKeptWrites / 8 * 9);
  CHECK(CheckKeyAt(tracker, std::to_string(newest), newest - 1) == absl::StatusCode::kAborted);

  // One that stays open holds everything since it began.
  const uint64_t began = newest;
  for (uint64_t i = newest + 1; i <= 2 * newest; ++i) {
    tracker.Record(i, PutOf(std::to_string(i)), began);
  }
  CHECK(tracker.forgotten_version() <= began);
  CHECK(CheckKeyAt(tracker, std::to_string(began + 1), began) == absl::StatusCode::kAborted);
}

TEST_CASE("the window is bounded in bytes too, and survives a commit larger than itself") {
  ConflictTracker tracker(0);
  WriteBatch large;
  for (int i = 0; i < 3000; ++i) large.Put(kSpace, std::to_string(i) + std::string(8000, 'k'), "");
  REQUIRE(large.size_bytes() > ConflictTracker::kMaxBytes);
  tracker.Record(1, PutOf("before"), kSomebodyIsOpen);
  tracker.Record(2, large, kSomebodyIsOpen);
  CHECK(tracker.forgotten_version() == 2);
  CHECK(CheckKeyAt(tracker, "before", 0) == absl::StatusCode::kOutOfRange);
  CHECK(CheckKeyAt(tracker, "before", 2) == absl::StatusCode::kOk);
  tracker.Record(3, PutOf("after"), kSomebodyIsOpen);
  CHECK(CheckKeyAt(tracker, "after", 2) == absl::StatusCode::kAborted);
}

TEST_CASE("a key written again inside the window is not forgotten with its older write") {
  ConflictTracker tracker(0);
  tracker.Record(1, PutOf("hot"), kSomebodyIsOpen);
  for (uint64_t i = 2; i <= ConflictTracker::kMaxWrites; ++i) {
    tracker.Record(i, PutOf(std::to_string(i)), kSomebodyIsOpen);
  }
  const uint64_t rewritten = ConflictTracker::kMaxWrites + 1;
  tracker.Record(rewritten, PutOf("hot"), kSomebodyIsOpen);
  REQUIRE(tracker.forgotten_version() >= 1);
  CHECK(CheckKeyAt(tracker, "hot", rewritten - 1) == absl::StatusCode::kAborted);
  CHECK(CheckKeyAt(tracker, "hot", rewritten) == absl::StatusCode::kOk);
}

TEST_CASE("the newest write to a range, among those that may be told") {
  ConflictTracker tracker(0);
  tracker.Record(1, PutOf("a"), kSomebodyIsOpen);
  WriteBatch clear;
  clear.DeleteRange(kSpace, {"b", "d"});
  tracker.Record(2, clear, kSomebodyIsOpen);
  tracker.Record(3, PutOf("c"), kSomebodyIsOpen);
  CHECK(tracker.NewestWrite(kSpace, {"a", "z"}, 0, 3) == 3);
  CHECK(tracker.NewestWrite(kSpace, {"a", "z"}, 0, 2) == 2);
  CHECK(tracker.NewestWrite(kSpace, {"a", "z"}, 3, 3) == std::nullopt);
  CHECK(tracker.NewestWrite(kSpace, {"bb", "c"}, 0, 3) == 2);
  CHECK(tracker.NewestWrite(kSpace, {"d", ""}, 0, 3) == std::nullopt);
  CHECK(tracker.NewestWrite(SpaceId{9}, {"a", "z"}, 0, 3) == std::nullopt);
}

}  // namespace
}  // namespace strata::kv

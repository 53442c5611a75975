// SPDX-License-Identifier: Apache-2.0
#include "stratad/maintenance.h"

#include <catch2/catch.hpp>

namespace strata::appliance {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kGiB = 1u << 30;
constexpr CollectionPlan kPlan{.interval_s = 3600, .garbage_ratio = 0.25};
constexpr StorageFigures kLast{.now_ns = 0, .logical_bytes = 4 * kGiB, .ingested_bytes = kGiB};

StorageFigures After(uint64_t seconds, uint64_t logical_bytes, uint64_t came_bytes) {
  return {seconds * kSecond, logical_bytes, kLast.ingested_bytes + came_bytes};
}

TEST_CASE("no collection without garbage") {
  CHECK(CollectionDue(kPlan, kLast, true, After(7200, 4 * kGiB, 0)) == "");
  CHECK(CollectionDue(kPlan, kLast, true, After(7200, 5 * kGiB, kGiB)) == "");
  // A copy adds to what is there without coming in.
  CHECK(CollectionDue(kPlan, kLast, true, After(7200, 8 * kGiB, 0)) == "");
}

TEST_CASE("the interval, when anything was deleted or overwritten") {
  CHECK(CollectionDue(kPlan, kLast, true, After(3599, 4 * kGiB - 1, 0)) == "");
  CHECK(CollectionDue(kPlan, kLast, true, After(3600, 4 * kGiB - 1, 0)) != "");
  CHECK(CollectionDue(kPlan, kLast, true, After(3600, 4 * kGiB, 1)) != "");
}

TEST_CASE("the interval, when something awaits its compression") {
  StorageFigures now = After(3599, 4 * kGiB, 0);
  now.deferred_bytes = 1;
  CHECK(CollectionDue(kPlan, kLast, true, now) == "");
  now.now_ns = 3600 * kSecond;
  CHECK(CollectionDue(kPlan, kLast, true, now) != "");
}

TEST_CASE("the first interval after a start always ends in a collection") {
  CHECK(CollectionDue(kPlan, kLast, false, After(3599, 4 * kGiB, 0)) == "");
  CHECK(CollectionDue(kPlan, kLast, false, After(3600, 4 * kGiB, 0)) != "");
}

TEST_CASE("a large share of garbage calls for a collection sooner") {
  CHECK(CollectionDue(kPlan, kLast, true, After(61, 3 * kGiB + 1, 0)) == "");
  CHECK(CollectionDue(kPlan, kLast, true, After(61, 3 * kGiB, 0)) != "");
  // Not right after another, and not for a trifle.
  CHECK(CollectionDue(kPlan, kLast, true, After(59, 0, 0)) == "");
  const StorageFigures small{.now_ns = 0, .logical_bytes = 1u << 20, .ingested_bytes = 0};
  CHECK(CollectionDue(kPlan, small, true, {100 * kSecond, 0, 0}) == "");
}

TEST_CASE(
    "where equal chunks or compression are left for later, what came in calls for a collection") {
  const CollectionPlan undone{.interval_s = 3600, .garbage_ratio = 0.25, .leaves_work = true};
  CHECK(CollectionDue(undone, kLast, true, After(7200, 4 * kGiB, 0)) == "");
  CHECK(CollectionDue(undone, kLast, true, After(3599, 4 * kGiB + 1, 1)) == "");
  CHECK(CollectionDue(undone, kLast, true, After(3600, 4 * kGiB + 1, 1)) != "");
  // Sooner when it is a good part of all.
  CHECK(CollectionDue(undone, kLast, true, After(61, 5 * kGiB, kGiB)) == "");
  CHECK(CollectionDue(undone, kLast, true, After(61, 6 * kGiB, 2 * kGiB)) != "");
  CHECK(CollectionDue(undone, kLast, true, After(59, 6 * kGiB, 2 * kGiB)) == "");
  CHECK(CollectionDue(kPlan, kLast, true, After(61, 6 * kGiB, 2 * kGiB)) == "");
}

TEST_CASE("an interval of 0 switches collections off") {
  const CollectionPlan off{.interval_s = 0, .garbage_ratio = 0.25};
  CHECK(CollectionDue(off, kLast, false, After(1'000'000, 0, 0)) == "");
}

}  // namespace
}  // namespace strata::appliance

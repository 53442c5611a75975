// SPDX-License-Identifier: Apache-2.0
//
// The judge of histories must itself tell good from bad.
#include "history.h"

#include <catch2/catch.hpp>

namespace strata::kv {
namespace {

TEST_CASE("good histories pass") {
  CHECK(FindAnomaly({}) == "");
  CHECK(FindAnomaly({{1, 1, 2, {{"a", 0}}, {"a"}}, {2, 3, 4, {{"a", 1}}, {"a"}}}) == "");
  // They overlap in time, so either order will do.
  CHECK(FindAnomaly({{1, 1, 4, {{"a", 0}}, {"a"}}, {2, 2, 3, {{"a", 0}}, {}}}) == "");
}

TEST_CASE("bad histories do not") {
  // A lost update.
  CHECK(FindAnomaly({{1, 1, 3, {{"a", 0}}, {"a"}}, {2, 2, 4, {{"a", 0}}, {"a"}}}) != "");
  // Write skew.
  CHECK(FindAnomaly({{1, 1, 3, {{"a", 0}, {"b", 0}}, {"a"}},
                     {2, 2, 4, {{"a", 0}, {"b", 0}}, {"b"}}}) != "");
  // A stale read: serializable, but not in real time.
  CHECK(FindAnomaly({{1, 1, 2, {{"a", 0}}, {"a"}}, {2, 3, 4, {{"a", 0}}, {}}}) != "");
  // A read of what was never committed.
  CHECK(FindAnomaly({{1, 1, 2, {{"a", 7}}, {}}}) != "");
}

}  // namespace
}  // namespace strata::kv

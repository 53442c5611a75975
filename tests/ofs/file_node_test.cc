// SPDX-License-Identifier: Apache-2.0
//
// Which nodes of files stay in memory. One that stays too long keeps a size that another session
// may have changed.
#include "data/file_node.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <utility>

namespace strata::ofs {
namespace {

TEST_CASE("a node that nobody holds, and that is clean, is forgotten") {
  NodeTable table;
  table.Tidy(table.Get(1));
  CHECK(table.Find(1) == nullptr);

  NodePointer held = table.Get(2);
  {
    MutexLock lock(&held->mutex);
    held->holds = 1;
  }
  table.Tidy(std::move(held));
  CHECK(table.Find(2) != nullptr);
  CHECK(table.DirtySince(INT64_MAX).empty());
  CHECK(table.Find(2) != nullptr);

  NodePointer dirty = table.Get(3);
  {
    MutexLock lock(&dirty->mutex);
    dirty->has_new_times = true;
  }
  table.Tidy(std::move(dirty));
  CHECK(table.DirtySince(INT64_MAX).size() == 1);
  CHECK(table.Find(3) != nullptr);
}

TEST_CASE("a node that was in somebody's hand when its last user left is forgotten later") {
  NodeTable table;
  NodePointer user = table.Get(1);
  NodePointer other = table.Find(1);
  table.Tidy(std::move(user));
  CHECK(table.DirtySince(INT64_MAX).empty());
  CHECK(table.Find(1) == other);
  other.reset();
  CHECK(table.DirtySince(INT64_MAX).empty());
  CHECK(table.Find(1) == nullptr);
}

TEST_CASE("of two users that leave, the second forgets the node") {
  NodeTable table;
  NodePointer first = table.Get(1);
  NodePointer second = table.Get(1);
  table.Tidy(std::move(first));
  CHECK(table.Find(1) != nullptr);
  table.Tidy(std::move(second));
  CHECK(table.Find(1) == nullptr);
}

}  // namespace
}  // namespace strata::ofs

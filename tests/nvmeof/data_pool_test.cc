// SPDX-License-Identifier: Apache-2.0
//
// A worker's memory for data: no byte is given twice, all of it comes back, and what somebody else
// left in it is known.
#include "target/data_pool.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <vector>

#include "support/seed.h"

namespace strata::nvmeof {
namespace {

struct Piece {
  uint64_t owner = 0;
  std::vector<block::Segment> segments;
};

size_t PageOf(const std::byte* base, const std::byte* at) {
  return static_cast<size_t>(at - base) / DataPool::kPageBytes;
}

TEST_CASE("pieces of any size never overlap, and the pool knows who had each page before") {
  std::mt19937_64 random(test::Seed());
  constexpr size_t kPoolBytes = 1 << 20;
  DataPool pool(kPoolBytes);
  // The lowest address comes first.
  std::vector<block::Segment> whole(DataPool::SegmentCount(kPoolBytes));
  bool held_others = false;
  REQUIRE(pool.Take(kPoolBytes, 9, whole, &held_others));
  CHECK(held_others);
  CHECK(pool.free_bytes() == 0);
  const std::byte* base = whole.front().data;
  pool.Give(whole);

  std::vector<Piece> taken;
  std::set<size_t> used;                                               // Pages.
  std::vector<uint64_t> owners(kPoolBytes / DataPool::kPageBytes, 9);  // The model.
  for (int step = 0; step < 4000; ++step) {
    if (!taken.empty() && random() % 2 == 0) {
      const size_t which = random() % taken.size();
      for (const block::Segment& segment : taken[which].segments) {
        const size_t first = PageOf(base, segment.data);
        for (size_t at = 0; at < segment.size_bytes; at += DataPool::kPageBytes) {
          used.erase(first + at / DataPool::kPageBytes);
        }
      }
      pool.Give(taken[which].segments);
      taken.erase(taken.begin() + static_cast<ptrdiff_t>(which));
      continue;
    }
    // Up to 36 KiB, pages and chunks both; now and then a large one.
    const size_t size_bytes = 512 * (1 + random() % (random() % 8 == 0 ? 512 : 72));
    Piece piece{.owner = random() % 4, .segments = {}};
    piece.segments.resize(DataPool::SegmentCount(size_bytes));
    if (!pool.Take(size_bytes, piece.owner, piece.segments, &held_others)) continue;
    size_t total = 0;
    bool is_foreign = piece.owner == 0;
    const size_t unit =
        size_bytes <= DataPool::kMaxPagedBytes ? DataPool::kPageBytes : DataPool::kChunkBytes;
    for (const block::Segment& segment : piece.segments) {
      total += segment.size_bytes;
      const size_t first = PageOf(base, segment.data);
      for (size_t page = first; page < first + unit / DataPool::kPageBytes; ++page) {
        if (owners[page] != piece.owner) is_foreign = true;
        owners[page] = piece.owner;
      }
      for (size_t at = 0; at < segment.size_bytes; at += DataPool::kPageBytes) {
        REQUIRE(used.insert(first + at / DataPool::kPageBytes).second);
      }
    }
    REQUIRE(total == size_bytes);
    REQUIRE(held_others == is_foreign);
    taken.push_back(std::move(piece));
  }
  for (const Piece& piece : taken) pool.Give(piece.segments);
  CHECK(pool.free_bytes() == kPoolBytes);
  REQUIRE(pool.Take(kPoolBytes, 0, whole, &held_others));
}

}  // namespace
}  // namespace strata::nvmeof

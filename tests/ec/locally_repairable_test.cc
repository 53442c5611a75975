// SPDX-License-Identifier: Apache-2.0
//
// The locally repairable code: what single losses read, and every pattern of loss against what any
// code of that layout could recover.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "strata/base/crc32c.h"
#include "strata/ec/code.h"
#include "stripe.h"
#include "support/seed.h"

namespace strata::ec {
namespace {

struct Layout {
  int k;
  int l;
  int r;
};

std::unique_ptr<Code> Make(const Layout& layout) {
  auto code = CreateLocallyRepairable(
      {.data_shards = layout.k, .groups = layout.l, .global_parities = layout.r});
  REQUIRE(code.ok());
  return *std::move(code);
}

// Whether there are enough equations: each group settles one loss of its own, the rest falls to the
// global parities.
bool CouldBeRecoverable(const Layout& layout, const ShardSet& lost) {
  int left = 0;
  for (int group = 0; group < layout.l; ++group) {
    int losses = lost[static_cast<size_t>(layout.k + group)] ? 1 : 0;
    const int size = layout.k / layout.l;
    for (int i = 0; i < size; ++i) losses += lost[static_cast<size_t>(group * size + i)] ? 1 : 0;
    left += std::max(0, losses - 1);
  }
  for (int i = 0; i < layout.r; ++i) {
    left += lost[static_cast<size_t>(layout.k + layout.l + i)] ? 1 : 0;
  }
  return left <= layout.r;
}

// Calls visit(set) for every set of `count` out of `total` shards.
template <typename Visit>
void ForEachSet(int total, int count, const Visit& visit, int from = 0, ShardSet set = {}) {
  if (count == 0) return visit(set);
  for (int i = from; i <= total - count; ++i) {
    ShardSet next = set;
    ForEachSet(total, count - 1, visit, i + 1, next.set(static_cast<size_t>(i)));
  }
}

struct Counts {
  int patterns = 0;
  int possible = 0;
  int recovered = 0;
};

Counts Count(const Layout& layout, const Code& code, int losses) {
  Counts counts;
  ForEachSet(code.total_shards(), losses, [&](const ShardSet& lost) {
    ++counts.patterns;
    const bool possible = CouldBeRecoverable(layout, lost);
    const bool recovered = code.IsRecoverable(code.AllShards() & ~lost);
    INFO(code.name() << ", lost " << lost.to_string().substr(kMaxShards - code.total_shards()));
    REQUIRE((possible || !recovered));
    counts.possible += possible ? 1 : 0;
    counts.recovered += recovered ? 1 : 0;
  });
  return counts;
}

TEST_CASE("with one or two global parities, all that is possible is recoverable") {
  for (const Layout& layout : std::vector<Layout>{{4, 2, 1},
                                                  {6, 2, 1},
                                                  {4, 2, 2},
                                                  {6, 2, 2},
                                                  {6, 3, 2},
                                                  {8, 2, 2},
                                                  {12, 2, 2},
                                                  {12, 3, 2},
                                                  {10, 5, 2},
                                                  {6, 1, 2},
                                                  {8, 4, 1}}) {
    const auto code = Make(layout);
    for (int losses = 1; losses <= layout.l + layout.r; ++losses) {
      const Counts counts = Count(layout, *code, losses);
      INFO(code->name() << ", " << losses << " losses of " << counts.patterns << " patterns");
      CHECK(counts.recovered == counts.possible);
      if (losses <= layout.r + 1) CHECK(counts.recovered == counts.patterns);
    }
  }
}

TEST_CASE("pairs in the widest groups are recoverable") {
  const Layout layout{225, 15, 2};  // 15 groups of 15, and the differences of all of them.
  const auto code = Make(layout);
  Random random(test::Seed());
  for (int round = 0; round < 300; ++round) {
    const uint64_t first = random.Uniform(15);
    const uint64_t second = (first + 1 + random.Uniform(14)) % 15;
    ShardSet lost;
    while (lost.count() < 2) lost.set(first * 15 + random.Uniform(15));
    while (lost.count() < 4) lost.set(second * 15 + random.Uniform(15));
    INFO("groups " << first << " and " << second);
    REQUIRE(code->IsRecoverable(code->AllShards() & ~lost));
  }
}

TEST_CASE("the table of the README") {
  struct Entry {
    Layout layout;
    int losses;
    int patterns;
    int possible;
    int recovered;
  };
  const std::vector<Entry> table = {
      {{12, 2, 2}, 3, 560, 560, 560},       {{12, 2, 2}, 4, 1820, 1568, 1568},
      {{6, 2, 2}, 3, 120, 120, 120},        {{6, 2, 2}, 4, 210, 180, 180},
      {{12, 3, 3}, 4, 3060, 3060, 3060},    {{12, 3, 3}, 5, 8568, 8400, 8364},
      {{12, 3, 3}, 6, 18564, 13500, 13293}, {{16, 2, 4}, 5, 26334, 26334, 26334},
      {{16, 2, 4}, 6, 74613, 71181, 70918},
  };
  for (const Entry& entry : table) {
    const auto code = Make(entry.layout);
    const Counts counts = Count(entry.layout, *code, entry.losses);
    INFO(code->name() << ", " << entry.losses << " losses: " << counts.recovered << " of "
                      << counts.possible << " of " << counts.patterns);
    CHECK(counts.patterns == entry.patterns);
    CHECK(counts.possible == entry.possible);
    CHECK(counts.recovered == entry.recovered);
  }
}

TEST_CASE("any r + 1 losses come back where the points do not suffice") {
  Random random(test::Seed());
  for (const Layout& layout :
       std::vector<Layout>{{32, 2, 2}, {20, 2, 4}, {60, 3, 5}, {36, 18, 2}, {200, 10, 8}}) {
    const auto code = Make(layout);
    for (int round = 0; round < 300; ++round) {
      ShardSet lost;
      while (static_cast<int>(lost.count()) < layout.r + 1) {
        lost.set(random.Uniform(static_cast<uint64_t>(code->total_shards())));
      }
      INFO(code->name() << ", round " << round);
      REQUIRE(code->IsRecoverable(code->AllShards() & ~lost));
    }
  }
}

TEST_CASE("what is recoverable comes back with its bytes") {
  Random random(test::Seed());
  for (const Layout& layout : std::vector<Layout>{{6, 2, 2}, {8, 2, 3}}) {
    const auto code = Make(layout);
    Stripe stripe(*code, 70, random);
    REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
    const auto before = stripe.Copy();
    for (int losses = 1; losses <= 5; ++losses) {
      ForEachSet(code->total_shards(), losses, [&](const ShardSet& lost) {
        const ShardSet present = code->AllShards() & ~lost;
        stripe.Lose(present);
        const absl::Status status = code->Reconstruct(stripe.all(), present);
        INFO(code->name() << ", lost " << lost.to_string() << ": " << status.ToString());
        REQUIRE(status.ok() == code->IsRecoverable(present));
        if (!status.ok()) {
          REQUIRE(absl::IsDataLoss(status));
          for (size_t i = 0; i < before.size(); ++i) {
            std::copy(before[i].begin(), before[i].end(), stripe.shard(i).begin());
          }
        }
        REQUIRE(stripe.Copy() == before);
      });
    }
  }
}

TEST_CASE("one lost shard of a group is rebuilt from its group alone") {
  const Layout layout{12, 3, 2};
  const auto code = Make(layout);
  for (int lost = 0; lost < layout.k + layout.l; ++lost) {
    const int group = lost < layout.k ? lost / 4 : lost - layout.k;
    const ShardSet wanted = ShardSet().set(static_cast<size_t>(lost));
    const auto repair = *code->PlanRepair(code->AllShards() & ~wanted, wanted);
    INFO("shard " << lost);
    REQUIRE(repair->sources().size() == 4);
    for (const int source : repair->sources()) {
      CHECK((source < layout.k ? source / 4 : source - layout.k) == group);
    }
  }
}

TEST_CASE("a group's shard comes back even when another group is beyond help") {
  const Layout layout{12, 2, 2};
  const auto code = Make(layout);
  // Five losses in the first group, one in the second.
  const ShardSet present = code->AllShards() & ~ShardSet(0b1000000011111);
  ShardSet lost = code->AllShards() & ~present;
  lost.set(7);
  const ShardSet left = code->AllShards() & ~lost;
  CHECK_FALSE(code->IsRecoverable(left));
  CHECK(code->PlanRepair(left, ShardSet().set(7)).ok());
  CHECK(absl::IsDataLoss(code->PlanRepair(left, ShardSet().set(0)).status()));
}

TEST_CASE("the bytes are for ever: golden checksums of local and global parity") {
  const std::vector<uint32_t> crcs = {0x1878ad10, 0x94225493, 0xcae7f4ff, 0xea6e3b24};
  Random random(1);
  const auto code = Make({6, 2, 2});
  Stripe stripe(*code, 100, random);
  for (int c = 0; c < 6; ++c) {
    for (int i = 0; i < 100; ++i) {
      stripe.shard(c)[i] = static_cast<std::byte>((7 * i + 13 * c + 1) % 256);
    }
  }
  REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
  for (size_t r = 0; r < crcs.size(); ++r) {
    INFO("parity " << r << ": 0x" << std::hex << Crc32c(stripe.parity()[r]));
    CHECK(Crc32c(stripe.parity()[r]) == crcs[r]);
  }
}

TEST_CASE("layouts that cannot be are refused") {
  for (const Layout& layout : std::vector<Layout>{
           {12, 5, 2}, {12, 0, 2}, {12, 2, 0}, {0, 1, 1}, {250, 2, 4}, {4, 8, 1}, {12, -2, 2}}) {
    INFO(layout.k << ", " << layout.l << ", " << layout.r);
    CHECK(absl::IsInvalidArgument(
        CreateLocallyRepairable(
            {.data_shards = layout.k, .groups = layout.l, .global_parities = layout.r})
            .status()));
  }
}

}  // namespace
}  // namespace strata::ec

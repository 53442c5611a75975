// SPDX-License-Identifier: Apache-2.0
//
// What every code must do, run over several codes and all kernels.
#include "strata/ec/code.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "stripe.h"
#include "support/seed.h"

namespace strata::ec {
namespace {

std::vector<std::unique_ptr<Code>> AllCodes() {
  std::vector<std::unique_ptr<Code>> codes;
  for (const Kernel kernel : SupportedKernels()) {
    codes.push_back(*CreateReedSolomon({.data_shards = 4, .parity_shards = 2, .kernel = kernel}));
    codes.push_back(*CreateReedSolomon({.data_shards = 5, .parity_shards = 1, .kernel = kernel}));
    codes.push_back(*CreateReedSolomon({.data_shards = 17, .parity_shards = 7, .kernel = kernel}));
    codes.push_back(*CreateLocallyRepairable(
        {.data_shards = 12, .groups = 2, .global_parities = 2, .kernel = kernel}));
  }
  return codes;
}

// A shard cut into pieces at random places, some of them empty.
template <typename PieceBytes>
std::vector<PieceBytes> Cut(PieceBytes shard, Random& random) {
  std::vector<PieceBytes> pieces;
  while (!shard.empty()) {
    const size_t size = random.Uniform(shard.size() + 1);
    pieces.push_back(shard.first(size));
    shard = shard.subspan(size);
  }
  if (random.Chance(0.5)) pieces.push_back(shard);
  return pieces;
}

template <typename PieceBytes>
struct Scattered {
  Scattered(const std::vector<PieceBytes>& shards, Random& random) {
    for (const PieceBytes shard : shards) lists.push_back(Cut(shard, random));
    for (const auto& list : lists) spans.emplace_back(list);
  }
  std::vector<std::vector<PieceBytes>> lists;
  std::vector<std::span<const PieceBytes>> spans;
};

TEST_CASE("parity is what the matrix says, at every small length") {
  Random random(test::Seed());
  for (const auto& code : AllCodes()) {
    for (const size_t size : {0u, 1u, 2u, 31u, 33u, 64u, 65u, 127u, 129u, 255u, 257u, 4097u}) {
      INFO(code->name() << ", " << size << " bytes");
      Stripe stripe(*code, size, random);
      REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
      REQUIRE(code->Verify(stripe.const_data(), stripe.const_parity()).ok());
      ShardSet present = code->AllShards();
      present.reset(1).reset(static_cast<size_t>(code->data_shards()));
      if (code->parity_shards() == 1) present.set(1);
      const auto before = stripe.Copy();
      stripe.Lose(present);
      REQUIRE(code->Reconstruct(stripe.all(), present).ok());
      REQUIRE(stripe.Copy() == before);
    }
  }
}

TEST_CASE("an update gives the parity of the new data") {
  Random random(test::Seed());
  for (const auto& code : AllCodes()) {
    for (const size_t size : {0u, 1u, 100u, 5000u}) {
      INFO(code->name() << ", " << size << " bytes");
      Stripe stripe(*code, size, random);
      REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
      for (int shard = 0; shard < code->data_shards(); ++shard) {
        const auto old_data = stripe.Copy()[static_cast<size_t>(shard)];
        random.Fill(stripe.shard(static_cast<size_t>(shard)));
        REQUIRE(
            code->Update(shard, old_data, stripe.shard(static_cast<size_t>(shard)), stripe.parity())
                .ok());
        INFO("data shard " << shard);
        REQUIRE(code->Verify(stripe.const_data(), stripe.const_parity()).ok());
      }
    }
  }
}

TEST_CASE("a range of a stripe can be updated alone") {
  Random random(test::Seed());
  const auto code = *CreateReedSolomon({.data_shards = 4, .parity_shards = 2});
  Stripe stripe(*code, 1000, random);
  REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
  const auto before = stripe.Copy();
  std::vector<Bytes> parity;
  for (const Bytes shard : stripe.parity()) parity.push_back(shard.subspan(300, 77));
  random.Fill(stripe.shard(2).subspan(300, 77));
  REQUIRE(code->Update(2, ConstBytes(before[2]).subspan(300, 77), stripe.shard(2).subspan(300, 77),
                       parity)
              .ok());
  REQUIRE(code->Verify(stripe.const_data(), stripe.const_parity()).ok());
}

TEST_CASE("shards larger than the cache give what small ranges of them give") {
  Random random(test::Seed());
  constexpr size_t kBytes = (3u << 20) + 777;
  constexpr size_t kRangeBytes = 9999;
  for (const auto& code : AllCodes()) {
    if (code->data_shards() > 12) continue;  // Memory; the shapes with several parts are here.
    INFO(code->name());
    Stripe stripe(*code, kBytes, random, /*misalignment=*/64);
    REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
    std::vector<std::vector<std::byte>> parity(static_cast<size_t>(code->parity_shards()),
                                               std::vector<std::byte>(kRangeBytes));
    for (size_t at = 0; at < kBytes; at += kRangeBytes) {
      const size_t size = std::min(kRangeBytes, kBytes - at);
      std::vector<ConstBytes> data;
      for (const Bytes shard : stripe.data()) data.push_back(shard.subspan(at, size));
      std::vector<Bytes> expected;
      for (auto& shard : parity) expected.push_back(Bytes(shard).first(size));
      REQUIRE(code->Encode(data, expected).ok());
      for (size_t r = 0; r < expected.size(); ++r) {
        INFO("parity " << r << ", from byte " << at);
        REQUIRE(std::ranges::equal(stripe.parity()[r].subspan(at, size), expected[r]));
      }
    }
  }
}

TEST_CASE("scatter lists give what whole shards give") {
  Random random(test::Seed());
  for (const auto& code : AllCodes()) {
    for (const size_t size : {0u, 1u, 777u, 9000u}) {
      INFO(code->name() << ", " << size << " bytes");
      Stripe whole(*code, size, random);
      REQUIRE(code->Encode(whole.const_data(), whole.parity()).ok());
      const auto expected = whole.Copy();
      whole.Lose(ShardSet().flip() >> (kMaxShards - code->data_shards()));

      const Scattered<ConstBytes> data(whole.const_data(), random);
      const Scattered<Bytes> parity(whole.parity(), random);
      REQUIRE(code->EncodePieces(data.spans, parity.spans).ok());
      REQUIRE(whole.Copy() == expected);
      const Scattered<ConstBytes> const_parity(whole.const_parity(), random);
      REQUIRE(code->VerifyPieces(data.spans, const_parity.spans).ok());

      const ShardSet present = code->AllShards().reset(0);
      whole.Lose(present);
      const Scattered<Bytes> all(whole.all(), random);
      REQUIRE(code->ReconstructPieces(all.spans, present).ok());
      REQUIRE(whole.Copy() == expected);

      random.Fill(whole.shard(0));
      REQUIRE(code->UpdatePieces(0, Cut(ConstBytes(expected[0]), random),
                                 Cut(ConstBytes(whole.shard(0)), random), parity.spans)
                  .ok());
      REQUIRE(code->Verify(whole.const_data(), whole.const_parity()).ok());
    }
  }
}

TEST_CASE("verification finds any wrong byte and says where it is") {
  Random random(test::Seed());
  for (const auto& code : AllCodes()) {
    Stripe stripe(*code, 10000, random);
    REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
    for (int round = 0; round < 20; ++round) {
      const size_t shard = random.Uniform(static_cast<uint64_t>(code->total_shards()));
      const size_t at = random.Uniform(10000);
      stripe.shard(shard)[at] ^= std::byte{0x10};
      const absl::Status status = code->Verify(stripe.const_data(), stripe.const_parity());
      INFO(code->name() << ", shard " << shard << ", byte " << at << ": " << status.ToString());
      REQUIRE(absl::IsDataLoss(status));
      REQUIRE(std::string(status.message()).ends_with("at byte " + std::to_string(at)));
      stripe.shard(shard)[at] ^= std::byte{0x10};
    }
  }
}

TEST_CASE("a repair reads only its sources and writes only its targets") {
  Random random(test::Seed());
  for (const auto& code : AllCodes()) {
    Stripe stripe(*code, 500, random);
    REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
    for (int lost = 0; lost < code->total_shards(); ++lost) {
      INFO(code->name() << ", shard " << lost);
      const ShardSet wanted = ShardSet().set(static_cast<size_t>(lost));
      const auto repair = *code->PlanRepair(code->AllShards() & ~wanted, wanted);
      REQUIRE(repair->targets().size() == 1);
      REQUIRE(repair->targets()[0] == lost);
      REQUIRE(static_cast<int>(repair->sources().size()) <= code->data_shards());
      std::vector<ConstBytes> sources;
      for (const int source : repair->sources()) {
        REQUIRE(source != lost);
        sources.push_back(stripe.shard(static_cast<size_t>(source)));
      }
      std::vector<std::byte> target(500);
      const Bytes targets[] = {target};
      REQUIRE(repair->Run(sources, targets).ok());
      REQUIRE(std::ranges::equal(target, stripe.shard(static_cast<size_t>(lost))));
    }
    const auto nothing = *code->PlanRepair(code->AllShards(), ShardSet());
    CHECK(nothing->sources().empty());
    CHECK(nothing->Run({}, {}).ok());
  }
}

TEST_CASE("what a caller gets wrong is named") {
  Random random(test::Seed());
  const auto code = *CreateReedSolomon({.data_shards = 4, .parity_shards = 2});
  Stripe stripe(*code, 100, random);
  auto data = stripe.const_data();
  auto parity = stripe.parity();
  const auto refuses = [](const absl::Status& status, const char* words) {
    INFO(status.ToString());
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find(words) != std::string::npos);
  };
  data[2] = data[2].first(99);
  refuses(code->Encode(data, parity), "data shard 2 has 99 bytes");
  data.pop_back();
  refuses(code->Encode(data, parity), "3 data shards instead of 4");
  data = stripe.const_data();
  parity[1] = parity[1].first(5);
  refuses(code->Encode(data, parity), "parity shard 1 has 5 bytes");
  refuses(code->Encode(data, std::span(parity).first(1)), "1 parity shards instead of 2");
  parity = stripe.parity();
  refuses(code->Update(4, data[0], data[1], parity), "no data shard 4");
  refuses(code->Update(-1, data[0], data[1], parity), "no data shard -1");
  refuses(code->Update(0, data[0], data[1].first(7), parity), "7 bytes");
  auto all = stripe.all();
  refuses(code->Reconstruct(std::span(all).first(5), code->AllShards()), "5 stripe shards");
  refuses(code->Reconstruct(all, ShardSet().set(6)), "beyond the code's 6 is called present");
  all[3] = all[3].first(1);
  refuses(code->Reconstruct(all, code->AllShards().reset(0)), "stripe shard 3 has 1 bytes");
  refuses(code->PlanRepair(code->AllShards(), ShardSet().set(1)).status(), "wanted too");
  refuses(code->PlanRepair(ShardSet(), ShardSet().set(200)).status(), "is called wanted");
  CHECK(absl::IsDataLoss(code->PlanRepair(ShardSet(0b111), ShardSet(0b1000)).status()));
}

}  // namespace
}  // namespace strata::ec

// SPDX-License-Identifier: Apache-2.0
//
// Reed-Solomon: its bytes against ISA-L itself and against golden values, its recovery from every
// pattern of loss up to a size and from random ones beyond.
#include <isa-l/erasure_code.h>

#include <catch2/catch.hpp>
#include <string>

#include "strata/base/crc32c.h"
#include "strata/ec/code.h"
#include "stripe.h"
#include "support/seed.h"

namespace strata::ec {
namespace {

std::unique_ptr<Code> Make(int k, int m, Kernel kernel = Kernel::kFastest) {
  auto code = CreateReedSolomon({.data_shards = k, .parity_shards = m, .kernel = kernel});
  REQUIRE(code.ok());
  return *std::move(code);
}

// Parity by ISA-L from beginning to end.
std::vector<std::vector<uint8_t>> EncodeWithIsaL(int k, int m, size_t size,
                                                 const std::vector<ConstBytes>& data) {
  std::vector<uint8_t> matrix(static_cast<size_t>((k + m) * k));
  gf_gen_cauchy1_matrix(matrix.data(), k + m, k);
  std::vector<uint8_t> tables(static_cast<size_t>(32 * k * m));
  ec_init_tables(k, m, matrix.data() + k * k, tables.data());
  std::vector<std::vector<uint8_t>> parity(static_cast<size_t>(m), std::vector<uint8_t>(size));
  std::vector<uint8_t*> from;
  std::vector<uint8_t*> to;
  for (const ConstBytes shard : data) {
    from.push_back(const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(shard.data())));
  }
  for (auto& shard : parity) to.push_back(shard.data());
  ec_encode_data(static_cast<int>(size), k, m, tables.data(), from.data(), to.data());
  return parity;
}

bool Equal(ConstBytes a, std::span<const uint8_t> b) {
  return std::ranges::equal(a, std::as_bytes(b));
}

void CheckRecovery(const Code& code, Stripe& stripe, const ShardSet& present) {
  const auto before = stripe.Copy();
  stripe.Lose(present);
  INFO("present: " << present.to_string().substr(kMaxShards - code.total_shards()));
  const absl::Status status = code.Reconstruct(stripe.all(), present);
  INFO(status.ToString());
  REQUIRE(status.ok());
  REQUIRE(stripe.Copy() == before);
}

TEST_CASE("two parities and more are ISA-L's Cauchy bytes") {
  Random random(test::Seed());
  for (const auto& [k, m] : std::vector<std::pair<int, int>>{{1, 2},
                                                             {2, 2},
                                                             {4, 2},
                                                             {6, 3},
                                                             {8, 3},
                                                             {10, 4},
                                                             {17, 3},
                                                             {5, 9},
                                                             {50, 12},
                                                             {240, 15},
                                                             {128, 127}}) {
    for (const Kernel kernel : SupportedKernels()) {
      INFO(k << "+" << m << " with " << std::string(KernelName(kernel)));
      const auto code = Make(k, m, kernel);
      Stripe stripe(*code, 1021, random);
      REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
      const auto expected = EncodeWithIsaL(k, m, 1021, stripe.const_data());
      for (int r = 0; r < m; ++r) {
        REQUIRE(Equal(stripe.parity()[r], expected[static_cast<size_t>(r)]));
      }
      REQUIRE(code->Verify(stripe.const_data(), stripe.const_parity()).ok());
    }
  }
}

TEST_CASE("one parity is the exclusive or of the data") {
  Random random(test::Seed());
  for (const int k : {1, 2, 3, 17, 254}) {
    for (const Kernel kernel : SupportedKernels()) {
      INFO(k << "+1 with " << std::string(KernelName(kernel)));
      const auto code = Make(k, 1, kernel);
      Stripe stripe(*code, 333, random);
      REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
      std::vector<std::byte> sum(333);
      for (const Bytes shard : stripe.data()) {
        for (size_t i = 0; i < sum.size(); ++i) sum[i] ^= shard[i];
      }
      REQUIRE(std::ranges::equal(stripe.parity()[0], sum));
    }
  }
}

TEST_CASE("the bytes are for ever: golden checksums of parity") {
  struct Golden {
    int k;
    int m;
    std::vector<uint32_t> crcs;
  };
  // CRC-32C of each parity shard; byte i of data shard c is (7 * i + 13 * c + 1) modulo 256, i <
  // 100.
  const std::vector<Golden> goldens = {
      {3, 1, {0x1878ad10}},
      {4, 2, {0x0643c3f2, 0xf81430d6}},
      {10, 4, {0x77974d84, 0xafff2b3c, 0xcfc0a06b, 0x6225a9b6}},
  };
  Random random(1);
  for (const Golden& golden : goldens) {
    const auto code = Make(golden.k, golden.m);
    Stripe stripe(*code, 100, random);
    for (int c = 0; c < golden.k; ++c) {
      for (int i = 0; i < 100; ++i) {
        stripe.shard(c)[i] = static_cast<std::byte>((7 * i + 13 * c + 1) % 256);
      }
    }
    REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
    for (int r = 0; r < golden.m; ++r) {
      INFO(code->name() << ", parity " << r << ": 0x" << std::hex << Crc32c(stripe.parity()[r]));
      CHECK(Crc32c(stripe.parity()[r]) == golden.crcs[static_cast<size_t>(r)]);
    }
  }
}

TEST_CASE("every pattern of up to m losses comes back, for every shape up to 12 shards") {
  Random random(test::Seed());
  for (int k = 1; k <= 8; ++k) {
    for (int m = 1; m <= 4; ++m) {
      const auto code = Make(k, m);
      Stripe stripe(*code, 67, random);
      REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
      const unsigned patterns = 1u << code->total_shards();
      for (unsigned bits = 0; bits < patterns; ++bits) {
        const ShardSet present(bits);
        if (static_cast<int>(present.count()) >= k) {
          REQUIRE(code->IsRecoverable(present));
          CheckRecovery(*code, stripe, present);
        } else {
          REQUIRE_FALSE(code->IsRecoverable(present));
          const auto before = stripe.Copy();
          REQUIRE(absl::IsDataLoss(code->Reconstruct(stripe.all(), present)));
          REQUIRE(stripe.Copy() == before);
        }
      }
    }
  }
}

TEST_CASE("random losses come back in large shapes, with every kernel") {
  Random random(test::Seed());
  for (const Kernel kernel : SupportedKernels()) {
    for (const auto& [k, m] : std::vector<std::pair<int, int>>{
             {17, 3}, {20, 10}, {100, 30}, {1, 254}, {254, 1}, {130, 125}}) {
      INFO(k << "+" << m << " with " << std::string(KernelName(kernel)));
      const auto code = Make(k, m, kernel);
      Stripe stripe(*code, 130, random);
      REQUIRE(code->Encode(stripe.const_data(), stripe.parity()).ok());
      for (int round = 0; round < 4; ++round) {
        ShardSet present = code->AllShards();
        const uint64_t losses = 1 + random.Uniform(static_cast<uint64_t>(m));
        while (present.count() > static_cast<size_t>(code->total_shards()) - losses) {
          present.reset(random.Uniform(static_cast<uint64_t>(code->total_shards())));
        }
        CheckRecovery(*code, stripe, present);
      }
    }
  }
}

TEST_CASE("shapes that no code has are refused by name") {
  for (const auto& [k, m] : std::vector<std::pair<int, int>>{
           {0, 1}, {1, 0}, {-1, 2}, {200, 56}, {255, 1}, {1, 255}, {2147483647, 1}}) {
    const auto code = CreateReedSolomon({.data_shards = k, .parity_shards = m});
    INFO(k << "+" << m);
    REQUIRE(absl::IsInvalidArgument(code.status()));
  }
  CHECK(Make(254, 1)->total_shards() == kMaxShards);
  CHECK(Make(4, 2)->name() == "rs(4,2)");
}

}  // namespace
}  // namespace strata::ec

// SPDX-License-Identifier: Apache-2.0
//
// The chunkers against slow references, golden cut points, and what all of them promise.
#include "strata/dedup/chunker.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "chunking/gear_table.h"
#include "chunking/lincdc.h"
#include "chunking/rabin.h"
#include "dedup/chunker_reference.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::dedup {
namespace {

using Bytes = std::vector<std::byte>;
using Lengths = std::vector<uint32_t>;

Bytes RandomBytes(uint64_t seed, size_t size) {
  Bytes bytes(size);
  Random(seed).Fill(bytes);
  return bytes;
}

// Bytes of many kinds: what chunkers meet, and what they stumble over.
const std::pair<const char*, Bytes (*)(uint64_t seed, size_t size)> kKinds[] = {
    {"zero", [](uint64_t, size_t size) { return Bytes(size); }},
    {"constant",
     [](uint64_t seed, size_t size) { return Bytes(size, static_cast<std::byte>(seed)); }},
    {"random", RandomBytes},
    {"text",
     [](uint64_t seed, size_t size) {
       Bytes bytes = RandomBytes(seed, size);
       for (std::byte& byte : bytes) {
         byte = static_cast<std::byte>("etaoin shrdlu\ncm"[static_cast<uint8_t>(byte) % 16]);
       }
       return bytes;
     }},
    {"periodic",
     [](uint64_t seed, size_t size) {
       Bytes bytes = RandomBytes(seed, size);
       const size_t period = 1 + seed % 300;
       for (size_t i = period; i < size; ++i) bytes[i] = bytes[i - period];
       return bytes;
     }},
    {"rising",
     [](uint64_t seed, size_t size) {
       Bytes bytes(size);
       for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * (1 + seed % 5));
       return bytes;
     }},
    {"sparse",
     [](uint64_t seed, size_t size) {
       Bytes bytes = RandomBytes(seed, size);
       for (size_t i = 0; i < size; ++i) {
         if (i % 1024 >= 40) bytes[i] = std::byte{0};
       }
       return bytes;
     }},
};

ChunkerKey KeyOf(uint64_t seed) {
  ChunkerKey key;
  Random(seed).Fill(key);
  return key;
}

bool TakesKey(ChunkAlgorithm algorithm) {
  return CreateChunker({.algorithm = algorithm, .key = ChunkerKey{}}).ok();
}

std::unique_ptr<const Chunker> Must(const ChunkerOptions& options) {
  auto chunker = CreateChunker(options);
  INFO(chunker.status());
  REQUIRE(chunker.ok());
  return *std::move(chunker);
}

Lengths SplitAll(const Chunker& chunker, std::span<const std::byte> data) {
  Lengths lengths;
  CHECK(chunker.Split(data, /*last=*/true, &lengths) == data.size());
  return lengths;
}

std::string Describe(const ChunkerOptions& options) {
  return std::string(ChunkAlgorithmName(options.algorithm)) + " " +
         std::to_string(options.min_bytes) + "/" + std::to_string(options.avg_bytes) + "/" +
         std::to_string(options.max_bytes) + " level " + std::to_string(options.normalization) +
         (options.key.has_value() ? " keyed" : "");
}

// Number of chunks, and a checksum of their lengths.
std::pair<size_t, uint32_t> Digest(const Lengths& lengths) {
  Bytes bytes(4 * lengths.size());
  for (size_t i = 0; i < lengths.size(); ++i) StoreLe32(bytes.data() + 4 * i, lengths[i]);
  return {lengths.size(), Crc32c(bytes)};
}

}  // namespace

TEST_CASE("the Gear table is the MD5 of 64 equal bytes") {
  for (size_t value = 0; value < kGear.size(); ++value) {
    std::array<unsigned char, 64> input;
    input.fill(static_cast<unsigned char>(value));
    std::array<std::byte, 16> digest;
    REQUIRE(EVP_Digest(input.data(), input.size(), reinterpret_cast<unsigned char*>(digest.data()),
                       nullptr, EVP_md5(), nullptr) == 1);
    INFO("entry " << value);
    CHECK(kGear[value] == LoadBe64(digest.data()));
  }
}

TEST_CASE("every chunker cuts where its slow reference does") {
  const uint64_t seed = test::Seed();
  Random random(seed);
  const auto algorithm =
      GENERATE(from_range(AllChunkAlgorithms().begin(), AllChunkAlgorithms().end()));
  for (const auto& [kind, make] : kKinds) {
    for (const uint32_t avg : {256u, 1024u, 4096u}) {
      for (const uint32_t min_part : {1u, 2u, 4u}) {
        for (const uint32_t max_part : {4u, 8u}) {
          ChunkerOptions options{.algorithm = algorithm,
                                 .min_bytes = avg / min_part,
                                 .avg_bytes = avg,
                                 .max_bytes = avg * max_part,
                                 .normalization = static_cast<uint32_t>(random.Uniform(4))};
          if (random.Chance(0.5)) options.min_bytes -= static_cast<uint32_t>(random.Uniform(2));
          if (options.min_bytes < 64) options.min_bytes = 64;
          options.max_bytes += static_cast<uint32_t>(random.Uniform(2));
          if (TakesKey(algorithm) && random.Chance(0.5)) options.key = KeyOf(random.Next64());
          const Bytes data = make(random.Next64(), 8 * avg + random.Uniform(3000));
          INFO("STRATA_SEED=" << seed << ", " << Describe(options) << ", " << data.size() << " "
                              << kind << " bytes");
          REQUIRE(SplitAll(*Must(options), data) == reference::Split(options, data));
        }
      }
    }
  }
}

TEST_CASE("golden cut points") {
  // Over the same bytes for ever: a store's cuts must never move.
  const Bytes data = RandomBytes(20240607, 1 << 20);
  struct Golden {
    ChunkAlgorithm algorithm;
    bool keyed;
    uint32_t normalization;
    size_t count;
    uint32_t crc;
  };
  const Golden all[] = {
      {ChunkAlgorithm::kFixed, false, 2, 128, 0x476b8b20},
      {ChunkAlgorithm::kFastCdc2020, false, 0, 111, 0x6f4757f0},
      {ChunkAlgorithm::kFastCdc2020, false, 1, 111, 0x6b87038d},
      {ChunkAlgorithm::kFastCdc2020, false, 2, 119, 0xe1fc60e3},
      {ChunkAlgorithm::kFastCdc2020, false, 3, 122, 0x3c8db4d7},
      {ChunkAlgorithm::kFastCdc2020, true, 2, 109, 0xe16e7821},
      {ChunkAlgorithm::kFastCdc2016, false, 0, 111, 0x6f4757f0},
      {ChunkAlgorithm::kFastCdc2016, false, 1, 111, 0x6b87038d},
      {ChunkAlgorithm::kFastCdc2016, false, 2, 119, 0xe1fc60e3},
      {ChunkAlgorithm::kFastCdc2016, false, 3, 122, 0x3c8db4d7},
      {ChunkAlgorithm::kFastCdc2016, true, 2, 109, 0xe16e7821},
      {ChunkAlgorithm::kGear, false, 2, 95, 0xc4e8ff7f},
      {ChunkAlgorithm::kGear, true, 2, 114, 0x05948aa3},
      {ChunkAlgorithm::kRabin, false, 2, 89, 0xe3f16031},
      {ChunkAlgorithm::kRabin, true, 2, 96, 0x9e4f7b06},
      {ChunkAlgorithm::kAe, false, 2, 131, 0x5f07ef76},
      {ChunkAlgorithm::kRam, false, 2, 128, 0x40ea98a6},
      {ChunkAlgorithm::kSeqCdc, false, 2, 124, 0x684e96bd},
      {ChunkAlgorithm::kLinCdc, false, 0, 106, 0xbf81bf1e},
      {ChunkAlgorithm::kLinCdc, false, 1, 107, 0xd21b45ad},
      {ChunkAlgorithm::kLinCdc, false, 2, 119, 0x1cd18627},
      {ChunkAlgorithm::kLinCdc, false, 3, 127, 0x2440d7fa},
      {ChunkAlgorithm::kLinCdc, true, 2, 128, 0x1aaf0df8},
  };
  for (const Golden& golden : all) {
    ChunkerOptions options{.algorithm = golden.algorithm,
                           .min_bytes = 2048,
                           .avg_bytes = 8192,
                           .max_bytes = 65536,
                           .normalization = golden.normalization};
    if (golden.keyed) options.key = KeyOf(1);
    const Lengths lengths = SplitAll(*Must(options), data);
    const auto front = std::span(data).first(128 << 10);
    CHECK(SplitAll(*Must(options), front) == reference::Split(options, front));
    const auto [count, crc] = Digest(lengths);
    INFO(Describe(options) << ": " << count << ", 0x" << std::hex << crc);
    CHECK(count == golden.count);
    CHECK(crc == golden.crc);
  }
}

TEST_CASE("cut points do not depend on how the input is handed over") {
  const uint64_t seed = test::Seed();
  Random random(seed);
  const auto algorithm =
      GENERATE(from_range(AllChunkAlgorithms().begin(), AllChunkAlgorithms().end()));
  for (const auto& [kind, make] : kKinds) {
    const ChunkerOptions options{
        .algorithm = algorithm, .min_bytes = 512, .avg_bytes = 2048, .max_bytes = 8192};
    const auto chunker = Must(options);
    const Bytes data = make(random.Next64(), 150000 + random.Uniform(9000));
    const Lengths whole = SplitAll(*chunker, data);
    for (int trial = 0; trial < 20; ++trial) {
      Lengths pieces;
      size_t begin = 0;  // Of what no chunk covers yet.
      size_t end = 0;    // Of what was handed over.
      const size_t longest = 1 + random.Uniform(trial % 2 == 0 ? 200 : 40000);
      while (end < data.size()) {
        end = std::min(data.size(), end + 1 + random.Uniform(longest));
        begin += chunker->Split(std::span(data).subspan(begin, end - begin), false, &pieces);
      }
      begin += chunker->Split(std::span(data).subspan(begin), true, &pieces);
      INFO("STRATA_SEED=" << seed << ", " << Describe(options) << ", " << kind << ", pieces up to "
                          << longest);
      REQUIRE(begin == data.size());
      REQUIRE(pieces == whole);
    }
  }
}

TEST_CASE("lengths keep to the limits") {
  const uint64_t seed = test::Seed();
  Random random(seed);
  const auto algorithm =
      GENERATE(from_range(AllChunkAlgorithms().begin(), AllChunkAlgorithms().end()));
  if (algorithm == ChunkAlgorithm::kFixed) return;
  for (const auto& [kind, make] : kKinds) {
    for (const auto& [min, avg, max] :
         {std::array{64u, 256u, 1024u}, std::array{64u, 256u, 4096u},
          std::array{2048u, 8192u, 65536u}, std::array{8192u, 8192u, 8192u},
          std::array{4096u, 65536u, 262144u}, std::array{1u << 20, 4u << 20, 16u << 20}}) {
      const ChunkerOptions options{.algorithm = algorithm,
                                   .min_bytes = min,
                                   .avg_bytes = avg,
                                   .max_bytes = max,
                                   .normalization = static_cast<uint32_t>(random.Uniform(4))};
      const auto chunker = Must(options);
      for (const size_t size : {size_t{0}, size_t{1}, size_t{63}, size_t{min}, size_t{min} + 1,
                                size_t{max} - 1, size_t{max}, size_t{max} + 1, 2 * size_t{max}}) {
        const Bytes data = make(random.Next64(), size);
        const Lengths lengths = SplitAll(*chunker, data);
        INFO("STRATA_SEED=" << seed << ", " << Describe(options) << ", " << size << " " << kind
                            << " bytes");
        REQUIRE(std::accumulate(lengths.begin(), lengths.end(), size_t{0}) == size);
        for (size_t i = 0; i < lengths.size(); ++i) {
          REQUIRE(lengths[i] <= max);
          REQUIRE((lengths[i] >= min || i + 1 == lengths.size()));
        }
        Lengths none;
        if (size < max) REQUIRE(chunker->Split(data, /*last=*/false, &none) == 0);
      }
    }
  }
}

TEST_CASE("an insertion moves only the boundaries near it") {
  const uint64_t seed = test::Seed();
  const auto algorithm =
      GENERATE(from_range(AllChunkAlgorithms().begin(), AllChunkAlgorithms().end()));
  if (algorithm == ChunkAlgorithm::kFixed) return;
  const ChunkerOptions options{
      .algorithm = algorithm, .min_bytes = 1024, .avg_bytes = 4096, .max_bytes = 32768};
  const auto chunker = Must(options);
  Bytes data = RandomBytes(seed, 1 << 20);
  const auto boundaries = [&] {
    std::vector<size_t> from_the_end;
    size_t left = data.size();
    for (const uint32_t length : SplitAll(*chunker, data)) from_the_end.push_back(left -= length);
    return from_the_end;
  };
  const std::vector<size_t> before = boundaries();
  data.insert(data.begin() + 1000, std::byte{1});
  std::vector<size_t> same;
  const std::vector<size_t> after = boundaries();
  std::set_intersection(before.rbegin(), before.rend(), after.rbegin(), after.rend(),
                        std::back_inserter(same));
  INFO("STRATA_SEED=" << seed << ", " << Describe(options));
  CHECK(same.size() >= before.size() / 2);
}

TEST_CASE("a key moves the cuts, and each key moves them elsewhere") {
  const uint64_t seed = test::Seed();
  const Bytes data = RandomBytes(seed, 1 << 20);
  for (const ChunkAlgorithm algorithm : AllChunkAlgorithms()) {
    ChunkerOptions options{
        .algorithm = algorithm, .min_bytes = 1024, .avg_bytes = 4096, .max_bytes = 32768};
    const Lengths without = SplitAll(*Must(options), data);
    options.key = KeyOf(seed);
    INFO("STRATA_SEED=" << seed << ", " << Describe(options));
    if (!TakesKey(algorithm)) {
      const absl::Status status = CreateChunker(options).status();
      CHECK(absl::IsInvalidArgument(status));
      CHECK_THAT(std::string(status.message()), Catch::Matchers::Contains("key"));
      continue;
    }
    const Lengths with = SplitAll(*Must(options), data);
    CHECK(with != without);
    CHECK(SplitAll(*Must(options), data) == with);
    options.key = KeyOf(seed + 1);
    CHECK(SplitAll(*Must(options), data) != with);
  }
}

TEST_CASE("LinCDC: every variant finds what the portable one does") {
  const uint64_t seed = test::Seed();
  Random random(seed);
  for (const LinCdcVariant variant : kLinCdcVariants) {
    if (!HasLinCdcVariant(variant)) {
      WARN("this CPU does not run variant " << static_cast<int>(variant));
      CHECK(FindLinCdcVariant(variant) == nullptr);
      continue;
    }
    for (const bool keyed : {false, true}) {
      const LinCdcHash hash(keyed ? std::optional(KeyOf(random.Next64())) : std::nullopt);
      for (const auto& [kind, make] : kKinds) {
        const Bytes data = make(random.Next64(), 3000);
        for (int trial = 0; trial < 300; ++trial) {
          const size_t begin = 47 + random.Uniform(400);
          const size_t end = begin + random.Uniform(data.size() - begin + 1);
          const size_t size = end + random.Uniform(data.size() - end + 1);
          const auto criterion = LinCdcCriterion::OfBits(static_cast<int>(random.Uniform(25)));
          // A copy of its own, so that a sanitizer sees what reads beyond it.
          const Bytes exact(data.begin(), data.begin() + static_cast<ptrdiff_t>(size));
          INFO("STRATA_SEED=" << seed << ", variant " << static_cast<int>(variant) << ", " << kind
                              << ", " << begin << ".." << end << " of " << size);
          REQUIRE(FindLinCdcVariant(variant)(hash, criterion, exact, begin, end) ==
                  FindLinCdcPortable(hash, criterion, exact, begin, end));
        }
      }
    }
  }
}

TEST_CASE("LinCDC: the variant can be forced, and cuts alike on long data") {
  const uint64_t seed = test::Seed();
  Random random(seed);
  const Bytes data = RandomBytes(seed, 4 << 20);
  for (const uint32_t level : {0u, 1u, 2u, 3u}) {
    for (const uint32_t avg : {512u, 8192u, 65536u}) {
      ChunkerOptions options{.algorithm = ChunkAlgorithm::kLinCdc,
                             .min_bytes = avg / 4,
                             .avg_bytes = avg,
                             .max_bytes = avg * 8,
                             .normalization = level};
      if (random.Chance(0.5)) options.key = KeyOf(random.Next64());
      const Lengths portable =
          SplitAll(*CreateLinCdcChunker(options, LinCdcVariant::kPortable), data);
      for (const LinCdcVariant variant : kLinCdcVariants) {
        if (!HasLinCdcVariant(variant)) continue;
        INFO("STRATA_SEED=" << seed << ", " << Describe(options) << ", variant "
                            << static_cast<int>(variant));
        CHECK(SplitAll(*CreateLinCdcChunker(options, variant), data) == portable);
      }
    }
  }
}

TEST_CASE("bad parameters are named") {
  using Catch::Matchers::Contains;
  const auto message = [](const ChunkerOptions& options) {
    const absl::Status status = CreateChunker(options).status();
    CHECK(absl::IsInvalidArgument(status));
    return std::string(status.message());
  };
  for (const ChunkAlgorithm algorithm : AllChunkAlgorithms()) {
    INFO(ChunkAlgorithmName(algorithm));
    CHECK_THAT(message({.algorithm = algorithm, .avg_bytes = 32}), Contains("avg_bytes"));
    CHECK_THAT(message({.algorithm = algorithm, .avg_bytes = 32u << 20}), Contains("avg_bytes"));
    if (algorithm == ChunkAlgorithm::kFixed) continue;
    CHECK_THAT(message({.algorithm = algorithm, .min_bytes = 63}), Contains("min_bytes"));
    CHECK_THAT(message({.algorithm = algorithm, .min_bytes = (1u << 20) + 1}),
               Contains("min_bytes"));
    CHECK_THAT(message({.algorithm = algorithm, .max_bytes = 1023}), Contains("max_bytes"));
    CHECK_THAT(message({.algorithm = algorithm, .max_bytes = (16u << 20) + 1}),
               Contains("max_bytes"));
    CHECK_THAT(message({.algorithm = algorithm, .normalization = 4}), Contains("normalization"));
    CHECK_THAT(message({.algorithm = algorithm, .avg_bytes = 5000}), Contains("power of two"));
    CHECK_THAT(message({.algorithm = algorithm, .min_bytes = 16384}), Contains("decrease"));
    CHECK_THAT(message({.algorithm = algorithm, .max_bytes = 4096}), Contains("decrease"));
  }
  CHECK_THAT(message({.algorithm = static_cast<ChunkAlgorithm>(99)}), Contains("99"));
}

TEST_CASE("an error never shows the key") {
  ChunkerKey key;
  key.fill(std::byte{0x41});
  for (const ChunkAlgorithm algorithm : AllChunkAlgorithms()) {
    const std::string text =
        CreateChunker({.algorithm = algorithm, .avg_bytes = 32, .key = key}).status().ToString();
    CHECK_THAT(text, !Catch::Matchers::Contains("AAAA") && !Catch::Matchers::Contains("4141"));
  }
}

TEST_CASE("names go both ways") {
  for (const ChunkAlgorithm algorithm : AllChunkAlgorithms()) {
    const auto parsed = ParseChunkAlgorithm(ChunkAlgorithmName(algorithm));
    REQUIRE(parsed.ok());
    CHECK(*parsed == algorithm);
  }
  const absl::Status unknown = ParseChunkAlgorithm("nothing").status();
  CHECK(absl::IsInvalidArgument(unknown));
  CHECK_THAT(std::string(unknown.message()),
             Catch::Matchers::Contains("nothing") && Catch::Matchers::Contains("lincdc"));
  CHECK(ChunkAlgorithmName(static_cast<ChunkAlgorithm>(99)) == "unknown");
}

}  // namespace strata::dedup

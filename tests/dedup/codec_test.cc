// SPDX-License-Identifier: Apache-2.0
//
// Every method brings back what it was given, refuses what is not its own, and spends no time on
// what does not shrink.
#include "format/codec.h"

#include <string_view>

#include "fixture.h"

namespace strata::dedup {
namespace {

struct Method {
  Compression compression;
  int level;
};
constexpr Method kMethods[] = {
    {Compression::kLz4, 0},  {Compression::kZstd, -7}, {Compression::kZstd, 1},
    {Compression::kZstd, 3}, {Compression::kZstd, 19}, {Compression::kGzip, 0},
    {Compression::kGzip, 1}, {Compression::kGzip, 2},  {Compression::kGzip, 3}};

Bytes Words(uint64_t seed, size_t size) {
  constexpr std::string_view kWords[] = {"region ", "chunk ", "container ", "footer ", "of ", "\n"};
  Random random(seed);
  Bytes bytes;
  while (bytes.size() < size) {
    for (const char letter : kWords[random.Uniform(std::size(kWords))]) {
      bytes.push_back(static_cast<std::byte>(letter));
    }
  }
  bytes.resize(size);
  return bytes;
}

// Random digits: no two stretches are alike, but a coder of single bytes halves them.
Bytes Digits(uint64_t seed, size_t size) {
  Bytes bytes(size);
  Random random(seed);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>('0' + random.Uniform(10));
  return bytes;
}

}  // namespace

TEST_CASE("what was compressed comes back, whatever it is") {
  const uint64_t seed = test::Seed();
  const std::unique_ptr<Codec> codec = CreateCodec();
  for (const Method& method : kMethods) {
    for (const size_t size : {1, 63, 4096, 100000, 1 << 20, 5 << 20}) {
      const std::pair<const char*, Bytes> inputs[] = {{"words", Words(seed, size)},
                                                      {"digits", Digits(seed, size)},
                                                      {"text", TextBytes(seed, size)},
                                                      {"zeroes", Bytes(size)},
                                                      {"random", RandomBytes(seed, size)}};
      for (const auto& [name, raw] : inputs) {
        INFO("STRATA_SEED=" << seed << " method " << static_cast<int>(method.compression)
                            << " level " << method.level << ", " << size << " bytes of " << name);
        Bytes out(raw.size());
        const size_t stored =
            codec->Compress(method.compression, method.level, raw, std::span(out));
        REQUIRE(stored <= out.size());
        if (stored == 0) continue;  // Did not shrink.
        CHECK(std::string_view(name) != "random");
        Bytes back(raw.size());
        const absl::Status status =
            codec->Decompress(method.compression, std::span(out).first(stored), back);
        INFO(status);
        REQUIRE(status.ok());
        REQUIRE(back == raw);
      }
    }
  }
}

TEST_CASE("words shrink by every method") {
  const std::unique_ptr<Codec> codec = CreateCodec();
  const Bytes raw = Words(test::Seed(), 200000);
  for (const Method& method : kMethods) {
    INFO("method " << static_cast<int>(method.compression) << " level " << method.level);
    Bytes out(raw.size());
    const size_t stored = codec->Compress(method.compression, method.level, raw, out);
    CHECK(stored > 0);
    CHECK(stored < raw.size() / 2);
  }
}

TEST_CASE("damaged or foreign data is DataLoss, or is caught by the size") {
  const uint64_t seed = test::Seed();
  const std::unique_ptr<Codec> codec = CreateCodec();
  const Bytes raw = Words(seed, 50000);
  for (const Method& method : kMethods) {
    INFO("STRATA_SEED=" << seed << " method " << static_cast<int>(method.compression));
    Bytes out(raw.size());
    const size_t stored = codec->Compress(method.compression, method.level, raw, out);
    REQUIRE(stored > 0);
    out.resize(stored);
    for (const size_t wrong_size : {raw.size() - 1, raw.size() + 1, size_t{0}}) {
      Bytes back(wrong_size);
      CHECK(absl::IsDataLoss(codec->Decompress(method.compression, out, back)));
    }
    Bytes back(raw.size());
    CHECK(absl::IsDataLoss(
        codec->Decompress(method.compression, std::span(out).first(stored / 2), back)));
    CHECK(absl::IsDataLoss(codec->Decompress(method.compression, RandomBytes(seed, 3000), back)));
  }
}

TEST_CASE("samples tell what does not shrink from what does") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  for (const size_t size : {16u << 10, 128u << 10, 1u << 20}) {
    CHECK(LooksIncompressible(RandomBytes(seed, size)));
    CHECK_FALSE(LooksIncompressible(Words(seed, size)));
    CHECK_FALSE(LooksIncompressible(Digits(seed, size)));  // For an entropy coder they do.
    CHECK_FALSE(LooksIncompressible(Bytes(size)));
    // A stretch of the one in the other.
    Bytes mixed = RandomBytes(seed, size);
    const Bytes words = Words(seed, size / 2);
    std::copy(words.begin(), words.end(), mixed.begin());
    CHECK_FALSE(LooksIncompressible(mixed));
  }
}

}  // namespace strata::dedup

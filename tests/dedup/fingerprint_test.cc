// SPDX-License-Identifier: Apache-2.0
#include "strata/dedup/fingerprint.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "fingerprint/sha256_lanes.h"
#include "fixture.h"

namespace strata::dedup {
namespace {

std::span<const std::byte> AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// OpenSSL's, by another way than the library's.
Fingerprint Reference(std::span<const std::byte> data) {
  Fingerprint digest;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, data.data(), data.size());
  SHA256_Final(reinterpret_cast<unsigned char*>(digest.bytes.data()), &context);
  return digest;
}

}  // namespace

TEST_CASE("the examples of FIPS 180-4") {
  const std::pair<std::string, const char*> examples[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1000000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"}};
  std::vector<std::span<const std::byte>> all;
  for (const auto& [text, hex] : examples) {
    CHECK(FingerprintOf(AsBytes(text)).ToHex() == hex);
    all.push_back(AsBytes(text));
  }
  std::vector<Fingerprint> many(all.size());
  FingerprintMany(all, many);
  for (size_t i = 0; i < all.size(); ++i) CHECK(many[i].ToHex() == examples[i].second);
}

TEST_CASE("many at once are what each is alone, whatever the lengths and their order") {
  const uint64_t seed = test::Seed();
  Random random(seed);
  const Bytes data = RandomBytes(seed, 100000);
  for (size_t count = 0; count <= 40; ++count) {
    for (const size_t longest : {70u, 300u, 20000u}) {
      std::vector<std::span<const std::byte>> chunks;
      for (size_t i = 0; i < count; ++i) {
        const size_t size = random.Uniform(longest + 1);
        chunks.push_back(std::span(data).subspan(random.Uniform(data.size() - size), size));
      }
      std::vector<Fingerprint> many(count);
      FingerprintMany(chunks, many);
      for (size_t i = 0; i < count; ++i) {
        INFO("STRATA_SEED=" << seed << " chunk " << i << " of " << count << ", " << chunks[i].size()
                            << " bytes");
        REQUIRE(many[i] == Reference(chunks[i]));
      }
    }
  }
}

TEST_CASE("every length around the block's and the padding's edges") {
  const Bytes data = RandomBytes(test::Seed(), 400);
  for (size_t size = 0; size <= 400; ++size) {
    const std::span<const std::byte> chunk = std::span(data).first(size);
    const std::span<const std::byte> pair[] = {chunk, std::span(data).first(400 - size)};
    Fingerprint both[2];
    FingerprintMany(pair, both);
    INFO(size << " bytes");
    CHECK(both[0] == Reference(chunk));
    CHECK(both[1] == Reference(pair[1]));
    CHECK(FingerprintOf(chunk) == Reference(chunk));
  }
}

TEST_CASE("every engine agrees with OpenSSL, for batches of all sizes") {
  const uint64_t seed = test::Seed();
  Random random(seed);
  const Bytes data = RandomBytes(seed, 60000);
  for (const Sha256Engine engine : kSha256Engines) {
    if (!HasSha256Engine(engine)) {
      WARN("this CPU does not run engine " << static_cast<int>(engine));
      continue;
    }
    for (size_t count = 0; count <= 70; ++count) {
      for (const size_t longest : {0u, 64u, 130u, 9000u}) {
        std::vector<std::span<const std::byte>> chunks;
        for (size_t i = 0; i < count; ++i) {
          const size_t size = random.Uniform(longest + 1);
          chunks.push_back(std::span(data).subspan(random.Uniform(data.size() - size), size));
        }
        std::vector<Fingerprint> digests(count);
        Sha256Lanes(engine, chunks, digests);
        for (size_t i = 0; i < count; ++i) {
          INFO("STRATA_SEED=" << seed << " engine " << static_cast<int>(engine) << " chunk " << i
                              << " of " << count << ", " << chunks[i].size() << " bytes");
          REQUIRE(digests[i] == Reference(chunks[i]));
        }
      }
    }
    for (size_t size = 0; size <= 300; ++size) {
      const std::vector<std::span<const std::byte>> chunks(20, std::span(data).subspan(7, size));
      std::vector<Fingerprint> digests(chunks.size());
      Sha256Lanes(engine, chunks, digests);
      INFO("engine " << static_cast<int>(engine) << ", " << size << " bytes");
      for (const Fingerprint& digest : digests) REQUIRE(digest == Reference(chunks[0]));
    }
  }
}

}  // namespace strata::dedup

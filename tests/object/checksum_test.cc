// SPDX-License-Identifier: Apache-2.0
#include "strata/object/checksum.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "content/crc.h"
#include "records/digests.h"
#include "strata/base/hex.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::object {
namespace {

constexpr ChecksumAlgorithm kAll[] = {ChecksumAlgorithm::kCrc32,     ChecksumAlgorithm::kCrc32c,
                                      ChecksumAlgorithm::kCrc64Nvme, ChecksumAlgorithm::kSha1,
                                      ChecksumAlgorithm::kSha256,    ChecksumAlgorithm::kMd5};
constexpr ChecksumAlgorithm kCrcs[] = {ChecksumAlgorithm::kCrc32, ChecksumAlgorithm::kCrc32c,
                                       ChecksumAlgorithm::kCrc64Nvme};

std::string RandomText(Random* random, size_t size) {
  std::string text(size, '\0');
  random->Fill(std::as_writable_bytes(std::span(text.data(), text.size())));
  return text;
}

// One bit at a time, as the definition goes.
uint64_t SlowCrc(uint64_t polynomial, int bits, std::string_view data) {
  const uint64_t ones = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  uint64_t state = ones;
  for (const char c : data) {
    state ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) state = (state >> 1) ^ ((state & 1) ? polynomial : 0);
  }
  return state ^ ones;
}

uint64_t SlowCrc(ChecksumAlgorithm algorithm, std::string_view data) {
  switch (algorithm) {
    case ChecksumAlgorithm::kCrc32:
      return SlowCrc(0xEDB88320, 32, data);
    case ChecksumAlgorithm::kCrc32c:
      return SlowCrc(0x82F63B78, 32, data);
    default:
      return SlowCrc(0x9A6C9329AC4BC9B5, 64, data);
  }
}

TEST_CASE("Digests of \"123456789\" and of nothing") {
  struct Vector {
    ChecksumAlgorithm algorithm;
    const char* of_digits;
    const char* of_nothing;
  };
  const Vector vectors[] = {
      {ChecksumAlgorithm::kCrc32, "cbf43926", "00000000"},
      {ChecksumAlgorithm::kCrc32c, "e3069283", "00000000"},
      {ChecksumAlgorithm::kCrc64Nvme, "ae8b14860a799888", "0000000000000000"},
      {ChecksumAlgorithm::kMd5, "25f9e794323b453885f5181f1b624d0b",
       "d41d8cd98f00b204e9800998ecf8427e"},
      {ChecksumAlgorithm::kSha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
       "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
      {ChecksumAlgorithm::kSha256,
       "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
  };
  for (const Vector& vector : vectors) {
    INFO(ChecksumAlgorithmName(vector.algorithm));
    CHECK(ToHex(DigestOf(vector.algorithm, "123456789")) == vector.of_digits);
    CHECK(ToHex(DigestOf(vector.algorithm, "")) == vector.of_nothing);
    CHECK(DigestOf(vector.algorithm, "x").size() == ChecksumBytes(vector.algorithm));
  }
}

TEST_CASE("A CRC equals its bitwise definition at every length and offset") {
  Random random(test::Seed());
  const std::string data = RandomText(&random, 300);
  for (const ChecksumAlgorithm algorithm : kCrcs) {
    for (size_t begin = 0; begin < 9; ++begin) {
      for (size_t size = 0; size + begin <= data.size(); size += 1 + size / 16) {
        const std::string_view part = std::string_view(data).substr(begin, size);
        INFO(ChecksumAlgorithmName(algorithm) << " offset " << begin << " size " << size);
        REQUIRE(ExtendCrc(algorithm, 0, AsBytes(part)) == SlowCrc(algorithm, part));
      }
    }
  }
}

TEST_CASE("A digest does not depend on how its input is cut") {
  Random random(test::Seed());
  const std::string data = RandomText(&random, 10000);
  for (const ChecksumAlgorithm algorithm : kAll) {
    const std::unique_ptr<Digest> digest = Digest::Create(algorithm);
    for (size_t at = 0; at < data.size();) {
      const size_t size = std::min<size_t>(random.Uniform(700), data.size() - at);
      digest->Update(AsBytes(std::string_view(data).substr(at, size)));
      at += size;
    }
    CHECK(ToHex(digest->Finish()) == ToHex(DigestOf(algorithm, data)));
  }
}

TEST_CASE("CRCs of two strings combine into that of both") {
  Random random(test::Seed());
  for (const ChecksumAlgorithm algorithm : kCrcs) {
    for (int round = 0; round < 50; ++round) {
      const std::string a = RandomText(&random, random.Uniform(round < 10 ? 3 : 5000));
      const std::string b = RandomText(&random, random.Uniform(round < 10 ? 3 : 5000));
      INFO(ChecksumAlgorithmName(algorithm) << " " << a.size() << " + " << b.size());
      REQUIRE(CombineCrc(algorithm, ExtendCrc(algorithm, 0, AsBytes(a)),
                         ExtendCrc(algorithm, 0, AsBytes(b)),
                         b.size()) == ExtendCrc(algorithm, 0, AsBytes(a + b)));
    }
  }
}

TEST_CASE(
    "The full-object checksum of parts is that of their bytes; the composite that of values") {
  Random random(test::Seed());
  std::string all;
  std::vector<PartDigest> parts;
  std::string values;
  for (int i = 0; i < 7; ++i) {
    const std::string part = RandomText(&random, i == 3 ? 0 : 1 + random.Uniform(9000));
    all += part;
    parts.push_back({DigestOf(ChecksumAlgorithm::kCrc64Nvme, part), part.size()});
    values += parts.back().value;
  }
  const Checksum full = FullObjectChecksum(ChecksumAlgorithm::kCrc64Nvme, parts);
  CHECK(ToHex(full.value) == ToHex(DigestOf(ChecksumAlgorithm::kCrc64Nvme, all)));
  CHECK(full.part_count == 0);
  const Checksum composite = CompositeChecksum(ChecksumAlgorithm::kSha256, parts);
  CHECK(ToHex(composite.value) == ToHex(DigestOf(ChecksumAlgorithm::kSha256, values)));
  CHECK(composite.part_count == 7);
}

TEST_CASE("Algorithm names parse in any case, others name the known ones") {
  for (const ChecksumAlgorithm algorithm : kAll) {
    std::string name(ChecksumAlgorithmName(algorithm));
    CHECK(ParseChecksumAlgorithm(name).value() == algorithm);
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    CHECK(ParseChecksumAlgorithm(name).value() == algorithm);
  }
  for (const char* bad : {"", "CRC", "CRC32 ", "SHA512", "CRC64NVM"}) {
    const absl::Status status = ParseChecksumAlgorithm(bad).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find("CRC64NVME") != std::string::npos);
  }
}

}  // namespace
}  // namespace strata::object

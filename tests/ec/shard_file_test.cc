// SPDX-License-Identifier: Apache-2.0
//
// The shard file format: the layout's arithmetic, golden bytes, and every way to be damaged.
#include "strata/ec/shard_file.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::ec {
namespace {

ShardHeader Example() {
  ShardHeader header;
  header.layout = {.data_shards = 6,
                   .parity_shards = 4,
                   .groups = 2,
                   .unit_bytes = 4096,
                   .file_bytes = 123456789};
  header.shard = 7;
  for (size_t i = 0; i < 16; ++i) header.set_id[i] = static_cast<std::byte>(0xA0 + i);
  return header;
}

void FixCrc(std::span<std::byte> bytes) { StoreLe32(&bytes[124], Crc32c(bytes.first(124))); }

TEST_CASE("a layout covers every byte of the file once, in order") {
  for (const int k : {1, 3, 4, 17}) {
    for (const uint64_t file_bytes :
         {0ull, 1ull, 2ull, 511ull, 512ull, 513ull, 2048ull, 2049ull, 10000ull, 8704ull}) {
      const ShardLayout layout{.data_shards = k,
                               .parity_shards = 2,
                               .groups = 0,
                               .unit_bytes = 512,
                               .file_bytes = file_bytes};
      INFO(k << " data shards, " << file_bytes << " bytes");
      REQUIRE(CheckLayout(layout).ok());
      uint64_t covered = 0;
      uint64_t shard_bytes = 0;
      for (uint64_t s = 0; s < layout.stripe_count(); ++s) {
        REQUIRE(layout.FileOffset(s) == covered);
        REQUIRE(layout.UnitOffset(s) == kShardHeaderBytes + shard_bytes);
        REQUIRE(layout.UnitBytes(s) * static_cast<uint64_t>(k) >= layout.FileBytes(s));
        REQUIRE((layout.UnitBytes(s) - 1) * static_cast<uint64_t>(k) < layout.FileBytes(s));
        covered += layout.FileBytes(s);
        shard_bytes += layout.UnitBytes(s);
      }
      CHECK(covered == file_bytes);
      CHECK(layout.shard_bytes() == shard_bytes);
      CHECK(layout.shard_file_bytes() == 128 + shard_bytes + 4 * layout.stripe_count() + 8);
    }
  }
}

TEST_CASE("a header comes back") {
  const ShardHeader header = Example();
  const auto decoded = DecodeShardHeader(EncodeShardHeader(header));
  REQUIRE(decoded.ok());
  CHECK(decoded->layout == header.layout);
  CHECK(decoded->shard == 7);
  CHECK(decoded->set_id == header.set_id);
  CHECK((*CreateCode(decoded->layout))->name() == "lrc(6,2,2)");
}

TEST_CASE("the bytes of a header are those of docs/formats/ec.md") {
  const auto bytes = EncodeShardHeader(Example());
  std::vector<uint8_t> expected(128);
  const std::string magic = "STRATAEC";
  std::copy(magic.begin(), magic.end(), expected.begin());
  expected[8] = 1;
  expected[12] = 128;
  expected[16] = 2;
  expected[17] = 6;
  expected[18] = 4;
  expected[19] = 2;
  expected[20] = 7;
  expected[24] = 0x15;  // 123456789 = 0x075BCD15.
  expected[25] = 0xCD;
  expected[26] = 0x5B;
  expected[27] = 0x07;
  expected[33] = 0x10;  // 4096.
  for (size_t i = 0; i < 16; ++i) expected[40 + i] = static_cast<uint8_t>(0xA0 + i);
  for (size_t i = 0; i < 124; ++i) {
    INFO("byte " << i);
    CHECK(std::to_integer<int>(bytes[i]) == expected[i]);
  }
  CHECK(LoadLe32(&bytes[124]) == Crc32c(std::span(bytes).first(124)));
}

TEST_CASE("any changed bit of a header is noticed") {
  const auto good = EncodeShardHeader(Example());
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    auto bytes = good;
    bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    INFO("bit " << bit);
    REQUIRE_FALSE(DecodeShardHeader(bytes).ok());
  }
  for (size_t size = 0; size < good.size(); ++size) {
    REQUIRE(absl::IsDataLoss(DecodeShardHeader(ConstBytes(good).first(size)).status()));
  }
}

TEST_CASE("headers that fit their checksum and still cannot be are refused") {
  struct Change {
    size_t at;
    uint8_t value;
    absl::StatusCode code;
  };
  for (const Change& change : std::vector<Change>{{8, 2, absl::StatusCode::kUnimplemented},
                                                  {12, 64, absl::StatusCode::kDataLoss},
                                                  {16, 3, absl::StatusCode::kUnimplemented},
                                                  {16, 1, absl::StatusCode::kDataLoss},
                                                  {17, 0, absl::StatusCode::kDataLoss},
                                                  {17, 7, absl::StatusCode::kDataLoss},
                                                  {17, 254, absl::StatusCode::kDataLoss},
                                                  {18, 2, absl::StatusCode::kDataLoss},
                                                  {19, 0, absl::StatusCode::kDataLoss},
                                                  {20, 10, absl::StatusCode::kDataLoss},
                                                  {21, 1, absl::StatusCode::kDataLoss},
                                                  {31, 0x80, absl::StatusCode::kDataLoss},
                                                  {32, 1, absl::StatusCode::kDataLoss},
                                                  {36, 1, absl::StatusCode::kDataLoss},
                                                  {100, 1, absl::StatusCode::kDataLoss}}) {
    auto bytes = EncodeShardHeader(Example());
    bytes[change.at] = std::byte{change.value};
    FixCrc(bytes);
    INFO("byte " << change.at << " is " << int{change.value});
    CHECK(DecodeShardHeader(bytes).status().code() == change.code);
  }
}

TEST_CASE("checksums come back, and any changed bit is noticed") {
  ShardHeader header = Example();
  header.layout.file_bytes = 100000;
  ShardTrailer trailer;
  for (uint64_t s = 0; s < header.layout.stripe_count(); ++s) {
    trailer.unit_crcs.push_back(static_cast<uint32_t>(s * 0x01234567));
  }
  trailer.file_crc = 0xDEADBEEF;
  const auto good = EncodeShardTrailer(trailer);
  REQUIRE(good.size() == ShardTrailerBytes(header.layout));
  const auto decoded = DecodeShardTrailer(header, good);
  REQUIRE(decoded.ok());
  CHECK(decoded->unit_crcs == trailer.unit_crcs);
  CHECK(decoded->file_crc == 0xDEADBEEF);
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    auto bytes = good;
    bytes[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    REQUIRE(absl::IsDataLoss(DecodeShardTrailer(header, bytes).status()));
  }
  REQUIRE(absl::IsDataLoss(
      DecodeShardTrailer(header, ConstBytes(good).first(good.size() - 4)).status()));
}

TEST_CASE("layouts that there cannot be are refused by name") {
  const auto message = [](const ShardLayout& layout) {
    const absl::Status status = CheckLayout(layout);
    CHECK(absl::IsInvalidArgument(status));
    return std::string(status.message());
  };
  CHECK(message({.unit_bytes = 1000}).find("1000 bytes is not a power of two") !=
        std::string::npos);
  CHECK(message({.unit_bytes = 256}).find("256") != std::string::npos);
  CHECK(message({.unit_bytes = 32u << 20}).find("power of two") != std::string::npos);
  CHECK(message({.unit_bytes = 512, .file_bytes = uint64_t{1} << 61}).find("too many") !=
        std::string::npos);
  CHECK(message({.data_shards = 0}).find("at least one") != std::string::npos);
  CHECK(message({.data_shards = 4, .parity_shards = 2, .groups = 2}).find("global parity") !=
        std::string::npos);
}

}  // namespace
}  // namespace strata::ec

// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cstring>
#include <set>

#include "format/bitmap.h"
#include "format/name_hash.h"
#include "format/stripe_head.h"
#include "format/superblock.h"
#include "ofs/sample_records.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/base/hex.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

std::string Hex(std::span<const std::byte> bytes) {
  return ToHex(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void Seal(std::vector<std::byte>& block) {
  StoreLe32(block.data() + kBlockBytes - 4, Crc32c({block.data(), kBlockBytes - 4}));
}

std::string Refusal(const std::vector<std::byte>& block, int copy = 0) {
  return std::string(DecodeSuperblock(block, copy).status().message());
}

// ---- Superblock

TEST_CASE("Superblock: golden bytes") {
  const std::vector<std::byte> block = EncodeSuperblock(SampleSuperblock(), 1);
  REQUIRE(block.size() == kBlockBytes);
  CHECK(Hex(std::span(block).first(113)) ==
        "5354524154"
        "4f4653"
        "0100"
        "01"
        "03"
        "00100000"
        "101112131415161718191a1b1c1d1e1f"
        "404142434445464748494a4b4c4d4e4f"
        "0700000000000000"
        "0000400600000000"
        "00001000"
        "62000000"
        "03000000"
        "1100"
        "0000"
        "00002a36fe9c9717"
        "0000000000000000"
        "7261636b312f6e6f6465322f6469736b33");
  CHECK(Hex(std::span(block).last(4)) == "6b81eae2");
  CHECK(DecodeSuperblock(block, 1).value() == SampleSuperblock());
}

TEST_CASE("Superblock: each flipped bit is noticed") {
  const std::vector<std::byte> good = EncodeSuperblock(SampleSuperblock(), 0);
  REQUIRE(DecodeSuperblock(good, 0).ok());
  for (size_t bit = 0; bit < 8 * kBlockBytes; bit += bit < 8 * 128 ? 1 : 61) {
    std::vector<std::byte> block = good;
    block[bit / 8] ^= std::byte{1} << (bit % 8);
    INFO("bit " << bit);
    CHECK_FALSE(DecodeSuperblock(block, 0).ok());
  }
}

TEST_CASE("Superblock: what is newer, foreign or out of range is refused by name") {
  const std::vector<std::byte> good = EncodeSuperblock(SampleSuperblock(), 0);
  std::vector<std::byte> block = good;
  StoreLe16(block.data() + 8, 2);
  Seal(block);
  CHECK(absl::IsUnimplemented(DecodeSuperblock(block, 0).status()));
  CHECK(Refusal(block) == "superblock: format version 2, this program knows version 1");
  block = good;
  StoreLe64(block.data() + 88, 0x10);
  Seal(block);
  CHECK(absl::IsUnimplemented(DecodeSuperblock(block, 0).status()));
  CHECK(Refusal(block) == "superblock: features 0x10 that this program does not know");
  CHECK(Refusal(good, 1) == "superblock: it is the other copy's");
  CHECK(absl::IsNotFound(DecodeSuperblock(std::vector<std::byte>(kBlockBytes), 0).status()));
  block = good;
  StoreLe16(block.data() + 8, 2);  // Without a new checksum it is damage, not a newer version.
  CHECK(absl::IsDataLoss(DecodeSuperblock(block, 0).status()));

  const auto with = [&](auto change) {
    Superblock superblock = SampleSuperblock();
    change(superblock);
    return Refusal(EncodeSuperblock(superblock, 0));
  };
  const std::string out_of_range = "superblock: values out of range";
  CHECK(with([](Superblock& s) { s.segment_bytes = 3u << 20; }) == out_of_range);
  CHECK(with([](Superblock& s) { s.segment_bytes = 1u << 19; }) == out_of_range);
  CHECK(with([](Superblock& s) { s.segment_count = 99; }) == out_of_range);
  CHECK(with([](Superblock& s) { s.segment_count = 0; }) == out_of_range);
  CHECK(with([](Superblock& s) { s.size_bytes += 512; }) == out_of_range);
  CHECK(with([](Superblock& s) { s.size_bytes = 1 << 20; }) == out_of_range);
  CHECK(with([](Superblock& s) { s.disk_number = 0; }) == out_of_range);
  CHECK(with([](Superblock& s) { s.disk_number = kMaxDisks + 1; }) == out_of_range);
  CHECK(with([](Superblock& s) { s.disk_class = static_cast<DiskClass>(5); }) == out_of_range);
  CHECK(with([](Superblock& s) { s.domain = ""; }) == out_of_range);
  CHECK(with([](Superblock& s) { s.domain = "a//b"; }) == out_of_range);
  CHECK(with([](Superblock& s) { s.generation = 0; }) == out_of_range);
}

TEST_CASE("Segments: about a thousand on the smallest disk, powers of two from 1 MiB to 1 GiB") {
  CHECK(ChooseSegmentBytes(0) == kMinSegmentBytes);
  CHECK(ChooseSegmentBytes(uint64_t{4} << 30) == 4u << 20);
  CHECK(ChooseSegmentBytes(uint64_t{1} << 40) == 1u << 30);
  CHECK(ChooseSegmentBytes(~uint64_t{0}) == kMaxSegmentBytes);
  CHECK(SegmentsThatFit((3u << 20) - 1, 1u << 20) == 0);
  CHECK(SegmentsThatFit(3u << 20, 1u << 20) == 1);
  CHECK(SegmentsThatFit(100u << 20, 1u << 20) == 98);
  CHECK(SegmentsThatFit(~uint64_t{0}, 1u << 20) == kMaxSegmentsPerDisk);
}

TEST_CASE("Failure domains: a path without empty components") {
  for (const char* good : {"a", "rack1/node2/disk3", "d-0.1"}) CHECK(CheckDomain(good).ok());
  for (const char* bad : {"", "/", "/a", "a/", "a//b", "a b", "a\nb", "\x7f"}) {
    INFO(bad);
    CHECK(absl::IsInvalidArgument(CheckDomain(bad)));
  }
  CHECK(CheckDomain(std::string(255, 'x')).ok());
  CHECK_FALSE(CheckDomain(std::string(256, 'x')).ok());
}

// ---- Stripe head

std::vector<std::byte> EncodedHead(const StripeHead& head, int unit) {
  std::vector<std::byte> block(kBlockBytes, std::byte{0xEE});
  EncodeStripeHead(head, unit, block);
  return block;
}

TEST_CASE("Stripe head: golden bytes") {
  const std::vector<std::byte> block = EncodedHead(SampleHead(), 5);
  CHECK(Hex(std::span(block).first(64 + 2 * 32 + 8)) ==
        "4f465348"
        "0100"
        "01"
        "04"
        "02"
        "00"
        "05"
        "01"
        "0200"
        "0200"
        "101112131415161718191a1b1c1d1e1f"
        "0c00000000000000"
        "21000000"
        "30750000"
        "0900000000050000"
        "0000000000000000"
        "4d00000000000000"
        "0000100000000000"
        "00000000"
        "204e0000"
        "204e0000"
        "00000000"
        "4e00000000000000"
        "0000000000000000"
        "204e0000"
        "10270000"
        "00400000"
        "02000000"
        "0000000001010101");
  CHECK(Hex(std::span(block).last(4)) == "14f41a45");
  const DecodedStripeHead decoded = DecodeStripeHead(block).value();
  CHECK(decoded.head == SampleHead());
  CHECK(decoded.unit == 5);
}

TEST_CASE("Stripe head: each flipped bit is noticed") {
  const std::vector<std::byte> good = EncodedHead(SampleHead(), 0);
  REQUIRE(DecodeStripeHead(good).ok());
  for (size_t bit = 0; bit < 8 * kBlockBytes; bit += bit < 8 * 200 ? 1 : 61) {
    std::vector<std::byte> block = good;
    block[bit / 8] ^= std::byte{1} << (bit % 8);
    INFO("bit " << bit);
    CHECK_FALSE(DecodeStripeHead(block).ok());
  }
}

TEST_CASE("Stripe head: a newer version, feature or kind of record is refused by name") {
  for (const size_t at : {4, 56, 64 + 29}) {
    std::vector<std::byte> block = EncodedHead(SampleHead(), 0);
    block[at] = std::byte{9};
    Seal(block);
    INFO(at);
    CHECK(absl::IsUnimplemented(DecodeStripeHead(block).status()));
  }
}

TEST_CASE("Stripe head: fields out of range") {
  const auto with = [](auto change) {
    StripeHead head = SampleHead();
    change(head);
    return std::string(CheckStripeHead(head).message());
  };
  CHECK(with([](StripeHead&) {}).empty());
  CHECK(with([](StripeHead& h) { h.group = 0; }) == "group number 0");
  CHECK(with([](StripeHead& h) { h.unit_blocks = 0; }) == "unit length");
  CHECK(with([](StripeHead& h) { h.unit_blocks = 33; }) == "unit length");
  CHECK(with([](StripeHead& h) { h.column = 262'142; }) == "column beyond any segment");
  CHECK(with([](StripeHead& h) { h.payload_bytes = 32'769; }) == "payload length");
  CHECK(with([](StripeHead& h) { h.payload_bytes = 29'999; }) ==
        "record 1 lies outside the payload");
  CHECK(with([](StripeHead& h) { h.granule_blocks = 3; }) == "granule");
  CHECK(with([](StripeHead& h) { h.checksums.pop_back(); }) == "number of checksums");
  CHECK(with([](StripeHead& h) { h.records[1].payload_offset = 19'999; }) ==
        "record 1 overlaps the one before it");
  CHECK(with([](StripeHead& h) { h.records[0].raw_bytes = 1; }) ==
        "record 0 has sizes that do not fit its codec");
  CHECK(with([](StripeHead& h) { h.records[1].stored_bytes = 16'384; }) ==
        "record 1 has sizes that do not fit its codec");
  CHECK(with([](StripeHead& h) { h.records[0].inode = 0; }) == "record 0 names no file");
  CHECK(with([](StripeHead& h) { h.protection.parity_units = 17; }) ==
        "protection 4+17: a stripe has at most 20 units");
}

TEST_CASE("Stripe head: the checksums of 20 units and the most records fit") {
  std::set<uint32_t> granules;
  for (const Protection& protection :
       {Protection::ReedSolomon(17, 3), Protection::ReedSolomon(4, 2), Protection::Mirror(3),
        Protection::LocallyRepairable(12, 2, 2)}) {
    for (uint32_t unit_blocks = 1; unit_blocks <= kMaxUnitBlocks; ++unit_blocks) {
      for (const size_t record_count : {size_t{0}, size_t{1}, size_t{45}, kMaxStripeRecords}) {
        StripeHead head{
            .group = 1,
            .protection = protection,
            .unit_blocks = unit_blocks,
            .payload_bytes = unit_blocks * kBlockBytes,
            .granule_blocks = ChooseGranuleBlocks(protection, unit_blocks, record_count)};
        granules.insert(head.granule_blocks);
        const uint32_t rows = protection.kind == Protection::Kind::kMirror
                                  ? 1
                                  : static_cast<uint32_t>(protection.total_units());
        head.checksums.assign(rows * head.granules_per_unit(), 0xFFFFFFFF);
        for (uint32_t i = 0; i < record_count; ++i) {
          head.records.push_back(
              {.inode = 1, .payload_offset = i, .stored_bytes = 1, .raw_bytes = 1});
        }
        const absl::StatusOr<DecodedStripeHead> decoded = DecodeStripeHead(EncodedHead(head, 0));
        REQUIRE(decoded.ok());
        REQUIRE(decoded->head == head);
      }
    }
  }
  CHECK(granules.size() > 2);  // 4 KiB where it fits, and coarser ones.
  CHECK(ChooseGranuleBlocks(Protection::ReedSolomon(17, 3), 32, 40) == 1);
}

TEST_CASE("Checksums cover granules, and the rest of the unit") {
  std::vector<std::byte> unit(3 * kBlockBytes);
  Random(1).Fill(unit);
  std::vector<uint32_t> checksums;
  AppendChecksums(unit, 1, &checksums);
  AppendChecksums(unit, 2, &checksums);
  REQUIRE(checksums.size() == 5);
  CHECK(checksums[2] == Crc32c(std::span(unit).subspan(2 * kBlockBytes)));
  CHECK(checksums[3] == Crc32c(std::span(unit).first(2 * kBlockBytes)));
  CHECK(checksums[4] == checksums[2]);
}

// ---- Protection

TEST_CASE("Protections have names") {
  for (const char* name :
       {"4+2", "2+1", "17+3", "mirror(1)", "mirror(8)", "lrc(12,2,2)", "lrc(4,1,1)"}) {
    INFO(name);
    CHECK(ProtectionName(ParseProtection(name).value()) == name);
  }
  CHECK(ParseProtection("1+2").value() == Protection::Mirror(3));
  CHECK(ParseProtection("lrc(12,2,2)").value().tolerated_losses() == 3);
  CHECK(ParseProtection("4+2").value().tolerated_losses() == 2);
  for (const char* bad : {"",
                          "4",
                          "4+",
                          "+2",
                          "4+2+1",
                          "4+0",
                          "0+2",
                          "18+3",
                          "-4+2",
                          "4 + 2",
                          "mirror",
                          "mirror()",
                          "mirror(0)",
                          "mirror(9)",
                          "mirror(3",
                          "lrc(12,2)",
                          "lrc(12,5,2)",
                          "lrc(12,2,3)",
                          "lrc(12,2,0)",
                          "lrc(18,2,2)",
                          "lrc(999,1,1)",
                          "1000+2",
                          "999+999"}) {
    INFO(bad);
    CHECK(absl::IsInvalidArgument(ParseProtection(bad).status()));
  }
}

TEST_CASE("Disk classes have names") {
  for (const DiskClass disk_class :
       {DiskClass::kSsd, DiskClass::kSas, DiskClass::kSata, DiskClass::kArchive}) {
    CHECK(ParseDiskClass(DiskClassName(disk_class)).value() == disk_class);
  }
  CHECK(ParseDiskClass("SSD").status().message() ==
        "disk class 'SSD' is none of ssd, sas, sata and archive");
}

// ---- Name hash

// The vectors of the reference implementation: key 00 01 .. 0f, input 00 01 .. of each length.
TEST_CASE("SipHash-2-4: published vectors") {
  NameKey key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i);
  const uint64_t expected[] = {
      0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
      0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
      0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
      0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5};
  std::string input;
  for (const uint64_t value : expected) {
    INFO("length " << input.size());
    CHECK(SipHash24(key, input) == value);
    input.push_back(static_cast<char>(input.size()));
  }
}

TEST_CASE("A name's hash is a cookie: positive, and past those of the first entries") {
  const NameKey key{};
  Random random(strata::test::Seed());
  for (int i = 0; i < 1000; ++i) {
    std::string name(1 + random.Uniform(255), '\0');
    random.Fill(std::as_writable_bytes(std::span(name)));
    const uint64_t hash = NameHash(key, name);
    REQUIRE(hash >= 3);
    REQUIRE(hash < uint64_t{1} << 63);
    REQUIRE((SipHash24(key, name) & ~(uint64_t{1} << 63)) == hash);
  }
}

// ---- Bitmap

std::string EncodedBitmap(const Bitmap& bitmap) {
  std::string out;
  BitmapCodec::Append(&out, bitmap);
  return out;
}

TEST_CASE("Bitmap: golden bytes of both forms") {
  Bitmap bitmap(100);
  CHECK(ToHex(EncodedBitmap(bitmap)) == "6400");
  bitmap.Set(3, 5);
  CHECK(ToHex(EncodedBitmap(bitmap)) == "64000305");
  bitmap.Set(0, 100);
  CHECK(ToHex(EncodedBitmap(bitmap)) == "64000064");
  Bitmap alternating(20);
  for (uint32_t i = 1; i < 20; i += 2) alternating.Set(i, 1);
  CHECK(ToHex(EncodedBitmap(alternating)) == "1401aaaa0a");
}

TEST_CASE("Bitmap: against a vector of bits") {
  Random random(strata::test::Seed());
  for (int round = 0; round < 200; ++round) {
    const uint32_t size = 1 + static_cast<uint32_t>(random.Uniform(300));
    Bitmap bitmap(size);
    std::vector<bool> model(size);
    for (int i = 0; i < 40; ++i) {
      const auto begin = static_cast<uint32_t>(random.Uniform(size));
      const auto count = static_cast<uint32_t>(random.Uniform(std::min(size - begin, 70u) + 1));
      const bool set = random.Chance(0.6);
      set ? bitmap.Set(begin, count) : bitmap.Clear(begin, count);
      for (uint32_t bit = begin; bit < begin + count; ++bit) model[bit] = set;
      REQUIRE(bitmap.set_count() == std::count(model.begin(), model.end(), true));
      if (count > 0) REQUIRE((set ? bitmap.AllSet(begin, count) : bitmap.AllClear(begin, count)));
      const auto from = static_cast<uint32_t>(random.Uniform(size));
      const auto length = static_cast<uint32_t>(1 + random.Uniform(20));
      std::optional<uint32_t> expected;
      uint32_t run = 0;
      for (uint32_t bit = from; bit < size && !expected; ++bit) {
        run = model[bit] ? 0 : run + 1;
        if (run == length) expected = bit + 1 - length;
      }
      REQUIRE(bitmap.FindClear(from, length) == expected);
    }
    const std::string encoded = EncodedBitmap(bitmap);
    Bitmap decoded;
    kv::ByteParser parser(encoded);
    BitmapCodec::Take(&parser, &decoded);
    REQUIRE(parser.status().ok());
    REQUIRE(decoded == bitmap);
  }
}

}  // namespace
}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// The bytes on the device and in the kv store, against docs/formats/dedup.md: golden vectors that
// must never change.
#include <functional>
#include <map>
#include <string>

#include "absl/strings/escaping.h"
#include "fixture.h"
#include "format/codec.h"
#include "format/container_format.h"
#include "format/container_scan.h"
#include "format/index_records.h"
#include "format/recipe.h"
#include "format/region_format.h"
#include "format/superblock.h"
#include "region_bytes.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

std::string Hex(std::span<const std::byte> bytes) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}
std::string Hex(const std::string& text) { return absl::BytesToHexString(text); }

Fingerprint Counting(uint8_t first) {
  Fingerprint fingerprint;
  for (size_t i = 0; i < 32; ++i) fingerprint.bytes[i] = static_cast<std::byte>(first + i);
  return fingerprint;
}

Superblock SomeSuperblock() {
  Superblock superblock;
  for (size_t i = 0; i < 16; ++i) superblock.uuid[i] = static_cast<std::byte>(i);
  superblock.created_ns = 0x1122334455667788;
  superblock.block_bytes = 4096;
  superblock.container_bytes = 8u << 20;
  return superblock;
}

ContainerHeader SomeHeader() {
  return {.id = 0x0000000700000003,
          .store_uuid = SomeSuperblock().uuid,
          .slot = 5,
          .container_bytes = 1u << 20,
          .created_ns = 0x0102030405060708,
          .nonce = 0xF0E0D0C0B0A09080};
}

// A container as the log would leave it: two regions side by side, a third at the next block.
Bytes SomeContainer(Codec& codec, ContainerHeader* header) {
  Bytes slot(1u << 20);
  *header = SomeHeader();
  EncodeContainerHeader(header, slot.data());
  uint64_t at = kContainerHeaderBytes;
  uint32_t previous = header->header_crc;
  for (uint32_t i = 0; i < 3; ++i) {
    if (i == 2) at = AlignUp(at, 4096);
    const Bytes raw = TextBytes(i, 1000 + 500 * i);
    std::vector<ChunkEntry> table = {{Counting(static_cast<uint8_t>(i)), 900},
                                     {Counting(static_cast<uint8_t>(100 + i)), 100 + 500 * i}};
    EncodedRegion region;
    EncodeRegion(RegionKind::kData, table, raw, Compression::kLz4, 1, codec, nullptr, &region);
    PlaceRegion({.container_id = header->id,
                 .container_nonce = header->nonce,
                 .sequence = i,
                 .offset_units = static_cast<uint32_t>(at / kUnitBytes),
                 .previous_crc = previous},
                &region);
    previous = region.header.header_crc;
    const Bytes bytes = BytesOf(region);
    std::copy(bytes.begin(), bytes.end(), slot.begin() + static_cast<ptrdiff_t>(at));
    at += bytes.size();
  }
  return slot;
}

}  // namespace

TEST_CASE("superblock: golden bytes, every byte matters") {
  std::vector<std::byte> bytes = EncodeSuperblock(SomeSuperblock());
  CHECK(Hex(std::span(bytes).first(72)) ==
        "5354524445445550"
        "0300"
        "0000"
        "00100000"
        "000102030405060708090a0b0c0d0e0f"
        "8877665544332211"
        "00008000"
        "08"
        "000000"
        "00100000"
        "00200000"
        "00400000"
        "02000000"
        "0000100000000000");
  CHECK(LoadLe32(bytes.data() + 4092) == Crc32c(std::span(bytes).first(4092)));
  const auto back = DecodeSuperblock(bytes);
  REQUIRE(back.ok());
  CHECK(back->uuid == SomeSuperblock().uuid);
  CHECK(back->chunker == SomeSuperblock().chunker);
  CHECK(back->container_bytes == 8u << 20);
  for (size_t i = 0; i < bytes.size(); i += i < 128 ? 1 : 97) {
    bytes[i] ^= std::byte{4};
    INFO("byte " << i);
    CHECK(absl::IsDataLoss(DecodeSuperblock(bytes).status()));
    bytes[i] ^= std::byte{4};
  }
  CHECK(absl::IsNotFound(DecodeSuperblock(std::vector<std::byte>(4096)).status()));
  CHECK(absl::IsDataLoss(DecodeSuperblock(std::span(bytes).first(100)).status()));
}

TEST_CASE("superblock with keys: what is kept of them, and where") {
  Superblock superblock = SomeSuperblock();
  superblock.encrypted = true;
  superblock.chunker_keyed = true;
  superblock.key_check.fill(std::byte{0xA5});
  superblock.chunker_key_check.fill(std::byte{0x5A});
  std::vector<std::byte> bytes = EncodeSuperblock(superblock);
  CHECK(Hex(std::span(bytes).subspan(8, 2)) == "0400");
  CHECK(Hex(std::span(bytes).subspan(72, 8)) == "0101000000000000");
  CHECK(bytes[80] == std::byte{0xA5});
  CHECK(bytes[111] == std::byte{0xA5});
  CHECK(bytes[112] == std::byte{0x5A});
  CHECK(bytes[143] == std::byte{0x5A});
  const auto back = DecodeSuperblock(bytes);
  REQUIRE(back.ok());
  CHECK(back->encrypted);
  CHECK(back->chunker_keyed);
  CHECK(back->key_check == superblock.key_check);
  CHECK(back->chunker_key_check == superblock.chunker_key_check);
  bytes[72] = std::byte{2};  // A cipher to come.
  StoreLe32(bytes.data() + 4092, Crc32c(std::span(bytes).first(4092)));
  CHECK(absl::IsUnimplemented(DecodeSuperblock(bytes).status()));
}

TEST_CASE("container header: golden bytes, every byte matters") {
  ContainerHeader header = SomeHeader();
  Bytes bytes(kContainerHeaderBytes);
  EncodeContainerHeader(&header, bytes.data());
  CHECK(Hex(std::span(bytes).first(60)) ==
        "53434e54"
        "0100"
        "0000"
        "0300000007000000"
        "000102030405060708090a0b0c0d0e0f"
        "05000000"
        "00001000"
        "0807060504030201"
        "8090a0b0c0d0e0f0"
        "00000000");
  const auto back = DecodeContainerHeader(bytes);
  REQUIRE(back.ok());
  CHECK(back->id == header.id);
  CHECK(back->nonce == header.nonce);
  CHECK(back->header_crc == header.header_crc);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= std::byte{0x80};
    CHECK(absl::IsDataLoss(DecodeContainerHeader(bytes).status()));
    bytes[i] ^= std::byte{0x80};
  }
  StoreLe16(bytes.data() + 4, 2);
  StoreLe32(bytes.data() + 60, Crc32c(std::span(bytes).first(60)));
  CHECK(absl::IsUnimplemented(DecodeContainerHeader(bytes).status()));
}

TEST_CASE("region: golden bytes, every byte matters") {
  const auto codec = CreateCodec();
  const Bytes raw = RandomBytes(1, 5);
  EncodedRegion region;
  const std::vector<ChunkEntry> table = {{Counting(0), 2}, {Counting(32), 3}};
  EncodeRegion(RegionKind::kRecipes, table, raw, Compression::kZstd, 1, *codec, nullptr, &region);
  PlaceRegion({0x0000000700000003, 0xF0E0D0C0B0A09080, 4, 9, 0xAABBCCDD}, &region);
  Bytes bytes = BytesOf(region);
  REQUIRE(bytes.size() == 192);
  CHECK(Hex(std::span(bytes).first(40)) ==
        "5352474e"
        "0100"
        "00"
        "01"
        "0300000007000000"
        "04000000"
        "09000000"
        "05000000"
        "05000000"
        "02000000"
        "ddccbbaa");
  CHECK(Hex(std::span(bytes).subspan(64, 77)) ==
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        "02000000"
        "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
        "03000000" +
            Hex(raw));
  CHECK(Hex(std::span(bytes).subspan(48, 8)) == "8090a0b0c0d0e0f0");
  const auto back = DecodeRegion(bytes, nullptr);
  REQUIRE(back.ok());
  CHECK(back->header.container_nonce == 0xF0E0D0C0B0A09080);
  CHECK(!back->header.deferred);
  CHECK(back->header.sequence == 4);
  CHECK(back->header.previous_crc == 0xAABBCCDD);
  CHECK(back->table.size() == 2);
  CHECK(Hex(back->payload) == Hex(raw));
  for (size_t i = 0; i < region.header.total_bytes(); ++i) {
    bytes[i] ^= std::byte{1};
    INFO("byte " << i);
    CHECK(absl::IsDataLoss(DecodeRegion(bytes, nullptr).status()));
    bytes[i] ^= std::byte{1};
  }
  for (size_t size = 0; size < region.header.total_bytes(); ++size) {
    CHECK(absl::IsDataLoss(DecodeRegion(std::span(bytes).first(size), nullptr).status()));
  }
  region.header.deferred = true;
  PlaceRegion({0x0000000700000003, 0xF0E0D0C0B0A09080, 4, 9, 0xAABBCCDD}, &region);
  const Bytes deferred = BytesOf(region);
  CHECK(bytes[45] == std::byte{0});
  CHECK(deferred[45] == std::byte{1});
  CHECK(DecodeRegion(deferred, nullptr)->header.deferred);
}

TEST_CASE("a region is dense when compressing it harder was done or would gain nothing") {
  RegionHeader header;
  header.codec = Compression::kZstd;
  CHECK(!header.dense());  // Its writer did not say how hard it tried.
  header.settings = CompressionSettings{.method = Compression::kZstd, .level = 1};
  CHECK(!header.dense());
  header.settings->level = 12;
  CHECK(header.dense());
  header.codec = Compression::kNone;  // It did not shrink.
  header.settings->level = 1;
  CHECK(header.dense());
  header.deferred = true;  // Nobody has tried.
  CHECK(!header.dense());
}

TEST_CASE("regions shrink where it pays, with every codec, and come back") {
  const auto codec = CreateCodec();
  for (const Compression method : {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    for (const size_t size : {0u, 1u, 100u, 5000u, 131072u, 1000000u}) {
      for (const bool text : {false, true}) {
        const Bytes raw = text ? TextBytes(size, size) : RandomBytes(size, size);
        EncodedRegion region;
        const ChunkEntry entry{Counting(0), static_cast<uint32_t>(size)};
        EncodeRegion(RegionKind::kData, {&entry, 1}, raw, method, 1, *codec, nullptr, &region);
        PlaceRegion({.container_id = 1, .offset_units = 1}, &region);
        INFO("method " << static_cast<int>(method) << " size " << size << " text " << text);
        const bool shrinks = method != Compression::kNone && text && size >= 100;
        CHECK((region.header.codec == method) == (shrinks || method == Compression::kNone));
        const Bytes bytes = BytesOf(region);
        CHECK(bytes.size() % kUnitBytes == 0);
        CHECK((region.header.stored_bytes < size * 3 / 4) == shrinks);
        const auto back = DecodeRegion(bytes, nullptr);
        REQUIRE(back.ok());
        Bytes out(size);
        REQUIRE(codec->Decompress(back->header.codec, back->payload, out).ok());
        CHECK(out == raw);
        if (size > 100) {
          Bytes wrong(size - 1);
          CHECK(absl::IsDataLoss(codec->Decompress(back->header.codec, back->payload, wrong)));
        }
      }
    }
  }
  Bytes out(10);
  CHECK(absl::IsUnimplemented(codec->Decompress(static_cast<Compression>(9), out, out)));
}

TEST_CASE("footer: golden bytes, every byte matters") {
  ContainerHeader header = SomeHeader();
  header.header_crc = 0x01020304;
  ContainerContents contents;
  contents.regions = {{1, 3, 1, RegionKind::kData}, {64, 2, 1, RegionKind::kRecipes}};
  contents.chunks = {Counting(0), Counting(64)};
  contents.raw_bytes = 0x1000;
  contents.stored_bytes = 0x800;
  contents.recipe_bytes = 0x7a5;
  std::vector<std::byte> bytes = EncodeFooter(header, contents, nullptr);
  CHECK(Hex(std::span(bytes).first(96 + 44)) ==
        "01000000"
        "03000000"
        "01000000"
        "00000000"
        "40000000"
        "02000000"
        "01000000"
        "01000000"
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
        "53454e44"
        "0100"
        "0000"
        "0300000007000000"
        "02000000"
        "02000000"
        "0010000000000000"
        "0008000000000000"
        "a0000000");
  CHECK(LoadLe32(bytes.data() + 96 + 48) == 0x01020304);
  CHECK(LoadLe32(bytes.data() + 96 + 56) == 0x7a5);
  size_t size = 0;
  const auto back = DecodeFooter(bytes, nullptr, &size);
  REQUIRE(back.ok());
  CHECK(size == bytes.size());
  CHECK(back->container_id == header.id);
  CHECK(back->contents.chunks == contents.chunks);
  CHECK(back->contents.regions[1].offset_units == 64);
  CHECK(back->contents.recipe_bytes == 0x7a5);
  CHECK(back->contents.recipe_count() == 1);
  CHECK(!back->contents.deferred);
  CHECK(absl::IsOutOfRange(DecodeFooter(std::span(bytes).last(100), nullptr, &size).status()));
  CHECK(size == bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= std::byte{1};
    INFO("byte " << i);
    CHECK(absl::IsDataLoss(DecodeFooter(bytes, nullptr, &size).status()));
    bytes[i] ^= std::byte{1};
  }
  contents.deferred = true;
  const std::vector<std::byte> deferred = EncodeFooter(header, contents, nullptr);
  CHECK(bytes[96 + 53] == std::byte{0});
  CHECK(deferred[96 + 53] == std::byte{1});
  CHECK(DecodeFooter(deferred, nullptr, &size)->contents.deferred);
  CHECK(bytes[96 + 54] == std::byte{1});
  CHECK(back->contents.dense);
  contents.dense = false;
  const std::vector<std::byte> light = EncodeFooter(header, contents, nullptr);
  CHECK(light[96 + 54] == std::byte{0});
  CHECK(!DecodeFooter(light, nullptr, &size)->contents.dense);
}

TEST_CASE("a container scan follows the chain and steps over what is damaged") {
  const auto codec = CreateCodec();
  ContainerHeader header;
  Bytes slot = SomeContainer(*codec, &header);
  const auto whole = ScanContainer(slot, 4096, nullptr);
  REQUIRE(whole.ok());
  REQUIRE(whole->contents.regions.size() == 3);
  CHECK(whole->contents.chunks.size() == 6);
  CHECK(whole->next_sequence == 3);
  CHECK(whole->contents.regions[2].offset_units == 64);
  // A bit anywhere in region n costs that region and no other.
  for (size_t n = 0; n < 3; ++n) {
    const RegionExtent& extent = whole->contents.regions[n];
    for (uint32_t byte = 0; byte < extent.size_units * kUnitBytes; byte += 61) {
      const size_t at = extent.offset_units * kUnitBytes + byte;
      slot[at] ^= std::byte{2};
      const auto scan = ScanContainer(slot, 4096, nullptr);
      INFO("region " << n << " byte " << byte);
      REQUIRE(scan.ok());
      // Behind the payload there are zeroes that nobody reads.
      const bool untouched = scan->contents.regions.size() == 3;
      CHECK((untouched || scan->contents.regions.size() == 2));
      CHECK(scan->gaps.size() == (untouched || n == 2 ? 0 : 1));
      slot[at] ^= std::byte{2};
    }
  }
  // A region of the same container, sequence and place, but of another past, does not continue the
  // chain.
  const RegionExtent& last = whole->contents.regions[2];
  EncodedRegion stranger;
  const ChunkEntry entry{Counting(9), 100};
  const Bytes raw = RandomBytes(1, 100);
  EncodeRegion(RegionKind::kData, {&entry, 1}, raw, Compression::kNone, 1, *codec, nullptr,
               &stranger);
  PlaceRegion({header.id, header.nonce, 2, last.offset_units, whole->last_crc ^ 1}, &stranger);
  const Bytes bytes = BytesOf(stranger);
  std::copy(bytes.begin(), bytes.end(), slot.begin() + last.offset_units * kUnitBytes);
  const auto scan = ScanContainer(slot, 4096, nullptr);
  REQUIRE(scan.ok());
  CHECK(scan->contents.regions.size() == 2);
  CHECK(scan->end_reason.find("leftover") != std::string::npos);
}

// A client may store bytes that are a whole region, checksums and all, for the place where it
// expects them to lie. A scan that steps over damage meets them.
TEST_CASE("a region that a client stored as content is not taken for one of the log's") {
  const auto codec = CreateCodec();
  ContainerHeader header = SomeHeader();
  Bytes slot(1u << 20);
  EncodeContainerHeader(&header, slot.data());
  EncodedRegion forged;
  const ChunkEntry victim{Counting(9), 100};
  const Bytes wrong = RandomBytes(1, 100);
  EncodeRegion(RegionKind::kData, {&victim, 1}, wrong, Compression::kNone, 1, *codec, nullptr,
               &forged);
  const bool knows_nonce = GENERATE(false, true);  // Nobody does; the true case shows the aim.
  Bytes content = RandomBytes(2, 4096);
  // The payload begins at byte 64 + 64 + 36; the first unit in it is 3.
  const uint32_t forged_unit = 8;
  PlaceRegion({header.id, knows_nonce ? header.nonce : 0, 7, forged_unit, 0}, &forged);
  const Bytes forged_bytes = BytesOf(forged);
  std::copy(forged_bytes.begin(), forged_bytes.end(),
            content.begin() + forged_unit * kUnitBytes - (64 + 64 + 36));
  EncodedRegion region;
  const ChunkEntry entry{Counting(1), 4096};
  EncodeRegion(RegionKind::kData, {&entry, 1}, content, Compression::kNone, 1, *codec, nullptr,
               &region);
  PlaceRegion({header.id, header.nonce, 0, 1, header.header_crc}, &region);
  const Bytes bytes = BytesOf(region);
  std::copy(bytes.begin(), bytes.end(), slot.begin() + kContainerHeaderBytes);
  REQUIRE(ScanContainer(slot, 4096, nullptr)->contents.chunks ==
          std::vector<Fingerprint>{entry.fingerprint});

  slot[kContainerHeaderBytes + 70] ^= std::byte{1};
  const auto scan = ScanContainer(slot, 4096, nullptr);
  REQUIRE(scan.ok());
  CHECK(scan->contents.chunks.size() == (knows_nonce ? 1 : 0));
  const auto headless = ScanWithoutHeader(slot, header, 4096, nullptr);
  CHECK(headless.ok() == knows_nonce);
}

TEST_CASE("kv records: golden bytes") {
  CHECK(Hex(EncodeChunkPlace({0x0000000700000003, 9, 5, 2})) ==
        "0300000007000000"
        "09000000"
        "05000000"
        "0200");
  CHECK(Hex(ContainerKey(0x0000000700000003)) == "0000000700000003");
  const ContainerRecord container{.slot = 5,
                                  .sealed = true,
                                  .chunk_count = 100,
                                  .footer_bytes = 4000,
                                  .raw_bytes = 0x123456,
                                  .stored_bytes = 0x654321,
                                  .recipe_count = 3,
                                  .recipe_bytes = 0x9abc};
  const std::string container_bytes = EncodeContainerRecord(container);
  CHECK(Hex(container_bytes) ==
        "01"
        "01"
        "05000000"
        "64000000"
        "a00f0000"
        "5634120000000000"
        "2143650000000000"
        "03000000"
        "bc9a0000");
  CHECK(*DecodeContainerRecord(container_bytes) == container);
  const ContainerRecord open{.slot = 5, .nonce = 0xF0E0D0C0B0A09080};
  CHECK(Hex(EncodeContainerRecord(open)) ==
        "010005000000"
        "0000000000000000"
        "8090a0b0c0d0e0f0"
        "0000000000000000"
        "0000000000000000");
  CHECK(*DecodeContainerRecord(EncodeContainerRecord(open)) == open);
  ContainerRecord deferred = container;
  deferred.deferred = true;
  CHECK(Hex(EncodeContainerRecord(deferred)) == "0102" + Hex(container_bytes).substr(4));
  CHECK(*DecodeContainerRecord(EncodeContainerRecord(deferred)) == deferred);
  ContainerRecord dense = container;
  dense.dense = true;
  CHECK(Hex(EncodeContainerRecord(dense)) == "0103" + Hex(container_bytes).substr(4));
  CHECK(*DecodeContainerRecord(EncodeContainerRecord(dense)) == dense);
  ContainerRecord left = container;
  left.superseded_regions = {8, 0x1234};
  const std::string left_bytes = EncodeContainerRecord(left);
  CHECK(Hex(left_bytes) == "02" + Hex(container_bytes).substr(2) + "08000000" + "34120000");
  CHECK(*DecodeContainerRecord(left_bytes) == left);
  CHECK(absl::IsDataLoss(
      DecodeContainerRecord(std::string_view(left_bytes).substr(0, left_bytes.size() - 1))
          .status()));
  const StoreRecord store{StoreRecord::State::kReady, SomeSuperblock().uuid, 7};
  CHECK(Hex(EncodeStoreRecord(store)) ==
        "01"
        "01"
        "000102030405060708090a0b0c0d0e0f"
        "07000000");
  CHECK(*DecodeStoreRecord(EncodeStoreRecord(store)) == store);
  CHECK(absl::IsDataLoss(DecodeContainerRecord("").status()));
  CHECK(absl::IsDataLoss(DecodeChunkPlace("short").status()));
  std::string newer = container_bytes;
  newer[0] = 3;
  CHECK(absl::IsUnimplemented(DecodeContainerRecord(newer).status()));
}

TEST_CASE("recipes and stream records: golden bytes") {
  const RecipeNode node{1, {{Counting(0), 300, 5000000}, {Counting(32), 8, 127}}};
  CHECK(Hex(EncodeRecipeNode(node)) ==
        "5243"
        "01"
        "01"
        "02000000"
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        "ac02"
        "c096b102"
        "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
        "08"
        "7f");
  CHECK(*DecodeRecipeNode(EncodeRecipeNode(node)) == node);
  const StreamRecord record{.size_bytes = 300,
                            .chunk_count = 1,
                            .created_ns = 0x80,
                            .new_chunk_bytes = 300,
                            .new_stored_bytes = 512,
                            .root = {0, {{Counting(0), 300, 300}}}};
  const std::string bytes = EncodeStreamRecord(record);
  CHECK(Hex(bytes) ==
        "01"
        "00"
        "ac02"
        "01"
        "8001"
        "ac02"
        "8004"
        "01"
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        "ac02");
  CHECK(*DecodeStreamRecord(bytes) == record);
  for (size_t size = 0; size < bytes.size(); ++size) {
    CHECK(absl::IsDataLoss(DecodeStreamRecord(bytes.substr(0, size)).status()));
  }
  CHECK(absl::IsDataLoss(DecodeStreamRecord(bytes + "x").status()));
  CHECK(absl::IsUnimplemented(DecodeStreamRecord("\x02" + bytes.substr(1)).status()));
}

TEST_CASE("a recipe tree covers its stream, shares its nodes, and has a small root") {
  for (const size_t chunks : {0u, 1u, 64u, 65u, 1000u, 200000u}) {
    std::vector<RecipeEntry> entries;
    Random random(7);
    for (size_t i = 0; i < chunks; ++i) {
      RecipeEntry entry;
      random.Fill(entry.fingerprint.bytes);
      entry.chunk_bytes = static_cast<uint32_t>(1 + random.Uniform(10000));
      entry.covered_bytes = entry.chunk_bytes;
      entries.push_back(entry);
    }
    std::map<Fingerprint, Bytes> nodes;
    const auto build = [&nodes](std::span<const RecipeEntry> list) {
      RecipeBuilder builder([&](std::span<const std::byte> node) {
        const Fingerprint fingerprint = FingerprintOf(node);
        nodes[fingerprint] = Bytes(node.begin(), node.end());
        return fingerprint;
      });
      for (const RecipeEntry& entry : list) {
        REQUIRE(builder.Add(entry.fingerprint, entry.chunk_bytes).ok());
      }
      return *builder.Finish();
    };
    const RecipeNode root = build(entries);
    INFO(chunks << " chunks");
    CHECK(root.entries.size() <= kMaxInlineEntries);
    std::vector<RecipeEntry> flat;
    const std::function<void(const RecipeNode&)> walk = [&](const RecipeNode& node) {
      for (const RecipeEntry& entry : node.entries) {
        if (node.level == 0) {
          flat.push_back(entry);
          continue;
        }
        const auto child = DecodeRecipeNode(nodes.at(entry.fingerprint));
        REQUIRE(child.ok());
        REQUIRE(child->level == node.level - 1);
        uint64_t covered = 0;
        for (const RecipeEntry& part : child->entries) covered += part.covered_bytes;
        REQUIRE(covered == entry.covered_bytes);
        walk(*child);
      }
    };
    walk(root);
    CHECK(flat == entries);
    if (chunks < 1000) continue;
    // A chunk more at the front changes the first nodes alone.
    const size_t before = nodes.size();
    entries.insert(entries.begin(), RecipeEntry{Counting(77), 5, 5});
    build(entries);
    CHECK(nodes.size() - before <= 2u + 2u * root.level);
  }
}

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
#include "format/records.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "format/key_layout.h"
#include "ofs/sample_records.h"
#include "strata/base/hex.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

std::string Sample(const std::string& name) {
  for (const auto& [kind, bytes] : SampleRecords()) {
    if (kind == name) return bytes;
  }
  return "";
}

// Decodes and encodes with the decoder of that kind.
std::string Again(const std::string& name, std::string_view value) {
  const auto encode = [](const auto& record) {
    return record.ok() ? Encode(*record) : "refused: " + std::string(record.status().message());
  };
  if (name == "format") return encode(DecodeFormat(value));
  if (name == "epoch") return encode(DecodeEpoch(value));
  if (name == "disk") return encode(DecodeDisk(value));
  if (name == "pool") return encode(DecodePool(value));
  if (name == "segments") return encode(DecodeSegments(value));
  if (name == "group") return encode(DecodeGroup(value));
  if (name == "job") return encode(DecodeJob(value));
  if (name == "allocation" || name == "moving allocation") return encode(DecodeAllocation(value));
  if (name == "freed") return encode(DecodeFreed(value));
  if (name == "session") return encode(DecodeSession(value));
  if (name == "heartbeat") return encode(DecodeHeartbeat(value));
  if (name == "counter") return encode(DecodeCounter(value));
  if (name == "inode" || name == "symlink") return encode(DecodeInode(value));
  if (name == "touch") return encode(DecodeTouch(value));
  if (name == "entry") return encode(DecodeEntry(value));
  if (name == "link") return encode(DecodeLink(value));
  if (name == "attribute") return encode(DecodeAttribute(value));
  if (name == "orphan") return encode(DecodeOrphan(value));
  return encode(DecodeExtent(value));
}

// These bytes are in filesystems: they do not change.
TEST_CASE("Records: golden bytes") {
  const std::map<std::string, std::string> expected = {
      {"format",
       "46010110101112131415161718191a1b1c1d1e1f0210000102030405060708090a0b0c0d0e0f030101040380804"
       "0050102060401040200"},
      {"epoch", "53010102ac02"},
      {"disk",
       "56010110404142434445464748494a4b4c4d4e4f020b66696c653a2f6469736b3303010304117261636b312f6e6"
       "f6465322f6469736b33050103060102070101080162090f627920746865206f70657261746f720a0105"},
      {"pool", "760101010102015a"},
      {"segments", "42010106640003053824"},
      {"group", "47010104010201000201010308010002ac02802007040103050401040100"},
      {"allocation", "41010101010201050306640003053824040503643d8827"},
      {"moving allocation", "41010101030201050306640003053824050701000302802007"},
      {"freed", "5a0101100c2102b0ea01a09c01090d0001010100"},
      {"session", "4e010104686f737402029221030106"},
      {"heartbeat", "6e01010107020108"},
      {"counter", "43010103808004"},
      {"job", "4a010102ac02"},
      {"inode",
       "49010101010202ed130302e8070401640501020602a01f07010108098080d0e2c6bfce972f0901060a01080b010"
       "50c01060d0281100e01010f09ffffffffffffffff7f100108111159010101020204030c04020301000401031201"
       "011306696e6c696e6515010916010a"},
      {"symlink", "49010101031408746f2f7468657265"},
      {"touch", "5401010102020103"},
      {"entry", "440101014d020102"},
      {"link", "5001"},
      {"attribute", "5801010576616c7565"},
      {"orphan", "4f01010109"},
      {"extent", "4501010380804002010c03012104012005010206010907038080200d01020e0103"},
      {"compressed extent",
       "45010102802002010c0301210401020501010601090703b0ea010803a09c010901020a02904e0b038080010c028"
       "020"},
  };
  for (const auto& [name, bytes] : SampleRecords()) {
    INFO(name);
    REQUIRE(expected.contains(name));
    CHECK(ToHex(bytes) == expected.at(name));
    CHECK(Again(name, bytes) == bytes);
  }
}

TEST_CASE("Records: cut, changed and foreign ones are refused or make sense") {
  Random random(strata::test::Seed());
  for (const auto& [name, bytes] : SampleRecords()) {
    INFO(name);
    CHECK(Again(name, "?" + bytes.substr(1)).starts_with("refused: not a"));
    CHECK(
        Again(name, bytes + "\x7F\x01x").starts_with("refused: "));  // A field of a newer version.
    for (int round = 0; round < 300; ++round) {
      std::string changed = bytes;
      changed[random.Uniform(changed.size())] = static_cast<char>(random.Next64());
      if (random.Chance(0.2)) changed.resize(random.Uniform(changed.size()));
      const std::string again = Again(name, changed);
      if (!again.starts_with("refused: ")) REQUIRE(Again(name, again) == again);
    }
  }
}

TEST_CASE("Records: values out of range are refused by name") {
  GroupRecord group = DecodeGroup(Sample("group")).value();
  group.units[1] = group.units[0];
  CHECK(DecodeGroup(Encode(group)).status().message() ==
        "malformed group record: two units on one disk");
  group.units.pop_back();
  CHECK(DecodeGroup(Encode(group)).status().message() ==
        "malformed group record: its units are not those of its protection");
  AllocationRecord allocation = DecodeAllocation(Sample("allocation")).value();
  allocation.partly_dead[1].column = 10;
  CHECK(DecodeAllocation(Encode(allocation)).status().message() ==
        "malformed allocation record: a partly dead stripe in a column that is free");
  allocation = DecodeAllocation(Sample("allocation")).value();
  allocation.owner = 0;
  CHECK(DecodeAllocation(Encode(allocation)).status().message() ==
        "malformed allocation record: a sealed group has no owner, and each other has one");
  allocation = DecodeAllocation(Sample("allocation")).value();
  allocation.moving_to = {{1, 2}};
  CHECK(DecodeAllocation(Encode(allocation)).status().message() ==
        "malformed allocation record: units move, and the group is not evacuating");
  FreedRecord freed;
  for (uint64_t i = 1; i <= kMaxFreedGroups + 1; ++i) {
    freed.pieces.push_back({.group = i, .unit_blocks = 1, .payload_bytes = 1, .freed_bytes = 1});
  }
  CHECK_FALSE(DecodeFreed(Encode(freed)).ok());
  freed.pieces.pop_back();
  CHECK(DecodeFreed(Encode(freed)).value() == freed);
  ExtentRecord extent = DecodeExtent(Sample("extent")).value();
  extent.length_bytes += 1;
  CHECK(DecodeExtent(Encode(extent)).status().message() ==
        "malformed extent record: more than its stripes hold");
  InodeRecord inode = DecodeInode(Sample("inode")).value();
  inode.mode = 010000;
  CHECK(DecodeInode(Encode(inode)).status().message() ==
        "malformed inode record: mode out of range");
  PoolRecord pool{.number = 1, .fill_limit_percent = 101};
  CHECK_FALSE(DecodePool(Encode(pool)).ok());
}

TEST_CASE("Keys: golden bytes") {
  CHECK(FormatKey() == "F");
  CHECK(EpochKey() == "S");
  CHECK(ToHex(InodeKey(0x0102030405060708)) == "490102030405060708");
  CHECK(ToHex(TouchKey(1)) == "540000000000000001");
  CHECK(ToHex(EntryKey(1, 2, "name")) == "44000000000000000100000000000000026e616d65");
  CHECK(ToHex(LinkKey(1, 2, 3, "n")) == "500000000000000001000000000000000200000000000000036e");
  CHECK(ToHex(AttributeKey(1, "user.x")) == "580000000000000001757365722e78");
  CHECK(ToHex(ExtentKey(1, 4096)) == "4500000000000000010000000000001000");
  CHECK(ToHex(OrphanKey(1)) == "4f0000000000000001");
  CHECK(ToHex(PinKey(1, 5)) == "4f000000000000000100000005");
  CHECK(ToHex(FreedKey(5, 1)) == "5a000000050000000000000001");
  CHECK(ToHex(GroupKey(12)) == "47000000000000000c");
  CHECK(ToHex(AllocationKey(12)) == "41000000000000000c");
  CHECK(ToHex(SegmentsKey(3, 1)) == "420000000300000001");
  CHECK(ToHex(DiskKey(3)) == "5600000003");
  CHECK(PoolKey("default") == "vdefault");
  CHECK(ToHex(SessionKey(5)) == "4e00000005");
  CHECK(ToHex(HeartbeatKey(5)) == "6e00000005");
  CHECK(CounterKey("group") == "Cgroup");
  CHECK(JobKey("scrub") == "Jscrub");
}

TEST_CASE("Keys: of a table alone, and in the order of their numbers") {
  CHECK(GroupOf(Table::kGroup, GroupKey(12)).value() == 12);
  CHECK(GroupOf(Table::kAllocation, AllocationKey(~uint64_t{0})).value() == ~uint64_t{0});
  CHECK(DiskOf(DiskKey(4096)).value() == 4096);
  CHECK(SegmentsOf(SegmentsKey(3, 1)).value().chunk == 1);
  CHECK(GroupOf(Table::kGroup, AllocationKey(12)).status().message() ==
        "key 41000000000000000c is none of table G");
  CHECK(absl::IsDataLoss(DiskOf("V").status()));
  CHECK(absl::IsDataLoss(SegmentsOf(DiskKey(1)).status()));
  CHECK(ExtentKey(1, 0xFF) < ExtentKey(1, 0x100));
  const kv::Range range = DirectoryRange(1);
  CHECK((EntryKey(1, 0, "") >= range.begin && EntryKey(1, ~uint64_t{0}, "z") < range.end));
  CHECK(EntryKey(2, 0, "a") >= range.end);
}

}  // namespace
}  // namespace strata::ofs

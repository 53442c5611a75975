// SPDX-License-Identifier: Apache-2.0
#include "records/records.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "records/version_ids.h"
#include "strata/base/hex.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::object {
namespace {

dedup::StreamId Stream(uint8_t first) {
  dedup::StreamId id;
  for (size_t i = 0; i < id.bytes.size(); ++i) {
    id.bytes[i] = static_cast<std::byte>(first + i);
  }
  return id;
}

RecordId Id(char fill) {
  RecordId id;
  id.fill(fill);
  return id;
}

ObjectRecord FullObject() {
  ObjectRecord record;
  record.sequence = 0x1122334455667788;
  record.nonce = 0x99AABBCCDDEEFF00;
  record.is_null = true;
  record.size_bytes = 300;
  record.md5 = std::string(16, '\x5A');
  record.part_count = 3;
  record.modified_ns = 1'700'000'000'000'000'000;
  record.owner = "ada";
  record.pieces = {{100, Stream(0x10)}, {0, {}}, {200, Stream(0x40)}};
  record.checksum = Checksum{ChecksumAlgorithm::kCrc32c, "\x01\x02\x03\x04", 3};
  record.older_null_sequence = 77;
  record.new_bytes = 5;
  record.stored_bytes = 6;
  record.metadata.content_type = "text/plain";
  record.metadata.storage_class = "";
  record.metadata.user = {{"a", "1"}, {"b", ""}};
  record.metadata.tags = {{"t", "v"}};
  return record;
}

UploadRecord FullUpload() {
  UploadRecord record;
  record.owner = "ada";
  record.created_ns = 1;
  record.checksum_algorithm = ChecksumAlgorithm::kCrc64Nvme;
  record.full_object_checksum = true;
  return record;
}

PartRecord FullPart() {
  PartRecord record;
  record.piece = {7, Stream(1)};
  record.md5 = std::string(16, '\x01');
  record.modified_ns = 9;
  return record;
}

User FullUser() {
  User user;
  user.display_name = "Ada";
  user.admin = true;
  user.created_ns = 5;
  return user;
}

AccessKeyRecord FullAccessKey() {
  AccessKeyRecord key;
  key.secret_key = "secret";
  key.user_id = "ada";
  key.created_ns = 5;
  return key;
}

AccessKeyRecord SealedAccessKey() {
  AccessKeyRecord key = FullAccessKey();
  key.secret_key.clear();
  key.sealed_secret = "sealed";
  return key;
}

// The bytes were put together from docs/formats/object.md by other code than this library's. They
// are in stores out there: they do not change.
TEST_CASE("Golden records") {
  CHECK(ToHex(Encode(BucketRecord{300, "ada", 1, Versioning::kSuspended})) ==
        "42010102ac020203616461030101040102");
  CHECK(ToHex(Encode(FullObject())) ==
        "4f01010988ef99abc5e88c9111020a80febbefcdf9aed599010301010402ac0205105a5a5a5a5a5a"
        "5a5a5a5a5a5a5a5a5a5a06010307098080a8b1e39fe7cb1708036164610924641011121314151617"
        "18191a1b1c1d1e1f00c801404142434445464748494a4b4c4d4e4f0b060203010203040c014d0d20"
        "5401010a746578742f706c61696e0801000907016101310162000a0401740176810105820106");
  CHECK(ToHex(Encode(FullUpload())) == "4c010103616461020101030103040101");
  CHECK(ToHex(Encode(FullPart())) ==
        "50010111070102030405060708090a0b0c0d0e0f1002100101010101010101010101010101010103"
        "0109");
  CHECK(ToHex(Encode(CompletedRecord{"key", std::string(32, '\x02'), "x"})) ==
        "440101036b6579022002020202020202020202020202020202020202020202020202020202020202"
        "02030178");
  CHECK(ToHex(Encode(ReapRecord{{Stream(1), Stream(2)}, Id('\x03'), "dk"})) ==
        "520101200102030405060708090a0b0c0d0e0f1002030405060708090a0b0c0d0e0f101102100303"
        "03030303030303030303030303030302646b");
  CHECK(ToHex(Encode(FullUser())) == "55010103416461020101030105");
  CHECK(ToHex(Encode(FullAccessKey())) == "4b0101067365637265740203616461030105");
  CHECK(ToHex(Encode(SealedAccessKey())) == "4b01020361646103010504067365616c6564");
  CHECK(ToHex(EncodeManifest({{0, {}}, {5, Stream(9)}})) ==
        "4d0101120005090a0b0c0d0e0f101112131415161718");
}

std::vector<std::string> GoodRecords() {
  ObjectRecord marker;
  marker.sequence = 5;
  marker.is_delete_marker = true;
  ObjectRecord with_manifest = FullObject();
  with_manifest.pieces.clear();
  with_manifest.manifest_id = Id('m');
  ObjectRecord with_part_checksums = FullObject();
  for (ContentPiece& piece : with_part_checksums.pieces) piece.checksum = "crc!";
  std::vector<ContentPiece> checked_pieces = {{5, Stream(9)}, {6, Stream(10)}};
  for (ContentPiece& piece : checked_pieces) piece.checksum = std::string(32, 's');
  return {Encode(BucketRecord{300, "ada", 1, Versioning::kEnabled}),
          Encode(FullObject()),
          Encode(marker),
          Encode(with_manifest),
          Encode(with_part_checksums),
          EncodeManifest(checked_pieces),
          Encode(FullUpload()),
          Encode(FullPart()),
          Encode(CompletedRecord{"key", std::string(32, 'd'), Encode(marker)}),
          Encode(ReapRecord{{Stream(1)}, Id('m'), "key"}),
          Encode(FullUser()),
          Encode(FullAccessKey()),
          Encode(SealedAccessKey()),
          EncodeManifest({{0, {}}, {5, Stream(9)}})};
}

// Decodes as whatever it claims to be; encodes again.
absl::StatusOr<std::string> Recode(std::string_view value) {
  const auto recode = [](const auto& record) -> absl::StatusOr<std::string> {
    if (!record.ok()) return record.status();
    return Encode(*record);
  };
  switch (value.empty() ? '\0' : value[0]) {
    case 'B':
      return recode(DecodeBucket(value));
    case 'O':
      return recode(DecodeObject(value));
    case 'L':
      return recode(DecodeUpload(value));
    case 'P':
      return recode(DecodePart(value));
    case 'D':
      return recode(DecodeCompleted(value));
    case 'R':
      return recode(DecodeReap(value));
    case 'U':
      return recode(DecodeUser(value));
    case 'K':
      return recode(DecodeAccessKey(value));
    case 'M': {
      const auto pieces = DecodeManifest(value);
      if (!pieces.ok()) return pieces.status();
      return EncodeManifest(*pieces);
    }
    default:
      return absl::DataLossError("unknown kind");
  }
}

TEST_CASE("Checksums of parts go with their pieces") {
  ObjectRecord record = FullObject();
  for (size_t i = 0; i < record.pieces.size(); ++i) record.pieces[i].checksum = std::to_string(i);
  const auto decoded = DecodeObject(Encode(record));
  REQUIRE(decoded.ok());
  CHECK(decoded->pieces == record.pieces);
  record.pieces[0].checksum = "two";  // Then they cannot be told apart.
  CHECK(absl::IsDataLoss(DecodeObject(Encode(record)).status()));
}

TEST_CASE("Every record decodes to what was encoded") {
  for (const std::string& record : GoodRecords()) {
    INFO(ToHex(record));
    const absl::StatusOr<std::string> again = Recode(record);
    REQUIRE(again.ok());
    CHECK(ToHex(*again) == ToHex(record));
  }
}

TEST_CASE("A changed or cut record is refused, or is another record: nothing is made up") {
  Random random(test::Seed());
  for (const std::string& record : GoodRecords()) {
    for (size_t size = 0; size < record.size(); ++size) {
      const absl::StatusOr<std::string> cut = Recode(record.substr(0, size));
      if (cut.ok()) CHECK(*cut == record.substr(0, size));
    }
    for (int round = 0; round < 3000; ++round) {
      std::string bad = record;
      for (uint64_t n = 1 + random.Uniform(3); n > 0; --n) {
        bad[random.Uniform(bad.size())] = static_cast<char>(random.Next64());
      }
      INFO(ToHex(bad));
      const absl::StatusOr<std::string> again = Recode(bad);
      if (again.ok()) {
        // Fields with the high bit may have been passed over; all others are kept.
        CHECK(again->size() <= bad.size());
      } else {
        CHECK((absl::IsDataLoss(again.status()) || absl::IsUnimplemented(again.status())));
      }
    }
  }
}

TEST_CASE("Newer records: another version is refused, as is a field that matters; others pass") {
  std::string record = Encode(BucketRecord{300, "ada", 1, Versioning::kOff});
  std::string newer = record;
  newer[1] = 2;
  CHECK(absl::IsUnimplemented(DecodeBucket(newer).status()));
  CHECK(absl::IsUnimplemented(DecodeBucket(record + "\x05\x01x").status()));
  const absl::StatusOr<BucketRecord> passed = DecodeBucket(record + "\x85\x01x");
  REQUIRE(passed.ok());
  CHECK(passed->owner == "ada");
  CHECK(Encode(*passed) == record + "\x85\x01x");                        // And it is kept.
  CHECK(absl::IsDataLoss(DecodeBucket(record + "\x01\x01x").status()));  // Tags ascend.
  CHECK(absl::IsDataLoss(DecodeObject(record).status()));                // Another kind.
}

TEST_CASE("A bucket and an object keep what a newer program wrote when they are written again") {
  const std::string object = Encode(FullObject()) + "\xA0\x02hi";
  absl::StatusOr<ObjectRecord> decoded = DecodeObject(object);
  REQUIRE(decoded.ok());
  decoded->older_null_sequence = 0;  // As when the version moves among the older ones.
  const absl::StatusOr<ObjectRecord> again = DecodeObject(Encode(*decoded));
  REQUIRE(again.ok());
  CHECK(again->newer_fields == "\xA0\x02hi");
  CHECK(again->older_null_sequence == 0);
  CHECK(Encode(*again).ends_with("\xA0\x02hi"));
}

TEST_CASE("Version ids parse back, and nothing else does") {
  ObjectRecord record;
  record.sequence = 0x0123456789ABCDEF;
  record.nonce = 7;
  CHECK(VersionIdOf(record) == "0123456789abcdef0000000000000007");
  const VersionRef version = ParseVersionId(VersionIdOf(record)).value();
  CHECK(version.sequence == record.sequence);
  CHECK(version.nonce == 7);
  record.is_null = true;
  CHECK(VersionIdOf(record) == "null");
  CHECK(ParseVersionId("null").value().is_null);
  for (const char* bad : {"", "nul", "0123456789abcdef000000000000000", "g"}) {
    CHECK_FALSE(ParseVersionId(bad).has_value());
  }
}

}  // namespace
}  // namespace strata::object

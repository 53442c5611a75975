// SPDX-License-Identifier: Apache-2.0
#include "strata/kv/record_codec.h"

#include <catch2/catch.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "kv/sample_record.h"
#include "strata/base/hex.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::kv {
namespace {

std::string Encode(const SampleRecord& record) { return EncodeRecord<SampleFields>(record); }

absl::StatusOr<SampleRecord> Decode(std::string_view value) {
  SampleRecord record;
  const absl::Status status = DecodeRecord<SampleFields>(value, &record);
  if (!status.ok()) return status;
  return record;
}

SampleRecord Full() {
  SampleRecord record;
  record.number = 300;
  record.small = 0xFFFF;
  record.truth = true;
  record.state = SampleState::kGone;
  record.last_state = SampleState::kBusy;
  record.second = true;
  record.text = "text";
  record.digest = "abc";
  record.id = {'i', 'd', '0', '1'};
  record.map = {{"a", "1"}, {"b", ""}};
  record.numbers = {0, 128};
  record.inner = {.name = "", .count = 5};
  return record;
}

const std::string kEmpty = "S\x03";

// The error for `fields` in a sample record, or "OK".
std::string Answer(std::string_view fields) {
  const absl::Status status = Decode(kEmpty + std::string(fields)).status();
  return status.ok() ? "OK" : std::string(status.message());
}

// These bytes are in stores: they do not change.
TEST_CASE("A record of every kind of field: golden bytes") {
  CHECK(ToHex(Encode(Full())) ==
        "53030102ac020203ffff03030101040102050101060102070474657874080361626309046964"
        "30310a07016101310162000b03008001900849010101000201"
        "05");
  CHECK(Encode(SampleRecord()) == kEmpty);
  const absl::StatusOr<SampleRecord> again = Decode(Encode(Full()));
  REQUIRE(again.ok());
  CHECK(again->map == Full().map);
  CHECK(again->numbers == Full().numbers);
  CHECK(again->inner.name.empty());
  CHECK((again->second && !again->first));
  CHECK(again->id == Full().id);
}

TEST_CASE("A long value has a long length") {
  SampleRecord record;
  record.numbers.assign(20'000, 1);
  const std::string value = Encode(record);
  CHECK(ToHex(value.substr(0, 7)) == "53030ba09c0101");
  CHECK(Decode(value).value().numbers == record.numbers);
}

TEST_CASE("Each malformed field is refused by name") {
  CHECK(absl::IsDataLoss(Decode("").status()));
  CHECK(Decode("X\x03").status().message() == "not a sample record");
  CHECK(Answer("\x01") == "malformed sample record: field 1 has no length");
  CHECK(Answer("\x01\x02x") == "malformed sample record: field 1 ends early");
  CHECK(Answer(std::string_view("\x07\x00", 2)) == "malformed sample record: field 7 is empty");
  CHECK(Answer("\x07\x01x\x07\x01x") == "malformed sample record: field 7 is out of order");
  CHECK(Answer("\x07\x01x\x01\x01\x05") == "malformed sample record: field 1 is out of order");
  CHECK(Answer(std::string_view("\x01\x01\x00", 3)) ==
        "malformed sample record: field 1 is no integer in its shortest form");
  CHECK(Answer("\x01\x02\x05\x05") ==
        "malformed sample record: field 1 is no integer in its shortest form");
  CHECK(Answer("\x02\x03\x80\x80\x04") == "malformed sample record: field 2 is 65536, over 65535");
  CHECK(Answer("\x03\x01\x02") == "malformed sample record: field 3 is 2, over 1");
  CHECK(Answer("\x08\x02xx") == "malformed sample record: field 8 has 2 bytes instead of 3");
  CHECK(Answer("\x09\x01x") == "malformed sample record: field 9 has 1 bytes instead of 4");
  CHECK(Answer(std::string_view("\x0A\x05\x01"
                                "b\x00\x02"
                                "a",
                                7)) == "malformed sample record: field 10 ends early");
  CHECK(Answer(std::string_view("\x0A\x06\x01"
                                "b\x00\x01"
                                "a\x00",
                                8)) == "malformed sample record: field 10 is out of order");
  CHECK(Answer("\x0B\x01\x80") ==
        "malformed sample record: field 11 has no varint in its shortest form where one belongs");
  CHECK(Answer("\x90\x09I\x01\x01\x05usual") ==
        "malformed inner record: field 1 has the usual value");
}

TEST_CASE("What a newer program wrote: refused where it matters, else kept in its place") {
  CHECK(absl::IsUnimplemented(Decode("S\x04").status()));
  CHECK(Decode("S\x04").status().message() == "sample record has version 4, known is 3");
  CHECK(absl::IsUnimplemented(Decode(kEmpty + "\x0C\x01x").status()));
  CHECK(Answer("\x0C\x01x") == "sample record has field 12, which a newer version wrote");
  CHECK(Answer("\x04\x01\x03") == "sample record: value 3 of field 4 is unknown");
  CHECK(Answer("\x06\x01\x04") == "sample record: value 4 of field 6 is unknown");

  const std::string record = kEmpty + "\x07\x01x\x85\x02hi\x90\x05I\x01\x02\x01\x07\xFF\x01z";
  const absl::StatusOr<SampleRecord> decoded = Decode(record);
  REQUIRE(decoded.ok());
  CHECK(decoded->inner.count == 7);
  CHECK(decoded->newer_fields == "\x85\x02hi\xFF\x01z");
  CHECK(ToHex(Encode(*decoded)) == ToHex(record));
}

TEST_CASE("Any bytes: an error, or a record that encodes to the same bytes") {
  Random random(test::Seed());
  const std::string good = Encode(Full()) + "\xFF\x01z";
  size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bad = good.substr(0, 2 + random.Uniform(good.size() - 1));
    for (uint64_t n = random.Uniform(3); n > 0; --n) {
      bad[random.Uniform(bad.size())] = static_cast<char>(random.Next64());
    }
    INFO(ToHex(bad));
    const absl::StatusOr<SampleRecord> record = Decode(bad);
    if (record.ok()) {
      ++accepted;
      CHECK(ToHex(Encode(*record)) == ToHex(bad));
    } else {
      CHECK((absl::IsDataLoss(record.status()) || absl::IsUnimplemented(record.status())));
    }
  }
  CHECK(accepted > 0);
}

TEST_CASE("A mark says what a space holds, and nothing besides") {
  constexpr RecordKind kMark = {.kind = 'F', .version = 1, .name = "format"};
  CHECK(EncodeMark(kMark) == "F\x01");
  CHECK(CheckMark(kMark, "F\x01").ok());
  CHECK(absl::IsUnimplemented(CheckMark(kMark, "F\x02")));
  CHECK(absl::IsUnimplemented(CheckMark(kMark, "F\x01\x01\x01x")));
  CHECK(absl::IsDataLoss(CheckMark(kMark, "F")));
}

TEST_CASE("Varints: golden bytes, and only the shortest form") {
  const auto encoded = [](uint64_t value) {
    std::string out;
    AppendVarint(&out, value);
    return ToHex(out);
  };
  CHECK(encoded(0) == "00");
  CHECK(encoded(127) == "7f");
  CHECK(encoded(128) == "8001");
  CHECK(encoded(~uint64_t{0}) == "ffffffffffffffffff01");
  for (const std::string& bad :
       {std::string("\x80\x00", 2), std::string("\x80"), std::string(9, '\xFF') + "\x02",
        std::string(10, '\xFF') + "\x01"}) {
    ByteParser parser(bad);
    CHECK(parser.Varint() == 0);
    CHECK(absl::IsDataLoss(parser.status()));
    CHECK(parser.done());
  }
}

}  // namespace
}  // namespace strata::kv

// SPDX-License-Identifier: Apache-2.0
//
// The bytes of each PDU against vectors that were made by hand from the tables of the NVMe/TCP
// specification. The digests come from RFC 3720, appendix B.4 (32 bytes of zeroes: AA 36 91 8A), or
// from a bitwise CRC in this file.
#include "pdu/pdu_writer.h"

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace strata::nvmeof {
namespace {

std::string Hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    char digits[4];
    std::snprintf(digits, sizeof(digits), "%02x ", static_cast<unsigned>(byte));
    text += digits;
  }
  if (!text.empty()) text.pop_back();
  return text;
}

std::string Zeroes(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += i == 0 ? "00" : " 00";
  return text;
}

// One bit at a time, with the polynomial of RFC 3720 reflected; as four little-endian bytes.
std::string SlowDigest(std::span<const std::byte> bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78 : 0);
  }
  crc = ~crc;
  const std::array<std::byte, 4> digest = {std::byte(crc), std::byte(crc >> 8),
                                           std::byte(crc >> 16), std::byte(crc >> 24)};
  return Hex(digest);
}

template <size_t kSize>
std::array<std::byte, kSize> Counting(uint8_t first) {
  std::array<std::byte, kSize> bytes;
  for (size_t i = 0; i < kSize; ++i) bytes[i] = static_cast<std::byte>(first + i);
  return bytes;
}

TEST_CASE("ICReq") {
  std::array<std::byte, 128> out;
  out.fill(std::byte{0xEE});
  REQUIRE(WriteInitRequest({.data_alignment_0based = 3,
                            .header_digest = true,
                            .data_digest = false,
                            .limit = 0x01020304},
                           out) == 128);
  CHECK(Hex(out) == "00 00 80 00 80 00 00 00 00 00 03 01 04 03 02 01 " + Zeroes(112));
}

TEST_CASE("ICResp") {
  std::array<std::byte, 128> out;
  out.fill(std::byte{0xEE});
  REQUIRE(WriteInitResponse({.header_digest = true, .data_digest = true, .limit = 131072}, out) ==
          128);
  CHECK(Hex(out) == "01 00 80 00 80 00 00 00 00 00 00 03 00 00 02 00 " + Zeroes(112));
}

TEST_CASE("TermReq of both sides") {
  std::array<std::byte, 152> out;
  const auto header = Counting<8>(0xA0);
  REQUIRE(WriteTermRequest(false, {FatalError::kInvalidHeaderField, 0x0A0B0C0D}, header, out) ==
          32);
  CHECK(Hex(std::span(out).first(32)) ==
        "03 00 18 00 20 00 00 00 01 00 0d 0c 0b 0a " + Zeroes(10) + " a0 a1 a2 a3 a4 a5 a6 a7");
  REQUIRE(WriteTermRequest(true, {FatalError::kUnsupportedParameter, 8}, {}, out) == 24);
  CHECK(Hex(std::span(out).first(24)) == "02 00 18 00 18 00 00 00 06 00 08 00 00 00 " + Zeroes(10));
  // No more of the header than the PDU has room for.
  const std::vector<std::byte> long_header(200, std::byte{7});
  CHECK(WriteTermRequest(true, {FatalError::kSequenceError, 0}, long_header, out) == 152);
  CHECK(Hex(std::span(out).first(8)) == "02 00 18 00 98 00 00 00");
}

TEST_CASE("CapsuleCmd") {
  const auto entry = Counting<64>(0x10);
  std::array<std::byte, 128> head;
  SECTION("no data, no digest") {
    const PduWriter writer({});
    REQUIRE(writer.WriteCommandCapsule(entry, 0, head) == 72);
    CHECK(Hex(std::span(head).first(72)) == "04 00 48 00 48 00 00 00 " + Hex(entry));
  }
  SECTION("no data, both digests") {
    const PduWriter writer({.header_digest = true, .data_digest = true});
    REQUIRE(writer.WriteCommandCapsule(entry, 0, head) == 76);
    CHECK(Hex(std::span(head).first(72)) == "04 01 48 00 4c 00 00 00 " + Hex(entry));
    CHECK(Hex(std::span(head).subspan(72, 4)) == SlowDigest(std::span(head).first(72)));
  }
  SECTION("8 KiB of data, both digests, aligned to 16 bytes") {
    const PduWriter writer(
        {.header_digest = true, .data_digest = true, .data_alignment_0based = 3});
    head.fill(std::byte{0xEE});
    // 72 + 4 -> PDO 80; PLEN = 80 + 8192 + 4 = 0x2054.
    REQUIRE(writer.WriteCommandCapsule(entry, 8192, head) == 80);
    CHECK(Hex(std::span(head).first(72)) == "04 03 48 50 54 20 00 00 " + Hex(entry));
    CHECK(Hex(std::span(head).subspan(72, 4)) == SlowDigest(std::span(head).first(72)));
    CHECK(Hex(std::span(head).subspan(76, 4)) == "00 00 00 00");
  }
}

TEST_CASE("CapsuleResp") {
  const auto entry = Counting<16>(0xC0);
  std::array<std::byte, 28> head;
  REQUIRE(PduWriter({.data_digest = true}).WriteResponseCapsule(entry, head) == 24);
  CHECK(Hex(std::span(head).first(24)) == "05 00 18 00 18 00 00 00 " + Hex(entry));
  REQUIRE(PduWriter({.header_digest = true}).WriteResponseCapsule(entry, head) == 28);
  CHECK(Hex(std::span(head).first(24)) == "05 01 18 00 1c 00 00 00 " + Hex(entry));
  CHECK(Hex(std::span(head).subspan(24)) == SlowDigest(std::span(head).first(24)));
}

TEST_CASE("H2CData") {
  std::array<std::byte, 128> head;
  const TransferFields fields = {0x1234, 0x5678, 0x00010000, 0x00000200};
  REQUIRE(PduWriter({}).WriteHostData(fields, true, head) == 24);
  CHECK(Hex(std::span(head).first(24)) ==
        "06 04 18 18 18 02 00 00 34 12 78 56 00 00 01 00 00 02 00 00 00 00 00 00");
  REQUIRE(PduWriter({.data_digest = true}).WriteHostData(fields, false, head) == 24);
  CHECK(Hex(std::span(head).first(24)) ==
        "06 02 18 18 1c 02 00 00 34 12 78 56 00 00 01 00 00 02 00 00 00 00 00 00");
}

TEST_CASE("C2HData") {
  std::array<std::byte, 128> head;
  const TransferFields fields = {0x1234, 0x5678, 4096, 4096};
  REQUIRE(PduWriter({}).WriteControllerData(fields, {.is_last = true, .is_success = true}, head) ==
          24);
  CHECK(Hex(std::span(head).first(24)) ==
        "07 0c 18 18 18 10 00 00 34 12 00 00 00 10 00 00 00 10 00 00 00 00 00 00");
  // HPDA 31: data at 128.
  head.fill(std::byte{0xEE});
  const PduWriter padded({.header_digest = true, .data_alignment_0based = 31});
  REQUIRE(padded.WriteControllerData(fields, {.is_last = true}, head) == 128);
  CHECK(Hex(std::span(head).first(24)) ==
        "07 05 18 80 80 10 00 00 34 12 00 00 00 10 00 00 00 10 00 00 00 00 00 00");
  CHECK(Hex(std::span(head).subspan(24, 4)) == SlowDigest(std::span(head).first(24)));
  CHECK(Hex(std::span(head).subspan(28)) == Zeroes(100));
}

TEST_CASE("R2T") {
  std::array<std::byte, 28> head;
  const TransferFields fields = {0x1234, 0x5678, 8192, 131072};
  REQUIRE(PduWriter({.header_digest = true, .data_digest = true, .data_alignment_0based = 31})
              .WriteReadyToTransfer(fields, head) == 28);
  CHECK(Hex(std::span(head).first(24)) ==
        "09 01 18 00 1c 00 00 00 34 12 78 56 00 20 00 00 00 00 02 00 00 00 00 00");
  CHECK(Hex(std::span(head).subspan(24)) == SlowDigest(std::span(head).first(24)));
}

TEST_CASE("The data digest goes over scattered data") {
  std::array<std::byte, 32> zeroes{};
  const std::vector<iovec> pieces = {
      {zeroes.data(), 1}, {zeroes.data() + 1, 0}, {zeroes.data() + 1, 31}};
  std::array<std::byte, 4> tail;
  REQUIRE(PduWriter({.data_digest = true}).WriteDataDigest(pieces, tail) == 4);
  CHECK(Hex(tail) == "aa 36 91 8a");
  CHECK(PduWriter({.header_digest = true}).WriteDataDigest(pieces, tail) == 0);
  CHECK(PduWriter({.data_digest = true}).WriteDataDigest({}, tail) == 0);
}

TEST_CASE("A PDU is gathered from its parts, empty ones left out") {
  std::array<std::byte, 8> head{};
  std::array<std::byte, 16> data{};
  std::array<std::byte, 4> tail{};
  const std::vector<iovec> pieces = {{data.data(), 8}, {nullptr, 0}, {data.data() + 8, 8}};
  std::array<iovec, 5> vectors;
  REQUIRE(GatherPdu(head, pieces, tail, vectors) == 4);
  CHECK(vectors[0].iov_base == head.data());
  CHECK(vectors[2].iov_base == data.data() + 8);
  CHECK(vectors[3].iov_len == 4);
  CHECK(GatherPdu(head, {}, {}, vectors) == 1);
}

}  // namespace
}  // namespace strata::nvmeof

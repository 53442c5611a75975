// SPDX-License-Identifier: Apache-2.0
#include "pdu/pdu_reader.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pdu/pdu_writer.h"
#include "strata/base/endian.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::nvmeof {
namespace {

using Bytes = std::vector<std::byte>;

constexpr uint32_t kCapsuleLimit = 8192;
constexpr uint32_t kTransferLimit = 16384;

// What the owner of a reader learns of one PDU.
struct Seen {
  PduType type;
  bool is_last;
  bool is_success;
  std::array<uint32_t, 4> init;
  std::array<uint32_t, 4> transfer;
  std::array<uint32_t, 2> term;
  Bytes entry;
  Bytes data;
  bool data_digest_ok;

  bool operator==(const Seen&) const = default;
};

struct Reading {
  std::vector<Seen> pdus;
  std::optional<PduViolation> violation;
};

// Reads with an owner that negotiates `settings`. The input comes in pieces of `next_size()` bytes;
// with `lands`, data goes around Read() where it may.
template <typename NextSize>
Reading ReadStream(const PduReaderOptions& options, const PduSettings& settings, const Bytes& input,
                   NextSize next_size, bool lands = false) {
  PduReader reader(options);
  Reading reading;
  std::span<const std::byte> rest = input;
  while (!rest.empty()) {
    std::span<const std::byte> piece = rest.first(std::min<size_t>(next_size(), rest.size()));
    rest = rest.subspan(piece.size());
    if (lands && reader.data_left() > 0) {
      const auto landed = piece.first(std::min<size_t>(piece.size(), reader.data_left()));
      reader.DataLanded(landed);
      reading.pdus.back().data.insert(reading.pdus.back().data.end(), landed.begin(), landed.end());
      piece = piece.subspan(landed.size());
    }
    for (bool more = true; more;) {
      switch (reader.Read(&piece)) {
        case PduEvent::kNeedBytes:
          CHECK(piece.empty());
          more = false;
          break;
        case PduEvent::kHeader: {
          const PduHeader& header = reader.header();
          reading.pdus.push_back(
              {.type = header.type,
               .is_last = header.is_last,
               .is_success = header.is_success,
               .init = {header.init.data_alignment_0based, header.init.header_digest,
                        header.init.data_digest, header.init.limit},
               .transfer = {header.transfer.command_id, header.transfer.transfer_tag,
                            header.transfer.offset_bytes, header.transfer.length_bytes},
               .term = {static_cast<uint32_t>(header.term.error), header.term.information},
               .entry = Bytes(header.entry.begin(), header.entry.end()),
               .data = {},
               .data_digest_ok = false});
          break;
        }
        case PduEvent::kData: {
          Bytes& data = reading.pdus.back().data;
          data.insert(data.end(), reader.data().begin(), reader.data().end());
          break;
        }
        case PduEvent::kEnd: {
          Seen& seen = reading.pdus.back();
          CHECK(seen.data.size() == reader.header().data_bytes);
          seen.data_digest_ok = reader.data_digest_ok();
          if (seen.type == PduType::kInitRequest || seen.type == PduType::kInitResponse) {
            reader.SetNegotiated(settings);
          }
          break;
        }
        case PduEvent::kViolation:
          reading.violation = reader.violation();
          CHECK(reader.Read(&rest) == PduEvent::kViolation);
          return reading;
      }
    }
  }
  return reading;
}

Reading ReadWhole(const PduReaderOptions& options, const PduSettings& settings,
                  const Bytes& input) {
  return ReadStream(options, settings, input, [&] { return input.size(); });
}

Bytes RandomBytes(Random* random, size_t size) {
  Bytes bytes(size);
  random->Fill(bytes);
  return bytes;
}

void Append(Bytes* to, std::span<const std::byte> bytes) {
  to->insert(to->end(), bytes.begin(), bytes.end());
}

// A stream that one side sends, and what its reader must see.
class Sent {
 public:
  Sent(bool from_host, const PduSettings& settings, uint64_t seed)
      : from_host_(from_host), settings_(settings), writer_(settings), random_(seed) {}

  void Init() {
    std::array<std::byte, pdu::kInitBytes> out;
    const InitFields fields = {.data_alignment_0based = 7,
                               .header_digest = settings_.header_digest,
                               .data_digest = settings_.data_digest,
                               .limit = 8192};
    if (from_host_) {
      WriteInitRequest(fields, out);
    } else {
      WriteInitResponse(fields, out);
    }
    Append(&bytes, out);
    Expect(from_host_ ? PduType::kInitRequest : PduType::kInitResponse).init = {
        7, settings_.header_digest, settings_.data_digest, 8192};
  }

  void Command(uint32_t data_bytes) {
    Bytes entry = RandomBytes(&random_, 64);
    const size_t head_bytes = writer_.WriteCommandCapsule(
        std::span<const std::byte, 64>(entry.data(), 64), data_bytes, head_);
    Seen& seen = Expect(PduType::kCommandCapsule);
    seen.entry = std::move(entry);
    AppendWithData(head_bytes, data_bytes, &seen);
  }

  void Response() {
    Bytes entry = RandomBytes(&random_, 16);
    Append(&bytes, std::span(head_).first(writer_.WriteResponseCapsule(
                       std::span<const std::byte, 16>(entry.data(), 16), head_)));
    Expect(PduType::kResponseCapsule).entry = std::move(entry);
  }

  void Data(uint32_t data_bytes, bool is_last, bool is_success) {
    const TransferFields fields = {Any16(), from_host_ ? Any16() : uint16_t{0},
                                   static_cast<uint32_t>(random_.Uniform(1 << 28)) * 4, data_bytes};
    Seen& seen = Expect(from_host_ ? PduType::kHostData : PduType::kControllerData);
    seen.transfer = {fields.command_id, fields.transfer_tag, fields.offset_bytes,
                     fields.length_bytes};
    seen.is_last = is_last;
    seen.is_success = is_success;
    const size_t head_bytes =
        from_host_ ? writer_.WriteHostData(fields, is_last, head_)
                   : writer_.WriteControllerData(fields, {is_last, is_success}, head_);
    AppendWithData(head_bytes, data_bytes, &seen);
  }

  void ReadyToTransfer() {
    const TransferFields fields = {Any16(), Any16(), 4096, 8192};
    Append(&bytes, std::span(head_).first(writer_.WriteReadyToTransfer(fields, head_)));
    Expect(PduType::kReadyToTransfer).transfer = {fields.command_id, fields.transfer_tag, 4096,
                                                  8192};
  }

  void Term() {
    std::array<std::byte, pdu::kMaxTermBytes> out;
    const Bytes header = RandomBytes(&random_, 72);
    Append(&bytes, std::span(out).first(WriteTermRequest(
                       from_host_, {FatalError::kHeaderDigestError, 0xFEDCBA98}, header, out)));
    Seen& seen = Expect(from_host_ ? PduType::kHostTermRequest : PduType::kControllerTermRequest);
    seen.term = {3, 0xFEDCBA98};
    seen.data = header;
  }

  // Every PDU of this side.
  void Everything() {
    Init();
    if (from_host_) {
      Command(0);
      Command(1024);
      Data(512, false, false);
      Data(4, true, false);
      Command(0);
    } else {
      Response();
      Data(4096, false, false);
      Data(37, true, true);
      ReadyToTransfer();
      Data(512, true, false);
    }
    Term();
  }

  Bytes bytes;
  std::vector<Seen> expected;

 private:
  uint16_t Any16() { return static_cast<uint16_t>(random_.Next64()); }

  Seen& Expect(PduType type) {
    expected.push_back({.type = type,
                        .is_last = false,
                        .is_success = false,
                        .init = {},
                        .transfer = {},
                        .term = {},
                        .entry = {},
                        .data = {},
                        .data_digest_ok = true});
    return expected.back();
  }

  void AppendWithData(size_t head_bytes, uint32_t data_bytes, Seen* seen) {
    Bytes data = RandomBytes(&random_, data_bytes);
    const size_t middle = data.size() / 3;
    const std::array<iovec, 2> pieces = {
        {{data.data(), middle}, {data.data() + middle, data.size() - middle}}};
    std::array<std::byte, pdu::kDigestBytes> tail;
    const size_t tail_bytes = writer_.WriteDataDigest(pieces, tail);
    std::array<iovec, 4> vectors;
    const size_t count = GatherPdu(std::span(head_).first(head_bytes), pieces,
                                   std::span(tail).first(tail_bytes), vectors);
    for (const iovec& vector : std::span(vectors).first(count)) {
      Append(&bytes, {static_cast<const std::byte*>(vector.iov_base), vector.iov_len});
    }
    seen->data = std::move(data);
  }

  const bool from_host_;
  const PduSettings settings_;
  const PduWriter writer_;
  Random random_;
  std::array<std::byte, pdu::kMaxHeadBytes> head_{};
};

PduReaderOptions OptionsFor(bool from_host) {
  return {.from_host = from_host,
          .max_capsule_data_bytes = kCapsuleLimit,
          .max_transfer_data_bytes = kTransferLimit};
}

TEST_CASE("Each digest pair and alignment is read as it was written, at every split") {
  const bool from_host = GENERATE(false, true);
  const bool header_digest = GENERATE(false, true);
  const bool data_digest = GENERATE(false, true);
  const uint8_t alignment = GENERATE(uint8_t{0}, uint8_t{3}, uint8_t{31});
  const PduSettings settings = {header_digest, data_digest, alignment};
  CAPTURE(from_host, header_digest, data_digest, alignment);
  Sent sent(from_host, settings, test::Seed());
  sent.Everything();
  const PduReaderOptions options = OptionsFor(from_host);

  const Reading whole = ReadWhole(options, settings, sent.bytes);
  REQUIRE_FALSE(whole.violation.has_value());
  REQUIRE(whole.pdus == sent.expected);
  for (const bool lands : {false, true}) {
    const Reading by_byte = ReadStream(
        options, settings, sent.bytes, [] { return 1; }, lands);
    REQUIRE(by_byte.pdus == sent.expected);
    Random random(test::Seed() + lands);
    for (int round = 0; round < 20; ++round) {
      const uint64_t bound = 1 + random.Uniform(round % 2 == 0 ? 40 : 3000);
      const Reading pieces = ReadStream(
          options, settings, sent.bytes, [&] { return 1 + random.Uniform(bound); }, lands);
      REQUIRE_FALSE(pieces.violation.has_value());
      REQUIRE(pieces.pdus == sent.expected);
    }
  }
  // In two pieces, cut at each place.
  for (size_t cut = 1; cut < sent.bytes.size(); cut += 1 + cut / 64) {
    size_t next = cut;
    const Reading pieces = ReadStream(options, settings, sent.bytes,
                                      [&] { return std::exchange(next, sent.bytes.size()); });
    REQUIRE(pieces.pdus == sent.expected);
  }
}

TEST_CASE("Data is handed out in place") {
  Sent sent(true, {}, 1);
  sent.Init();
  sent.Command(1024);
  PduReader reader(OptionsFor(true));
  std::span<const std::byte> input = sent.bytes;
  REQUIRE(reader.Read(&input) == PduEvent::kHeader);
  CHECK(reader.data_left() == 0);
  REQUIRE(reader.Read(&input) == PduEvent::kEnd);
  reader.SetNegotiated({});
  REQUIRE(reader.Read(&input) == PduEvent::kHeader);
  CHECK(reader.data_left() == 1024);
  CHECK(reader.header().entry.size() == 64);
  REQUIRE(reader.Read(&input) == PduEvent::kData);
  CHECK(reader.data().data() == sent.bytes.data() + 128 + 72);
  CHECK(reader.data().size() == 1024);
  CHECK(reader.data_left() == 0);
  REQUIRE(reader.Read(&input) == PduEvent::kEnd);
  REQUIRE(reader.Read(&input) == PduEvent::kNeedBytes);
}

TEST_CASE("A wrong data digest is reported at the end of its PDU and the stream lives") {
  const PduSettings settings = {.header_digest = true, .data_digest = true};
  for (const size_t from_end : {1, 4, 5, 100}) {
    Sent sent(true, settings, 2);
    sent.Init();
    sent.Command(512);
    sent.bytes[sent.bytes.size() - from_end] ^= std::byte{0x10};
    sent.Command(0);
    const Reading reading = ReadWhole(OptionsFor(true), settings, sent.bytes);
    REQUIRE_FALSE(reading.violation.has_value());
    REQUIRE(reading.pdus.size() == 3);
    CHECK_FALSE(reading.pdus[1].data_digest_ok);
    CHECK(reading.pdus[2] == sent.expected[2]);
  }
}

TEST_CASE("Reserved bits and fields are ignored") {
  Sent sent(true, {}, 3);
  sent.Init();
  sent.Command(0);
  sent.bytes[1] = std::byte{0xFF};  // ICReq: FLAGS
  sent.bytes[3] = std::byte{0xFF};  // PDO
  sent.bytes[127] = std::byte{0xFF};
  sent.bytes[128 + 1] = std::byte{0xF0};  // CapsuleCmd: FLAGS 7:4
  sent.bytes[128 + 3] = std::byte{1};     // PDO without data
  const Reading reading = ReadWhole(OptionsFor(true), {}, sent.bytes);
  CHECK_FALSE(reading.violation.has_value());
  CHECK(reading.pdus == sent.expected);
}

// One PDU after the ICReq or ICResp (or in its place), one field of it replaced.
struct Malformed {
  const char* name;
  bool from_host;
  char pdu;  // i: Init, n: command without data, c: command, d: data, r: response, t: R2T, x: Term
  bool digests;
  uint8_t alignment;
  size_t offset;
  size_t size;
  uint32_t value;
  FatalError error;
  uint32_t information;
};

constexpr FatalError kField = FatalError::kInvalidHeaderField;

const Malformed kMalformed[] = {
    // From a host.
    {"type 0Ah", true, 'n', false, 0, 0, 1, 0x0A, kField, 0},
    {"type 08h", true, 'n', false, 0, 0, 1, 0x08, kField, 0},
    {"type FFh", true, 'n', true, 0, 0, 1, 0xFF, kField, 0},
    {"CapsuleResp from a host", true, 'n', false, 0, 0, 1, 0x05, kField, 0},
    {"C2HData from a host", true, 'd', false, 0, 0, 1, 0x07, kField, 0},
    {"R2T from a host", true, 'd', false, 0, 0, 1, 0x09, kField, 0},
    {"C2HTermReq from a host", true, 'x', false, 0, 0, 1, 0x03, kField, 0},
    {"ICResp from a host", true, 'i', false, 0, 0, 1, 0x01, kField, 0},
    {"command HLEN 71", true, 'n', false, 0, 2, 1, 71, kField, 2},
    {"command HLEN 255", true, 'n', true, 0, 2, 1, 255, kField, 2},
    {"command HLEN 0", true, 'c', true, 0, 2, 1, 0, kField, 2},
    {"H2CData HLEN 72", true, 'd', false, 0, 2, 1, 72, kField, 2},
    {"TermReq HLEN 128", true, 'x', false, 0, 2, 1, 128, kField, 2},
    {"ICReq HLEN 24", true, 'i', false, 0, 2, 1, 24, kField, 2},
    {"ICReq PLEN 129", true, 'i', false, 0, 4, 4, 129, kField, 4},
    {"ICReq PLEN 0", true, 'i', false, 0, 4, 4, 0, kField, 4},
    {"ICReq PFV 1", true, 'i', false, 0, 8, 2, 1, FatalError::kUnsupportedParameter, 8},
    {"ICReq PFV 0100h", true, 'i', false, 0, 8, 2, 0x100, FatalError::kUnsupportedParameter, 8},
    {"ICReq HPDA 32", true, 'i', false, 0, 10, 1, 32, kField, 10},
    {"ICReq HPDA 255", true, 'i', false, 0, 10, 1, 255, kField, 10},
    {"command HDGSTF not negotiated", true, 'n', false, 0, 1, 1, 1, kField, 1},
    {"command HDGSTF missing", true, 'n', true, 0, 1, 1, 0, kField, 1},
    {"command DDGSTF without data", true, 'n', true, 0, 1, 1, 3, kField, 1},
    {"command DDGSTF not negotiated", true, 'c', false, 0, 1, 1, 2, kField, 1},
    {"command DDGSTF missing", true, 'c', true, 0, 1, 1, 1, kField, 1},
    {"command PLEN 0", true, 'n', false, 0, 4, 4, 0, kField, 4},
    {"command PLEN 71", true, 'n', false, 0, 4, 4, 71, kField, 4},
    {"command PLEN 72 with header digest", true, 'n', true, 0, 4, 4, 72, kField, 4},
    {"command PLEN FFFFFFFFh", true, 'c', true, 0, 4, 4, 0xFFFFFFFF, kField, 4},
    {"capsule data over the limit", true, 'c', false, 0, 4, 4, 72 + 8193, kField, 4},
    {"capsule with a digest and no data", true, 'c', true, 0, 4, 4, 76 + 4, kField, 4},
    {"command PDO 0", true, 'c', false, 0, 3, 1, 0, kField, 3},
    {"command PDO in the header", true, 'c', false, 0, 3, 1, 68, kField, 3},
    {"command PDO in the header digest", true, 'c', true, 0, 3, 1, 72, kField, 3},
    {"command PDO not aligned to 4", true, 'c', false, 0, 3, 1, 74, kField, 3},
    {"command PDO not aligned to CPDA", true, 'c', false, 3, 3, 1, 76, kField, 3},
    {"command PDO at the end", true, 'd', false, 0, 3, 1, 252, kField, 4},
    {"command header digest", true, 'n', true, 0, 72, 4, 0x12345678, FatalError::kHeaderDigestError,
     0x12345678},
    {"H2CData header digest", true, 'd', true, 0, 24, 4, 0, FatalError::kHeaderDigestError, 0},
    {"H2CData PLEN 24", true, 'd', false, 0, 4, 4, 24, kField, 4},
    {"H2CData PLEN 23", true, 'd', false, 0, 4, 4, 23, kField, 4},
    {"H2CData PLEN over MAXH2CDATA", true, 'd', false, 0, 4, 4, 24 + 16385,
     FatalError::kDataLimitExceeded, 0},
    {"H2CData PLEN FFFFFFFFh", true, 'd', true, 0, 4, 4, 0xFFFFFFFF, FatalError::kDataLimitExceeded,
     0},
    {"H2CData PDO 20", true, 'd', false, 0, 3, 1, 20, kField, 3},
    {"H2CData PDO 28 against CPDA 31", true, 'd', false, 31, 3, 1, 28, kField, 3},
    {"H2CData DATAO not a multiple of 4", true, 'd', false, 0, 12, 4, 2, kField, 12},
    {"H2CData DATAL 0", true, 'd', false, 0, 16, 4, 0, kField, 16},
    {"H2CData DATAL one more", true, 'd', false, 0, 16, 4, 201, kField, 16},
    {"H2CData DATAL one less", true, 'd', false, 0, 16, 4, 199, kField, 16},
    {"H2CData beyond 4 GiB", true, 'd', false, 0, 12, 4, 0xFFFFFFFC, FatalError::kDataOutOfRange,
     0},
    {"H2CTermReq PLEN 23", true, 'x', false, 0, 4, 4, 23, kField, 4},
    {"H2CTermReq PLEN 153", true, 'x', false, 0, 4, 4, 153, kField, 4},
    // From a controller.
    {"type 0Ah from a controller", false, 'r', false, 0, 0, 1, 0x0A, kField, 0},
    {"ICReq from a controller", false, 'i', false, 0, 0, 1, 0x00, kField, 0},
    {"CapsuleCmd from a controller", false, 'r', false, 0, 0, 1, 0x04, kField, 0},
    {"H2CData from a controller", false, 'd', false, 0, 0, 1, 0x06, kField, 0},
    {"H2CTermReq from a controller", false, 'x', false, 0, 0, 1, 0x02, kField, 0},
    {"ICResp PFV 1", false, 'i', false, 0, 8, 2, 1, FatalError::kUnsupportedParameter, 8},
    {"ICResp CPDA 32", false, 'i', false, 0, 10, 1, 32, kField, 10},
    {"ICResp MAXH2CDATA 0", false, 'i', false, 0, 12, 4, 0, kField, 12},
    {"ICResp MAXH2CDATA 4092", false, 'i', false, 0, 12, 4, 4092, kField, 12},
    {"ICResp MAXH2CDATA 4098", false, 'i', false, 0, 12, 4, 4098, kField, 12},
    {"ICResp PLEN 127", false, 'i', false, 0, 4, 4, 127, kField, 4},
    {"response HLEN 23", false, 'r', false, 0, 2, 1, 23, kField, 2},
    {"response PLEN 28 without digest", false, 'r', false, 0, 4, 4, 28, kField, 4},
    {"response PLEN 24 with digest", false, 'r', true, 0, 4, 4, 24, kField, 4},
    {"response HDGSTF missing", false, 'r', true, 0, 1, 1, 0, kField, 1},
    {"response header digest", false, 'r', true, 0, 24, 4, 7, FatalError::kHeaderDigestError, 7},
    {"R2T PLEN 25", false, 't', false, 0, 4, 4, 25, kField, 4},
    {"R2T R2TL 0", false, 't', false, 0, 16, 4, 0, kField, 16},
    {"R2T R2TO not a multiple of 4", false, 't', false, 0, 12, 4, 1, kField, 12},
    {"R2T beyond 4 GiB", false, 't', false, 0, 16, 4, 0xFFFFFFFF, FatalError::kDataOutOfRange, 0},
    {"R2T header digest", false, 't', true, 0, 24, 4, 9, FatalError::kHeaderDigestError, 9},
    {"C2HData SUCCESS without LAST", false, 'd', false, 0, 1, 1, 0x08, kField, 1},
    {"C2HData DATAL", false, 'd', false, 0, 16, 4, 204, kField, 16},
    {"C2HData PLEN over the limit", false, 'd', false, 0, 4, 4, 24 + 16385, kField, 4},
    {"C2HData PDO not aligned to HPDA", false, 'd', false, 1, 3, 1, 28, kField, 3},
    {"C2HData DDGSTF missing", false, 'd', true, 0, 1, 1, 0x05, kField, 1},
    {"C2HTermReq PLEN 153", false, 'x', false, 0, 4, 4, 153, kField, 4},
};

TEST_CASE("Each malformed PDU has its own FES and FEI, at every split") {
  for (const Malformed& malformed : kMalformed) {
    CAPTURE(malformed.name);
    const PduSettings settings = {malformed.digests, malformed.digests, malformed.alignment};
    Sent sent(malformed.from_host, settings, 4);
    if (malformed.pdu != 'i') sent.Init();
    const size_t start = sent.bytes.size();
    switch (malformed.pdu) {
      case 'i':
        sent.Init();
        break;
      case 'n':
        sent.Command(0);
        break;
      case 'c':
        sent.Command(512);
        break;
      case 'd':
        sent.Data(200, true, false);
        break;
      case 'r':
        sent.Response();
        break;
      case 't':
        sent.ReadyToTransfer();
        break;
      default:
        sent.Term();
    }
    for (size_t i = 0; i < malformed.size; ++i) {
      sent.bytes[start + malformed.offset + i] = static_cast<std::byte>(malformed.value >> (8 * i));
    }
    for (const size_t size : {sent.bytes.size(), size_t{1}, size_t{7}}) {
      const Reading reading =
          ReadStream(OptionsFor(malformed.from_host), settings, sent.bytes, [&] { return size; });
      REQUIRE(reading.violation.has_value());
      CHECK(reading.violation->error == malformed.error);
      CHECK(reading.violation->information == malformed.information);
      CHECK_FALSE(reading.violation->what.empty());
      CHECK(reading.pdus.size() == (malformed.pdu == 'i' ? 0 : 1));
    }
  }
}

TEST_CASE("Order: nothing before ICReq but a TermReq, and no second ICReq") {
  for (const bool from_host : {false, true}) {
    Sent early(from_host, {}, 5);
    from_host ? early.Command(0) : early.Response();
    const Reading first = ReadWhole(OptionsFor(from_host), {}, early.bytes);
    REQUIRE(first.violation.has_value());
    CHECK(first.violation->error == FatalError::kSequenceError);
    CHECK(first.violation->information == 0);

    Sent twice(from_host, {}, 5);
    twice.Init();
    twice.Init();
    const Reading second = ReadWhole(OptionsFor(from_host), {}, twice.bytes);
    REQUIRE(second.violation.has_value());
    CHECK(second.violation->error == FatalError::kSequenceError);

    Sent term(from_host, {}, 5);
    term.Term();
    const Reading ended = ReadWhole(OptionsFor(from_host), {}, term.bytes);
    CHECK_FALSE(ended.violation.has_value());
    CHECK(ended.pdus == term.expected);
  }
}

TEST_CASE("A broken TermReq must not be answered, any other PDU may be") {
  Sent sent(true, {}, 6);
  sent.Term();
  sent.bytes[4] = std::byte{0};
  const Reading term = ReadWhole(OptionsFor(true), {}, sent.bytes);
  REQUIRE(term.violation.has_value());
  CHECK_FALSE(term.violation->is_answerable);
  sent.bytes[0] = std::byte{0x44};
  CHECK(ReadWhole(OptionsFor(true), {}, sent.bytes).violation->is_answerable);
}

TEST_CASE("The header in error is there for the TermReq") {
  const PduSettings settings = {.header_digest = true};
  Sent sent(true, settings, 7);
  sent.Init();
  sent.Command(0);
  sent.bytes.back() ^= std::byte{1};
  PduReader reader(OptionsFor(true));
  std::span<const std::byte> input = sent.bytes;
  REQUIRE(reader.Read(&input) == PduEvent::kHeader);
  REQUIRE(reader.Read(&input) == PduEvent::kEnd);
  reader.SetNegotiated(settings);
  REQUIRE(reader.Read(&input) == PduEvent::kViolation);
  CHECK(std::ranges::equal(reader.header_bytes(), std::span(sent.bytes).subspan(128, 72)));
}

TEST_CASE("A header with any one bit flipped never passes its digest") {
  const PduSettings settings = {.header_digest = true, .data_digest = true};
  Sent sent(true, settings, 8);
  sent.Init();
  sent.Command(16);
  for (size_t bit = 0; bit < 76 * 8; ++bit) {
    Bytes damaged = sent.bytes;
    damaged[128 + bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const Reading reading = ReadWhole(OptionsFor(true), settings, damaged);
    REQUIRE((reading.violation.has_value() || reading.pdus.size() == 1));
  }
}

}  // namespace
}  // namespace strata::nvmeof

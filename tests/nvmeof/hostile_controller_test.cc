// SPDX-License-Identifier: Apache-2.0
//
// A controller that breaks the protocol: what it sends, and exactly what the host answers. The
// host's memory outside of a command's data is never touched.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "strata/base/endian.h"
#include "support/manual_clock.h"
#include "support/nvmeof/host_queue_rig.h"

namespace strata::nvmeof {
namespace {

using nvme::IoOpcode;
using nvme::StatusCode;

constexpr uint32_t kBlock = 4096;

constexpr std::byte kCanary{0xc5};

// What ends the connection.
struct Ending {
  absl::StatusCode code = absl::StatusCode::kDataLoss;
  std::string_view names;  // A part of the error.
  // The TermReq that the controller gets; kNone: none.
  FatalError error = FatalError::kNone;
  uint32_t information = 0;
};

void CheckEnding(HostQueueRig& rig, const Ending& ending) {
  rig.Until([&] { return !rig.queue->health().ok(); });
  INFO(rig.queue->health());
  CHECK(rig.queue->health().code() == ending.code);
  CHECK(std::string(rig.queue->health().message()).find(ending.names) != std::string::npos);
  // What the host says before it closes.
  rig.queue.reset();
  std::optional<ReceivedPdu> term;
  const int64_t end_ns = SystemClock().MonotonicNanos() + HostQueueRig::kPatienceNs;
  while (!rig.controller.is_ended() && SystemClock().MonotonicNanos() < end_ns) {
    rig.controller.Poll();
  }
  while (auto pdu = rig.controller.Take()) {
    if (pdu->header.type == PduType::kHostTermRequest) term = std::move(pdu);
  }
  CHECK(rig.controller.is_ended());
  REQUIRE(term.has_value() == (ending.error != FatalError::kNone));
  if (!term.has_value()) return;
  CHECK(static_cast<int>(term->header.term.error) == static_cast<int>(ending.error));
  CHECK(term->header.term.information == ending.information);
}

// Sends bytes with one of them changed.
void SendSpoilt(ScriptedController& controller, const std::function<void()>& send,
                const std::function<void(std::vector<std::byte>&)>& spoil) {
  controller.Hold();
  send();
  spoil(controller.held());
  controller.Release();
}

auto Byte(size_t offset, uint8_t value) {
  return [=](std::vector<std::byte>& bytes) { bytes.at(offset) = std::byte{value}; };
}

constexpr InitFields kInit{.limit = 8192};

TEST_CASE("an ICResp that cannot be is answered by name") {
  struct Case {
    std::string_view name;
    size_t offset;
    std::vector<uint8_t> bytes;
    Ending ending;
  };
  const Case kCases[] = {
      {"PFV 1",
       8,
       {1},
       {.names = "PFV", .error = FatalError::kUnsupportedParameter, .information = 8}},
      {"CPDA 32",
       10,
       {32},
       {.names = "alignment", .error = FatalError::kInvalidHeaderField, .information = 10}},
      {"MAXH2CDATA below 4096",
       12,
       {0xfc, 0x0f, 0, 0},
       {.names = "MAXH2CDATA", .error = FatalError::kInvalidHeaderField, .information = 12}},
      {"MAXH2CDATA no multiple of 4",
       12,
       {0x02, 0x20, 0, 0},
       {.names = "MAXH2CDATA", .error = FatalError::kInvalidHeaderField, .information = 12}},
      {"a digest that was not offered",
       11,
       {2},
       {.names = "digest", .error = FatalError::kInvalidHeaderField, .information = 11}},
      {"PLEN 127",
       4,
       {127},
       {.names = "PLEN", .error = FatalError::kInvalidHeaderField, .information = 4}},
      {"HLEN 24",
       2,
       {24},
       {.names = "HLEN", .error = FatalError::kInvalidHeaderField, .information = 2}},
  };
  for (const Case& one : kCases) {
    INFO(one.name);
    HostQueueRig rig;
    rig.ReachInit();
    SendSpoilt(
        rig.controller, [&] { rig.controller.SendInitResponse(kInit); },
        [&](std::vector<std::byte>& bytes) {
          for (size_t i = 0; i < one.bytes.size(); ++i) {
            bytes.at(one.offset + i) = std::byte{one.bytes[i]};
          }
        });
    CheckEnding(rig, one.ending);
  }
}

TEST_CASE("a controller that does not agree to a digest is not used") {
  for (const bool is_header : {true, false}) {
    HostQueueRig rig({.header_digest = is_header, .data_digest = !is_header});
    rig.ReachInit();
    rig.controller.SendInitResponse(kInit);
    CheckEnding(rig, {.code = absl::StatusCode::kFailedPrecondition,
                      .names = is_header ? "header digests" : "data digests"});
  }
}

TEST_CASE("what comes instead of ICResp or of an answer to Connect") {
  struct Case {
    std::string_view name;
    bool is_connect;
    std::function<void(HostQueueRig&)> send;
    Ending ending;
  };
  const auto data = std::vector<std::byte>(64);
  const Case kCases[] = {
      {"a response before ICResp",
       false,
       [](HostQueueRig& rig) {
         rig.controller.SetNegotiated({}, {});
         rig.controller.SendResponse(0);
       },
       {.names = "before", .error = FatalError::kSequenceError}},
      {"the end instead of ICResp",
       false,
       [](HostQueueRig& rig) { rig.controller.Close(); },
       {.code = absl::StatusCode::kUnavailable, .names = "closed the connection"}},
      {"a TermReq instead of ICResp",
       false,
       [](HostQueueRig& rig) {
         rig.controller.SetNegotiated({}, {});
         rig.controller.SendTermRequest(FatalError::kUnsupportedParameter, 8);
       },
       {.code = absl::StatusCode::kUnavailable, .names = "FES 06h, FEI 8"}},
      {"a second ICResp",
       true,
       [](HostQueueRig& rig) {
         std::array<std::byte, pdu::kInitBytes> bytes;
         WriteInitResponse(kInit, bytes);
         rig.controller.Send(bytes);
       },
       {.names = "initialized already", .error = FatalError::kSequenceError}},
      {"an answer to another command than Connect",
       true,
       [](HostQueueRig& rig) { rig.controller.SendResponse(1); },
       {.names = "not outstanding", .error = FatalError::kInvalidHeaderField, .information = 20}},
      {"data in answer to Connect",
       true,
       [data](HostQueueRig& rig) { rig.controller.SendData(0, 0, data, {.is_last = true}); },
       {.names = "reads nothing", .error = FatalError::kInvalidHeaderField, .information = 8}},
      {"R2T for Connect",
       true,
       [](HostQueueRig& rig) { rig.controller.SendR2t(0, 0, 0, 1024); },
       {.names = "no data to send", .error = FatalError::kInvalidHeaderField, .information = 8}},
      {"authentication is asked for",
       true,
       [](HostQueueRig& rig) { rig.controller.SendResponse(0, {}, 7 | 0x10000); },
       {.code = absl::StatusCode::kUnimplemented, .names = "authentication"}},
      {"a wrong parameter of Connect",
       true,
       [](HostQueueRig& rig) {
         rig.controller.SendResponse(0, StatusCode::kConnectInvalidParameters, 0x10100);
       },
       {.code = absl::StatusCode::kInvalidArgument, .names = "offset 256 of the data"}},
      {"a host that is not allowed",
       true,
       [](HostQueueRig& rig) { rig.controller.SendResponse(0, StatusCode::kConnectInvalidHost); },
       {.code = absl::StatusCode::kPermissionDenied, .names = "Connect"}},
      {"a controller that is busy",
       true,
       [](HostQueueRig& rig) {
         rig.controller.SendResponse(0, StatusCode::kConnectControllerBusy);
       },
       {.code = absl::StatusCode::kUnavailable, .names = "Connect"}},
      {"a controller that will be busy for ever",
       true,
       [](HostQueueRig& rig) {
         rig.controller.SendResponse(0,
                                     nvme::Status(StatusCode::kConnectControllerBusy).DoNotRetry());
       },
       {.code = absl::StatusCode::kFailedPrecondition, .names = "Connect"}},
      {"the end instead of an answer to Connect",
       true,
       [](HostQueueRig& rig) { rig.controller.Close(); },
       {.code = absl::StatusCode::kUnavailable, .names = "closed the connection"}},
  };
  for (const Case& one : kCases) {
    INFO(one.name);
    HostQueueRig rig;
    one.is_connect ? rig.ReachConnect(kInit) : rig.ReachInit();
    one.send(rig);
    CheckEnding(rig, one.ending);
    CHECK(rig.completions.empty());
  }
}

TEST_CASE("a controller id that is reserved is refused") {
  HostQueueRig rig({}, {.queue_id = 0, .entries = 8});
  rig.ReachConnect(kInit);
  rig.controller.SendResponse(0, {}, 0xffff);
  CheckEnding(rig, {.names = "reserved"});
}

TEST_CASE("a controller that says nothing is given up in time") {
  test::ManualClock clock(1'000'000'000);
  {
    HostQueueRig rig({.clock = &clock});
    rig.ReachInit();
    clock.now_ns += 4'999'000'000;
    rig.Round();
    CHECK(rig.queue->health().ok());
    CHECK(rig.queue->NextDeadlineNs() - clock.now_ns == 1'000'000);
    clock.now_ns += 1'000'000;
    CheckEnding(rig, {.code = absl::StatusCode::kUnavailable, .names = "no ICResp within 5000 ms"});
  }
  HostQueueRig rig({.clock = &clock});
  rig.ReachConnect(kInit);
  clock.now_ns += 5'000'000'000;
  CheckEnding(rig, {.code = absl::StatusCode::kUnavailable, .names = "no answer to Connect"});
}

// An open queue: command 0 reads two blocks, command 1 writes three on demand, command 2 writes one
// in its capsule, command 3 is a flush.
struct OpenRig : HostQueueRig {
  explicit OpenRig(const TcpOptions& options = {})
      : HostQueueRig(options), memory(9 * size_t{kBlock}) {
    std::ranges::fill(memory.span(), kCanary);
    read_data = {memory.data() + kBlock, 2 * kBlock};
    write_data = {memory.data() + 4 * kBlock, 3 * kBlock};
    capsule_data = {memory.data() + 7 * kBlock, kBlock};
    Open({.header_digest = options.header_digest,
          .data_digest = options.data_digest,
          .limit = 8192});
    Submit(0, IoOpcode::kRead, {&read_data, 1});
    Submit(1, IoOpcode::kWrite, {&write_data, 1});
    Submit(2, IoOpcode::kWrite, {&capsule_data, 1});
    Submit(3, IoOpcode::kFlush, {});
    for (int i = 0; i < 4; ++i) (void)Next(PduType::kCommandCapsule);
  }

  // Everything but the read's own memory.
  void CheckCanary() const {
    for (size_t i = 0; i < memory.size(); ++i) {
      if (i >= kBlock && i < 3 * size_t{kBlock}) continue;
      if (memory.data()[i] != kCanary) FAIL("byte " << i << " was changed");
    }
  }

  block::Buffer memory;
  block::Segment read_data;
  block::Segment write_data;
  block::Segment capsule_data;
};

TEST_CASE("what breaks the protocol on an open queue ends it and names the field") {
  struct Case {
    std::string_view name;
    std::function<void(ScriptedController&)> send;
    Ending ending;
  };
  static const std::vector<std::byte> kData(2 * kBlock, std::byte{0x11});
  const auto piece = [](size_t size) { return std::span(kData).first(size); };
  const auto raw = [](std::vector<uint8_t> head) {
    return [=](ScriptedController& controller) {
      std::vector<std::byte> bytes(24);
      for (size_t i = 0; i < head.size(); ++i) bytes[i] = std::byte{head[i]};
      controller.Send(bytes);
    };
  };
  using enum FatalError;
  const Case kCases[] = {
      // Responses.
      {"a response to a free command id",
       [](auto& c) { c.SendResponse(4); },
       {.names = "not outstanding", .error = kInvalidHeaderField, .information = 20}},
      {"a response to a command id beyond the queue",
       [](auto& c) { c.SendResponse(8); },
       {.names = "not outstanding", .error = kInvalidHeaderField, .information = 20}},
      {"a response to command id ffffh",
       [](auto& c) { c.SendResponse(0xffff); },
       {.names = "not outstanding", .error = kInvalidHeaderField, .information = 20}},
      {"a doubled response",
       [](auto& c) {
         c.SendResponse(3);
         c.SendResponse(3);
       },
       {.names = "not outstanding", .error = kInvalidHeaderField, .information = 20}},
      {"a response while data that was asked for is still to be sent",
       [](auto& c) {
         c.Hold();
         c.SendR2t(1, 5, 0, 3 * kBlock);
         c.SendResponse(1);
         c.Release();
       },
       {.names = "still to be sent", .error = kSequenceError}},
      // C2HData.
      {"data for a free command id",
       [=](auto& c) { c.SendData(5, 0, piece(64), {.is_last = true}); },
       {.names = "not outstanding", .error = kInvalidHeaderField, .information = 8}},
      {"data for a command id beyond the queue",
       [=](auto& c) { c.SendData(0x8000, 0, piece(64), {.is_last = true}); },
       {.names = "not outstanding", .error = kInvalidHeaderField, .information = 8}},
      {"data for a write on demand",
       [=](auto& c) { c.SendData(1, 0, piece(64), {.is_last = true}); },
       {.names = "reads nothing", .error = kInvalidHeaderField, .information = 8}},
      {"data for a write in its capsule",
       [=](auto& c) { c.SendData(2, 0, piece(64), {.is_last = true}); },
       {.names = "reads nothing", .error = kInvalidHeaderField, .information = 8}},
      {"data for a flush",
       [=](auto& c) { c.SendData(3, 0, piece(64), {.is_last = true}); },
       {.names = "reads nothing", .error = kInvalidHeaderField, .information = 8}},
      {"data from past the end of the read",
       [=](auto& c) { c.SendData(0, 2 * kBlock, piece(4), {.is_last = true}); },
       {.names = "beyond the range", .error = kDataOutOfRange}},
      {"data that ends past the end of the read",
       [=](auto& c) {
         c.SendData(0, 0, piece(kBlock), {});
         c.SendData(0, kBlock, piece(kBlock + 4), {.is_last = true});
       },
       {.names = "beyond the range", .error = kDataOutOfRange}},
      {"data that ends at 4 GiB",
       [=](auto& c) { c.SendData(0, 0xfffffffc, piece(4), {.is_last = true}); },
       {.names = "4 GiB", .error = kDataOutOfRange}},
      {"data with a hole before it",
       [=](auto& c) { c.SendData(0, kBlock, piece(kBlock), {.is_last = true}); },
       {.names = "does not continue", .error = kInvalidHeaderField, .information = 12}},
      {"data that comes twice",
       [=](auto& c) {
         c.SendData(0, 0, piece(kBlock), {});
         c.SendData(0, 0, piece(kBlock), {});
       },
       {.names = "does not continue", .error = kInvalidHeaderField, .information = 12}},
      {"data after the command has ended",
       [=](auto& c) {
         c.SendData(0, 0, piece(2 * kBlock), {.is_last = true, .is_success = true});
         c.SendData(0, 0, piece(kBlock), {.is_last = true});
       },
       {.names = "not outstanding", .error = kInvalidHeaderField, .information = 8}},
      {"SUCCESS without LAST_PDU",
       [=](auto& c) {
         SendSpoilt(
             c, [&] { c.SendData(0, 0, piece(kBlock), {}); }, Byte(1, pdu::kSuccessFlag));
       },
       {.names = "SUCCESS", .error = kInvalidHeaderField, .information = 1}},
      {"DATAL unlike PLEN",
       [=](auto& c) {
         SendSpoilt(
             c, [&] { c.SendData(0, 0, piece(kBlock), {}); }, Byte(17, 0x08));
       },
       {.names = "DATAL", .error = kInvalidHeaderField, .information = 16}},
      {"PDO in the header",
       [=](auto& c) {
         SendSpoilt(
             c, [&] { c.SendData(0, 0, piece(kBlock), {}); }, Byte(3, 16));
       },
       {.names = "PDO", .error = kInvalidHeaderField, .information = 3}},
      {"a C2HData of 4 GiB",
       [=](auto& c) {
         SendSpoilt(
             c, [&] { c.SendData(0, 0, piece(64), {}); }, Byte(7, 0xff));
       },
       {.names = "longer than the limit", .error = kInvalidHeaderField, .information = 4}},
      // R2T.
      {"R2T for a free command id",
       [](auto& c) { c.SendR2t(6, 0, 0, kBlock); },
       {.names = "not outstanding", .error = kInvalidHeaderField, .information = 8}},
      {"R2T for a read",
       [](auto& c) { c.SendR2t(0, 0, 0, kBlock); },
       {.names = "no data to send", .error = kInvalidHeaderField, .information = 8}},
      {"R2T for a flush",
       [](auto& c) { c.SendR2t(3, 0, 0, kBlock); },
       {.names = "no data to send", .error = kInvalidHeaderField, .information = 8}},
      {"R2T for data that was in the capsule",
       [](auto& c) { c.SendR2t(2, 0, 0, kBlock); },
       {.names = "no data to send", .error = kInvalidHeaderField, .information = 8}},
      {"R2T past the end of the write",
       [](auto& c) { c.SendR2t(1, 0, 2 * kBlock, kBlock + 4); },
       {.names = "beyond the range", .error = kDataOutOfRange}},
      {"R2T that ends beyond 4 GiB",
       [](auto& c) { c.SendR2t(1, 0, 0xfffffffc, 8); },
       {.names = "4 GiB", .error = kDataOutOfRange}},
      {"R2T without an end",
       [](auto& c) {
         for (uint16_t i = 0; i < 1000; ++i) c.SendR2t(1, i, 0, kBlock);
       },
       {.names = "R2T", .error = kDataOutOfRange}},
      {"more R2Ts than MAXR2T",
       [](auto& c) {
         c.Hold();
         for (uint16_t i = 0; i < 8; ++i) c.SendR2t(1, i, 4u * i, 4);
         c.Release();
       },
       {.names = "MAXR2T", .error = kR2tLimitExceeded}},
      {"R2T of no bytes",
       [](auto& c) {
         SendSpoilt(
             c, [&] { c.SendR2t(1, 0, 0, 4); }, Byte(16, 0));
       },
       {.names = "R2TL", .error = kInvalidHeaderField, .information = 16}},
      {"R2T at an odd offset",
       [](auto& c) { c.SendR2t(1, 0, 2, 4); },
       {.names = "multiple of 4", .error = kInvalidHeaderField, .information = 12}},
      // PDUs that are none.
      {"a PDU type that does not exist",
       raw({0x0b, 0, 24, 0, 24}),
       {.names = "type is unknown", .error = kInvalidHeaderField}},
      {"a PDU type of the host's",
       raw({0x04, 0, 72, 0, 72}),
       {.names = "other direction", .error = kInvalidHeaderField}},
      {"HLEN 0",
       raw({0x05, 0, 0, 0, 24}),
       {.names = "HLEN", .error = kInvalidHeaderField, .information = 2}},
      {"a response of 25 bytes",
       raw({0x05, 0, 24, 0, 25}),
       {.names = "PLEN", .error = kInvalidHeaderField, .information = 4}},
      {"a header digest that was not agreed on",
       raw({0x05, 1, 24, 0, 28}),
       {.names = "HDGSTF", .error = kInvalidHeaderField, .information = 1}},
      {"a data digest that was not agreed on",
       raw({0x07, 2, 24, 24, 92}),
       {.names = "DDGSTF", .error = kInvalidHeaderField, .information = 1}},
      // TermReqs and the end.
      {"a TermReq that is broken is not answered",
       raw({0x03, 0, 24, 0, 200}),
       {.names = "TermReq"}},
      {"a TermReq ends the connection",
       [](auto& c) { c.SendTermRequest(kDataLimitExceeded, 0); },
       {.code = absl::StatusCode::kUnavailable, .names = "FES 05h"}},
      {"the end of the connection",
       [](auto& c) { c.Close(); },
       {.code = absl::StatusCode::kUnavailable, .names = "closed the connection"}},
      {"the end of the connection in the middle of data",
       [=](auto& c) {
         SendSpoilt(
             c, [&] { c.SendData(0, 0, piece(kBlock), {}); },
             [](std::vector<std::byte>& bytes) { bytes.resize(1000); });
         c.Close();
       },
       {.code = absl::StatusCode::kUnavailable, .names = "closed the connection"}},
  };
  for (const Case& one : kCases) {
    INFO(one.name);
    OpenRig rig;
    one.send(rig.controller);
    CheckEnding(rig, one.ending);
    rig.CheckCanary();
  }
}

TEST_CASE("a header digest that does not match ends the connection and is told back") {
  OpenRig rig({.header_digest = true});
  uint32_t digest = 0;
  SendSpoilt(
      rig.controller, [&] { rig.controller.SendResponse(3); },
      [&](std::vector<std::byte>& bytes) {
        bytes.at(24) ^= std::byte{1};
        digest = LoadLe32(&bytes[24]);
      });
  CheckEnding(
      rig,
      {.names = "header digest", .error = FatalError::kHeaderDigestError, .information = digest});
  rig.CheckCanary();
}

TEST_CASE("a header digest that is left out ends the connection") {
  OpenRig rig({.header_digest = true});
  SendSpoilt(
      rig.controller, [&] { rig.controller.SendResponse(3); }, Byte(1, 0));
  CheckEnding(rig, {.names = "HDGSTF", .error = FatalError::kInvalidHeaderField, .information = 1});
}

TEST_CASE("a data digest that does not match fails that command alone") {
  for (const bool is_success : {true, false}) {
    OpenRig rig({.data_digest = true});
    const std::vector<std::byte> data(2 * kBlock, std::byte{0x22});
    SendSpoilt(
        rig.controller,
        [&] {
          rig.controller.SendData(0, 0, data, {.is_last = true, .is_success = is_success});
          if (!is_success) rig.controller.SendResponse(0);
        },
        [](std::vector<std::byte>& bytes) { bytes.at(24 + 100) ^= std::byte{1}; });
    rig.controller.SendResponse(3);
    rig.Until([&] { return rig.completions.size() == 2; });
    CHECK(rig.StatusOf(0) == nvme::Status(StatusCode::kTransientTransportError));
    CHECK(rig.StatusOf(1).ok());
    CHECK(rig.queue->health().ok());
    rig.CheckCanary();
  }
}

TEST_CASE("a read that succeeds without all of its data has failed") {
  for (const uint32_t size : {0u, kBlock}) {
    OpenRig rig;
    const std::vector<std::byte> data(size);
    if (size > 0) rig.controller.SendData(0, 0, data, {.is_last = true});
    rig.controller.SendResponse(0);
    rig.Until([&] { return rig.completions.size() == 1; });
    CHECK(rig.StatusOf(0) == nvme::Status(StatusCode::kDataTransferError));
    CHECK(rig.queue->health().ok());
  }
  OpenRig rig;
  const std::vector<std::byte> data(kBlock);
  rig.controller.SendData(0, 0, data, {.is_last = true, .is_success = true});
  rig.Until([&] { return rig.completions.size() == 1; });
  CHECK(rig.StatusOf(0) == nvme::Status(StatusCode::kDataTransferError));
}

TEST_CASE("a write that succeeds without all of its data has failed") {
  for (const uint32_t size : {0u, kBlock}) {
    OpenRig rig;
    if (size > 0) {
      rig.controller.SendR2t(1, 9, 0, size);
      CHECK(rig.Next(PduType::kHostData).data.size() == size);
    }
    rig.controller.SendResponse(1);
    rig.Until([&] { return rig.completions.size() == 1; });
    CHECK(rig.StatusOf(0) == nvme::Status(StatusCode::kDataTransferError));
    CHECK(rig.queue->health().ok());
  }
}

TEST_CASE("no byte is read or written after the queue is gone") {
  OpenRig rig;
  const std::vector<std::byte> data(2 * kBlock, std::byte{0x33});
  // Half of the data has come, and the rest is about to.
  SendSpoilt(
      rig.controller, [&] { rig.controller.SendData(0, 0, data, {.is_last = true}); },
      [](std::vector<std::byte>& bytes) { bytes.resize(24 + kBlock); });
  rig.Until([&] { return rig.read_data.data[kBlock - 1] == std::byte{0x33}; });
  rig.queue.reset();
  std::ranges::fill(rig.memory.span(), kCanary);
  rig.controller.Send(std::span(data).first(kBlock));
  for (int round = 0; round < 100; ++round) rig.controller.Poll();
  CHECK(std::ranges::all_of(rig.memory.span(), [](std::byte b) { return b == kCanary; }));
}

}  // namespace
}  // namespace strata::nvmeof

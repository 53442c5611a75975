// SPDX-License-Identifier: Apache-2.0
//
// What a broken or hostile host gets once it is connected: see hostile_connect_test.cc for what
// comes before.
#include "hostile_cases.h"

namespace strata::nvmeof {
namespace {

TEST_CASE("a wrong command gets its own status, and its connection lives") {
  Fixture fixture;
  const Bytes block(kBlock, std::byte{0xee});
  const auto with_flags = [](SubmissionEntry entry, uint8_t flags) {
    entry.Set(SubmissionEntry::kFlags, flags);
    return entry;
  };
  SubmissionEntry log_past_end =
      Admin(nvme::AdminOpcode::kGetLogPage,
            static_cast<uint32_t>(nvme::LogPage::kHealth) | 127u << 16, 512);
  log_past_end.Set(SubmissionEntry::kDword12, 516);
  SubmissionEntry property = Fabrics(0x04);
  property.Set(SubmissionEntry::kDword11, 0x1234);
  SubmissionEntry wide_property = Fabrics(0x04);
  wide_property.Set(SubmissionEntry::kDword10, 2);
  Run(fixture,
      {
          Answers("an unknown opcode", MakeEntry(0x55, 1, 1, 0),
                  Refusal(StatusCode::kInvalidOpcode)),
          Answers("an unknown opcode with data", MakeEntry(0x55, 1, 1, kBlock, true),
                  Refusal(StatusCode::kInvalidOpcode), block),
          Answers("namespace 0", Read(1, 0, 0), Refusal(StatusCode::kInvalidNamespace)),
          Answers("a namespace that is not there", Read(1, 0, 77),
                  Refusal(StatusCode::kInvalidNamespace)),
          Answers("a read of all namespaces", Read(1, 0, 0xffffffff),
                  Refusal(StatusCode::kInvalidNamespace)),
          Answers("a read past the end", Read(1, kTestBlocks), Refusal(StatusCode::kLbaOutOfRange)),
          Answers("a read across the end", Read(2, kTestBlocks - 1),
                  Refusal(StatusCode::kLbaOutOfRange)),
          Answers("a block number of 2^64-1", Read(8, UINT64_MAX),
                  Refusal(StatusCode::kLbaOutOfRange)),
          Answers("a write past the end", Write(1, kTestBlocks),
                  Refusal(StatusCode::kLbaOutOfRange), block),
          Answers("more than MDTS", Read(4096), Refusal(StatusCode::kInvalidField)),
          Answers("a descriptor shorter than the read",
                  WithDescriptor(Read(2), nvme::kSglTransport, kBlock),
                  Refusal(StatusCode::kSglInvalidLength)),
          Answers("a descriptor of nothing", WithDescriptor(Read(2), nvme::kSglTransport, 0),
                  Refusal(StatusCode::kSglInvalidLength)),
          Answers("a descriptor longer than the read is allowed",
                  WithDescriptor(Read(1), nvme::kSglTransport, 1u << 31), {}),
          Answers("a read into the capsule", WithDescriptor(Read(1), nvme::kSglInCapsule, kBlock),
                  Refusal(StatusCode::kSglInvalidType)),
          Answers("a keyed descriptor", WithDescriptor(Read(1), nvme::kSglKeyedDataBlock, kBlock),
                  Refusal(StatusCode::kSglInvalidType)),
          Answers("a descriptor of an address",
                  WithDescriptor(Read(1), nvme::kSglDataBlock, kBlock),
                  Refusal(StatusCode::kSglInvalidType)),
          Answers("a segment", WithDescriptor(Read(1), nvme::kSglSegment, 16),
                  Refusal(StatusCode::kSglInvalidType)),
          Answers("a last segment", WithDescriptor(Read(1), nvme::kSglLastSegment, 16),
                  Refusal(StatusCode::kSglInvalidType)),
          Answers("a reserved descriptor", WithDescriptor(Read(1), 0xff, kBlock),
                  Refusal(StatusCode::kSglInvalidType)),
          Answers("PRPs", with_flags(Read(), 0), Refusal(StatusCode::kInvalidField)),
          Answers("a fused command", with_flags(Read(), nvme::kPsdtSgl | 1),
                  Refusal(StatusCode::kInvalidField)),
          Answers("an offset in the capsule",
                  WithDescriptor(Write(), nvme::kSglInCapsule, kBlock, 512),
                  Refusal(StatusCode::kSglInvalidOffset), block),
          Answers("data in the capsule beside a descriptor of the transport",
                  WithDescriptor(Write(), nvme::kSglTransport, kBlock),
                  Refusal(StatusCode::kSglInvalidType), block),
          Answers("a descriptor of more than the capsule has",
                  WithDescriptor(Write(2), nvme::kSglInCapsule, 2 * kBlock),
                  Refusal(StatusCode::kSglInvalidLength), block),
          Answers("a descriptor of less than the capsule has",
                  WithDescriptor(Write(), nvme::kSglInCapsule, 256),
                  Refusal(StatusCode::kSglInvalidLength), block),
          Answers("a write that says it is in the capsule, and is not", Write(),
                  Refusal(StatusCode::kSglInvalidLength)),
          Answers("a flush with a length", MakeEntry(0, 1, 1, kBlock),
                  Refusal(StatusCode::kSglInvalidLength)),
          Answers("a flush with data", MakeEntry(0, 1, 1, 0),
                  Refusal(StatusCode::kSglInvalidLength), block),
          Answers("a property on an I/O queue", Fabrics(0x04), Refusal(StatusCode::kInvalidOpcode)),
          AdminAnswers("an unknown admin opcode", MakeEntry(0x81, 1, 0, 0),
                       Refusal(StatusCode::kInvalidOpcode)),
          AdminAnswers("Create Queue, which fabrics have not", MakeEntry(0x01, 1, 0, 0),
                       Refusal(StatusCode::kInvalidOpcode)),
          AdminAnswers("an unknown Identify", Admin(nvme::AdminOpcode::kIdentify, 0x7f, 4096),
                       Refusal(StatusCode::kInvalidField)),
          AdminAnswers("Identify into 512 bytes", Admin(nvme::AdminOpcode::kIdentify, 1, 512),
                       Refusal(StatusCode::kSglInvalidLength)),
          AdminAnswers("an unknown log page", Admin(nvme::AdminOpcode::kGetLogPage, 0x99, 4),
                       Refusal(StatusCode::kInvalidLogPage)),
          AdminAnswers("a log page past its end", log_past_end, Refusal(StatusCode::kInvalidField)),
          AdminAnswers("an unknown feature", Admin(nvme::AdminOpcode::kGetFeatures, 0x7f),
                       Refusal(StatusCode::kInvalidField)),
          AdminAnswers("authentication, which is not there", Fabrics(0x05),
                       Refusal(StatusCode::kInvalidOpcode)),
          AdminAnswers("an unknown fabrics command", Fabrics(0x7e),
                       Refusal(StatusCode::kInvalidOpcode)),
          AdminAnswers("an unknown property", property, Refusal(StatusCode::kInvalidField)),
          AdminAnswers("a property of 16 bytes", wide_property, Refusal(StatusCode::kInvalidField)),
          {"more event requests than allowed",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             for (int i = 0; i < 4; ++i) {
               host.admin.SendCommand(Admin(nvme::AdminOpcode::kAsyncEventRequest));
             }
             CHECK(host.admin.Command(Admin(nvme::AdminOpcode::kAsyncEventRequest)).status ==
                   Refusal(StatusCode::kAsyncEventLimitExceeded));
           }},
          {"one command id twice: each is answered",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             const Bytes data(kLarge, std::byte{1});
             host.io.SendCommand(Write(kLarge / kBlock, 1024, false));
             host.io.SendCommand(Write(kLarge / kBlock, 1024, false));
             CHECK(host.io.Finish(data).status.ok());
             CHECK(host.io.Finish(data).status.ok());
           }},
          {"a wrong data digest in a capsule",
           [](Fixture& f) {
             const PduSettings settings{.header_digest = true, .data_digest = true};
             TargetRig::Host host(f.rig.endpoint, settings);
             Bytes bytes = Capsule(Write(), Bytes(kBlock, std::byte{0xee}), settings);
             bytes[bytes.size() - 100] ^= std::byte{1};
             host.io.SendBytes(bytes);
             CHECK(host.io.Finish().status.code() == StatusCode::kTransientTransportError);
             CHECK(host.io.Command(Read()).status.ok());
           }},
          {"a wrong data digest in H2CData",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint, {.data_digest = true});
             host.io.SendCommand(Write(kLarge / kBlock, 0, false));
             const auto r2t = host.io.Receive();
             REQUIRE(r2t.has_value());
             std::array<std::byte, pdu::kMaxHeadBytes> head;
             const size_t size =
                 host.io.writer().WriteHostData({.command_id = 22,
                                                 .transfer_tag = r2t->header.transfer.transfer_tag,
                                                 .length_bytes = kLarge},
                                                true, head);
             host.io.SendBytes(std::span(head).first(size));
             host.io.SendBytes(Bytes(kLarge + pdu::kDigestBytes, std::byte{7}));
             CHECK(host.io.Finish().status.code() == StatusCode::kTransientTransportError);
             CHECK(host.io.Command(Read()).status.ok());
           }},
      });
}

TEST_CASE("a PDU that breaks the transport ends its connection alone") {
  Fixture fixture;
  const PduSettings digests{.header_digest = true, .data_digest = true};
  // H2CData that answers the R2T of a write of kLarge bytes, after a change.
  const auto data_case = [](const char* name, std::function<void(TransferFields*, bool*)> change,
                            FatalError error, uint32_t information) {
    return Case{name, [=](Fixture& f) {
                  TargetRig::Host host(f.rig.endpoint);
                  host.io.SendCommand(Write(kLarge / kBlock, 0, false));
                  const auto r2t = host.io.Receive();
                  REQUIRE(r2t.has_value());
                  TransferFields fields = r2t->header.transfer;
                  bool is_last = true;
                  change(&fields, &is_last);
                  host.io.SendData(fields, is_last, Bytes(fields.length_bytes, std::byte{0xee}));
                  ExpectTerm(host.io, error, information);
                }};
  };
  Run(fixture,
      {
          Breaks(
              "more data than a capsule may have",
              [] { return Capsule(Write(17), Bytes(17 * kBlock)); },
              FatalError::kInvalidHeaderField, 4),
          Breaks(
              "a descriptor of more than a capsule may have",
              [] {
                return Capsule(WithDescriptor(Write(32), nvme::kSglInCapsule, 32 * kBlock),
                               Bytes(kBlock));
              },
              FatalError::kDataLimitExceeded, 0),
          Breaks(
              "PLEN shorter than the header", [] { return Set32(Capsule(Read()), 4, 71); },
              FatalError::kInvalidHeaderField, 4),
          Breaks(
              "HLEN of a capsule", [] { return Set8(Capsule(Read()), 2, 64); },
              FatalError::kInvalidHeaderField, 2),
          Breaks(
              "data inside the header", [] { return Set8(Capsule(Write(), Bytes(kBlock)), 3, 24); },
              FatalError::kInvalidHeaderField, 3),
          Breaks(
              "a header digest that was not agreed on",
              [] { return Set8(Capsule(Read()), 1, pdu::kHeaderDigestFlag); },
              FatalError::kInvalidHeaderField, 1),
          Breaks(
              "a data digest that was not agreed on",
              [] { return Set8(Capsule(Write(), Bytes(kBlock)), 1, pdu::kDataDigestFlag); },
              FatalError::kInvalidHeaderField, 1),
          Breaks(
              "no header digest where one was agreed on", [] { return Capsule(Read()); },
              FatalError::kInvalidHeaderField, 1, digests),
          {"a wrong header digest",
           [digests](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint, digests);
             Bytes bytes = Capsule(Write(), Bytes(kBlock), digests);
             bytes[72] ^= std::byte{1};
             const uint32_t digest = LoadLe32(&bytes[72]);
             host.io.SendBytes(bytes);
             ExpectTerm(host.io, FatalError::kHeaderDigestError, digest);
           }},
          Breaks(
              "a controller's PDU", [] { return Set8(Capsule(Read()), 0, 0x05); },
              FatalError::kInvalidHeaderField, 0),
          Breaks(
              "an R2T of the host's", [] { return Set8(Capsule(Read()), 0, 0x09); },
              FatalError::kInvalidHeaderField, 0),
          Breaks(
              "data that nobody asked for",
              [] {
                const PduWriter writer(PduSettings{});
                std::array<std::byte, pdu::kMaxHeadBytes> head;
                const size_t size = writer.WriteHostData({.length_bytes = 8}, true, head);
                Bytes bytes(head.begin(), head.begin() + static_cast<ptrdiff_t>(size));
                bytes.resize(size + 8);
                return bytes;
              },
              FatalError::kInvalidHeaderField, pdu::kTransferTagOffset),
          data_case(
              "another transfer tag",
              [](TransferFields* t, bool*) {
                t->transfer_tag = static_cast<uint16_t>(t->transfer_tag ^ 1);
              },
              FatalError::kInvalidHeaderField, pdu::kTransferTagOffset),
          data_case(
              "a transfer tag of 65,535",
              [](TransferFields* t, bool*) { t->transfer_tag = 0xffff; },
              FatalError::kInvalidHeaderField, pdu::kTransferTagOffset),
          data_case(
              "another command id", [](TransferFields* t, bool*) { t->command_id = 99; },
              FatalError::kInvalidHeaderField, pdu::kCommandIdOffset),
          data_case(
              "data that skips",
              [](TransferFields* t, bool*) {
                t->offset_bytes = 512;
                t->length_bytes = kLarge - 512;
              },
              FatalError::kDataOutOfRange, 0),
          data_case(
              "data beyond the transfer",
              [](TransferFields* t, bool*) { t->length_bytes = kLarge + 4; },
              FatalError::kDataOutOfRange, 0),
          data_case(
              "an offset near 4 GiB",
              [](TransferFields* t, bool*) {
                t->offset_bytes = 0xfffffffc;
                t->length_bytes = 4;
              },
              FatalError::kDataOutOfRange, 0),
          data_case(
              "the last flag too early",
              [](TransferFields* t, bool* is_last) {
                t->length_bytes = 4096;
                *is_last = true;
              },
              FatalError::kInvalidHeaderField, pdu::kFlagsOffset),
          data_case(
              "no last flag at the end", [](TransferFields*, bool* is_last) { *is_last = false; },
              FatalError::kInvalidHeaderField, pdu::kFlagsOffset),
          {"data sent twice",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             host.io.SendCommand(Write(kLarge / kBlock, 1024, false));
             const auto r2t = host.io.Receive();
             REQUIRE(r2t.has_value());
             const Bytes data(kLarge, std::byte{3});
             host.io.SendData(r2t->header.transfer, true, data);
             host.io.SendData(r2t->header.transfer, true, data);
             ExpectTerm(host.io, FatalError::kInvalidHeaderField, pdu::kTransferTagOffset);
           }},
          {"one H2CData longer than MAXH2CDATA",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             host.io.SendCommand(Write(1024, 1024, false));
             const auto r2t = host.io.Receive();
             REQUIRE(r2t.has_value());
             host.io.SendData(r2t->header.transfer, true, Bytes(1024 * kBlock));
             ExpectTerm(host.io, FatalError::kDataLimitExceeded, 0);
           }},
          {"more commands than the queue has entries",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint, {}, {.queue_entries = 4});
             for (int i = 0; i < 5; ++i) host.io.SendCommand(Write(kLarge / kBlock, 0, false));
             ExpectTerm(host.io, FatalError::kSequenceError, 0);
           }},
          {"H2CTermReq in the middle of a transfer",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             host.io.SendCommand(Write(kLarge / kBlock, 0, false));
             std::array<std::byte, pdu::kMaxTermBytes> term;
             const size_t size =
                 WriteTermRequest(true, {FatalError::kDataOutOfRange, 0}, Bytes(24), term);
             host.io.SendBytes(std::span(term).first(size));
             ExpectEnd(host.io);
           }},
          {"a reset in the middle of a transfer",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             host.io.SendCommand(Write(kLarge / kBlock, 0, false));
             REQUIRE(host.io.Receive().has_value());
             host.io.Abort();
           }},
          {"the admin queue goes in the middle of a transfer: the write never lands",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             host.io.SendCommand(Write(kLarge / kBlock, 0, false));
             const auto r2t = host.io.Receive();
             REQUIRE(r2t.has_value());
             const size_t before = f.rig.subsystem->Controllers().size();
             host.admin.Abort();
             CHECK(TargetRig::Soon([&] { return f.rig.subsystem->Controllers().size() < before; }));
             host.io.SendData(r2t->header.transfer, true, Bytes(kLarge, std::byte{0xee}));
             CHECK(host.io.IsEnded());
           }},
          {"a controller that is reset ends its I/O queues",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             const auto off = MakePropertySet(static_cast<uint32_t>(nvme::Property::kConfiguration),
                                              6u << 16 | 4u << 20);
             CHECK(host.admin.Command(off).status.ok());
             CHECK(host.io.IsEnded());
             host.admin.Enable();
           }},
      });
}

TEST_CASE("a peer that keeps silent is cut in time") {
  Fixture fixture({.connect_timeout_ms = 300, .data_timeout_ms = 400});
  Run(fixture,
      {
          {"nothing at all",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             CHECK(host.IsEnded());
           }},
          {"half an ICReq",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             const Bytes init = InitRequest();
             host.SendBytes(std::span(init).first(64));
             CHECK(host.IsEnded());
           }},
          {"no Connect",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.Init();
             CHECK(host.IsEnded());
           }},
          {"Connect refused, and nothing after it",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.Init();
             CHECK_FALSE(host.Connect({.subsystem_nqn = "nqn.a:b"}).status.ok());
             CHECK(host.IsEnded());
           }},
          {"data that is owed",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             host.io.SendCommand(Write(kLarge / kBlock, 0, false));
             REQUIRE(host.io.Receive().has_value());
             CHECK(host.io.IsEnded());
           }},
          {"data that is owed, and comes byte by byte",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             host.io.SendCommand(Write(kLarge / kBlock, 0, false));
             const auto r2t = host.io.Receive();
             REQUIRE(r2t.has_value());
             bool ended = false;
             for (uint32_t at = 0; at < 200 && !ended; at += 4) {
               host.io.SendData({.command_id = 22,
                                 .transfer_tag = r2t->header.transfer.transfer_tag,
                                 .offset_bytes = at,
                                 .length_bytes = 4},
                                false, Bytes(4));
               std::this_thread::sleep_for(std::chrono::milliseconds(50));
               ended = f.rig.target->Connections().size() < 4;
             }
             CHECK(host.io.IsEnded());
           }},
          {"half a capsule",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint);
             const Bytes capsule = Capsule(Write(), Bytes(kBlock));
             host.io.SendBytes(std::span(capsule).first(200));
             CHECK(host.io.IsEnded());
           }},
          {"answers that are not taken",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint, {}, {.queue_entries = 128});
             const size_t before = f.rig.target->Connections().size();
             for (int i = 0; i < 100; ++i) host.io.SendCommand(Read(2048));
             CHECK(TargetRig::Soon([&] { return f.rig.target->Connections().size() < before; }));
           }},
          {"no Keep Alive",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint, {}, {.keep_alive_ms = 300});
             CHECK(host.admin.IsEnded());
             CHECK(host.io.IsEnded());
           }},
          {"Keep Alive in time",
           [](Fixture& f) {
             TargetRig::Host host(f.rig.endpoint, {}, {.keep_alive_ms = 2000});
             for (int i = 0; i < 12; ++i) {
               CHECK(host.admin.Command(Admin(nvme::AdminOpcode::kKeepAlive)).status.ok());
               std::this_thread::sleep_for(std::chrono::milliseconds(200));
             }
             CHECK(host.io.Command(Read()).status.ok());
           }},
      });
}

TEST_CASE("who says nothing cannot shut others out") {
  TargetRig rig({.max_connections = 4});
  std::vector<std::unique_ptr<RawHost>> silent;
  for (int i = 0; i < 12; ++i) silent.push_back(std::make_unique<RawHost>(rig.endpoint));
  {
    TargetRig::Host host(rig.endpoint);
    CHECK(host.io.Command(Read()).status.ok());
    TargetRig::Host other(rig.endpoint);
    // Four who have said who they are: there is no place for a fifth.
    RawHost fifth(rig.endpoint);
    CHECK(fifth.IsEnded());
    CHECK(rig.target->statistics().connections_refused > 0);
  }
  CHECK(TargetRig::Soon([&] { return rig.target->Connections().empty(); }));
}

TEST_CASE("fifty connects with I/O, one after the other, leave nothing behind") {
  TargetRig rig({}, 2);
  for (int i = 0; i < 50; ++i) {
    TargetRig::Host host(rig.endpoint);
    CHECK(host.io.Command(Read()).status.ok());
    host.io.SendCommand(Write(kLarge / kBlock, 0, false));
    if (i % 3 == 0) host.io.Abort();
    if (i % 3 == 1) host.admin.Abort();
  }
  CHECK(TargetRig::Soon([&] { return rig.subsystem->Controllers().empty(); }));
  CHECK(TargetRig::Soon([&] { return rig.target->Connections().empty(); }));
}

}  // namespace
}  // namespace strata::nvmeof

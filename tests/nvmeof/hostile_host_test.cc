// SPDX-License-Identifier: Apache-2.0
//
// What a broken or hostile host gets. Each case states the bytes and the exact answer; after each a
// bystander's connection works and the blocks are as they were.
#include <catch2/catch.hpp>
#include <cstring>
#include <functional>

#include "strata/base/endian.h"
#include "strata/nvme/wire/log_pages.h"
#include "strata/nvme/wire/registers.h"
#include "support/nvmeof/target_rig.h"

namespace strata::nvmeof {
namespace {

using nvme::IoOpcode;
using nvme::StatusCode;
using nvme::SubmissionEntry;
using Bytes = std::vector<std::byte>;

constexpr uint32_t kBlock = 512;
constexpr uint32_t kLarge = 65536;  // Bytes that come by R2T.

Bytes InitRequest(const InitFields& fields = {}) {
  std::array<std::byte, pdu::kInitBytes> bytes;
  WriteInitRequest(fields, bytes);
  return {bytes.begin(), bytes.end()};
}

Bytes Set8(Bytes bytes, size_t at, uint8_t value) {
  bytes.at(at) = std::byte{value};
  return bytes;
}

Bytes Set32(Bytes bytes, size_t at, uint32_t value) {
  StoreLe32(&bytes.at(at), value);
  return bytes;
}

Bytes Text(const char* text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text);
  return {begin, begin + std::strlen(text)};
}

// The bytes of a PDU with `data`, as a host of these settings sends them.
Bytes Capsule(const SubmissionEntry& entry, const Bytes& data = {},
              const PduSettings& settings = {}) {
  const PduWriter writer(settings);
  std::array<std::byte, pdu::kMaxHeadBytes> head;
  const size_t size =
      writer.WriteCommandCapsule(entry.bytes, static_cast<uint32_t>(data.size()), head);
  Bytes bytes(head.begin(), head.begin() + static_cast<ptrdiff_t>(size));
  bytes.insert(bytes.end(), data.begin(), data.end());
  const iovec vector{const_cast<std::byte*>(data.data()), data.size()};
  std::array<std::byte, pdu::kDigestBytes> tail;
  const size_t tail_size = writer.WriteDataDigest({&vector, 1}, tail);
  bytes.insert(bytes.end(), tail.begin(), tail.begin() + static_cast<ptrdiff_t>(tail_size));
  return bytes;
}

SubmissionEntry Read(uint32_t blocks = 1, uint64_t lba = 0, uint32_t nsid = 1) {
  return MakeBlocksEntry(IoOpcode::kRead, 21, nsid, lba, blocks, blocks * kBlock);
}
SubmissionEntry Write(uint32_t blocks = 1, uint64_t lba = 0, bool in_capsule = true) {
  return MakeBlocksEntry(IoOpcode::kWrite, 22, 1, lba, blocks, blocks * kBlock, in_capsule);
}
SubmissionEntry Admin(nvme::AdminOpcode opcode, uint32_t dword10 = 0, uint32_t data_bytes = 0) {
  SubmissionEntry entry = MakeEntry(static_cast<uint8_t>(opcode), 23, 0, data_bytes);
  entry.Set(SubmissionEntry::kDword10, dword10);
  return entry;
}
SubmissionEntry WithDescriptor(SubmissionEntry entry, uint8_t kind, uint32_t length,
                               uint64_t address = 0) {
  nvme::SglDescriptor sgl;
  sgl.Set(nvme::SglDescriptor::kKind, kind);
  sgl.Set(nvme::SglDescriptor::kLength, length);
  sgl.Set(nvme::SglDescriptor::kAddress, address);
  std::ranges::copy(sgl.bytes, entry.At(SubmissionEntry::kData).begin());
  return entry;
}
SubmissionEntry Fabrics(uint8_t type) {
  SubmissionEntry entry = MakeEntry(nvme::kFabricsOpcode, 24, 0, 0);
  entry.Set(SubmissionEntry::kNamespaceId, type);
  return entry;
}

nvme::Status Refusal(StatusCode code) { return nvme::Status(code).DoNotRetry(); }

// A TermReq with these fields, and then the end.
void ExpectTerm(RawHost& host, FatalError error, uint32_t information) {
  for (;;) {
    const auto pdu = host.Receive();
    REQUIRE(pdu.has_value());
    if (pdu->header.type != PduType::kControllerTermRequest) continue;
    CHECK(static_cast<int>(pdu->header.term.error) == static_cast<int>(error));
    CHECK(pdu->header.term.information == information);
    break;
  }
  CHECK(host.IsEnded());
}

// The end, and no TermReq before it.
void ExpectEnd(RawHost& host) {
  for (;;) {
    const auto pdu = host.Receive();
    if (!pdu.has_value()) return;
    CHECK(pdu->header.type != PduType::kControllerTermRequest);
  }
}

struct Fixture {
  explicit Fixture(const TargetOptions& options = {}) : rig(options, 2) {
    closed = *nvme::CreateSubsystem({.nqn = "nqn.2026-11.org.example:closed"});
    REQUIRE(rig.target->AddSubsystem(closed).ok());
    bystander.emplace(rig.endpoint);
    known = Bytes(kLarge, std::byte{0x5a});
    REQUIRE(bystander->io.Transfer(Write(kLarge / kBlock, 0, false), known).status.ok());
  }

  // Nothing was executed, nobody else was touched.
  void CheckBystander() {
    const RawHost::Reply reply = bystander->io.Command(Read(kLarge / kBlock));
    CHECK(reply.status.ok());
    CHECK((reply.data == known));
    CHECK(bystander->admin.Command(Admin(nvme::AdminOpcode::kKeepAlive)).status.ok());
  }

  TargetRig rig;
  std::shared_ptr<nvme::Subsystem> closed;
  std::optional<TargetRig::Host> bystander;
  Bytes known;
};

struct Case {
  const char* name;
  std::function<void(Fixture&)> run;
};

void Run(Fixture& fixture, const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    INFO(one.name);
    one.run(fixture);
    fixture.CheckBystander();
  }
}

// Bytes that come first on a connection, and the TermReq that answers them.
Case First(const char* name, Bytes bytes, FatalError error, uint32_t information) {
  return {name, [=](Fixture& fixture) {
            RawHost host(fixture.rig.endpoint);
            host.SendBytes(bytes);
            ExpectTerm(host, error, information);
          }};
}

// Bytes on a connected I/O queue, and the TermReq.
Case Breaks(const char* name, std::function<Bytes()> make, FatalError error, uint32_t information,
            PduSettings settings = {}) {
  return {name, [=](Fixture& fixture) {
            TargetRig::Host host(fixture.rig.endpoint, settings);
            host.io.SendBytes(make());
            ExpectTerm(host.io, error, information);
            CHECK(host.admin.Command(Admin(nvme::AdminOpcode::kKeepAlive)).status.ok());
          }};
}

// A command on a connected I/O queue and its status; the connection lives.
Case Answers(const char* name, SubmissionEntry entry, nvme::Status status, Bytes data = {}) {
  return {name, [=](Fixture& fixture) {
            TargetRig::Host host(fixture.rig.endpoint);
            CHECK(host.io.Command(entry, data).status == status);
            CHECK(host.io.Command(Read()).status.ok());
          }};
}

Case AdminAnswers(const char* name, SubmissionEntry entry, nvme::Status status) {
  return {name, [=](Fixture& fixture) {
            TargetRig::Host host(fixture.rig.endpoint);
            CHECK(host.admin.Command(entry).status == status);
            CHECK(host.admin.Command(Admin(nvme::AdminOpcode::kKeepAlive)).status.ok());
          }};
}

// A Connect and its answer; a right one works on the same connection afterwards.
Case Connects(const char* name, std::function<void(RawHost::ConnectOptions*)> change,
              nvme::Status status, uint32_t result) {
  return {name, [=](Fixture& fixture) {
            RawHost host(fixture.rig.endpoint);
            host.Init();
            RawHost::ConnectOptions options;
            change(&options);
            const RawHost::Reply reply = host.Connect(options);
            CHECK(reply.status == status);
            CHECK(reply.result == result);
            CHECK(host.Connect({}).status.ok());
          }};
}

TEST_CASE("a host that breaks the first PDUs is told why") {
  Fixture fixture;
  const Bytes init = InitRequest();
  const Bytes capsule = Capsule(Read());
  Run(fixture,
      {
          First("an unknown type", Set8(init, 0, 0x0b), FatalError::kInvalidHeaderField, 0),
          First("a controller's type", Set8(init, 0, 0x01), FatalError::kInvalidHeaderField, 0),
          First("an HTTP request", Text("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                FatalError::kInvalidHeaderField, 0),
          First("a TLS hello", Set8(Set8(Set8(Bytes(64), 0, 0x16), 1, 3), 2, 1),
                FatalError::kInvalidHeaderField, 0),
          First("a command before ICReq", capsule, FatalError::kSequenceError, 0),
          First("data before ICReq", Set8(Set8(Bytes(64), 0, 0x06), 2, 24),
                FatalError::kSequenceError, 0),
          First("HLEN of ICReq", Set8(init, 2, 127), FatalError::kInvalidHeaderField, 2),
          First("HLEN 0", Set8(init, 2, 0), FatalError::kInvalidHeaderField, 2),
          First("PLEN of ICReq", Set32(init, 4, 129), FatalError::kInvalidHeaderField, 4),
          First("PLEN 0", Set32(init, 4, 0), FatalError::kInvalidHeaderField, 4),
          First("PLEN of 4 GiB", Set32(init, 4, 0xffffffff), FatalError::kInvalidHeaderField, 4),
          First("PFV", Set8(init, 8, 1), FatalError::kUnsupportedParameter, 8),
          First("HPDA", Set8(init, 10, 32), FatalError::kInvalidHeaderField, 10),
          {"a second ICReq",
           [&](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.Init();
             host.SendBytes(init);
             ExpectTerm(host, FatalError::kSequenceError, 0);
           }},
          {"H2CTermReq ends without an answer",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             std::array<std::byte, pdu::kMaxTermBytes> term;
             const size_t size =
                 WriteTermRequest(true, {FatalError::kSequenceError, 0}, Bytes(8), term);
             host.SendBytes(std::span(term).first(size));
             ExpectEnd(host);
           }},
          {"a broken H2CTermReq is answered by no TermReq",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.SendBytes(Set32(Set8(Set8(Bytes(64), 0, 0x02), 2, 24), 4, 1u << 20));
             ExpectEnd(host);
           }},
          {"ICReq in single bytes is an ICReq",
           [&](Fixture& f) {
             RawHost host(f.rig.endpoint);
             for (const std::byte& byte : init) host.SendBytes({&byte, 1});
             const auto response = host.Receive();
             REQUIRE(response.has_value());
             CHECK(response->header.type == PduType::kInitResponse);
           }},
          {"a half-closed connection ends",
           [&](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.SendBytes(init);
             host.EndSending();
             ExpectEnd(host);
           }},
          {"a reset in the middle of ICReq",
           [&](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.SendBytes(std::span(init).first(60));
             host.Abort();
           }},
          {"the TermReq carries the header in error",
           [&](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.SendBytes(Set8(init, 0, 0x0b));
             const auto term = host.Receive();
             REQUIRE(term.has_value());
             CHECK(term->header.type == PduType::kControllerTermRequest);
             REQUIRE(term->data.size() == 8);
             CHECK(term->data[0] == std::byte{0x0b});
           }},
      });
}

TEST_CASE("a wrong Connect is answered and changes nothing") {
  Fixture fixture;
  using Options = RawHost::ConnectOptions;
  constexpr uint32_t kInData = 1u << 16;
  const nvme::Status invalid = Refusal(StatusCode::kConnectInvalidParameters);
  // Of an entry or data that MakeConnectEntry() would not make.
  const auto connect_with = [](const char* name, std::function<void(SubmissionEntry*)> entry_change,
                               std::function<void(nvme::ConnectData*)> data_change,
                               nvme::Status status, uint32_t result) {
    return Case{name, [=](Fixture& f) {
                  RawHost host(f.rig.endpoint);
                  host.Init();
                  SubmissionEntry entry = MakeConnectEntry({});
                  nvme::ConnectData data = MakeConnectData({});
                  entry_change(&entry);
                  data_change(&data);
                  const RawHost::Reply reply = host.Command(entry, data.bytes);
                  CHECK(reply.status == status);
                  CHECK(reply.result == result);
                  CHECK(host.Connect({}).status.ok());
                }};
  };
  const auto same_entry = [](SubmissionEntry*) {};
  const auto same_data = [](nvme::ConnectData*) {};
  const auto before_connect = [](const char* name, SubmissionEntry entry) {
    return Case{name, [=](Fixture& f) {
                  RawHost host(f.rig.endpoint);
                  host.Init();
                  CHECK(host.Command(entry).status == Refusal(StatusCode::kCommandSequenceError));
                  CHECK(host.Connect({}).status.ok());
                }};
  };
  Run(fixture,
      {
          before_connect("Identify before Connect", Admin(nvme::AdminOpcode::kIdentify, 1, 4096)),
          before_connect("Read before Connect", Read()),
          before_connect("Property Get before Connect", Fabrics(0x04)),
          before_connect("Disconnect before Connect", Fabrics(0x08)),
          Connects(
              "an unknown subsystem", [](Options* o) { o->subsystem_nqn = "nqn.a:b"; }, invalid,
              kInData | 256),
          Connects(
              "no subsystem", [](Options* o) { o->subsystem_nqn = ""; }, invalid, kInData | 256),
          Connects(
              "a host that is not allowed",
              [](Options* o) { o->subsystem_nqn = "nqn.2026-11.org.example:closed"; },
              Refusal(StatusCode::kConnectInvalidHost), 0),
          Connects(
              "a host name that is no NQN", [](Options* o) { o->host_nqn = "me"; }, invalid,
              kInData | 512),
          Connects(
              "no host name", [](Options* o) { o->host_nqn = ""; }, invalid, kInData | 512),
          Connects(
              "a queue of one entry", [](Options* o) { o->queue_entries = 1; }, invalid, 44),
          Connects(
              "a queue of 65,536 entries", [](Options* o) { o->queue_entries = 65536; }, invalid,
              44),
          Connects(
              "a queue id beyond the limit", [](Options* o) { o->queue_id = 65; }, invalid, 42),
          Connects(
              "an I/O queue without a controller", [](Options* o) { o->queue_id = 1; }, invalid,
              kInData | 16),
          Connects(
              "an I/O queue of a foreign controller",
              [](Options* o) { o->queue_id = 1, o->controller_id = 0x7777; }, invalid,
              kInData | 16),
          Connects(
              "an admin queue of a chosen controller", [](Options* o) { o->controller_id = 5; },
              invalid, kInData | 16),
          connect_with(
              "record format", [](SubmissionEntry* e) { e->bytes[40] = std::byte{1}; }, same_data,
              Refusal(StatusCode::kConnectIncompatibleFormat), 0),
          connect_with(
              "a subsystem name without an end", same_entry,
              [](nvme::ConnectData* d) {
                std::ranges::fill(d->At(nvme::ConnectData::kSubsystemNqn), std::byte{'a'});
              },
              invalid, kInData | 256),
          connect_with(
              "a host name without an end", same_entry,
              [](nvme::ConnectData* d) {
                std::ranges::fill(d->At(nvme::ConnectData::kHostNqn), std::byte{'a'});
              },
              invalid, kInData | 512),
          connect_with(
              "data that the transport is to ask for",
              [](SubmissionEntry* e) { *e = WithDescriptor(*e, nvme::kSglTransport, 1024); },
              same_data, Refusal(StatusCode::kSglInvalidType), 0),
          connect_with(
              "a descriptor shorter than the data",
              [](SubmissionEntry* e) { *e = WithDescriptor(*e, nvme::kSglInCapsule, 512); },
              same_data, Refusal(StatusCode::kSglInvalidLength), 0),
          {"data asked for and not sent",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.Init();
             const auto entry = WithDescriptor(MakeConnectEntry({}), nvme::kSglTransport, 1024);
             CHECK(host.Command(entry).status == Refusal(StatusCode::kSglInvalidType));
             CHECK(host.Command(MakeConnectEntry({})).status ==
                   Refusal(StatusCode::kSglInvalidLength));
             CHECK(host.Connect({}).status.ok());
           }},
          {"more data than Connect takes is dropped",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.Init();
             const nvme::ConnectData data = MakeConnectData({});
             Bytes longer(data.bytes.begin(), data.bytes.end());
             longer.resize(2000);
             CHECK(host.Command(WithDescriptor(MakeConnectEntry({}), nvme::kSglInCapsule, 2000),
                                longer)
                       .status.ok());
           }},
          {"a wrong data digest",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.Init({.data_digest = true});
             const nvme::ConnectData data = MakeConnectData({});
             Bytes bytes = Capsule(MakeConnectEntry({}), {data.bytes.begin(), data.bytes.end()},
                                   {.data_digest = true});
             bytes.back() ^= std::byte{1};
             host.SendBytes(bytes);
             CHECK(host.Finish().status.code() == StatusCode::kTransientTransportError);
             CHECK(host.Connect({}).status.ok());
           }},
          {"a second Connect",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.Init();
             CHECK(host.Connect({}).status.ok());
             CHECK(host.Connect({}).status == Refusal(StatusCode::kCommandSequenceError));
             host.Enable();
           }},
          {"an I/O queue of another host's controller",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.Init();
             const RawHost::Reply reply =
                 host.Connect({.host_nqn = "nqn.2014-08.org.nvmexpress:uuid:thief",
                               .controller_id = f.bystander->controller_id,
                               .queue_id = 2});
             CHECK(reply.status == Refusal(StatusCode::kConnectInvalidParameters));
             CHECK(reply.result == (kInData | 16));
           }},
          {"an I/O queue that is there already",
           [](Fixture& f) {
             RawHost host(f.rig.endpoint);
             host.Init();
             CHECK(host.Connect({.controller_id = f.bystander->controller_id, .queue_id = 1})
                       .status == Refusal(StatusCode::kCommandSequenceError));
           }},
          {"an I/O queue before the controller is enabled",
           [](Fixture& f) {
             RawHost admin(f.rig.endpoint);
             admin.Init();
             const RawHost::Reply connected = admin.Connect({});
             RawHost io(f.rig.endpoint);
             io.Init();
             CHECK(io.Connect(
                         {.controller_id = static_cast<uint16_t>(connected.result), .queue_id = 1})
                       .status == Refusal(StatusCode::kCommandSequenceError));
           }},
      });
}

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

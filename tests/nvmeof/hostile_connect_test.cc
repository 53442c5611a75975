// SPDX-License-Identifier: Apache-2.0
//
// What a broken or hostile host gets before it is connected. Each case states the bytes and the
// exact answer; after each a bystander's connection works and the blocks are as they were.
#include "hostile_cases.h"

namespace strata::nvmeof {
namespace {

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

}  // namespace
}  // namespace strata::nvmeof

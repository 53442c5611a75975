// SPDX-License-Identifier: Apache-2.0
//
// The hostile hosts' tools: bytes that no honest host sends, the answers that are expected, and a
// bystander who must not notice. For the two suites beside it.
//
// Thread safety: none.
#pragma once

#include <catch2/catch.hpp>
#include <cstring>
#include <functional>

#include "strata/base/endian.h"
#include "strata/nvme/wire/log_pages.h"
#include "strata/nvme/wire/registers.h"
#include "support/nvmeof/target_rig.h"

namespace strata::nvmeof {

using nvme::IoOpcode;
using nvme::StatusCode;
using nvme::SubmissionEntry;
using Bytes = std::vector<std::byte>;

inline constexpr uint32_t kBlock = 512;
inline constexpr uint32_t kLarge = 65536;  // Bytes that come by R2T.

inline Bytes InitRequest(const InitFields& fields = {}) {
  std::array<std::byte, pdu::kInitBytes> bytes;
  WriteInitRequest(fields, bytes);
  return {bytes.begin(), bytes.end()};
}

inline Bytes Set8(Bytes bytes, size_t at, uint8_t value) {
  bytes.at(at) = std::byte{value};
  return bytes;
}

inline Bytes Set32(Bytes bytes, size_t at, uint32_t value) {
  StoreLe32(&bytes.at(at), value);
  return bytes;
}

inline Bytes Text(const char* text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text);
  return {begin, begin + std::strlen(text)};
}

// The bytes of a PDU with `data`, as a host of these settings sends them.
inline Bytes Capsule(const SubmissionEntry& entry, const Bytes& data = {},
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

inline SubmissionEntry Read(uint32_t blocks = 1, uint64_t lba = 0, uint32_t nsid = 1) {
  return MakeBlocksEntry(IoOpcode::kRead, 21, nsid, lba, blocks, blocks * kBlock);
}
inline SubmissionEntry Write(uint32_t blocks = 1, uint64_t lba = 0, bool in_capsule = true) {
  return MakeBlocksEntry(IoOpcode::kWrite, 22, 1, lba, blocks, blocks * kBlock, in_capsule);
}
inline SubmissionEntry Admin(nvme::AdminOpcode opcode, uint32_t dword10 = 0,
                             uint32_t data_bytes = 0) {
  SubmissionEntry entry = MakeEntry(static_cast<uint8_t>(opcode), 23, 0, data_bytes);
  entry.Set(SubmissionEntry::kDword10, dword10);
  return entry;
}
inline SubmissionEntry WithDescriptor(SubmissionEntry entry, uint8_t kind, uint32_t length,
                                      uint64_t address = 0) {
  nvme::SglDescriptor sgl;
  sgl.Set(nvme::SglDescriptor::kKind, kind);
  sgl.Set(nvme::SglDescriptor::kLength, length);
  sgl.Set(nvme::SglDescriptor::kAddress, address);
  std::ranges::copy(sgl.bytes, entry.At(SubmissionEntry::kData).begin());
  return entry;
}
inline SubmissionEntry Fabrics(uint8_t type) {
  SubmissionEntry entry = MakeEntry(nvme::kFabricsOpcode, 24, 0, 0);
  entry.Set(SubmissionEntry::kNamespaceId, type);
  return entry;
}

inline nvme::Status Refusal(StatusCode code) { return nvme::Status(code).DoNotRetry(); }

// A TermReq with these fields, and then the end.
inline void ExpectTerm(RawHost& host, FatalError error, uint32_t information) {
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
inline void ExpectEnd(RawHost& host) {
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

inline void Run(Fixture& fixture, const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    INFO(one.name);
    one.run(fixture);
    fixture.CheckBystander();
  }
}

// Bytes that come first on a connection, and the TermReq that answers them.
inline Case First(const char* name, Bytes bytes, FatalError error, uint32_t information) {
  return {name, [=](Fixture& fixture) {
            RawHost host(fixture.rig.endpoint);
            host.SendBytes(bytes);
            ExpectTerm(host, error, information);
          }};
}

// Bytes on a connected I/O queue, and the TermReq.
inline Case Breaks(const char* name, std::function<Bytes()> make, FatalError error,
                   uint32_t information, PduSettings settings = {}) {
  return {name, [=](Fixture& fixture) {
            TargetRig::Host host(fixture.rig.endpoint, settings);
            host.io.SendBytes(make());
            ExpectTerm(host.io, error, information);
            CHECK(host.admin.Command(Admin(nvme::AdminOpcode::kKeepAlive)).status.ok());
          }};
}

// A command on a connected I/O queue and its status; the connection lives.
inline Case Answers(const char* name, SubmissionEntry entry, nvme::Status status, Bytes data = {}) {
  return {name, [=](Fixture& fixture) {
            TargetRig::Host host(fixture.rig.endpoint);
            CHECK(host.io.Command(entry, data).status == status);
            CHECK(host.io.Command(Read()).status.ok());
          }};
}

inline Case AdminAnswers(const char* name, SubmissionEntry entry, nvme::Status status) {
  return {name, [=](Fixture& fixture) {
            TargetRig::Host host(fixture.rig.endpoint);
            CHECK(host.admin.Command(entry).status == status);
            CHECK(host.admin.Command(Admin(nvme::AdminOpcode::kKeepAlive)).status.ok());
          }};
}

// A Connect and its answer; a right one works on the same connection afterwards.
inline Case Connects(const char* name, std::function<void(RawHost::ConnectOptions*)> change,
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

}  // namespace strata::nvmeof

// SPDX-License-Identifier: Apache-2.0
//
// The host's end of one connection, byte by byte, against a scripted controller.
#include <poll.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "strata/base/random.h"
#include "support/nvmeof/host_queue_rig.h"
#include "support/seed.h"

namespace strata::nvmeof {
namespace {

using nvme::IoOpcode;

constexpr uint32_t kBlock = 4096;

// A buffer as segments of the given numbers of blocks.
std::vector<block::Segment> Segments(const block::Buffer& buffer, std::vector<size_t> blocks) {
  std::vector<block::Segment> segments;
  std::byte* at = buffer.data();
  for (const size_t count : blocks) {
    segments.push_back({at, count * kBlock});
    at += count * kBlock;
  }
  return segments;
}

TEST_CASE("ICReq and Connect say what was asked for") {
  std::array<std::byte, 16> host_id{};
  host_id[0] = std::byte{0x42};
  HostQueueRig rig({.host_nqn = "nqn.2026-11.org.example:host",
                    .host_id = host_id,
                    .header_digest = true,
                    .data_digest = true},
                   {.queue_id = 0, .entries = 32, .keep_alive_ms = 9000});
  rig.Open({.header_digest = true, .data_digest = true, .limit = 4096});
  const InitFields& init = rig.init.header.init;
  CHECK(init.version == 0);
  CHECK(init.data_alignment_0based == 0);
  CHECK((init.header_digest && init.data_digest));
  CHECK(init.limit == 3);
  using C = nvme::FabricsCommand;
  using D = nvme::ConnectData;
  C command;
  std::ranges::copy(rig.connect.entry_bytes, command.bytes.begin());
  CHECK(command.Get(C::kOpcode) == 0x7f);
  CHECK(command.Get(C::kType) == 0x01);
  CHECK(command.Get(C::kQueueId) == 0);
  CHECK(command.Get(C::kQueueSize0based) == 31);
  CHECK(command.Get(C::kConnectAttributes) == nvme::kConnectNoFlowControl);
  CHECK(command.Get(C::kKeepAliveMs) == 9000);
  CHECK(static_cast<uint8_t>(command.bytes[1]) == nvme::kPsdtSgl);
  // SGL1: 1024 bytes from offset 0 of the capsule's data.
  CHECK(static_cast<uint8_t>(command.bytes[39]) == 0x01);
  CHECK(static_cast<uint8_t>(command.bytes[33]) == 0x04);
  REQUIRE(rig.connect.data.size() == 1024);
  CHECK(rig.connect.data_digest_ok);
  D data;
  std::ranges::copy(rig.connect.data, data.bytes.begin());
  CHECK(data.Get(D::kHostId)[0] == std::byte{0x42});
  CHECK(data.Get(D::kControllerId) == 0xffff);
  CHECK(data.GetText(D::kSubsystemNqn) == HostQueueRig::kNqn);
  CHECK(data.GetText(D::kHostNqn) == "nqn.2026-11.org.example:host");
}

TEST_CASE("an I/O queue names the controller of the admin queue") {
  HostQueueRig rig({}, {.queue_id = 0, .entries = 8});
  rig.Open();
  rig.queue.reset();
  rig.controller.Close();
  rig.controller.Poll();  // Lets go of the old connection.
  rig.queue = *rig.transport->OpenQueue({.queue_id = 3, .entries = 8});
  rig.ReachConnect({.limit = 4096});
  nvme::ConnectData data;
  std::ranges::copy(rig.connect.data, data.bytes.begin());
  CHECK(data.Get(nvme::ConnectData::kControllerId) == 7);
  nvme::FabricsCommand command;
  std::ranges::copy(rig.connect.entry_bytes, command.bytes.begin());
  CHECK(command.Get(nvme::FabricsCommand::kQueueId) == 3);
}

TEST_CASE("a small write goes in its capsule, and a larger one when it is asked for") {
  for (const bool has_digests : {false, true}) {
    HostQueueRig rig({.header_digest = has_digests, .data_digest = has_digests});
    rig.Open({.header_digest = has_digests, .data_digest = has_digests, .limit = 4096});
    Random random(test::Seed());
    block::Buffer buffer(5 * size_t{kBlock});
    random.Fill(buffer.span());
    const auto small = Segments(buffer, {1, 1});
    rig.Submit(0, IoOpcode::kWrite, small);
    ReceivedPdu pdu = rig.Next(PduType::kCommandCapsule);
    CHECK(std::ranges::equal(pdu.data, buffer.span().first(2 * kBlock)));
    CHECK(pdu.data_digest_ok);
    CHECK(static_cast<uint8_t>(pdu.entry_bytes[39]) == nvme::kSglInCapsule);
    const auto large = Segments(buffer, {2, 1, 2});
    rig.Submit(1, IoOpcode::kWrite, large);
    pdu = rig.Next(PduType::kCommandCapsule);
    CHECK(pdu.data.empty());
    CHECK(static_cast<uint8_t>(pdu.entry_bytes[39]) == nvme::kSglTransport);
    CHECK(static_cast<uint8_t>(pdu.entry_bytes[33]) == 5 * kBlock / 256);
    // In any order and of any size, two at a time; more than MAXH2CDATA takes several PDUs.
    std::vector<std::byte> taken(buffer.size());
    struct Part {
      uint16_t tag;
      uint32_t offset;
      uint32_t length;
    };
    const Part kParts[] = {{7, 12000, 8480}, {8, 0, 4}, {9, 4, 11996}};
    rig.controller.Hold();
    for (const Part& part : kParts) {
      rig.controller.SendR2t(1, part.tag, part.offset, part.length);
    }
    rig.controller.Release();
    for (const Part& part : kParts) {
      uint32_t at = part.offset;
      for (bool is_last = false; !is_last;) {
        pdu = rig.Next(PduType::kHostData);
        is_last = pdu.header.is_last;
        CHECK(pdu.header.transfer.command_id == 1);
        CHECK(pdu.header.transfer.transfer_tag == part.tag);
        CHECK(pdu.header.transfer.offset_bytes == at);
        CHECK(pdu.data.size() <= 4096);
        CHECK(pdu.data_digest_ok);
        std::ranges::copy(pdu.data, taken.begin() + at);
        at += static_cast<uint32_t>(pdu.data.size());
      }
      CHECK(at == part.offset + part.length);
    }
    CHECK(std::ranges::equal(taken, buffer.span()));
    rig.controller.SendResponse(1);
    rig.controller.SendResponse(0);
    rig.Until([&] { return rig.completions.size() == 2; });
    CHECK((rig.StatusOf(0).ok() && rig.StatusOf(1).ok()));
  }
}

TEST_CASE("the alignment that the controller asks for is kept") {
  for (const uint8_t alignment : {0, 1, 15, 31}) {
    HostQueueRig rig;
    rig.Open({.data_alignment_0based = alignment, .limit = 8192});
    block::Buffer buffer(4 * size_t{kBlock});
    const auto small = Segments(buffer, {1});
    const auto large = Segments(buffer, {4});
    rig.Submit(0, IoOpcode::kWrite, small);
    rig.Submit(1, IoOpcode::kWrite, large);
    CHECK(rig.Next(PduType::kCommandCapsule).data.size() == kBlock);
    (void)rig.Next(PduType::kCommandCapsule);
    rig.controller.SendR2t(1, 0, 0, 4 * kBlock);
    CHECK(rig.Next(PduType::kHostData).data.size() == 2 * kBlock);  // The reader checks PDO.
    CHECK(rig.Next(PduType::kHostData).data.size() == 2 * kBlock);
  }
}

TEST_CASE("what is read lands where it belongs, in whatever pieces it comes") {
  for (const bool has_digests : {false, true}) {
    Random random(test::Seed());
    HostQueueRig rig({.header_digest = has_digests, .data_digest = has_digests});
    rig.Open({.header_digest = has_digests, .data_digest = has_digests, .limit = 8192});
    block::Buffer buffer(64 * size_t{kBlock});
    std::vector<std::byte> expected(buffer.size());
    for (int i = 0; i < 60; ++i) {
      random.Fill(expected);
      std::vector<size_t> blocks;
      size_t left = 1 + random.Uniform(64);
      const size_t total = left * kBlock;
      while (left > 0) {
        blocks.push_back(1 + random.Uniform(left));
        left -= blocks.back();
      }
      const auto segments = Segments(buffer, blocks);
      rig.Submit(0, IoOpcode::kRead, segments);
      (void)rig.Next(PduType::kCommandCapsule);
      rig.controller.Hold();
      const bool is_success = random.Chance(0.5);
      for (size_t at = 0; at < total;) {
        const size_t size = std::min(total - at, 4 * (1 + random.Uniform(16384)));
        const bool is_last = at + size == total;
        rig.controller.SendData(0, static_cast<uint32_t>(at), std::span(expected).subspan(at, size),
                                {.is_last = is_last, .is_success = is_last && is_success});
        at += size;
      }
      if (!is_success) rig.controller.SendResponse(0);
      // The stream comes in pieces.
      std::vector<std::byte> stream = std::exchange(rig.controller.held(), {});
      rig.controller.Release();
      for (size_t at = 0; at < stream.size();) {
        const size_t size = std::min(stream.size() - at, 1 + random.Uniform(100'000));
        rig.controller.Send(std::span(stream).subspan(at, size));
        at += size;
        rig.Round();
      }
      rig.Until([&] { return rig.completions.size() == 1; });
      CHECK(rig.StatusOf(0).ok());
      CHECK(std::ranges::equal(buffer.span().first(total), std::span(expected).first(total)));
      rig.completions.clear();
    }
  }
}

TEST_CASE("an admin command may get less than its buffer holds") {
  HostQueueRig rig({}, {.queue_id = 0, .entries = 8});
  rig.Open();
  block::Buffer buffer(2 * size_t{kBlock});
  const auto segments = Segments(buffer, {2});
  rig.Submit(1, IoOpcode::kRead, segments);
  (void)rig.Next(PduType::kCommandCapsule);
  const std::vector<std::byte> page(kBlock, std::byte{0x55});
  rig.controller.SendData(1, 0, page, {.is_last = true});
  rig.controller.SendResponse(1, {}, 0x123456789a);
  rig.Until([&] { return rig.completions.size() == 1; });
  CHECK(rig.StatusOf(0).ok());
  CHECK(rig.completions[0].Get(nvme::CompletionEntry::kResult) == 0x123456789a);
}

TEST_CASE("a sleeper is woken by data, by room and by the end") {
  HostQueueRig rig;
  rig.Open();
  const int waiter = *rig.queue->EventFd();
  const auto is_readable = [&](int timeout_ms) {
    pollfd ready{.fd = waiter, .events = POLLIN, .revents = 0};
    return poll(&ready, 1, timeout_ms) == 1;
  };
  rig.Round();
  CHECK(!is_readable(0));
  rig.Submit(0, IoOpcode::kFlush, {});
  (void)rig.Next(PduType::kCommandCapsule);
  CHECK(!is_readable(0));
  rig.controller.SendResponse(0);
  CHECK(is_readable(20'000));
  rig.Until([&] { return rig.completions.size() == 1; });
  CHECK(!is_readable(0));
  // More than the socket takes: the descriptor is readable when there is room again.
  block::Buffer buffer(2 * size_t{1} << 20);
  const std::vector<block::Segment> segments = {{buffer.data(), buffer.size()}};
  for (uint16_t id = 0; id < 7; ++id) rig.Submit(id, IoOpcode::kWrite, segments);
  for (int id = 0; id < 7; ++id) (void)rig.Next(PduType::kCommandCapsule);
  rig.controller.Hold();
  for (uint16_t id = 0; id < 7; ++id) rig.controller.SendR2t(id, id, 0, 2u << 20);
  rig.controller.Release();
  std::array<nvme::CompletionEntry, 4> none;
  CHECK(is_readable(20'000));
  for (int i = 0; i < 200; ++i) CHECK(rig.queue->Poll(none) == 0);  // Until nothing more fits.
  CHECK(!is_readable(0));
  rig.controller.Poll();
  CHECK(is_readable(20'000));
  size_t taken = 0;
  rig.Until([&] {
    while (auto pdu = rig.controller.Take()) taken += pdu->data.size();
    return taken == 14u << 20;
  });
  CHECK(!is_readable(0));
  rig.controller.Close();
  CHECK(is_readable(20'000));
}

TEST_CASE("options are checked by name") {
  const auto endpoint = *ParseEndpoint("127.0.0.1:4420");
  const auto fails = [](const TcpOptions& options, std::string_view names) {
    const absl::Status status = ConnectTcp(options).status();
    INFO(status);
    return absl::IsInvalidArgument(status) &&
           std::string(status.message()).find(names) != std::string::npos;
  };
  CHECK(fails({.endpoint = endpoint}, "subsystem_nqn"));
  CHECK(fails({.endpoint = endpoint, .subsystem_nqn = std::string(224, 'n')}, "subsystem_nqn"));
  CHECK(fails({.endpoint = endpoint, .subsystem_nqn = "nqn a"}, "subsystem_nqn"));
  CHECK(fails({.endpoint = endpoint, .subsystem_nqn = "nqn.a", .host_nqn = "a\n"}, "host_nqn"));
  CHECK(fails({.subsystem_nqn = "nqn.a"}, "port"));
  CHECK(fails({.endpoint = endpoint, .subsystem_nqn = "nqn.a", .connect_timeout_ms = 0},
              "connect_timeout_ms"));
  CHECK(fails({.endpoint = endpoint, .subsystem_nqn = "nqn.a", .max_transfer_bytes = 512},
              "max_transfer_bytes"));
  CHECK(fails({.endpoint = endpoint, .subsystem_nqn = "nqn.a", .socket_buffer_bytes = 512},
              "socket_buffer_bytes"));
}

TEST_CASE("a URI says everything, and what is wrong with it") {
  const NvmeTcpUri uri = *ParseNvmeTcpUri(
      "nvme-tcp:[::1]:4421/nqn.2026-11.org.example:a?nsid=3&queues=2&depth=64&hdgst=1&ddgst=1&"
      "hostnqn=nqn.h&hostid=00112233-4455-6677-8899-aabbccddeeff&keep_alive_ms=5000&"
      "reconnect_ms=20&loss_timeout_ms=99&timeout_ms=77&connect_timeout_ms=66&socket_buffer_bytes="
      "0");
  CHECK(ToString(uri.tcp.endpoint) == "[::1]:4421");
  CHECK(uri.tcp.subsystem_nqn == "nqn.2026-11.org.example:a");
  CHECK((uri.tcp.header_digest && uri.tcp.data_digest));
  CHECK(uri.tcp.host_nqn == "nqn.h");
  CHECK(uri.tcp.host_id[15] == std::byte{0xff});
  CHECK(uri.tcp.connect_timeout_ms == 66);
  CHECK(uri.tcp.socket_buffer_bytes == 0);
  CHECK(uri.nsid == 3);
  CHECK(uri.controller.max_io_queues == 2);
  CHECK(uri.controller.io_queue_entries == 65);
  CHECK(uri.controller.keep_alive_ms == 5000);
  CHECK(uri.controller.reconnect_ms == 20);
  CHECK(uri.controller.loss_timeout_ms == 99);
  CHECK(uri.controller.command_timeout_ms == 77);
  CHECK(uri.controller.has_thread);
  const NvmeTcpUri plain = *ParseNvmeTcpUri("nvme-tcp:127.0.0.1/nqn.a");
  CHECK(plain.tcp.endpoint.port == 4420);
  CHECK(plain.nsid == 0);
  const auto fails = [](const std::string& options, const std::string& names) {
    const absl::Status status = ParseNvmeTcpUri("nvme-tcp:127.0.0.1/nqn.a?" + options).status();
    INFO(status);
    return absl::IsInvalidArgument(status) &&
           std::string(status.message()).find("'" + names + "'") != std::string::npos;
  };
  CHECK(fails("nsid=0", "nsid"));
  CHECK(fails("nsid=4294967295", "nsid"));
  CHECK(fails("queues=0", "queues"));
  CHECK(fails("queues=65", "queues"));
  CHECK(fails("depth=65536", "depth"));
  CHECK(fails("depth=-1", "depth"));
  CHECK(fails("hdgst=2", "hdgst"));
  CHECK(fails("ddgst=yes", "ddgst"));
  CHECK(fails("hostid=1234", "hostid"));
  CHECK(fails("keep_alive_ms=3600001", "keep_alive_ms"));
  CHECK(fails("reconnect_ms=0", "reconnect_ms"));
  CHECK(fails("loss_timeout_ms=x", "loss_timeout_ms"));
  CHECK(fails("color=red", "color"));
  CHECK(absl::IsInvalidArgument(ParseNvmeTcpUri("nvme-tcp:127.0.0.1:4420").status()));
  CHECK(absl::IsInvalidArgument(ParseNvmeTcpUri("file:127.0.0.1/nqn.a").status()));
  block::Registry registry = block::Registry::WithDefaults();
  REQUIRE(RegisterNvmeTcp(&registry).ok());
  CHECK(absl::IsAlreadyExists(RegisterNvmeTcp(&registry)));
  const absl::Status no_nsid = registry.Open("nvme-tcp:127.0.0.1/nqn.a").status();
  CHECK(std::string(no_nsid.message()).find("'nsid' is missing") != std::string::npos);
}

}  // namespace
}  // namespace strata::nvmeof

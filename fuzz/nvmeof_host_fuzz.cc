// SPDX-License-Identifier: Apache-2.0
//
// A hostile controller at the other end of a host's queue. Input: one byte of settings (bit 0
// header digests, bit 1 data digests, bit 2 the queue is the admin queue, bit 3 the digests of what
// is sent are repaired, bit 4 the handshake is the input's too), then records: a byte of length and
// kind, then bytes that are sent as they are. Between records the host polls. It ends, or lives; it
// touches no memory but that of the commands that read, and completes each command once.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "host/tcp_queue.h"
#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/nvme/wire/entries.h"

namespace strata::nvmeof {
namespace {

using nvme::IoOpcode;

constexpr size_t kPiece = 4096;
constexpr std::byte kCanary{0xa7};

// One listening socket serves all runs.
struct Peer {
  Peer() : listener(*ListenOn(*ParseEndpoint("127.0.0.1:0"))) {
    endpoint = LocalAddress(listener.fd());
  }
  Socket listener;
  Endpoint endpoint;
};

struct Run {
  explicit Run(uint8_t a_choice) : choice(a_choice) {
    static Peer peer;
    auto association = std::make_shared<HostAssociation>();
    association->options.endpoint = peer.endpoint;
    association->options.subsystem_nqn = "nqn.fuzz";
    association->options.host_nqn = "nqn.host";
    association->options.header_digest = (choice & 1) != 0;
    association->options.data_digest = (choice & 2) != 0;
    association->name = "fuzz";
    association->clock = &SystemClock();
    queue = std::make_unique<TcpQueue>(
        association,
        nvme::QueueOptions{.queue_id = static_cast<uint16_t>((choice & 4) != 0 ? 0 : 1),
                           .entries = 8,
                           .capsule_data_bytes = kPiece});
    STRATA_CHECK(queue->Start().ok(), "connecting on loopback");
    Endpoint from;
    for (auto socket = AcceptFrom(peer.listener.fd(), &from);;
         socket = AcceptFrom(peer.listener.fd(), &from)) {
      if (!socket.ok()) continue;
      connection = *std::move(socket);
      break;
    }
    ResetOnClose(connection.fd());
    Poll();
  }

  void Drain() {
    std::array<std::byte, 65536> sink;
    while (recv(connection.fd(), sink.data(), sink.size(), MSG_DONTWAIT) > 0) {
    }
  }

  void Poll() {
    std::array<nvme::CompletionEntry, 4> entries;
    for (int i = 0; i < 3; ++i) {
      const int count = queue->Poll(entries);
      for (int at = 0; at < count; ++at) {
        const uint16_t id = entries[static_cast<size_t>(at)].command_id();
        STRATA_CHECK(id < 8 && is_busy[id], "a completion of a command that is not outstanding");
        is_busy[id] = false;
      }
      Drain();
    }
  }

  void Send(std::span<const std::byte> bytes) {
    (void)send(connection.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    Poll();
  }

  void Handshake() {
    std::array<std::byte, pdu::kInitBytes> init;
    WriteInitResponse(
        {.header_digest = (choice & 1) != 0, .data_digest = (choice & 2) != 0, .limit = 4096},
        init);
    Send(init);
    PduWriter writer({.header_digest = (choice & 1) != 0, .data_digest = (choice & 2) != 0});
    std::array<std::byte, pdu::kMaxHeadBytes> head;
    const nvme::CompletionEntry connected{};
    Send(std::span(head).first(writer.WriteResponseCapsule(connected.bytes, head)));
  }

  // Commands 0 and 1 read, 2 writes on demand, 3 in its capsule, 4 moves nothing.
  void SubmitAll() {
    if (!queue->is_open()) return;
    for (uint16_t id = 0; id < 5; ++id) {
      if (is_busy[id]) continue;
      nvme::SubmissionEntry entry;
      entry.Set(nvme::SubmissionEntry::kCommandId, id);
      const std::span<const block::Segment> data(&segments[id], id < 4 ? 1 : 0);
      const auto direction = id < 2   ? nvme::DataDirection::kToHost
                             : id < 4 ? nvme::DataDirection::kToDevice
                                      : nvme::DataDirection::kNone;
      if (!queue->Submit(entry, direction, data).ok()) return;
      is_busy[id] = true;
    }
    Poll();
  }

  void CheckMemory() {
    for (size_t i = 0; i < memory.size(); ++i) {
      const bool is_read = (i >= kPiece && i < 3 * kPiece) || (i >= 4 * kPiece && i < 5 * kPiece);
      STRATA_CHECK(is_read || memory[i] == kCanary,
                   "memory that no command reads into was changed");
    }
  }

  const uint8_t choice;
  std::unique_ptr<TcpQueue> queue;
  Socket connection;
  std::vector<std::byte> memory = std::vector<std::byte>(12 * kPiece, kCanary);
  const std::array<block::Segment, 4> segments = {{{memory.data() + kPiece, 2 * kPiece},
                                                   {memory.data() + 4 * kPiece, kPiece},
                                                   {memory.data() + 6 * kPiece, 3 * kPiece},
                                                   {memory.data() + 10 * kPiece, kPiece}}};
  std::array<bool, 8> is_busy{};
};

void Repair(std::span<std::byte> bytes) {
  if (bytes.size() < pdu::kCommonHeaderBytes) return;
  const size_t header_length = static_cast<size_t>(bytes[pdu::kHeaderLengthOffset]);
  if (header_length == 0 || header_length + pdu::kDigestBytes > bytes.size()) return;
  StoreLe32(&bytes[header_length], Crc32c(bytes.first(header_length)));
}

void RunInput(std::span<const uint8_t> input) {
  if (input.empty()) return;
  Run run(input[0]);
  input = input.subspan(1);
  if ((run.choice & 16) == 0) run.Handshake();
  run.SubmitAll();
  while (!input.empty() && run.queue->health().ok()) {
    const size_t size = std::min<size_t>(input[0], input.size() - 1);
    std::vector<std::byte> bytes(size);
    std::ranges::transform(input.subspan(1, size), bytes.begin(),
                           [](uint8_t byte) { return std::byte{byte}; });
    input = input.subspan(1 + size);
    if ((run.choice & 8) != 0) Repair(bytes);
    run.Send(bytes);
    run.SubmitAll();
  }
  run.CheckMemory();
  run.queue.reset();
  run.CheckMemory();
}

}  // namespace
}  // namespace strata::nvmeof

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::nvmeof::RunInput({data, size});
  return 0;
}

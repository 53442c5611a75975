// SPDX-License-Identifier: Apache-2.0
//
// A hostile host against a whole target: connections, queues, the device model and the data pool.
//
// Input: one byte of settings (bit 0 header digest, 1 data digest, 2 no flow control, 3 an I/O
// queue, 4 nothing is sent first, 5 a small pool), then steps. A step is a byte that says what
// comes, and its fields:
//   0 raw bytes: length, bytes             2 H2CData: tag, command id, offset, length, last
//   1 a command: 64 bytes, data length     3 a round of the worker
// What an honest host finds afterwards must be unharmed, and nothing may be left of the other.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "link/socket.h"
#include "pdu/pdu_writer.h"
#include "strata/base/check.h"
#include "strata/block/devices.h"
#include "strata/nvmeof/target.h"
#include "support/nvmeof/raw_host.h"

namespace strata::nvmeof {
namespace {

struct Input {
  std::span<const uint8_t> bytes;

  uint8_t Byte() {
    if (bytes.empty()) return 0;
    const uint8_t byte = bytes.front();
    bytes = bytes.subspan(1);
    return byte;
  }
  uint32_t Word() {
    uint32_t word = 0;
    for (int i = 0; i < 4; ++i) word = word << 8 | Byte();
    return word;
  }
  std::vector<std::byte> Take(size_t count) {
    std::vector<std::byte> taken(count);
    for (std::byte& byte : taken) byte = static_cast<std::byte>(Byte());
    return taken;
  }
};

struct Rig {
  explicit Rig(uint32_t pool_bytes) {
    target = *Target::Create({.pool_bytes = pool_bytes});
    subsystem = *nvme::CreateSubsystem({.nqn = RawHost::ConnectOptions{}.subsystem_nqn,
                                        .allow_any_host = true,
                                        .max_transfer_bytes = 64u << 10});
    STRATA_CHECK(
        subsystem
            ->AddNamespace(
                *block::CreateMemoryDevice({.block_count = 1024, .block_size_bytes = 512}), {})
            .ok(),
        "the namespace");
    STRATA_CHECK(target->AddSubsystem(subsystem).ok(), "the subsystem");
    endpoint = *target->AddListener({.endpoint = *ParseEndpoint("127.0.0.1:0")});
    worker = *target->OpenWorker();
  }

  void Settle() {
    for (int quiet = 0; quiet < 3;) quiet = worker->Poll(0) == 0 ? quiet + 1 : 0;
  }

  std::unique_ptr<Target> target;
  std::shared_ptr<nvme::Subsystem> subsystem;
  Endpoint endpoint;
  std::unique_ptr<Worker> worker;
};

// A host whose bytes are written without waiting for answers.
class Wire {
 public:
  Wire(Rig& rig, const PduSettings& settings) : rig_(rig), writer_(settings) {
    int error = 0;
    socket_ = *StartConnect(rig.endpoint, &error);
    for (int i = 0; i < 1000 && rig.target->Connections().empty(); ++i) rig.worker->Poll(1'000'000);
  }

  // With a reset: thousands of orderly ends a second would use the ports up.
  ~Wire() { ResetOnClose(socket_.fd()); }

  void Send(std::span<const std::byte> bytes) {
    for (int i = 0; i < 64 && !bytes.empty(); ++i) {
      const ssize_t sent = send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) bytes = bytes.subspan(static_cast<size_t>(sent));
      rig_.worker->Poll(0);
      Drain();
    }
  }

  void SendInit(const PduSettings& settings) {
    std::array<std::byte, pdu::kInitBytes> bytes;
    WriteInitRequest({.header_digest = settings.header_digest, .data_digest = settings.data_digest},
                     bytes);
    Send(bytes);
  }

  void SendCommand(const nvme::SubmissionEntry& entry, std::span<const std::byte> data) {
    std::array<std::byte, pdu::kMaxHeadBytes> head;
    const size_t size =
        writer_.WriteCommandCapsule(entry.bytes, static_cast<uint32_t>(data.size()), head);
    SendPdu(std::span(head).first(size), data);
  }

  void SendData(const TransferFields& fields, bool is_last, std::span<const std::byte> data) {
    std::array<std::byte, pdu::kMaxHeadBytes> head;
    SendPdu(std::span(head).first(writer_.WriteHostData(fields, is_last, head)), data);
  }

  void Drain() {
    std::array<std::byte, 16384> scratch;
    while (recv(socket_.fd(), scratch.data(), scratch.size(), 0) > 0) {
    }
  }

 private:
  void SendPdu(std::span<const std::byte> head, std::span<const std::byte> data) {
    std::vector<std::byte> bytes(head.begin(), head.end());
    bytes.insert(bytes.end(), data.begin(), data.end());
    const iovec vector{const_cast<std::byte*>(data.data()), data.size()};
    std::array<std::byte, pdu::kDigestBytes> tail;
    const size_t size = writer_.WriteDataDigest({&vector, 1}, tail);
    bytes.insert(bytes.end(), tail.begin(), tail.begin() + static_cast<ptrdiff_t>(size));
    Send(bytes);
  }

  Rig& rig_;
  PduWriter writer_;
  Socket socket_;
};

void Connect(Wire& wire, const RawHost::ConnectOptions& options) {
  wire.SendCommand(MakeConnectEntry(options), MakeConnectData(options).bytes);
}

void RunOne(Rig& rig, uint8_t flags, Input input) {
  const PduSettings settings{.header_digest = (flags & 1) != 0, .data_digest = (flags & 2) != 0};
  RawHost::ConnectOptions options{.queue_entries = 8, .flow_control = (flags & 4) == 0};
  std::unique_ptr<Wire> admin;
  if ((flags & 8) != 0) {
    admin = std::make_unique<Wire>(rig, PduSettings{});
    admin->SendInit({});
    Connect(*admin, options);
    admin->SendCommand(MakePropertySet(0x14, 1u | 6u << 16 | 4u << 20), {});
    rig.Settle();
    const std::vector<nvme::ControllerState> controllers = rig.subsystem->Controllers();
    if (!controllers.empty()) options.controller_id = controllers.front().id;
    options.queue_id = 1;
  }
  Wire wire(rig, settings);
  if ((flags & 16) == 0) {
    wire.SendInit(settings);
    Connect(wire, options);
  }
  for (int steps = 0; steps < 64 && !input.bytes.empty(); ++steps) {
    switch (input.Byte() % 4) {
      case 0:
        wire.Send(input.Take(input.Byte()));
        break;
      case 1: {
        nvme::SubmissionEntry entry;
        std::ranges::copy(input.Take(64), entry.bytes.begin());
        wire.SendCommand(entry, std::vector<std::byte>(size_t{input.Byte()} * 64));
        break;
      }
      case 2: {
        TransferFields fields;
        fields.transfer_tag = input.Byte();
        fields.command_id = input.Byte();
        fields.offset_bytes = (input.Word() & 0x1ffff) * 4;
        fields.length_bytes = (input.Word() & 0x1ffff) + 1;
        const bool is_last = (input.Byte() & 1) != 0;
        wire.SendData(fields, is_last, std::vector<std::byte>(fields.length_bytes));
        break;
      }
      default:
        rig.worker->Poll(0);
        wire.Drain();
        break;
    }
  }
}

}  // namespace
}  // namespace strata::nvmeof

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata::nvmeof;  // NOLINT(google-build-using-namespace): the entry's own body.
  if (size == 0) return 0;
  static Rig& ample = *new Rig(4u << 20);
  static Rig& small = *new Rig(1u << 20);
  Rig& rig = (data[0] & 32) != 0 ? small : ample;
  RunOne(rig, data[0], Input{{data + 1, size - 1}});
  // The hosts have gone; nothing of them may stay.
  for (int i = 0; i < 2000 && !rig.target->Connections().empty(); ++i) rig.worker->Poll(1'000'000);
  STRATA_CHECK(rig.target->Connections().empty(), "a connection stays");
  for (int i = 0; i < 2000 && !rig.subsystem->Controllers().empty(); ++i) {
    rig.worker->Poll(1'000'000);
  }
  STRATA_CHECK(rig.subsystem->Controllers().empty(), "a controller stays");
  return 0;
}

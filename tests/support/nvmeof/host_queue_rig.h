// SPDX-License-Identifier: Apache-2.0
//
// A queue of the host and the scripted controller that it is connected to, polled in turn.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "strata/base/clock.h"
#include "strata/block/buffer.h"
#include "strata/nvme/transport.h"
#include "strata/nvme/wire/fabrics.h"
#include "strata/nvmeof/initiator.h"
#include "support/nvmeof/scripted_controller.h"

namespace strata::nvmeof {

struct HostQueueRig {
  static constexpr char kNqn[] = "nqn.2026-11.org.example:scripted";
  static constexpr int64_t kPatienceNs = 30'000'000'000;

  explicit HostQueueRig(TcpOptions options = {},
                        nvme::QueueOptions queue_options = {
                            .queue_id = 1, .entries = 8, .capsule_data_bytes = 8192}) {
    options.endpoint = controller.endpoint();
    options.subsystem_nqn = kNqn;
    transport = *ConnectTcp(options);
    auto opened = queue_options.queue_id == 0 ? transport->OpenAdminQueue(queue_options)
                                              : transport->OpenQueue(queue_options);
    REQUIRE(opened.ok());
    queue = *std::move(opened);
  }

  // One round of both ends.
  void Round() {
    std::array<nvme::CompletionEntry, 16> entries;
    const int count = queue->Poll(entries);
    completions.insert(completions.end(), entries.begin(), entries.begin() + count);
    controller.Poll();
  }

  void Until(const std::function<bool()>& is_reached) {
    const int64_t end_ns = SystemClock().MonotonicNanos() + kPatienceNs;
    while (SystemClock().MonotonicNanos() < end_ns) {
      Round();
      if (is_reached()) return;
    }
    FAIL("it does not come to that; the queue is " << queue->health());
  }

  ReceivedPdu Next(PduType type) {
    std::optional<ReceivedPdu> pdu;
    Until([&] { return (pdu = controller.Take()).has_value(); });
    REQUIRE(static_cast<int>(pdu->header.type) == static_cast<int>(type));
    return *std::move(pdu);
  }

  void ReachInit() { init = Next(PduType::kInitRequest); }

  void ReachConnect(const InitFields& fields) {
    ReachInit();
    controller.SendInitResponse(fields);
    connect = Next(PduType::kCommandCapsule);
  }

  void Open(const InitFields& fields = {.limit = 8192}) {
    ReachConnect(fields);
    controller.SendResponse(0, {}, 7);  // Controller 7.
    Until([&] { return queue->is_open(); });
  }

  // A read or write of blocks of 4096 bytes.
  void Submit(uint16_t id, nvme::IoOpcode opcode, std::span<const block::Segment> segments) {
    nvme::SubmissionEntry entry;
    entry.Set(nvme::SubmissionEntry::kOpcode, static_cast<uint8_t>(opcode));
    entry.Set(nvme::SubmissionEntry::kCommandId, id);
    entry.Set(nvme::SubmissionEntry::kNamespaceId, 1);
    const bool reads = opcode == nvme::IoOpcode::kRead;
    const auto direction = segments.empty() ? nvme::DataDirection::kNone
                           : reads          ? nvme::DataDirection::kToHost
                                            : nvme::DataDirection::kToDevice;
    REQUIRE(queue->Submit(entry, direction, segments).ok());
  }

  nvme::Status StatusOf(size_t index) const {
    return nvme::Status::FromField(
        static_cast<uint16_t>(completions.at(index).Get(nvme::CompletionEntry::kStatus) >> 1));
  }

  ScriptedController controller;
  std::unique_ptr<nvme::Transport> transport;
  std::unique_ptr<nvme::HostQueue> queue;
  ReceivedPdu init;
  ReceivedPdu connect;
  std::vector<nvme::CompletionEntry> completions;
};

}  // namespace strata::nvmeof

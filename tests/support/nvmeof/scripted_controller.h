// SPDX-License-Identifier: Apache-2.0
//
// The controller's end of NVMe/TCP connections, written PDU by PDU. It does nothing by itself: the
// test says what it answers, right or wrong.
//
//   ScriptedController controller;
//   auto transport = ConnectTcp({.endpoint = controller.endpoint(), ...});
//   controller.Poll();                          // Accepts, receives; never blocks.
//   auto pdu = controller.Take(PduType::kInitRequest);
//   controller.SendInitResponse({});
//
// Thread safety: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "link/socket.h"
#include "pdu/pdu_reader.h"
#include "pdu/pdu_writer.h"
#include "strata/nvme/status.h"
#include "strata/nvme/wire/entries.h"

namespace strata::nvmeof {

// A PDU that came from the host.
struct ReceivedPdu {
  PduHeader header;  // Its `entry` points into `entry_bytes`.
  std::vector<std::byte> entry_bytes;
  std::vector<std::byte> data;
  bool data_digest_ok = true;

  nvme::SubmissionEntry entry() const;
};

class ScriptedController final {
 public:
  ScriptedController();

  Endpoint endpoint() const { return endpoint_; }

  // Accepts the next connection when there is none, and receives.
  void Poll();
  bool is_connected() const { return socket_.fd() >= 0; }
  // The host has ended the connection.
  bool is_ended() const { return is_ended_; }
  // Closes the connection; the next one may come.
  void Close();

  // The oldest PDU that was received and not taken.
  std::optional<ReceivedPdu> Take();

  // What both directions look like from the next PDU on. SendInitResponse() does it by itself.
  void SetNegotiated(const PduSettings& to_host, const PduSettings& from_host);

  void SendInitResponse(const InitFields& fields);
  void SendResponse(uint16_t command_id, nvme::Status status = {}, uint64_t result = 0);
  void SendData(uint16_t command_id, uint32_t offset, std::span<const std::byte> data,
                DataPduFlags flags);
  void SendR2t(uint16_t command_id, uint16_t tag, uint32_t offset, uint32_t length);
  void SendTermRequest(FatalError error, uint32_t information);
  void Send(std::span<const std::byte> bytes);

  // Between the two, what is sent is kept, and then leaves in one piece with `spoil` applied.
  void Hold() { is_holding_ = true; }
  std::vector<std::byte>& held() { return held_; }
  void Release();

 private:
  Socket listener_;
  Endpoint endpoint_;
  Socket socket_;
  bool is_ended_ = false;
  bool is_holding_ = false;
  std::vector<std::byte> held_;
  std::unique_ptr<PduReader> reader_;
  std::unique_ptr<PduWriter> writer_;
  PduSettings to_host_;
  std::optional<ReceivedPdu> current_;
  std::deque<ReceivedPdu> received_;
};

}  // namespace strata::nvmeof

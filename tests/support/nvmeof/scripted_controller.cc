// SPDX-License-Identifier: Apache-2.0
#include "support/nvmeof/scripted_controller.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::nvmeof {

nvme::SubmissionEntry ReceivedPdu::entry() const {
  nvme::SubmissionEntry entry;
  STRATA_CHECK(entry_bytes.size() == entry.bytes.size(), "a PDU without a submission entry");
  std::ranges::copy(entry_bytes, entry.bytes.begin());
  return entry;
}

ScriptedController::ScriptedController() {
  auto listener = ListenOn(*ParseEndpoint("127.0.0.1:0"));
  STRATA_CHECK(listener.ok(), "listening on loopback");
  listener_ = *std::move(listener);
  endpoint_ = LocalAddress(listener_.fd());
}

void ScriptedController::Poll() {
  if (socket_.fd() < 0) {
    Endpoint peer;
    auto socket = AcceptFrom(listener_.fd(), &peer);
    if (!socket.ok()) return;
    socket_ = *std::move(socket);
    is_ended_ = false;
    received_.clear();
    current_.reset();
    to_host_ = {};
    reader_ = std::make_unique<PduReader>(PduReaderOptions{.from_host = true,
                                                           .max_capsule_data_bytes = 1u << 20,
                                                           .max_transfer_data_bytes = 1u << 24});
    writer_ = std::make_unique<PduWriter>(to_host_);
  }
  std::array<std::byte, 65536> buffer;
  for (;;) {
    const ssize_t size = recv(socket_.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      is_ended_ = true;
      return;
    }
    std::span<const std::byte> input = std::span(buffer).first(static_cast<size_t>(size));
    for (PduEvent event = reader_->Read(&input); event != PduEvent::kNeedBytes;
         event = reader_->Read(&input)) {
      STRATA_CHECK(event != PduEvent::kViolation, "the host broke the protocol");
      if (event == PduEvent::kHeader) {
        current_.emplace();
        current_->header = reader_->header();
        current_->entry_bytes.assign(reader_->header().entry.begin(),
                                     reader_->header().entry.end());
      } else if (event == PduEvent::kData) {
        current_->data.insert(current_->data.end(), reader_->data().begin(), reader_->data().end());
      } else {
        current_->data_digest_ok = reader_->data_digest_ok();
        const bool is_init = current_->header.type == PduType::kInitRequest;
        received_.push_back(*std::move(current_));
        if (is_init) return;  // The test says what was negotiated before there is more.
      }
    }
  }
}

void ScriptedController::Close() {
  socket_.Close();
  is_ended_ = true;
}

std::optional<ReceivedPdu> ScriptedController::Take() {
  if (received_.empty()) return std::nullopt;
  ReceivedPdu pdu = std::move(received_.front());
  received_.pop_front();
  return pdu;
}

void ScriptedController::SetNegotiated(const PduSettings& to_host, const PduSettings& from_host) {
  to_host_ = to_host;
  writer_ = std::make_unique<PduWriter>(to_host);
  reader_->SetNegotiated(from_host);
}

void ScriptedController::SendInitResponse(const InitFields& fields) {
  std::array<std::byte, pdu::kInitBytes> bytes;
  WriteInitResponse(fields, bytes);
  Send(bytes);
  const PduSettings settings = {.header_digest = fields.header_digest,
                                .data_digest = fields.data_digest};
  PduSettings from_host = settings;
  from_host.data_alignment_0based = fields.data_alignment_0based;
  SetNegotiated(settings, from_host);
}

void ScriptedController::SendResponse(uint16_t command_id, nvme::Status status, uint64_t result) {
  nvme::CompletionEntry entry;
  entry.Set(nvme::CompletionEntry::kResult, result);
  entry.Set(nvme::CompletionEntry::kCommandId, command_id);
  entry.Set(nvme::CompletionEntry::kStatus, static_cast<uint16_t>(status.field() << 1));
  std::array<std::byte, pdu::kMaxHeadBytes> head;
  Send(std::span(head).first(writer_->WriteResponseCapsule(entry.bytes, head)));
}

void ScriptedController::SendData(uint16_t command_id, uint32_t offset,
                                  std::span<const std::byte> data, DataPduFlags flags) {
  std::array<std::byte, pdu::kMaxHeadBytes> head;
  const size_t head_bytes =
      writer_->WriteControllerData({.command_id = command_id,
                                    .offset_bytes = offset,
                                    .length_bytes = static_cast<uint32_t>(data.size())},
                                   flags, head);
  std::vector<std::byte> bytes(head.begin(), head.begin() + static_cast<ptrdiff_t>(head_bytes));
  bytes.insert(bytes.end(), data.begin(), data.end());
  if (to_host_.data_digest) {
    std::array<std::byte, 4> digest;
    StoreLe32(digest.data(), Crc32c(data));
    bytes.insert(bytes.end(), digest.begin(), digest.end());
  }
  Send(bytes);
}

void ScriptedController::SendR2t(uint16_t command_id, uint16_t tag, uint32_t offset,
                                 uint32_t length) {
  std::array<std::byte, pdu::kMaxHeadBytes> head;
  const size_t size = writer_->WriteReadyToTransfer({.command_id = command_id,
                                                     .transfer_tag = tag,
                                                     .offset_bytes = offset,
                                                     .length_bytes = length},
                                                    head);
  Send(std::span(head).first(size));
}

void ScriptedController::SendTermRequest(FatalError error, uint32_t information) {
  std::array<std::byte, pdu::kMaxTermBytes> term;
  Send(std::span(term).first(
      WriteTermRequest(false, {.error = error, .information = information}, {}, term)));
}

void ScriptedController::Send(std::span<const std::byte> bytes) {
  if (is_holding_) {
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    return;
  }
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      pollfd room{.fd = socket_.fd(), .events = POLLOUT, .revents = 0};
      STRATA_CHECK(poll(&room, 1, 20'000) == 1, "the host takes nothing");
      continue;
    }
    if (sent < 0) return;  // The host has gone.
    bytes = bytes.subspan(static_cast<size_t>(sent));
  }
}

void ScriptedController::Release() {
  is_holding_ = false;
  Send(std::exchange(held_, {}));
}

}  // namespace strata::nvmeof

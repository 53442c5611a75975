// SPDX-License-Identifier: Apache-2.0
#include "support/nvmeof/raw_host.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>

#include "strata/nvme/wire/registers.h"

namespace strata::nvmeof {
namespace {

constexpr int kPatienceMs = 20'000;

bool WaitFor(int fd, short events, int timeout_ms) {
  pollfd waited{fd, events, 0};
  return poll(&waited, 1, timeout_ms) > 0;
}

}  // namespace

RawHost::RawHost(const Endpoint& endpoint)
    : reader_({.from_host = false, .max_transfer_data_bytes = UINT32_MAX}) {
  int error = 0;
  absl::StatusOr<Socket> socket = StartConnect(endpoint, &error);
  if (!socket.ok()) throw std::runtime_error(std::string(socket.status().message()));
  socket_ = *std::move(socket);
  if (!WaitFor(socket_.fd(), POLLOUT, kPatienceMs) || TakeError(socket_.fd()) != 0) {
    throw std::runtime_error("the target cannot be reached");
  }
}

void RawHost::SendBytes(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!WaitFor(socket_.fd(), POLLOUT, kPatienceMs))
        throw std::runtime_error("nothing is taken");
    } else {
      return;  // The target has closed; Receive() tells.
    }
  }
}

std::optional<RawHost::Pdu> RawHost::Receive() {
  Pdu pdu;
  for (;;) {
    std::span<const std::byte> input = std::span<const std::byte>(received_).subspan(read_);
    const PduEvent event = reader_.Read(&input);
    read_ = received_.size() - input.size();
    switch (event) {
      case PduEvent::kHeader:
        pdu.header = reader_.header();
        pdu.entry.assign(pdu.header.entry.begin(), pdu.header.entry.end());
        pdu.header.entry = {};
        break;
      case PduEvent::kData:
        pdu.data.insert(pdu.data.end(), reader_.data().begin(), reader_.data().end());
        break;
      case PduEvent::kEnd:
        pdu.data_digest_ok = reader_.data_digest_ok();
        if (pdu.header.type == PduType::kInitResponse) {
          reader_.SetNegotiated({.header_digest = pdu.header.init.header_digest,
                                 .data_digest = pdu.header.init.data_digest});
        }
        return pdu;
      case PduEvent::kViolation:
        throw std::runtime_error("the target breaks the protocol: " +
                                 std::string(reader_.violation().what));
      case PduEvent::kNeedBytes: {
        if (is_ended_) return std::nullopt;
        if (!WaitFor(socket_.fd(), POLLIN, kPatienceMs)) throw std::runtime_error("no answer");
        std::array<std::byte, 65536> piece;
        const ssize_t got = recv(socket_.fd(), piece.data(), piece.size(), 0);
        received_.erase(received_.begin(), received_.begin() + static_cast<ptrdiff_t>(read_));
        read_ = 0;
        if (got <= 0) {
          is_ended_ = true;
          return std::nullopt;
        }
        received_.insert(received_.end(), piece.begin(), piece.begin() + got);
        break;
      }
    }
  }
}

bool RawHost::IsEnded() {
  while (!is_ended_) {
    if (!WaitFor(socket_.fd(), POLLIN, 5000)) return false;
    std::array<std::byte, 4096> piece;
    if (recv(socket_.fd(), piece.data(), piece.size(), 0) <= 0) is_ended_ = true;
  }
  return true;
}

void RawHost::EndSending() { (void)shutdown(socket_.fd(), SHUT_WR); }

void RawHost::Abort() {
  ResetOnClose(socket_.fd());
  socket_.Close();
}

void RawHost::Init(const PduSettings& settings) {
  std::array<std::byte, pdu::kInitBytes> bytes;
  WriteInitRequest({.data_alignment_0based = settings.data_alignment_0based,
                    .header_digest = settings.header_digest,
                    .data_digest = settings.data_digest},
                   bytes);
  SendBytes(bytes);
  const std::optional<Pdu> response = Receive();
  if (!response.has_value() || response->header.type != PduType::kInitResponse) {
    throw std::runtime_error("no ICResp");
  }
  init_ = response->header.init;
  writer_.emplace(PduSettings{.header_digest = init_.header_digest,
                              .data_digest = init_.data_digest,
                              .data_alignment_0based = init_.data_alignment_0based});
}

void RawHost::SendCommand(const nvme::SubmissionEntry& entry,
                          std::span<const std::byte> capsule_data) {
  std::array<std::byte, pdu::kMaxHeadBytes> head;
  const size_t size =
      writer_->WriteCommandCapsule(entry.bytes, static_cast<uint32_t>(capsule_data.size()), head);
  std::vector<std::byte> bytes(head.begin(), head.begin() + static_cast<ptrdiff_t>(size));
  bytes.insert(bytes.end(), capsule_data.begin(), capsule_data.end());
  const iovec vector{const_cast<std::byte*>(capsule_data.data()), capsule_data.size()};
  std::array<std::byte, pdu::kDigestBytes> tail;
  const size_t tail_size = writer_->WriteDataDigest({&vector, 1}, tail);
  bytes.insert(bytes.end(), tail.begin(), tail.begin() + static_cast<ptrdiff_t>(tail_size));
  SendBytes(bytes);
}

void RawHost::SendData(const TransferFields& fields, bool is_last,
                       std::span<const std::byte> data) {
  std::array<std::byte, pdu::kMaxHeadBytes> head;
  const size_t size = writer_->WriteHostData(fields, is_last, head);
  std::vector<std::byte> bytes(head.begin(), head.begin() + static_cast<ptrdiff_t>(size));
  bytes.insert(bytes.end(), data.begin(), data.end());
  const iovec vector{const_cast<std::byte*>(data.data()), data.size()};
  std::array<std::byte, pdu::kDigestBytes> tail;
  const size_t tail_size = writer_->WriteDataDigest({&vector, 1}, tail);
  bytes.insert(bytes.end(), tail.begin(), tail.begin() + static_cast<ptrdiff_t>(tail_size));
  SendBytes(bytes);
}

RawHost::Reply RawHost::Finish(std::span<const std::byte> data) {
  Reply reply;
  for (;;) {
    const std::optional<Pdu> pdu = Receive();
    if (!pdu.has_value()) throw std::runtime_error("the connection ended before the answer");
    switch (pdu->header.type) {
      case PduType::kReadyToTransfer: {
        ++reply.r2t_count;
        TransferFields fields = pdu->header.transfer;
        uint32_t left = fields.length_bytes;
        while (left > 0) {
          fields.length_bytes = std::min(left, init_.limit);
          left -= fields.length_bytes;
          SendData(fields, left == 0, data.subspan(fields.offset_bytes, fields.length_bytes));
          fields.offset_bytes += fields.length_bytes;
        }
        break;
      }
      case PduType::kControllerData:
        if (!pdu->data_digest_ok) throw std::runtime_error("a wrong data digest");
        reply.data.insert(reply.data.end(), pdu->data.begin(), pdu->data.end());
        if (!pdu->header.is_success) break;
        reply.by_success_flag = true;
        return reply;
      case PduType::kResponseCapsule: {
        nvme::CompletionEntry entry;
        std::ranges::copy(pdu->entry, entry.bytes.begin());
        reply.status = nvme::Status::FromField(entry.Get(nvme::CompletionEntry::kStatus) >> 1);
        reply.result = entry.Get(nvme::CompletionEntry::kResult);
        reply.queue_head = entry.Get(nvme::CompletionEntry::kQueueHead);
        return reply;
      }
      default:
        throw std::runtime_error("an unexpected PDU of type " +
                                 std::to_string(static_cast<int>(pdu->header.type)));
    }
  }
}

RawHost::Reply RawHost::Command(const nvme::SubmissionEntry& entry,
                                std::span<const std::byte> capsule_data) {
  SendCommand(entry, capsule_data);
  return Finish();
}

RawHost::Reply RawHost::Transfer(const nvme::SubmissionEntry& entry,
                                 std::span<const std::byte> data) {
  SendCommand(entry);
  return Finish(data);
}

RawHost::Reply RawHost::Connect(const ConnectOptions& options) {
  return Command(MakeConnectEntry(options), MakeConnectData(options).bytes);
}

void RawHost::Enable() {
  // CC: enabled, entries of 64 and 16 bytes.
  const Reply reply = Command(MakePropertySet(static_cast<uint32_t>(nvme::Property::kConfiguration),
                                              1u | 6u << 16 | 4u << 20));
  if (!reply.status.ok()) throw std::runtime_error("the controller cannot be enabled");
}

nvme::SubmissionEntry MakeEntry(uint8_t opcode, uint16_t command_id, uint32_t nsid,
                                uint32_t data_bytes, bool in_capsule) {
  nvme::SubmissionEntry entry;
  using E = nvme::SubmissionEntry;
  entry.Set(E::kOpcode, opcode);
  entry.Set(E::kFlags, nvme::kPsdtSgl);
  entry.Set(E::kCommandId, command_id);
  entry.Set(E::kNamespaceId, nsid);
  nvme::SglDescriptor sgl;
  sgl.Set(nvme::SglDescriptor::kLength, data_bytes);
  sgl.Set(nvme::SglDescriptor::kKind, in_capsule ? nvme::kSglInCapsule : nvme::kSglTransport);
  std::ranges::copy(sgl.bytes, entry.At(E::kData).begin());
  return entry;
}

nvme::SubmissionEntry MakeBlocksEntry(nvme::IoOpcode opcode, uint16_t command_id, uint32_t nsid,
                                      uint64_t lba, uint32_t blocks, uint32_t data_bytes,
                                      bool in_capsule) {
  nvme::SubmissionEntry entry =
      MakeEntry(static_cast<uint8_t>(opcode), command_id, nsid, data_bytes, in_capsule);
  entry.Set(nvme::SubmissionEntry::kStartLba, lba);
  entry.Set(nvme::SubmissionEntry::kBlocks0based, static_cast<uint16_t>(blocks - 1));
  return entry;
}

nvme::SubmissionEntry MakeConnectEntry(const RawHost::ConnectOptions& options) {
  nvme::FabricsCommand command;
  using F = nvme::FabricsCommand;
  command.bytes = MakeEntry(nvme::kFabricsOpcode, 1, 0, nvme::ConnectData::kSizeBytes, true).bytes;
  command.Set(F::kType, static_cast<uint8_t>(nvme::FabricsType::kConnect));
  command.Set(F::kQueueId, options.queue_id);
  command.Set(F::kQueueSize0based, static_cast<uint16_t>(options.queue_entries - 1));
  command.Set(F::kConnectAttributes,
              options.flow_control ? uint8_t{0} : nvme::kConnectNoFlowControl);
  command.Set(F::kKeepAliveMs, options.keep_alive_ms);
  nvme::SubmissionEntry entry;
  entry.bytes = command.bytes;
  return entry;
}

nvme::ConnectData MakeConnectData(const RawHost::ConnectOptions& options) {
  nvme::ConnectData data;
  data.At(nvme::ConnectData::kHostId)[0] = std::byte{1};
  data.Set(nvme::ConnectData::kControllerId, options.controller_id);
  data.SetText(nvme::ConnectData::kSubsystemNqn, options.subsystem_nqn, '\0');
  data.SetText(nvme::ConnectData::kHostNqn, options.host_nqn, '\0');
  return data;
}

nvme::SubmissionEntry MakePropertySet(uint32_t offset, uint64_t value) {
  nvme::FabricsCommand command;
  using F = nvme::FabricsCommand;
  command.bytes = MakeEntry(nvme::kFabricsOpcode, 2, 0, 0).bytes;
  command.Set(F::kType, static_cast<uint8_t>(nvme::FabricsType::kPropertySet));
  command.Set(F::kPropertyOffset, offset);
  command.Set(F::kPropertyValue, value);
  nvme::SubmissionEntry entry;
  entry.bytes = command.bytes;
  return entry;
}

}  // namespace strata::nvmeof

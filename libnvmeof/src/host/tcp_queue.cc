// SPDX-License-Identifier: Apache-2.0
#include "host/tcp_queue.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::nvmeof {
namespace {

using nvme::CompletionEntry;
using nvme::DataDirection;
using nvme::FabricsCommand;
using nvme::SubmissionEntry;

constexpr int64_t kMillisecondNs = 1'000'000;
constexpr size_t kBufferBytes = 64 << 10;
// After a large C2HData the next one is probably large too. What is received behind it into the
// buffer would have to be copied; a small window leaves it to be received in place.
constexpr size_t kBulkWindowBytes = 4096;
constexpr uint32_t kBulkDataBytes = 16 << 10;
constexpr size_t kSendVectors = 512;
constexpr size_t kSendPdus = 256;
constexpr size_t kReceiveVectors = 64;
constexpr int kSendsPerPoll = 8;
constexpr int kReceivesPerPoll = 8;
constexpr uint32_t kAdminCapsuleBytes = 8192;  // Of the admin queue and of fabrics commands.
constexpr uint32_t kMostControllerData = 16u << 20;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

uint64_t TotalBytes(std::span<const block::Segment> segments) {
  uint64_t total = 0;
  for (const block::Segment& segment : segments) total += segment.size_bytes;
  return total;
}

// What the specification calls SGL1: where the data of a command is.
void WriteSgl(SubmissionEntry* entry, uint32_t total_bytes, bool is_in_capsule) {
  nvme::SglDescriptor sgl;
  sgl.Set(nvme::SglDescriptor::kLength, total_bytes);
  sgl.Set(nvme::SglDescriptor::kKind, is_in_capsule ? nvme::kSglInCapsule : nvme::kSglTransport);
  std::memcpy(entry->At(SubmissionEntry::kData).data(), sgl.bytes.data(), sgl.bytes.size());
}

}  // namespace

TcpQueue::TcpQueue(std::shared_ptr<HostAssociation> association, const nvme::QueueOptions& options)
    : association_(std::move(association)),
      options_(options),
      slots_(options.entries),
      completed_(options.entries),
      reader_({.from_host = false, .max_transfer_data_bytes = kMostControllerData}),
      capsule_data_bytes_(options.queue_id == 0 ? kAdminCapsuleBytes : options.capsule_data_bytes),
      buffer_(std::make_unique_for_overwrite<std::byte[]>(kBufferBytes)),
      joining_(std::make_unique<Joining>()) {}

TcpQueue::~TcpQueue() {
  // Bytes that nobody read would make the close a reset, and take a TermReq with it.
  if (stage_ != Stage::kBroken || socket_.fd() < 0) return;
  for (int i = 0; i < kReceivesPerPoll; ++i) {
    if (recv(socket_.fd(), buffer_.get(), kBufferBytes, MSG_DONTWAIT) <= 0) return;
  }
}

absl::Status TcpQueue::Start() {
  int error = 0;
  STRATA_ASSIGN_OR_RETURN(socket_, StartConnect(association_->options.endpoint, &error));
  SetBuffers(socket_.fd(), association_->options.socket_buffer_bytes);
  if (error != 0 && error != EINPROGRESS) {
    return ErrnoStatus(error, absl::StrCat(association_->name, ": connect"));
  }
  SetStage(Stage::kConnecting);
  return absl::OkStatus();
}

void TcpQueue::SetStage(Stage stage) {
  stage_ = stage;
  deadline_ns_ = association_->clock->MonotonicNanos() +
                 static_cast<int64_t>(association_->options.connect_timeout_ms) * kMillisecondNs;
}

int64_t TcpQueue::NextDeadlineNs() const {
  return stage_ == Stage::kOpen || stage_ == Stage::kBroken ? INT64_MAX : deadline_ns_;
}

void TcpQueue::Break(const absl::Status& status) {
  if (stage_ == Stage::kBroken) return;
  stage_ = Stage::kBroken;
  landing_ = nullptr;
  broken_ = absl::Status(status.code(), absl::StrCat(association_->name, " queue ",
                                                     options_.queue_id, ": ", status.message()));
  (void)shutdown(socket_.fd(), SHUT_WR);
}

void TcpQueue::Violate(FatalError error, uint32_t information, std::string_view what) {
  if (stage_ == Stage::kBroken) return;
  SendTermRequest(error, information);
  Break(
      absl::DataLossError(absl::StrFormat("the controller broke the protocol: %s (FES %02xh, FEI "
                                          "%d)",
                                          View(what), static_cast<int>(error), information)));
}

// One try: the connection ends anyway. A PDU that has begun to leave must end first.
void TcpQueue::SendTermRequest(FatalError error, uint32_t information) {
  std::array<std::byte, pdu::kMaxTermBytes> term;
  const size_t term_bytes = WriteTermRequest(true, {.error = error, .information = information},
                                             reader_.header_bytes(), term);
  std::array<iovec, kSendVectors> vectors;
  size_t count = 0;
  if (sending_.is_cut()) count = sending_.Gather(std::span(vectors).first(kSendVectors - 1), 1);
  vectors[count++] = {term.data(), term_bytes};
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  (void)sendmsg(socket_.fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Opening.

void TcpQueue::AdvanceOpening() {
  if (association_->clock->MonotonicNanos() >= deadline_ns_) {
    const char* const what = stage_ == Stage::kConnecting     ? "no connection"
                             : stage_ == Stage::kInitializing ? "no ICResp"
                                                              : "no answer to Connect";
    Break(absl::UnavailableError(
        absl::StrFormat("%s within %d ms", what, association_->options.connect_timeout_ms)));
    return;
  }
  if (stage_ != Stage::kConnecting) return;
  if (const int error = TakeError(socket_.fd()); error != 0) {
    Break(ErrnoStatus(error, "connect"));
    return;
  }
  // A socket has a peer once it is connected.
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (getpeername(socket_.fd(), reinterpret_cast<sockaddr*>(&peer), &size) != 0) return;
  SetStage(Stage::kInitializing);
  SendInitRequest();
}

void TcpQueue::SendInitRequest() {
  OutgoingPdu& init = joining_->init;
  const TcpOptions& options = association_->options;
  init.head_bytes =
      static_cast<uint8_t>(WriteInitRequest({.header_digest = options.header_digest,
                                             .data_digest = options.data_digest,
                                             .limit = static_cast<uint32_t>(kMostR2ts) - 1},
                                            std::span<std::byte, pdu::kInitBytes>(init.head)));
  sending_.Append(&init);
}

void TcpQueue::OnInitResponse() {
  const InitFields& answer = reader_.header().init;
  const TcpOptions& options = association_->options;
  if (!sending_.empty()) {
    Violate(FatalError::kSequenceError, 0, "ICResp before ICReq");
    return;
  }
  if (answer.header_digest != options.header_digest || answer.data_digest != options.data_digest) {
    const bool is_refused = (options.header_digest && !answer.header_digest) ||
                            (options.data_digest && !answer.data_digest);
    if (!is_refused) {
      Violate(FatalError::kInvalidHeaderField, pdu::kInitDigestOffset,
              "ICResp asks for a digest that the host did not offer");
      return;
    }
    Break(absl::FailedPreconditionError(
        absl::StrFormat("the controller does not agree to %s digests",
                        options.header_digest && !answer.header_digest ? "header" : "data")));
    return;
  }
  reader_.SetNegotiated({.header_digest = answer.header_digest, .data_digest = answer.data_digest});
  writer_.emplace(PduSettings{.header_digest = answer.header_digest,
                              .data_digest = answer.data_digest,
                              .data_alignment_0based = answer.data_alignment_0based});
  max_host_data_bytes_ = answer.limit;
  SetStage(Stage::kJoining);
  SendConnect();
}

void TcpQueue::SendConnect() {
  using C = FabricsCommand;
  using D = nvme::ConnectData;
  const TcpOptions& options = association_->options;
  FabricsCommand command;
  command.Set(C::kOpcode, nvme::kFabricsOpcode);
  command.Set(C::kType, static_cast<uint8_t>(nvme::FabricsType::kConnect));
  command.Set(C::kQueueId, options_.queue_id);
  command.Set(C::kQueueSize0based, static_cast<uint16_t>(options_.entries - 1));
  // Without flow control the controller may leave out responses to reads (SUCCESS).
  command.Set(C::kConnectAttributes, nvme::kConnectNoFlowControl);
  if (options_.queue_id == 0) command.Set(C::kKeepAliveMs, options_.keep_alive_ms);
  D& data = joining_->data;
  std::ranges::copy(options.host_id, data.At(D::kHostId).begin());
  data.Set(D::kControllerId,
           options_.queue_id == 0 ? nvme::kDynamicController : association_->controller_id.load());
  data.SetText(D::kSubsystemNqn, options.subsystem_nqn, '\0');
  data.SetText(D::kHostNqn, options.host_nqn, '\0');
  joining_->segment = {data.bytes.data(), data.bytes.size()};
  Slot& slot = slots_[0];
  slot = Slot{};
  slot.data = {&joining_->segment, 1};
  slot.direction = DataDirection::kToDevice;
  slot.total_bytes = static_cast<uint32_t>(data.bytes.size());
  slot.is_in_capsule = true;
  SubmissionEntry entry;
  entry.bytes = command.bytes;
  entry.Set(SubmissionEntry::kFlags, nvme::kPsdtSgl);
  Place(&slot, entry);
}

void TcpQueue::OnConnected(const CompletionEntry& completion) {
  const auto status =
      nvme::Status::FromField(static_cast<uint16_t>(completion.Get(CompletionEntry::kStatus) >> 1));
  const uint32_t result = completion.Get(CompletionEntry::kDword0);
  if (!status.ok()) {
    const std::string where =
        status.code() == nvme::StatusCode::kConnectInvalidParameters
            ? absl::StrFormat("Connect (offset %d of the %s)", result & 0xffff,
                              (result & 0x10000) != 0 ? "data" : "command")
            : "Connect";
    absl::Status refusal = status.ToAbsl(where, true);
    // It will be refused again: that is not Unavailable, which may pass.
    if (status.do_not_retry() && absl::IsUnavailable(refusal)) {
      refusal = absl::FailedPreconditionError(refusal.message());
    }
    Break(refusal);
    return;
  }
  if ((result >> 16 & 3) != 0) {
    Break(absl::UnimplementedError("the controller asks for authentication"));
    return;
  }
  const uint16_t controller_id = static_cast<uint16_t>(result);
  if (options_.queue_id == 0) {
    if (controller_id >= 0xfff0) {
      Break(absl::DataLossError(
          absl::StrFormat("Connect: controller id %#x, which is reserved", controller_id)));
      return;
    }
    association_->controller_id.store(controller_id);
  }
  joining_.reset();
  stage_ = Stage::kOpen;
}

// Sending.

absl::Status TcpQueue::Submit(const SubmissionEntry& entry, DataDirection direction,
                              std::span<const block::Segment> data) {
  STRATA_CHECK(stage_ == Stage::kOpen || stage_ == Stage::kBroken, "a command before its queue");
  if (stage_ == Stage::kBroken) return absl::UnavailableError(broken_.message());
  const uint16_t id = entry.command_id();
  STRATA_CHECK(id < slots_.size() && !slots_[id].is_busy, "a command id that is in use");
  const uint64_t total_bytes = TotalBytes(data);
  STRATA_CHECK(total_bytes <= kMostControllerData, "a transfer beyond the limits");
  Slot& slot = slots_[id];
  slot.data = data;
  slot.landing = {.segments = data};
  slot.direction = data.empty() ? DataDirection::kNone : direction;
  slot.is_digest_wrong = false;
  slot.r2t_first = 0;
  slot.r2t_count = 0;
  slot.total_bytes = static_cast<uint32_t>(total_bytes);
  slot.received_bytes = 0;
  slot.requested_bytes = 0;
  slot.is_in_capsule =
      slot.direction == DataDirection::kToDevice && slot.total_bytes <= capsule_data_bytes_;
  Place(&slot, entry);
  return absl::OkStatus();
}

// Puts the capsule of a command on the list.
void TcpQueue::Place(Slot* slot, const SubmissionEntry& entry) {
  SubmissionEntry sent = entry;
  WriteSgl(&sent, slot->total_bytes, slot->is_in_capsule);
  OutgoingPdu& outgoing = slot->outgoing;
  outgoing.data_bytes = slot->is_in_capsule ? slot->total_bytes : 0;
  outgoing.data = {.segments = slot->data};
  outgoing.head_bytes = static_cast<uint8_t>(
      writer_->WriteCommandCapsule(sent.bytes, outgoing.data_bytes, outgoing.head));
  outgoing.tail_bytes = 0;
  if (outgoing.data_bytes > 0 && association_->options.data_digest) {
    uint32_t crc = 0;
    outgoing.data.Each(outgoing.data_bytes, [&](const std::byte* data, size_t size) {
      crc = ExtendCrc32c(crc, {data, size});
      return true;
    });
    StoreLe32(outgoing.tail.data(), crc);
    outgoing.tail_bytes = pdu::kDigestBytes;
  }
  slot->is_busy = true;
  sending_.Append(&outgoing);
}

// Puts the next H2CData of a command on the list; false: nothing is asked for.
bool TcpQueue::PlaceHostData(Slot* slot) {
  if (slot->r2t_count == 0) return false;
  ReadyToTransfer& r2t = slot->r2ts[slot->r2t_first];
  const uint32_t size = std::min(r2t.left_bytes, max_host_data_bytes_);
  const bool is_last = size == r2t.left_bytes;
  OutgoingPdu& outgoing = slot->outgoing;
  outgoing.data = SegmentCursor::At(slot->data, r2t.offset_bytes);
  outgoing.data_bytes = size;
  outgoing.head_bytes = static_cast<uint8_t>(
      writer_->WriteHostData({.command_id = static_cast<uint16_t>(slot - slots_.data()),
                              .transfer_tag = r2t.tag,
                              .offset_bytes = r2t.offset_bytes,
                              .length_bytes = size},
                             is_last, outgoing.head));
  outgoing.tail_bytes = 0;
  if (association_->options.data_digest) {
    uint32_t crc = 0;
    outgoing.data.Each(size, [&](const std::byte* data, size_t piece_bytes) {
      crc = ExtendCrc32c(crc, {data, piece_bytes});
      return true;
    });
    StoreLe32(outgoing.tail.data(), crc);
    outgoing.tail_bytes = pdu::kDigestBytes;
  }
  r2t.offset_bytes += size;
  r2t.left_bytes -= size;
  if (is_last) {
    slot->r2t_first = (slot->r2t_first + 1) % kMostR2ts;
    --slot->r2t_count;
  }
  sending_.Append(&outgoing);
  return true;
}

void TcpQueue::Flush() {
  is_blocked_ = false;
  for (int i = 0; i < kSendsPerPoll && !sending_.empty(); ++i) {
    std::array<iovec, kSendVectors> vectors;
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = sending_.Gather(vectors, kSendPdus);
    const ssize_t sent = sendmsg(socket_.fd(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        is_blocked_ = true;
        return;
      }
      Break(ErrnoStatus(errno, "send"));
      return;
    }
    sending_.Add(static_cast<size_t>(sent));
    for (OutgoingPdu* pdu = sending_.TakeSent(); pdu != nullptr; pdu = sending_.TakeSent()) {
      if (joining_ != nullptr && pdu == &joining_->init) continue;
      // A command's PDU is the first member of its slot.
      (void)PlaceHostData(reinterpret_cast<Slot*>(pdu));
    }
  }
  is_blocked_ = !sending_.empty();
}

// Receiving.

void TcpQueue::Receive() {
  for (int i = 0; i < kReceivesPerPoll && stage_ != Stage::kBroken; ++i) {
    std::array<iovec, kReceiveVectors> places;
    size_t count = 0;
    size_t direct_bytes = 0;
    if (landing_ != nullptr && reader_.data_left() > 0) {
      landing_->landing.Each(reader_.data_left(), [&](std::byte* data, size_t size) {
        if (count == kReceiveVectors - 1) return false;
        places[count++] = {data, size};
        direct_bytes += size;
        return true;
      });
    }
    const bool is_all = direct_bytes == reader_.data_left() || landing_ == nullptr;
    const size_t window_bytes = !is_all ? 0 : is_bulk_ ? kBulkWindowBytes : kBufferBytes;
    if (window_bytes > 0) places[count++] = {buffer_.get(), window_bytes};
    msghdr message{};
    message.msg_iov = places.data();
    message.msg_iovlen = count;
    const ssize_t result = recvmsg(socket_.fd(), &message, MSG_DONTWAIT);
    if (result < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) Break(ErrnoStatus(errno, "receive"));
      return;
    }
    if (result == 0) {
      Break(absl::UnavailableError("the controller closed the connection"));
      return;
    }
    const size_t received = static_cast<size_t>(result);
    const size_t landed = std::min(received, direct_bytes);
    if (landed > 0) Land(landed);
    // Without a byte more, too: the data that landed may be the end of its PDU.
    Process(std::span(buffer_.get(), received - landed));
    if (received < direct_bytes + window_bytes) return;  // The socket is empty.
  }
}

// Bytes were received in their place.
void TcpQueue::Land(size_t size_bytes) {
  landing_->landing.Each(size_bytes, [&](const std::byte* data, size_t size) {
    reader_.DataLanded({data, size});
    return true;
  });
  landing_->landing.Advance(size_bytes);
}

void TcpQueue::Process(std::span<const std::byte> input) {
  while (stage_ != Stage::kBroken) {
    switch (reader_.Read(&input)) {
      case PduEvent::kNeedBytes:
        return;
      case PduEvent::kHeader:
        OnHeader();
        break;
      case PduEvent::kData: {
        if (landing_ == nullptr) break;  // Of a TermReq.
        const std::byte* from = reader_.data().data();
        landing_->landing.Each(reader_.data().size(), [&](std::byte* data, size_t size) {
          std::memcpy(data, from, size);
          from += size;
          return true;
        });
        landing_->landing.Advance(reader_.data().size());
        break;
      }
      case PduEvent::kEnd:
        OnEnd();
        break;
      case PduEvent::kViolation: {
        const PduViolation& violation = reader_.violation();
        if (violation.is_answerable) {
          Violate(violation.error, violation.information, violation.what);
        } else {
          Break(absl::DataLossError(
              absl::StrCat("the controller broke the protocol: ", View(violation.what))));
        }
        return;
      }
    }
  }
}

void TcpQueue::OnHeader() {
  switch (reader_.header().type) {
    case PduType::kControllerData:
      OnControllerData();
      return;
    case PduType::kReadyToTransfer:
      OnReadyToTransfer();
      return;
    default:
      return;  // The others say nothing before they have ended.
  }
}

void TcpQueue::OnEnd() {
  const PduHeader& header = reader_.header();
  switch (header.type) {
    case PduType::kInitResponse:
      OnInitResponse();
      return;
    case PduType::kResponseCapsule:
      OnResponse();
      return;
    case PduType::kControllerTermRequest:
      Break(absl::UnavailableError(
          absl::StrFormat("the controller ended the connection (FES %02xh, FEI %d)",
                          static_cast<int>(header.term.error), header.term.information)));
      return;
    case PduType::kControllerData: {
      Slot* slot = std::exchange(landing_, nullptr);
      slot->received_bytes += header.data_bytes;
      if (!reader_.data_digest_ok()) slot->is_digest_wrong = true;
      if (!header.is_success) return;
      CompletionEntry completion;
      const auto id = static_cast<uint16_t>(slot - slots_.data());
      completion.Set(CompletionEntry::kCommandId, id);
      completion.Set(CompletionEntry::kQueueId, options_.queue_id);
      Complete(id, completion);
      return;
    }
    default:
      return;
  }
}

// The command of that id, if it is outstanding and its capsule has left.
TcpQueue::Slot* TcpQueue::Find(uint16_t command_id, size_t field_offset, std::string_view what) {
  if (command_id < slots_.size() && slots_[command_id].is_busy) return &slots_[command_id];
  Violate(FatalError::kInvalidHeaderField, static_cast<uint32_t>(field_offset), what);
  return nullptr;
}

void TcpQueue::OnControllerData() {
  const PduHeader& header = reader_.header();
  Slot* slot = Find(header.transfer.command_id, pdu::kCommandIdOffset,
                    "C2HData for a command that is not outstanding");
  if (slot == nullptr) return;
  if (slot->direction != DataDirection::kToHost) {
    Violate(FatalError::kInvalidHeaderField, pdu::kCommandIdOffset,
            "C2HData for a command that reads nothing");
    return;
  }
  if (slot->outgoing.is_listed) {
    Violate(FatalError::kSequenceError, 0, "C2HData before the command was sent");
    return;
  }
  const uint64_t end = uint64_t{header.transfer.offset_bytes} + header.transfer.length_bytes;
  if (end > slot->total_bytes) {
    Violate(FatalError::kDataOutOfRange, 0, "C2HData beyond the range of its command");
    return;
  }
  if (header.transfer.offset_bytes != slot->received_bytes) {
    Violate(FatalError::kInvalidHeaderField, pdu::kTransferOffset,
            "C2HData that does not continue what came before");
    return;
  }
  landing_ = slot;
  is_bulk_ = header.data_bytes >= kBulkDataBytes;
}

void TcpQueue::OnReadyToTransfer() {
  const TransferFields& transfer = reader_.header().transfer;
  Slot* slot =
      Find(transfer.command_id, pdu::kCommandIdOffset, "R2T for a command that is not outstanding");
  if (slot == nullptr) return;
  if (slot->direction != DataDirection::kToDevice || slot->is_in_capsule) {
    Violate(FatalError::kInvalidHeaderField, pdu::kCommandIdOffset,
            "R2T for a command that has no data to send");
    return;
  }
  if (slot->outgoing.is_listed && slot->requested_bytes == 0) {
    Violate(FatalError::kSequenceError, 0, "R2T before the command was sent");
    return;
  }
  // The one that is being sent is off the list already.
  if (slot->r2t_count == kMostR2ts) {
    Violate(FatalError::kR2tLimitExceeded, 0, "more R2Ts for a command than MAXR2T");
    return;
  }
  if (uint64_t{transfer.offset_bytes} + transfer.length_bytes > slot->total_bytes ||
      transfer.length_bytes > slot->total_bytes - slot->requested_bytes) {
    Violate(FatalError::kDataOutOfRange, 0, "R2T beyond the range of its command");
    return;
  }
  slot->requested_bytes += transfer.length_bytes;
  slot->r2ts[(slot->r2t_first + slot->r2t_count) % kMostR2ts] = {
      transfer.transfer_tag, transfer.offset_bytes, transfer.length_bytes};
  ++slot->r2t_count;
  if (!slot->outgoing.is_listed) PlaceHostData(slot);
}

void TcpQueue::OnResponse() {
  CompletionEntry completion;
  std::memcpy(completion.bytes.data(), reader_.header().entry.data(), completion.bytes.size());
  Complete(completion.command_id(), completion);
}

// What the answer is worth, by the data that came or went.
nvme::Status TcpQueue::Verdict(const Slot& slot) const {
  if (slot.is_digest_wrong) return nvme::StatusCode::kTransientTransportError;
  // An admin command may move less than its buffer holds.
  if (options_.queue_id == 0) return {};
  const bool is_short =
      (slot.direction == DataDirection::kToHost && slot.received_bytes != slot.total_bytes) ||
      (slot.direction == DataDirection::kToDevice && !slot.is_in_capsule &&
       slot.requested_bytes != slot.total_bytes);
  return is_short ? nvme::Status(nvme::StatusCode::kDataTransferError) : nvme::Status();
}

void TcpQueue::Complete(uint16_t command_id, CompletionEntry completion) {
  Slot* slot = Find(command_id, pdu::kEntryOffset + CompletionEntry::kCommandId.offset,
                    "a response to a command that is not outstanding");
  if (slot == nullptr) return;
  if (slot->outgoing.is_listed || slot->r2t_count > 0) {
    Violate(FatalError::kSequenceError, 0,
            "a response while the command or data that was asked for is still to be sent");
    return;
  }
  slot->is_busy = false;
  if (stage_ == Stage::kJoining) {
    OnConnected(completion);
    return;
  }
  if ((completion.Get(CompletionEntry::kStatus) & 0xfffe) == 0) {
    completion.Set(CompletionEntry::kStatus, static_cast<uint16_t>(Verdict(*slot).field() << 1));
  }
  completed_[(completed_first_ + completed_count_) % completed_.size()] = completion;
  ++completed_count_;
}

int TcpQueue::Poll(std::span<CompletionEntry> completions) {
  if (stage_ != Stage::kBroken) {
    if (stage_ != Stage::kOpen) AdvanceOpening();
    if (stage_ != Stage::kBroken && stage_ != Stage::kConnecting) {
      Flush();
      if (completed_count_ < completions.size() || stage_ != Stage::kOpen) Receive();
      // What was asked for leaves now: the caller may sleep.
      if (!sending_.empty() && !is_blocked_ && stage_ != Stage::kBroken) Flush();
    }
  }
  const size_t count = std::min(completed_count_, completions.size());
  for (size_t i = 0; i < count; ++i) {
    completions[i] = completed_[completed_first_];
    completed_first_ = (completed_first_ + 1) % completed_.size();
  }
  completed_count_ -= count;
  if (epoll_.fd() >= 0) Arm();
  return static_cast<int>(count);
}

// Sleeping.

absl::StatusOr<int> TcpQueue::EventFd() {
  if (epoll_.fd() >= 0) return epoll_.fd();
  Socket made(epoll_create1(EPOLL_CLOEXEC));
  Socket left(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{};
  if (made.fd() < 0 || left.fd() < 0 ||
      epoll_ctl(made.fd(), EPOLL_CTL_ADD, socket_.fd(), &event) != 0) {
    return ErrnoStatus(errno, "epoll");
  }
  event.events = EPOLLIN;
  if (epoll_ctl(made.fd(), EPOLL_CTL_ADD, left.fd(), &event) != 0) {
    return ErrnoStatus(errno, "epoll");
  }
  epoll_ = std::move(made);
  left_event_ = std::move(left);
  armed_events_ = 0;
  is_left_signalled_ = false;
  Arm();
  return epoll_.fd();
}

// Makes the descriptor readable exactly when there is something to do.
void TcpQueue::Arm() {
  // Completions for which the caller had no room, and what it must be told, are in no socket.
  const bool is_left = completed_count_ > 0 || stage_ == Stage::kBroken;
  if (is_left != is_left_signalled_) {
    uint64_t count = 1;
    if (is_left) {
      (void)!write(left_event_.fd(), &count, sizeof(count));
    } else {
      (void)!read(left_event_.fd(), &count, sizeof(count));
    }
    is_left_signalled_ = is_left;
  }
  if (stage_ == Stage::kBroken) return;
  const bool waits_for_room = is_blocked_ || stage_ == Stage::kConnecting;
  const uint32_t events = EPOLLIN | (waits_for_room ? uint32_t{EPOLLOUT} : 0);
  if (events == armed_events_) return;
  epoll_event event{};
  event.events = events;
  if (epoll_ctl(epoll_.fd(), EPOLL_CTL_MOD, socket_.fd(), &event) != 0) {
    Break(ErrnoStatus(errno, "epoll"));
    return;
  }
  armed_events_ = events;
}

}  // namespace strata::nvmeof

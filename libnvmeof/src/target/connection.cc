// SPDX-License-Identifier: Apache-2.0
#include "target/connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"
#include "target/worker.h"

namespace strata::nvmeof {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kTermNs = 1'000 * kMillisecond;  // For the peer to read the TermReq.
// From so many missing bytes of data on, they are received where they belong.
constexpr uint32_t kDirectBytes = 4096;

}  // namespace

Connection::Connection(WorkerModel& worker, bool is_discovery_only,
                       std::shared_ptr<ConnectionRecord> record)
    : worker_(worker),
      is_discovery_only_(is_discovery_only),
      record_(std::move(record)),
      info_(record_->info),
      reader_({.from_host = true,
               .max_capsule_data_bytes = kCapsuleDataBytes,
               .max_transfer_data_bytes = worker.target().options().max_host_data_bytes}),
      accepted_ns_(worker.now_ns()),
      state_since_ns_(accepted_ns_) {}

Connection::~Connection() {
  STRATA_CHECK(stream_ == nullptr && operation_count_ == 0, "a connection is destroyed in use");
}

void Connection::Begin(Stream* stream, const Endpoint& local) {
  stream_ = stream;
  info_.local = local;
}

void Connection::Note(LogLevel level, std::string_view what) const {
  const TargetOptions& options = worker_.target().options();
  Log(options.log, level,
      absl::StrCat("nvme-tcp ", ToString(info_.peer),
                   info_.host_nqn.empty() ? "" : absl::StrCat(" (", info_.host_nqn, ")"), ": ",
                   absl::string_view(what.data(), what.size())));
}

size_t Connection::PlaceReceived(std::span<iovec> places) {
  if (is_blocked_ || is_choked_) return 0;
  size_t count = 0;
  placed_directly_ = 0;
  if (current_ != nullptr && current_->segment_count > 0 && reader_.data_left() >= kDirectBytes) {
    const uint32_t left =
        std::min(reader_.data_left(), current_->data_bytes - current_->received_bytes);
    current_->EachMissingPiece(left, [&](std::span<std::byte> piece) {
      if (count + 1 == places.size()) return false;
      places[count++] = {piece.data(), piece.size()};
      placed_directly_ += static_cast<uint32_t>(piece.size());
      return true;
    });
  }
  if (receive_buffer_.empty()) receive_buffer_ = worker_.TakeReceiveBuffer();
  received_begin_ = 0;
  received_end_ = 0;
  places[count++] = {receive_buffer_.data(), receive_buffer_.size()};
  return count;
}

void Connection::OnReceived(size_t size_bytes) {
  worker_.CountWork();
  const size_t direct = std::min<size_t>(size_bytes, placed_directly_);
  if (state_ == State::kTerminating) {
    DropReceiveBuffer();
    return;
  }
  if (direct > 0) {
    current_->EachMissingPiece(direct, [this](std::span<std::byte> piece) {
      reader_.DataLanded(piece);
      return true;
    });
    current_->received_bytes += static_cast<uint32_t>(direct);
  }
  placed_directly_ = 0;
  received_end_ = size_bytes - direct;
  Process();
  if (!is_blocked_ && !is_choked_) DropReceiveBuffer();
}

void Connection::DropReceiveBuffer() {
  if (receive_buffer_.empty()) return;
  worker_.GiveReceiveBuffer(std::exchange(receive_buffer_, {}));
  received_begin_ = 0;
  received_end_ = 0;
}

void Connection::Unblock() {
  if (stream_ == nullptr || is_blocked_ || is_choked_) return;
  Process();
  if (is_blocked_ || is_choked_) return;
  DropReceiveBuffer();
  stream_->ResumeReceive();
}

void Connection::Process() {
  while (state_ != State::kTerminating && !is_blocked_) {
    if (IsChoked()) {
      is_choked_ = true;
      return;
    }
    std::span<const std::byte> input =
        std::span<const std::byte>(receive_buffer_)
            .subspan(received_begin_, received_end_ - received_begin_);
    const PduEvent event = reader_.Read(&input);
    received_begin_ = received_end_ - input.size();
    switch (event) {
      case PduEvent::kNeedBytes:
        return;
      case PduEvent::kHeader:
        OnHeader();
        break;
      case PduEvent::kData:
        OnData(reader_.data());
        break;
      case PduEvent::kEnd:
        OnPduEnd();
        break;
      case PduEvent::kViolation: {
        const PduViolation& violation = reader_.violation();
        if (violation.is_answerable) {
          Terminate(violation.error, violation.information, violation.what);
        } else {
          Cut(violation.what);
          is_blocked_ = true;
        }
        return;
      }
    }
  }
}

void Connection::OnHeader() {
  pdu_since_ns_ = worker_.now_ns();
  switch (reader_.header().type) {
    case PduType::kCommandCapsule:
      OnCommandHeader();
      return;
    case PduType::kHostData:
      OnHostDataHeader();
      return;
    default:
      return;  // What there is to do comes at the PDU's end.
  }
}

void Connection::OnHostDataHeader() {
  const PduHeader& header = reader_.header();
  const TransferFields& transfer = header.transfer;
  Operation* operation =
      transfer.transfer_tag < awaiting_.size() ? awaiting_[transfer.transfer_tag] : nullptr;
  if (operation == nullptr) {
    Terminate(FatalError::kInvalidHeaderField, pdu::kTransferTagOffset,
              "H2CData with a transfer tag of which no R2T is outstanding");
    return;
  }
  if (operation->command.entry.command_id() != transfer.command_id) {
    Terminate(FatalError::kInvalidHeaderField, pdu::kCommandIdOffset,
              "H2CData with another command's transfer tag");
    return;
  }
  const uint64_t end = uint64_t{transfer.offset_bytes} + transfer.length_bytes;
  if (transfer.offset_bytes != operation->received_bytes || end > operation->data_bytes) {
    Terminate(FatalError::kDataOutOfRange, 0, "H2CData that does not continue its transfer");
    return;
  }
  if (header.is_last != (end == operation->data_bytes)) {
    Terminate(FatalError::kInvalidHeaderField, pdu::kFlagsOffset,
              "H2CData whose LAST flag does not mark the end of the transfer");
    return;
  }
  current_ = operation;
}

void Connection::OnData(std::span<const std::byte> data) {
  if (current_ == nullptr || current_->segment_count == 0) return;
  // A capsule may have more than the command takes; the rest is dropped.
  data = data.first(std::min<size_t>(data.size(), current_->data_bytes - current_->received_bytes));
  const size_t size_bytes = data.size();
  current_->EachMissingPiece(size_bytes, [&data](std::span<std::byte> piece) {
    std::copy_n(data.data(), piece.size(), piece.data());
    data = data.subspan(piece.size());
    return true;
  });
  current_->received_bytes += static_cast<uint32_t>(size_bytes);
}

void Connection::OnPduEnd() {
  pdu_since_ns_ = 0;
  Operation* operation = std::exchange(current_, nullptr);
  switch (reader_.header().type) {
    case PduType::kInitRequest:
      OnInitRequest();
      return;
    case PduType::kCommandCapsule:
      EndCapsule(operation);
      return;
    case PduType::kHostData:
      record_->bytes_from_host.Add(reader_.header().data_bytes);
      if (!reader_.data_digest_ok()) operation->is_data_digest_wrong = true;
      if (operation->received_bytes == operation->data_bytes) EndHostData(operation);
      return;
    default:
      // H2CTermReq: the host gives the connection up.
      Note(LogLevel::kWarning, absl::StrCat("the host sent H2CTermReq, error ",
                                            static_cast<int>(reader_.header().term.error),
                                            ", information ", reader_.header().term.information));
      is_blocked_ = true;
      stream_->Close();
      return;
  }
}

void Connection::OnInitRequest() {
  const InitFields asked = reader_.header().init;
  const PduSettings settings{.header_digest = asked.header_digest,
                             .data_digest = asked.data_digest,
                             .data_alignment_0based = asked.data_alignment_0based};
  writer_.emplace(settings);
  // The host pads nothing: CPDA is 0.
  reader_.SetNegotiated({.header_digest = asked.header_digest, .data_digest = asked.data_digest});
  info_.has_header_digest = asked.header_digest;
  info_.has_data_digest = asked.data_digest;
  const size_t size = WriteInitResponse({.header_digest = asked.header_digest,
                                         .data_digest = asked.data_digest,
                                         .limit = worker_.target().options().max_host_data_bytes},
                                        init_);
  state_ = State::kAwaitsConnect;
  state_since_ns_ = worker_.now_ns();
  SendPlain(&init_send_, init_vector_, std::span(init_).first(size));
}

void Connection::SendPlain(SendRequest* request, std::span<iovec, 1> vector,
                           std::span<std::byte> bytes) {
  vector[0] = {bytes.data(), bytes.size()};
  request->vectors = vector;
  request->context = this;
  request->done = &OnPlainSent;
  if (unsent_count_++ == 0) sent_ns_ = worker_.now_ns();
  stream_->Send(request);
}

void Connection::OnPlainSent(SendRequest* request, bool /*is_sent*/) {
  static_cast<Connection*>(request->context)->CountSent();
}

void Connection::Terminate(FatalError error, uint32_t information, std::string_view what) {
  if (stream_ == nullptr || state_ == State::kTerminating) return;
  Note(LogLevel::kWarning,
       absl::StrCat("terminated: ", absl::string_view(what.data(), what.size())));
  worker_.target().CountTermination();
  const size_t size = WriteTermRequest(false, {error, information}, reader_.header_bytes(), term_);
  SendPlain(&term_send_, term_vector_, std::span(term_).first(size));
  // What the peer still sends is read and dropped: closing over unread bytes would reset the
  // connection, and the peer might never see the reason.
  stream_->ShutdownSend();
  state_ = State::kTerminating;
  state_since_ns_ = worker_.now_ns();
  if (queue_ != nullptr) queue_->Close();
}

void Connection::OnEnd() {
  if (stream_ != nullptr) stream_->Close();
}

void Connection::Cut(std::string_view why) {
  if (stream_ == nullptr || is_cut_) return;
  is_cut_ = true;
  Note(LogLevel::kWarning, absl::StrCat("cut: ", absl::string_view(why.data(), why.size())));
  worker_.target().CountTermination();
  worker_.target().CloseRecord(record_);
  stream_->Reset();
}

void Connection::OnClosed(const absl::Status& status) {
  if (!status.ok() && state_ == State::kOpen) {
    Note(LogLevel::kInfo, absl::StrCat("closed: ", status.message()));
  }
  stream_ = nullptr;
  state_ = State::kClosed;
  worker_.target().CloseRecord(record_);
  DropReceiveBuffer();
  if (current_ != nullptr && current_->stage == OperationStage::kReceiving) Release(current_);
  current_ = nullptr;
  for (Operation*& operation : awaiting_) {
    if (operation != nullptr) Release(std::exchange(operation, nullptr));
  }
  for (Operation* waiting = worker_.ForgetWaiting(this); waiting != nullptr;) {
    Operation* next = std::exchange(waiting->next, nullptr);
    Release(waiting);
    waiting = next;
  }
  // Event requests end; what a device has begun ends by itself. Then the connection is destroyed.
  if (queue_ != nullptr) queue_->Close();
}

void Connection::Drain() {
  if (is_draining_ || stream_ == nullptr) return;
  is_draining_ = true;
  EndIfDrained();
}

void Connection::CheckTimers(int64_t now_ns) {
  if (stream_ == nullptr) return;
  const TargetOptions& options = worker_.target().options();
  const int64_t data_ns = int64_t{options.data_timeout_ms} * kMillisecond;
  const auto is_late = [now_ns](int64_t since_ns, int64_t most_ns) {
    return now_ns - since_ns > most_ns;
  };
  switch (state_) {
    case State::kAwaitsInit:
    case State::kAwaitsConnect:
      if (is_late(state_since_ns_, int64_t{options.connect_timeout_ms} * kMillisecond)) {
        Cut(state_ == State::kAwaitsInit ? "no ICReq came in time" : "no Connect came in time");
        return;
      }
      break;
    case State::kTerminating:
      if (is_late(state_since_ns_, kTermNs)) stream_->Close();
      return;
    case State::kOpen:
      if (CutIfControllerIsGone()) return;
      if (queue_->id() == 0 && queue_->KeepAliveExpired()) {
        Cut("the host's Keep Alive did not come in time");
        return;
      }
      break;
    case State::kClosed:
      return;
  }
  EndIfDrained();
  if (unsent_count_ > 0 && is_late(sent_ns_, data_ns)) {
    Cut("the host takes nothing of what is sent");
    return;
  }
  // A capsule that waits for memory is our own delay.
  if (pdu_since_ns_ != 0 && !is_blocked_ && is_late(pdu_since_ns_, data_ns)) {
    Cut("the host began a PDU and did not end it in time");
    return;
  }
  if (free_tags_.size() == awaiting_.size()) return;
  for (const Operation* operation : awaiting_) {
    if (operation == nullptr || !is_late(operation->asked_ns, data_ns)) continue;
    Cut("the host owes data that it was asked for");
    return;
  }
}

}  // namespace strata::nvmeof

// SPDX-License-Identifier: Apache-2.0
//
// Commands of a connection, from the capsule to the answer.
#include <algorithm>
#include <cstring>
#include <utility>

#include "strata/nvme/wire/fabrics.h"
#include "target/connection.h"
#include "target/worker.h"

namespace strata::nvmeof {
namespace {

using nvme::DataDirection;
using nvme::Status;
using nvme::StatusCode;
using nvme::SubmissionEntry;

Status Refuse(StatusCode code) { return Status(code).DoNotRetry(); }

bool IsEventRequest(const Operation& operation) {
  return operation.command.entry.opcode() ==
         static_cast<uint8_t>(nvme::AdminOpcode::kAsyncEventRequest);
}

}  // namespace

void Connection::OnCommandHeader() {
  if (is_draining_ || is_disconnecting_) {
    is_blocked_ = true;  // Not begun, and never answered: the host tries it elsewhere.
    return;
  }
  if (CutIfControllerIsGone()) return;
  if (unanswered_count_ >= queue_entries_) {
    Terminate(FatalError::kSequenceError, 0, "more commands than the queue has entries");
    return;
  }
  Operation* operation = worker_.TakeOperation();
  operation->connection = this;
  operation->stage = OperationStage::kReceiving;
  operation->is_connect = false;
  operation->is_disconnect = false;
  operation->received_bytes = 0;
  operation->is_data_digest_wrong = false;
  operation->capsule_bytes = reader_.header().data_bytes;
  std::memcpy(operation->command.entry.bytes.data(), reader_.header().entry.data(),
              pdu::kSubmissionEntryBytes);
  ++operation_count_;
  ++unanswered_count_;
  queue_head_ = static_cast<uint16_t>((queue_head_ + 1u) % queue_entries_);
  record_->commands.Add(1);
  worker_.CountWork();
  current_ = operation;

  const bool is_fabrics = operation->command.entry.opcode() == nvme::kFabricsOpcode;
  nvme::Plan plan;
  if (is_fabrics || queue_ == nullptr) {
    plan = ExamineFabrics(operation);
  } else {
    plan = queue_->Examine(operation->command.entry);
  }
  operation->direction = plan.direction;
  operation->data_bytes = plan.data_bytes;
  operation->command.namespace_serial = plan.namespace_serial;
  operation->refusal = plan.status.ok() ? ExamineData(operation, plan) : plan.status;
  if (state_ == State::kTerminating || !operation->refusal.ok()) return;
  // Data of the capsule needs its memory now; all other data is asked for or made later.
  if (operation->capsule_bytes > 0 && operation->data_bytes > 0 && !worker_.TakeMemory(operation)) {
    is_blocked_ = true;
  }
}

// An answer of such a queue would be final for some hosts, which shall try elsewhere instead.
bool Connection::CutIfControllerIsGone() {
  if (queue_ == nullptr || queue_->is_alive()) return false;
  Cut(subsystem_->Admits(info_.host_nqn) ? "its controller was reset or is gone"
                                         : "its host may not connect any more");
  is_blocked_ = true;
  return true;
}

// Whether the command's descriptor suits what it moves. A length beyond that is allowed (SGLS bit
// 18): only what there is moves.
Status Connection::ExamineData(Operation* operation, const nvme::Plan& plan) {
  const SubmissionEntry& entry = operation->command.entry;
  if (entry.opcode() != nvme::kFabricsOpcode &&
      (entry.Get(SubmissionEntry::kFlags) & nvme::kPsdtMask) != nvme::kPsdtSgl) {
    return Refuse(StatusCode::kInvalidField);
  }
  nvme::SglDescriptor sgl;
  std::memcpy(sgl.bytes.data(), entry.Get(SubmissionEntry::kData).data(), sgl.bytes.size());
  const uint32_t length = sgl.Get(nvme::SglDescriptor::kLength);
  if (plan.data_bytes == 0) {
    const bool moves_none = length == 0 && operation->capsule_bytes == 0;
    return moves_none ? Status() : Refuse(StatusCode::kSglInvalidLength);
  }
  switch (sgl.Get(nvme::SglDescriptor::kKind)) {
    case nvme::kSglInCapsule:
      if (length > kCapsuleDataBytes) {
        Terminate(FatalError::kDataLimitExceeded, 0,
                  "a descriptor of more data than a capsule may have");
        return Refuse(StatusCode::kSglInvalidLength);
      }
      if (plan.direction != DataDirection::kToDevice) return Refuse(StatusCode::kSglInvalidType);
      if (sgl.Get(nvme::SglDescriptor::kAddress) != 0) {
        return Refuse(StatusCode::kSglInvalidOffset);
      }
      if (length != operation->capsule_bytes) return Refuse(StatusCode::kSglInvalidLength);
      break;
    case nvme::kSglTransport:
      // Connect's data come with it: before it there is no queue whose tags an R2T could name.
      if (operation->capsule_bytes != 0 || operation->is_connect) {
        return Refuse(StatusCode::kSglInvalidType);
      }
      break;
    default:
      return Refuse(StatusCode::kSglInvalidType);
  }
  return length >= plan.data_bytes ? Status() : Refuse(StatusCode::kSglInvalidLength);
}

void Connection::EndCapsule(Operation* operation) {
  record_->bytes_from_host.Add(operation->capsule_bytes);
  if (!reader_.data_digest_ok()) operation->refusal = StatusCode::kTransientTransportError;
  if (!operation->refusal.ok()) {
    Answer(operation, operation->refusal, 0);
    return;
  }
  if (operation->is_connect) {
    uint32_t result = 0;
    const Status status = Connect(*operation, &result);
    Answer(operation, status, result);
    return;
  }
  if (operation->is_disconnect) {
    is_disconnecting_ = true;
    Answer(operation, {}, 0);
    return;
  }
  const bool needs_memory = operation->data_bytes > 0 && operation->segment_count == 0;
  if (!needs_memory || worker_.TakeMemory(operation)) Proceed(operation);
}

void Connection::Resume(Operation* operation) {
  if (operation == current_) {
    operation->stage = OperationStage::kReceiving;
    is_blocked_ = false;
    Unblock();
    return;
  }
  if (state_ == State::kTerminating || stream_ == nullptr) {
    --unanswered_count_;
    Release(operation);
    return;
  }
  Proceed(operation);
}

void Connection::Proceed(Operation* operation) {
  const bool lacks_data = operation->direction == DataDirection::kToDevice &&
                          operation->received_bytes < operation->data_bytes;
  if (lacks_data) {
    AskForData(operation);
  } else {
    Start(operation);
  }
}

// The whole of it at once: the memory is there, and one R2T is what every host allows.
void Connection::AskForData(Operation* operation) {
  operation->transfer_tag = free_tags_.back();
  free_tags_.pop_back();
  awaiting_[operation->transfer_tag] = operation;
  operation->stage = OperationStage::kAwaitsData;
  operation->asked_ns = worker_.now_ns();
  const size_t size =
      writer_->WriteReadyToTransfer({.command_id = operation->command.entry.command_id(),
                                     .transfer_tag = operation->transfer_tag,
                                     .offset_bytes = 0,
                                     .length_bytes = operation->data_bytes},
                                    operation->r2t);
  SendPlain(&operation->r2t_send, operation->r2t_vector, std::span(operation->r2t).first(size));
}

void Connection::EndHostData(Operation* operation) {
  awaiting_[operation->transfer_tag] = nullptr;
  free_tags_.push_back(operation->transfer_tag);
  if (operation->is_data_digest_wrong) {
    Answer(operation, StatusCode::kTransientTransportError, 0);
    return;
  }
  Start(operation);
}

void Connection::Start(Operation* operation) {
  operation->stage = OperationStage::kAtDevice;
  nvme::Command& command = operation->command;
  command.data = operation->data();
  command.context = operation;
  command.done = &OnDone;
  if (queue_->id() == 0 && IsEventRequest(*operation)) ++event_count_;
  queue_->Start(&command);
}

void Connection::OnDone(nvme::Command* command) {
  Operation* operation = static_cast<Operation*>(command->context);
  Connection* self = operation->connection;
  if (self->queue_->id() == 0 && IsEventRequest(*operation)) --self->event_count_;
  self->Answer(operation, command->status, command->result);
}

void Connection::Answer(Operation* operation, Status status, uint64_t result) {
  --unanswered_count_;
  if (stream_ == nullptr || state_ == State::kTerminating || CutIfControllerIsGone()) {
    Release(operation);
    return;
  }
  const uint16_t command_id = operation->command.entry.command_id();
  const bool has_data =
      operation->direction == DataDirection::kToHost && status.ok() && operation->segment_count > 0;
  // A result other than 0 needs a response of its own.
  const bool is_success = has_data && !has_flow_control_ && result == 0;
  const size_t room = operation->segment_count + 3;
  if (operation->vectors.size() < room) operation->vectors.resize(room);
  size_t count = 0;
  if (has_data) {
    // First the data's places, where the digest finds them; then the head in front of them.
    const std::span<iovec> data =
        std::span(operation->vectors).subspan(1, operation->segment_count);
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = {operation->segments[i].data, operation->segments[i].size_bytes};
    }
    const size_t head = writer_->WriteControllerData(
        {.command_id = command_id, .offset_bytes = 0, .length_bytes = operation->data_bytes},
        {.is_last = true, .is_success = is_success}, operation->data_head);
    const size_t tail = writer_->WriteDataDigest(data, operation->data_tail);
    operation->vectors[0] = {operation->data_head.data(), head};
    count = 1 + data.size();
    if (tail > 0) operation->vectors[count++] = {operation->data_tail.data(), tail};
    record_->bytes_to_host.Add(operation->data_bytes);
  }
  if (!is_success) {
    nvme::CompletionEntry entry;
    using E = nvme::CompletionEntry;
    entry.Set(E::kResult, result);
    entry.Set(E::kQueueHead, has_flow_control_ ? queue_head_ : uint16_t{0xffff});
    entry.Set(E::kCommandId, command_id);
    entry.Set(E::kStatus, static_cast<uint16_t>(status.field() << 1));
    const size_t size = writer_->WriteResponseCapsule(entry.bytes, operation->response);
    operation->vectors[count++] = {operation->response.data(), size};
  }
  operation->stage = OperationStage::kReplied;
  operation->reply_send.vectors = std::span(operation->vectors).first(count);
  operation->reply_send.context = operation;
  operation->reply_send.done = &OnReplySent;
  if (unsent_count_++ == 0) sent_ns_ = worker_.now_ns();
  stream_->Send(&operation->reply_send);
}

void Connection::OnReplySent(SendRequest* request, bool /*is_sent*/) {
  Operation* operation = static_cast<Operation*>(request->context);
  Connection* self = operation->connection;
  self->Release(operation);
  self->CountSent();
}

void Connection::CountSent() {
  --unsent_count_;
  sent_ns_ = worker_.now_ns();
  if (stream_ == nullptr) return;
  if (is_choked_ && !IsChoked()) {
    is_choked_ = false;
    Unblock();
  }
  EndIfDrained();
}

void Connection::EndIfDrained() {
  if (!is_draining_ && !is_disconnecting_) return;
  if (unanswered_count_ != event_count_ || unsent_count_ > 0) return;
  // With the admin queue the controller ends, and what its other queues still do would be lost.
  const bool is_last = queue_ == nullptr || queue_->id() != 0 ||
                       !worker_.target().HasIoConnections(info_.subsystem_nqn, info_.controller_id);
  if (is_last) stream_->Close();
}

void Connection::Release(Operation* operation) {
  worker_.GiveMemory(operation);
  --operation_count_;
  worker_.GiveOperation(operation);
}

}  // namespace strata::nvmeof

// SPDX-License-Identifier: Apache-2.0
#include "device/queue_model.h"

#include <utility>

#include "device/segments.h"
#include "device/subsystem_model.h"
#include "strata/base/check.h"

namespace strata::nvme {

QueueModel::QueueModel(LaneModel& lane, std::shared_ptr<ControllerModel> controller,
                       uint16_t queue_id, uint32_t epoch)
    : lane_(lane), controller_(std::move(controller)), queue_id_(queue_id), epoch_(epoch) {
  lane_.AddQueue(this);
}

QueueModel::~QueueModel() {
  STRATA_CHECK(in_flight_ == 0, "a queue is destroyed with commands in flight");
  lane_.RemoveQueue(this);
  if (!is_registered_) return;
  if (queue_id_ == 0) controller_->End();
  const size_t left = controller_->RemoveQueue(queue_id_, &counters_);
  if (left == 0) lane_.subsystem().RemoveController(controller_.get());
}

bool QueueModel::Register() {
  is_registered_ = controller_->AddQueue(queue_id_, &counters_);
  return is_registered_;
}

const NamespaceEntry* QueueModel::Visible(uint32_t nsid) const {
  const NamespaceEntry* entry = lane_.table().Find(nsid);
  return entry != nullptr && entry->VisibleTo(controller_->host_nqn) ? entry : nullptr;
}

Plan QueueModel::Examine(const SubmissionEntry& entry) const {
  lane_.Refresh();
  return queue_id_ == 0 ? ExamineAdmin(entry) : ExamineIo(entry);
}

void QueueModel::Start(Command* command) {
  STRATA_CHECK(is_open_, "a command is started on a closed queue");
  lane_.CountStarted();
  ++in_flight_;
  command->result = 0;
  command->status = {};
  command->driver.queue = this;
  command->driver.channel = nullptr;
  command->driver.step = 0;
  command->driver.bytes = 0;
  Restart(command);
}

void QueueModel::Restart(Command* command) {
  const Plan plan = Examine(command->entry);
  if (!plan.status.ok()) {
    lane_.EndLater(command, plan.status);
    return;
  }
  if (command->namespace_serial != 0 && command->namespace_serial != plan.namespace_serial) {
    lane_.EndLater(command, Status(StatusCode::kInvalidNamespace).DoNotRetry());
    return;
  }
  if (TotalBytes(command->data) != plan.data_bytes) {
    // The namespace got another block size since the caller asked.
    lane_.EndLater(command, StatusCode::kNamespaceNotReady);
    return;
  }
  if (queue_id_ == 0) {
    StartAdmin(command);
  } else {
    StartIo(command);
  }
}

void QueueModel::Close() {
  is_open_ = false;
  while (!event_requests_.empty()) {
    lane_.EndLater(event_requests_.Pop(), StatusCode::kAbortedQueueDeleted);
  }
  event_request_count_ = 0;
  lane_.EndWaiting(this, StatusCode::kAbortedQueueDeleted);
}

void QueueModel::NoteEnd(Command* command) {
  --in_flight_;
  const Status status = command->status;
  if (status.ok() || status.code() == StatusCode::kAbortedQueueDeleted) return;
  counters_.errors.Add(1);
  if (IsMediaError(status)) counters_.media_errors.Add(1);
  ErrorLogEntry entry;
  entry.Set(ErrorLogEntry::kQueueId, queue_id_);
  entry.Set(ErrorLogEntry::kCommandId, command->entry.command_id());
  entry.Set(ErrorLogEntry::kStatus, static_cast<uint16_t>(status.field() << 1));
  entry.Set(ErrorLogEntry::kParameterLocation, 0xffff);  // Not of one parameter.
  if (queue_id_ != 0) {
    entry.Set(ErrorLogEntry::kLba, command->entry.Get(SubmissionEntry::kStartLba));
  }
  entry.Set(ErrorLogEntry::kNamespaceId, command->entry.namespace_id());
  controller_->NoteError(entry);
}

Status QueueModel::ReadProperty(uint32_t offset, uint32_t size_bytes, uint64_t* value) const {
  const auto property = static_cast<Property>(offset);
  switch (property) {
    case Property::kCapabilities:
      *value = controller_->Capabilities();
      break;
    case Property::kVersion:
      *value = kVersion21;
      break;
    case Property::kConfiguration:
      *value = controller_->configuration();
      break;
    case Property::kStatus:
      *value = controller_->status();
      break;
    case Property::kReadyTimeouts:
      *value = cap::kTimeout500ms.Of(controller_->Capabilities());
      break;
    default:
      return Status(StatusCode::kInvalidField).DoNotRetry();
  }
  if (queue_id_ == 0 && size_bytes == PropertyBytes(property)) return {};
  return Status(StatusCode::kInvalidField).DoNotRetry();
}

Status QueueModel::WriteProperty(uint32_t offset, uint32_t size_bytes, uint64_t value) {
  const bool is_known = static_cast<Property>(offset) == Property::kConfiguration;
  if (queue_id_ != 0 || !is_known || size_bytes != 4 || value > 0xffffffff) {
    return Status(StatusCode::kInvalidField).DoNotRetry();
  }
  if (!is_alive()) return Status(StatusCode::kCommandSequenceError).DoNotRetry();
  const uint32_t epoch_before = controller_->epoch();
  controller_->SetConfiguration(static_cast<uint32_t>(value));
  if (controller_->epoch() != epoch_before) {
    // A reset ends what the admin queue still holds.
    while (!event_requests_.empty()) {
      lane_.EndLater(event_requests_.Pop(), StatusCode::kAbortedQueueDeleted);
    }
    event_request_count_ = 0;
  }
  return {};
}

bool QueueModel::KeepAliveExpired() const {
  const uint32_t timeout_ms = controller_->keep_alive_ms.load(std::memory_order_relaxed);
  if (timeout_ms == 0) return false;
  const int64_t silent_ns = controller_->clock.MonotonicNanos() -
                            controller_->last_heard_ns.load(std::memory_order_relaxed);
  return silent_ns > int64_t{timeout_ms} * 1'000'000;
}

}  // namespace strata::nvme

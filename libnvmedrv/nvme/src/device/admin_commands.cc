// SPDX-License-Identifier: Apache-2.0
//
// Admin commands. All but Asynchronous Event Request end in the next Poll().
#include <algorithm>

#include "device/admin_pages.h"
#include "device/features.h"
#include "device/queue_model.h"
#include "device/segments.h"
#include "device/subsystem_model.h"

namespace strata::nvme {
namespace {

Plan Refuse(StatusCode code) { return {.status = Status(code).DoNotRetry()}; }

IdentifyArguments IdentifyArgumentsOf(const SubmissionEntry& entry) {
  const uint32_t dword10 = entry.Get(SubmissionEntry::kDword10);
  return {.cns = static_cast<uint8_t>(dword10),
          .command_set = static_cast<uint8_t>(entry.Get(SubmissionEntry::kDword11) >> 24),
          .controller_id = static_cast<uint16_t>(dword10 >> 16),
          .nsid = entry.namespace_id()};
}

struct LogArguments {
  uint8_t page;
  bool retains_event;
  uint64_t size_bytes;
  uint64_t offset_bytes;
  bool offset_is_index;
  uint8_t command_set;
};

LogArguments LogArgumentsOf(const SubmissionEntry& entry) {
  const uint32_t dword10 = entry.Get(SubmissionEntry::kDword10);
  const uint32_t dword11 = entry.Get(SubmissionEntry::kDword11);
  const uint32_t dword14 = entry.Get(SubmissionEntry::kDword14);
  const uint64_t dwords_0based = dword10 >> 16 | uint64_t{dword11 & 0xffff} << 16;
  return {.page = static_cast<uint8_t>(dword10),
          .retains_event = (dword10 & 1u << 15) != 0,
          .size_bytes = (dwords_0based + 1) * 4,
          .offset_bytes = entry.Get(SubmissionEntry::kDword12) |
                          uint64_t{entry.Get(SubmissionEntry::kDword13)} << 32,
          .offset_is_index = (dword14 & 1u << 23) != 0,
          .command_set = static_cast<uint8_t>(dword14 >> 24)};
}

Plan ExamineLog(const AdminView& view, const SubmissionEntry& entry) {
  const ControllerModel& controller = view.controller;
  const uint32_t most_bytes = controller.options.max_transfer_bytes;
  const LogArguments log = LogArgumentsOf(entry);
  if (!IsSupportedLogPage(controller.kind(), log.page)) {
    return Refuse(StatusCode::kInvalidLogPage);
  }
  const uint32_t nsid = entry.namespace_id();
  const LogPage page = static_cast<LogPage>(log.page);
  if (page == LogPage::kHealth && nsid != 0 && nsid != kAllNamespaces &&
      view.Visible(nsid) == nullptr) {
    return Refuse(StatusCode::kInvalidNamespace);
  }
  // How long the discovery log is, is known when it is made.
  const bool is_past_end = page != LogPage::kDiscovery && log.offset_bytes > LogPageBytes(page);
  if (log.offset_is_index || log.offset_bytes % 4 != 0 || is_past_end ||
      log.size_bytes > most_bytes || (page == LogPage::kCommandEffects && log.command_set != 0)) {
    return Refuse(StatusCode::kInvalidField);
  }
  return {.direction = DataDirection::kToHost, .data_bytes = static_cast<uint32_t>(log.size_bytes)};
}

// Every page is seen through a window of offset and length; past its end are zeroes.
void ReturnPage(std::span<const std::byte> page, uint64_t offset_bytes, Command* command) {
  const size_t wanted = TotalBytes(command->data);
  const auto window = page.subspan(std::min<uint64_t>(offset_bytes, page.size()));
  EachPiece(command->data, 0, wanted, [&](std::byte* piece, size_t at, size_t size) {
    const size_t copied = at < window.size() ? std::min(size, window.size() - at) : 0;
    if (copied > 0) std::copy_n(window.data() + at, copied, piece);
    std::fill_n(piece + copied, size - copied, std::byte{0});
  });
}

}  // namespace

Plan QueueModel::ExamineAdmin(const SubmissionEntry& entry) const {
  // A controller that has ended is enabled no more, whatever its host sends until it notices.
  if (!is_alive()) return Refuse(StatusCode::kCommandSequenceError);
  if (entry.opcode() == kFabricsOpcode) return ExamineFabrics(entry);
  if (!controller_->is_ready()) return Refuse(StatusCode::kCommandSequenceError);
  if (FindAdminCommand(controller_->kind(), entry.opcode()) == nullptr)
    return Refuse(StatusCode::kInvalidOpcode);
  if ((entry.Get(SubmissionEntry::kFlags) & kFuseMask) != 0) {
    return Refuse(StatusCode::kInvalidField);
  }
  switch (static_cast<AdminOpcode>(entry.opcode())) {
    case AdminOpcode::kIdentify: {
      const AdminView view{*controller_, lane_.subsystem(), lane_.table()};
      if (const Status status = CheckIdentify(view, IdentifyArgumentsOf(entry)); !status.ok()) {
        return {.status = status};
      }
      return {.direction = DataDirection::kToHost, .data_bytes = kIdentifyBytes};
    }
    case AdminOpcode::kGetLogPage:
      return ExamineLog({*controller_, lane_.subsystem(), lane_.table()}, entry);
    case AdminOpcode::kGetFeatures:
      return ExamineGetFeature(controller_->kind(), entry);
    case AdminOpcode::kSetFeatures:
      return {.status = CheckSetFeature(controller_->kind(), entry)};
    case AdminOpcode::kAsyncEventRequest:
      return event_request_count_ < controller_->options.max_async_events
                 ? Plan{}
                 : Refuse(StatusCode::kAsyncEventLimitExceeded);
    default:
      return {};
  }
}

Plan QueueModel::ExamineFabrics(const SubmissionEntry& entry) const {
  FabricsCommand command;
  command.bytes = entry.bytes;
  const auto type = static_cast<FabricsType>(command.Get(FabricsCommand::kType));
  if (type != FabricsType::kPropertyGet && type != FabricsType::kPropertySet) {
    return Refuse(StatusCode::kInvalidOpcode);
  }
  if ((command.Get(FabricsCommand::kPropertyAttributes) & 0x7) > 1) {
    return Refuse(StatusCode::kInvalidField);
  }
  return {};
}

void QueueModel::StartFabrics(Command* command) {
  FabricsCommand fabrics;
  fabrics.bytes = command->entry.bytes;
  const uint32_t size_bytes = (fabrics.Get(FabricsCommand::kPropertyAttributes) & 0x7) == 1 ? 8 : 4;
  const uint32_t offset = fabrics.Get(FabricsCommand::kPropertyOffset);
  const bool is_get =
      static_cast<FabricsType>(fabrics.Get(FabricsCommand::kType)) == FabricsType::kPropertyGet;
  const Status status =
      is_get ? ReadProperty(offset, size_bytes, &command->result)
             : WriteProperty(offset, size_bytes, fabrics.Get(FabricsCommand::kPropertyValue));
  lane_.EndLater(command, status);
}

void QueueModel::StartAdmin(Command* command) {
  const SubmissionEntry& entry = command->entry;
  controller_->last_heard_ns.store(controller_->clock.MonotonicNanos(), std::memory_order_relaxed);
  if (entry.opcode() == kFabricsOpcode) {
    StartFabrics(command);
    return;
  }
  const AdminView view{*controller_, lane_.subsystem(), lane_.table()};
  Status status;
  switch (static_cast<AdminOpcode>(entry.opcode())) {
    case AdminOpcode::kIdentify: {
      AdminPage page{};
      FillIdentify(view, IdentifyArgumentsOf(entry), page);
      ReturnPage(page, 0, command);
      break;
    }
    case AdminOpcode::kGetLogPage: {
      const LogArguments log = LogArgumentsOf(entry);
      const LogPage kind = static_cast<LogPage>(log.page);
      if (kind == LogPage::kDiscovery) {
        if (!log.retains_event) controller_->ClearEvents();
        ReturnPage(controller_->options.discovery->LogPageFor(controller_->host_nqn,
                                                              controller_->local_address),
                   log.offset_bytes, command);
        break;
      }
      AdminPage page{};
      FillLogPage(view, kind, entry.namespace_id(), log.retains_event, page);
      ReturnPage(std::span(page).first(LogPageBytes(kind)), log.offset_bytes, command);
      break;
    }
    case AdminOpcode::kGetFeatures:
      status = GetFeature(*controller_, command);
      break;
    case AdminOpcode::kSetFeatures:
      status = SetFeature(*controller_, command);
      break;
    case AdminOpcode::kAbort:
      status = Abort(*command, &command->result);
      break;
    case AdminOpcode::kAsyncEventRequest:
      event_requests_.Push(command);
      ++event_request_count_;
      DeliverEvents();
      return;
    default:
      break;  // Keep Alive: that it was heard is all.
  }
  lane_.EndLater(command, status);
  // A log that was read, or a feature that was set, may let an event through.
  DeliverEvents();
}

void QueueModel::DeliverEvents() {
  if (event_requests_.empty()) return;
  const bool is_discovery = controller_->kind() == ControllerKind::kDiscovery;
  const uint32_t wanted = is_discovery ? kDiscoveryNotices : kNamespaceNotices;
  if ((controller_->features.async_events & wanted) == 0) return;
  if (!controller_->TakeNotice()) return;
  Command* command = event_requests_.Pop();
  --event_request_count_;
  const LogPage log = is_discovery ? LogPage::kDiscovery : LogPage::kChangedNamespaces;
  command->result = kEventNotice | (is_discovery ? kNoticeDiscovery : kNoticeNamespaces) << 8 |
                    static_cast<uint32_t>(log) << 16;
  lane_.EndLater(command, {});
}

Status QueueModel::Abort(const Command& command, uint64_t* result) {
  const uint32_t dword10 = command.entry.Get(SubmissionEntry::kDword10);
  const uint16_t queue_id = static_cast<uint16_t>(dword10);
  const uint16_t command_id = static_cast<uint16_t>(dword10 >> 16);
  bool found = false;
  if (queue_id == 0) {
    event_requests_.TakeOut(
        [&](Command* c) { return !found && c->entry.command_id() == command_id; },
        [&](Command* c) {
          found = true;
          --event_request_count_;
          lane_.EndLater(c, StatusCode::kAbortRequested);
        });
  } else if (const QueueModel* queue = lane_.FindQueue(controller_->id, queue_id)) {
    // What a device has begun ends by itself, and soon; so does what waits on another thread.
    found = lane_.AbortWaiting(queue, command_id);
  }
  *result = found ? 0 : 1;
  return {};
}

}  // namespace strata::nvme

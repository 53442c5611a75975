// SPDX-License-Identifier: Apache-2.0
#include "device/features.h"

#include <algorithm>

#include "device/segments.h"

namespace strata::nvme {
namespace {

// Set Features, temperature threshold: which sensor, over or under.
constexpr uint32_t kSensorMask = 0x000f0000;
constexpr uint32_t kAllSensors = 0x000f0000;
constexpr uint32_t kUnderThreshold = 0x00100000;
constexpr uint32_t kThresholdKind = 0x00300000;

Feature FeatureOf(const SubmissionEntry& entry) {
  return static_cast<Feature>(entry.Get(SubmissionEntry::kDword10) & 0xff);
}

FeatureSelect SelectOf(const SubmissionEntry& entry) {
  return static_cast<FeatureSelect>(entry.Get(SubmissionEntry::kDword10) >> 8 & 0x7);
}

uint32_t GrantedQueues(const ControllerModel& controller, uint32_t asked_0based) {
  const uint32_t most_0based = controller.options.max_io_queues - 1;
  return std::min(asked_0based & 0xffff, most_0based) | std::min(asked_0based >> 16, most_0based)
                                                            << 16;
}

uint32_t ValueOf(const ControllerModel& controller, const FeatureValues& values,
                 const SubmissionEntry& entry, bool is_default) {
  switch (FeatureOf(entry)) {
    case Feature::kArbitration:
      return values.arbitration;
    case Feature::kPowerManagement:
      return values.power_management;
    case Feature::kTemperatureThreshold:
      return (entry.Get(SubmissionEntry::kDword11) & kThresholdKind) == kUnderThreshold
                 ? values.temperature_under
                 : values.temperature_over;
    case Feature::kErrorRecovery:
      return values.error_recovery;
    case Feature::kVolatileWriteCache:
      return is_default || controller.write_cache_enabled.load(std::memory_order_relaxed) ? 1 : 0;
    case Feature::kQueueCount:
      return GrantedQueues(controller, values.queue_count);
    case Feature::kWriteAtomicity:
      return values.write_atomicity;
    case Feature::kAsyncEvents:
      return values.async_events;
    case Feature::kKeepAliveTimer:
      return is_default ? 0 : controller.keep_alive_ms.load(std::memory_order_relaxed);
    case Feature::kHostId:
      return 0;
  }
  return 0;
}

}  // namespace

Plan ExamineGetFeature(ControllerKind kind, const SubmissionEntry& entry) {
  const Status invalid = Status(StatusCode::kInvalidField).DoNotRetry();
  const FeatureRow* row = FindFeature(kind, static_cast<uint8_t>(FeatureOf(entry)));
  if (row == nullptr || SelectOf(entry) > FeatureSelect::kSupported) return {.status = invalid};
  if (row->feature != Feature::kHostId || SelectOf(entry) == FeatureSelect::kSupported) return {};
  // Only the extended identifier, of 16 bytes.
  if ((entry.Get(SubmissionEntry::kDword11) & 1) == 0) return {.status = invalid};
  return {.direction = DataDirection::kToHost, .data_bytes = 16};
}

Status GetFeature(const ControllerModel& controller, Command* command) {
  const FeatureRow& row =
      *FindFeature(controller.kind(), static_cast<uint8_t>(FeatureOf(command->entry)));
  const FeatureSelect select = SelectOf(command->entry);
  if (select == FeatureSelect::kSupported) {
    command->result = row.is_changeable ? kFeatureIsChangeable : 0;
    return {};
  }
  if (row.feature == Feature::kHostId) Scatter(controller.host_id, command->data);
  // Nothing is saved: what would be is the default.
  const bool is_default = select != FeatureSelect::kCurrent;
  command->result = ValueOf(controller, is_default ? FeatureValues{} : controller.features,
                            command->entry, is_default);
  return {};
}

Status CheckSetFeature(ControllerKind kind, const SubmissionEntry& entry) {
  const auto refuse = [](StatusCode code) { return Status(code).DoNotRetry(); };
  const FeatureRow* row = FindFeature(kind, static_cast<uint8_t>(FeatureOf(entry)));
  if (row == nullptr) return refuse(StatusCode::kInvalidField);
  if ((entry.Get(SubmissionEntry::kDword10) & kFeatureSave) != 0) {
    return refuse(StatusCode::kFeatureNotSaveable);
  }
  // The host identifier is Connect's alone.
  if (row->feature == Feature::kHostId) return refuse(StatusCode::kCommandSequenceError);
  if (!row->is_changeable) return refuse(StatusCode::kFeatureNotChangeable);
  if (entry.namespace_id() != 0 && entry.namespace_id() != kAllNamespaces) {
    return refuse(StatusCode::kFeatureNotPerNamespace);
  }
  const uint32_t value = entry.Get(SubmissionEntry::kDword11);
  bool is_valid = (value & ~row->value_mask) == 0;
  if (row->feature == Feature::kPowerManagement) is_valid = is_valid && (value & 0x1f) == 0;
  if (row->feature == Feature::kQueueCount) {
    is_valid = (value & 0xffff) != 0xffff && value >> 16 != 0xffff;
  }
  if (row->feature == Feature::kTemperatureThreshold) {
    const uint32_t sensor = value & kSensorMask;
    is_valid = is_valid && (sensor == 0 || sensor == kAllSensors) &&
               (value & kThresholdKind) <= kUnderThreshold;
  }
  return is_valid ? Status() : refuse(StatusCode::kInvalidField);
}

Status SetFeature(ControllerModel& controller, Command* command) {
  const uint32_t value = command->entry.Get(SubmissionEntry::kDword11);
  FeatureValues& values = controller.features;
  switch (FeatureOf(command->entry)) {
    case Feature::kArbitration:
      values.arbitration = value;
      break;
    case Feature::kPowerManagement:
      values.power_management = value;
      break;
    case Feature::kTemperatureThreshold:
      ((value & kThresholdKind) == kUnderThreshold ? values.temperature_under
                                                   : values.temperature_over) = value & 0xffff;
      break;
    case Feature::kErrorRecovery:
      values.error_recovery = value;
      break;
    case Feature::kVolatileWriteCache:
      controller.write_cache_enabled.store(value != 0, std::memory_order_relaxed);
      break;
    case Feature::kQueueCount:
      if (controller.queue_count() > 1) {
        return Status(StatusCode::kCommandSequenceError).DoNotRetry();
      }
      values.queue_count = value;
      command->result = GrantedQueues(controller, value);
      break;
    case Feature::kWriteAtomicity:
      values.write_atomicity = value;
      break;
    case Feature::kAsyncEvents:
      values.async_events = value & (kNamespaceNotices | kDiscoveryNotices | 0xff);
      break;
    case Feature::kKeepAliveTimer:
      controller.keep_alive_ms.store(value, std::memory_order_relaxed);
      break;
    case Feature::kHostId:
      break;
  }
  return {};
}

}  // namespace strata::nvme

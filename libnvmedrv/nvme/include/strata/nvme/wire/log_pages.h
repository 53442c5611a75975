// SPDX-License-Identifier: Apache-2.0
//
// Log pages, features and asynchronous events: numbers and layouts. NVM Express Base 2.1, sections
// 5.1.2 (events), 5.1.12 (log pages) and 5.1.25 (features).
//
// Thread safety: values.
#pragma once

#include <cstdint>

#include "strata/nvme/wire/record.h"

namespace strata::nvme {

enum class LogPage : uint8_t {
  kSupportedLogPages = 0x00,
  kErrors = 0x01,
  kHealth = 0x02,
  kFirmwareSlots = 0x03,
  kChangedNamespaces = 0x04,
  kCommandEffects = 0x05,
  kFeatureEffects = 0x12,
  kManagementEffects = 0x13,
  kDiscovery = 0x70,
};

struct ErrorLogEntry : Record<ErrorLogEntry, 64> {
  static constexpr Field<uint64_t> kErrorCount{0};
  static constexpr Field<uint16_t> kQueueId{8};
  static constexpr Field<uint16_t> kCommandId{10};
  static constexpr Field<uint16_t> kStatus{12};  // As in a completion entry.
  static constexpr Field<uint16_t> kParameterLocation{14};
  static constexpr Field<uint64_t> kLba{16};
  static constexpr Field<uint32_t> kNamespaceId{24};
};
static_assert(sizeof(ErrorLogEntry) == 64);

// Counters are of 16 bytes; ours use the low eight.
struct HealthLog : Record<HealthLog, 512> {
  static constexpr Field<uint8_t> kCriticalWarning{0};
  static constexpr Field<uint8_t> kAvailableSpare{3};
  static constexpr Field<uint8_t> kSpareThreshold{4};
  static constexpr Field<uint64_t> kDataUnitsRead{32};  // Thousands of 512 bytes, rounded up.
  static constexpr Field<uint64_t> kDataUnitsWritten{48};
  static constexpr Field<uint64_t> kReadCommands{64};
  static constexpr Field<uint64_t> kWriteCommands{80};
  static constexpr Field<uint64_t> kPowerOnHours{128};
  static constexpr Field<uint64_t> kMediaErrors{160};
  static constexpr Field<uint64_t> kErrorLogEntries{176};
};
static_assert(sizeof(HealthLog) == 512);

struct FirmwareSlotLog : Record<FirmwareSlotLog, 512> {
  static constexpr Field<uint8_t> kActive{0};
  static constexpr Bytes<8> kSlot1{8};
};
static_assert(sizeof(FirmwareSlotLog) == 512);

struct CommandEffectsLog : Record<CommandEffectsLog, 4096> {
  static constexpr Bytes<1024> kAdmin{0};  // 256 dwords each.
  static constexpr Bytes<1024> kIo{1024};
};
static_assert(sizeof(CommandEffectsLog) == 4096);

inline constexpr uint32_t kEffectSupported = 1u << 0;
inline constexpr uint32_t kEffectChangesContent = 1u << 1;
inline constexpr uint32_t kEffectScopeNamespace = 1u << 20;
inline constexpr uint32_t kEffectScopeController = 1u << 21;

inline constexpr uint32_t kMostChangedNamespaces = 1024;

enum class Feature : uint8_t {
  kArbitration = 0x01,
  kPowerManagement = 0x02,
  kTemperatureThreshold = 0x04,
  kErrorRecovery = 0x05,
  kVolatileWriteCache = 0x06,
  kQueueCount = 0x07,
  kWriteAtomicity = 0x0a,
  kAsyncEvents = 0x0b,
  kKeepAliveTimer = 0x0f,
  kHostId = 0x81,
};

// Get Features, dword 10, bits 10:8.
enum class FeatureSelect : uint8_t { kCurrent = 0, kDefault = 1, kSaved = 2, kSupported = 3 };

inline constexpr uint32_t kFeatureSave = 1u << 31;  // Set Features, dword 10.
// The answer to FeatureSelect::kSupported.
inline constexpr uint32_t kFeatureIsSaveable = 1u << 0;
inline constexpr uint32_t kFeatureIsPerNamespace = 1u << 1;
inline constexpr uint32_t kFeatureIsChangeable = 1u << 2;

// The result of an Asynchronous Event Request: type in bits 2:0, information in 15:8, log in 23:16.
inline constexpr uint32_t kEventNotice = 2;
inline constexpr uint32_t kNoticeNamespaces = 0x00;
inline constexpr uint32_t kNoticeDiscovery = 0xf0;
// In OAES and in Feature::kAsyncEvents.
inline constexpr uint32_t kNamespaceNotices = 1u << 8;
inline constexpr uint32_t kDiscoveryNotices = 1u << 31;

}  // namespace strata::nvme

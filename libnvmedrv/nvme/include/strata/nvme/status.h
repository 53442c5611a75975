// SPDX-License-Identifier: Apache-2.0
//
// The status of an NVMe command, and the one table between it and the statuses of the house. The
// device side turns what a block device reported into an NVMe status, the host side turns it back;
// the codes that block::Request::status may carry survive the way there and back.
//
//   command->status = Status::OfBlock(request.op, request.status);             // Device.
//   request->status = completion.status().ToAbsl("nvme0n1 read", entry);       // Host.
//
// Thread safety: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "strata/base/export.h"
#include "strata/block/device.h"

namespace strata::nvme {

// Status code type (bits 10:8) and status code (bits 7:0). NVM Express Base 2.1, section 4.2.3. The
// meaning of a command-specific code from 80h on depends on the command.
enum class StatusCode : uint16_t {
  kSuccess = 0x000,
  kInvalidOpcode = 0x001,
  kInvalidField = 0x002,
  kCommandIdConflict = 0x003,
  kDataTransferError = 0x004,
  kPowerLoss = 0x005,
  kInternalError = 0x006,
  kAbortRequested = 0x007,
  kAbortedQueueDeleted = 0x008,
  kFusedFailed = 0x009,
  kFusedMissing = 0x00a,
  kInvalidNamespace = 0x00b,
  kCommandSequenceError = 0x00c,
  kSglInvalidSegment = 0x00d,
  kSglInvalidCount = 0x00e,
  kSglInvalidLength = 0x00f,
  kSglInvalidMetadataLength = 0x010,
  kSglInvalidType = 0x011,
  kInvalidControllerMemory = 0x012,
  kPrpInvalidOffset = 0x013,
  kAtomicWriteExceeded = 0x014,
  kOperationDenied = 0x015,
  kSglInvalidOffset = 0x016,
  kHostIdInconsistentFormat = 0x018,
  kKeepAliveExpired = 0x019,
  kKeepAliveInvalid = 0x01a,
  kAbortedPreempt = 0x01b,
  kSanitizeFailed = 0x01c,
  kSanitizeInProgress = 0x01d,
  kSglInvalidGranularity = 0x01e,
  kCommandInControllerMemory = 0x01f,
  kNamespaceWriteProtected = 0x020,
  kCommandInterrupted = 0x021,
  kTransientTransportError = 0x022,
  kProhibitedByLockdown = 0x023,
  kMediaNotReady = 0x024,
  kLbaOutOfRange = 0x080,
  kCapacityExceeded = 0x081,
  kNamespaceNotReady = 0x082,
  kReservationConflict = 0x083,
  kFormatInProgress = 0x084,

  kInvalidCompletionQueue = 0x100,
  kInvalidQueueId = 0x101,
  kInvalidQueueSize = 0x102,
  kAbortLimitExceeded = 0x103,
  kAsyncEventLimitExceeded = 0x105,
  kInvalidFirmwareSlot = 0x106,
  kInvalidFirmwareImage = 0x107,
  kInvalidInterruptVector = 0x108,
  kInvalidLogPage = 0x109,
  kInvalidFormat = 0x10a,
  kInvalidQueueDeletion = 0x10c,
  kFeatureNotSaveable = 0x10d,
  kFeatureNotChangeable = 0x10e,
  kFeatureNotPerNamespace = 0x10f,
  kOverlappingRange = 0x114,
  kNamespaceInsufficientCapacity = 0x115,
  kNamespaceIdUnavailable = 0x116,
  kNamespaceAlreadyAttached = 0x118,
  kNamespaceIsPrivate = 0x119,
  kNamespaceNotAttached = 0x11a,
  kControllerListInvalid = 0x11c,
  kInvalidControllerId = 0x11f,
  kCommandSetNotSupported = 0x129,
  kCommandSetNotEnabled = 0x12a,
  kCommandSetRejected = 0x12b,
  kInvalidCommandSet = 0x12c,
  // NVM commands.
  kConflictingAttributes = 0x180,
  kInvalidProtection = 0x181,
  kReadOnlyRange = 0x182,
  kSizeLimitExceeded = 0x183,
  // Fabrics commands.
  kConnectIncompatibleFormat = 0x180,
  kConnectControllerBusy = 0x181,
  kConnectInvalidParameters = 0x182,
  kConnectRestartDiscovery = 0x183,
  kConnectInvalidHost = 0x184,
  kDisconnectInvalidQueueType = 0x185,
  kDiscoveryRestart = 0x190,
  kAuthenticationRequired = 0x191,

  kWriteFault = 0x280,
  kUnrecoveredReadError = 0x281,
  kGuardCheckError = 0x282,
  kApplicationTagCheckError = 0x283,
  kReferenceTagCheckError = 0x284,
  kCompareFailure = 0x285,
  kAccessDenied = 0x286,
  kUnwrittenBlock = 0x287,
  kStorageTagCheckError = 0x288,

  kInternalPathError = 0x300,
  kAnaPersistentLoss = 0x301,
  kAnaInaccessible = 0x302,
  kAnaTransition = 0x303,
  kControllerPathError = 0x360,
  kHostPathError = 0x370,
  kAbortedByHost = 0x371,
};

class STRATA_EXPORT Status {
 public:
  constexpr Status() = default;      // Success.
  constexpr Status(StatusCode code)  // NOLINT(google-explicit-constructor): `return kInvalidField`.
      : field_(static_cast<uint16_t>(code)) {}

  // Bits 15:1 of the last two bytes of a completion entry.
  static constexpr Status FromField(uint16_t field) {
    Status status;
    status.field_ = field & 0x7fff;
    return status;
  }
  constexpr uint16_t field() const { return field_; }

  constexpr bool ok() const { return (field_ & 0x7ff) == 0; }
  constexpr StatusCode code() const { return static_cast<StatusCode>(field_ & 0x7ff); }
  constexpr uint8_t type() const { return (field_ >> 8) & 7; }
  constexpr uint8_t number() const { return field_ & 0xff; }

  // The same command will fail again: the host shall not retry it.
  constexpr bool do_not_retry() const { return (field_ & 0x4000) != 0; }
  constexpr Status DoNotRetry() const { return FromField(field_ | 0x4000); }
  // Which of CRDT1 to CRDT3 the host shall wait before a retry; 0: none.
  constexpr uint8_t retry_delay() const { return (field_ >> 11) & 3; }
  constexpr bool more() const { return (field_ & 0x2000) != 0; }

  friend constexpr bool operator==(Status, Status) = default;

  // "LBA Out of Range". `is_fabrics`: what command-specific codes mean for fabrics commands.
  std::string_view name(bool is_fabrics = false) const;
  // "00/80h LBA Out of Range, do not retry".
  std::string ToString(bool is_fabrics = false) const;

  // What the device side answers for a request of `op` that ended with `status`.
  static Status OfBlock(block::Op op, const absl::Status& status);

  // OK, or an error that names `what` and the status. Unavailable: another path, or this one later,
  // may serve the command. Aborted: a compare found a difference.
  absl::Status ToAbsl(std::string_view what, bool is_fabrics = false) const;
  absl::StatusCode ToAbslCode(bool is_fabrics = false) const;

 private:
  uint16_t field_ = 0;
};

}  // namespace strata::nvme

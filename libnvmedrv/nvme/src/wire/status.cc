// SPDX-License-Identifier: Apache-2.0
#include "strata/nvme/status.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace strata::nvme {
namespace {

using absl::StatusCode::kAborted;
using absl::StatusCode::kAlreadyExists;
using absl::StatusCode::kCancelled;
using absl::StatusCode::kDataLoss;
using absl::StatusCode::kFailedPrecondition;
using absl::StatusCode::kInternal;
using absl::StatusCode::kInvalidArgument;
using absl::StatusCode::kNotFound;
using absl::StatusCode::kOutOfRange;
using absl::StatusCode::kPermissionDenied;
using absl::StatusCode::kResourceExhausted;
using absl::StatusCode::kUnavailable;
using absl::StatusCode::kUnimplemented;
using Code = StatusCode;

struct Row {
  Code code;
  absl::StatusCode absl_code;
  std::string_view name;
};

// What the host makes of each code. Ordered by code.
constexpr Row kRows[] = {
    {Code::kSuccess, absl::StatusCode::kOk, "Successful Completion"},
    {Code::kInvalidOpcode, kUnimplemented, "Invalid Command Opcode"},
    {Code::kInvalidField, kInvalidArgument, "Invalid Field in Command"},
    {Code::kCommandIdConflict, kInternal, "Command ID Conflict"},
    {Code::kDataTransferError, kUnavailable, "Data Transfer Error"},
    {Code::kPowerLoss, kUnavailable, "Commands Aborted due to Power Loss Notification"},
    {Code::kInternalError, kInternal, "Internal Error"},
    {Code::kAbortRequested, kCancelled, "Command Abort Requested"},
    {Code::kAbortedQueueDeleted, kUnavailable, "Command Aborted due to SQ Deletion"},
    {Code::kFusedFailed, kAborted, "Command Aborted due to Failed Fused Command"},
    {Code::kFusedMissing, kInvalidArgument, "Command Aborted due to Missing Fused Command"},
    {Code::kInvalidNamespace, kNotFound, "Invalid Namespace or Format"},
    {Code::kCommandSequenceError, kFailedPrecondition, "Command Sequence Error"},
    {Code::kSglInvalidSegment, kInvalidArgument, "Invalid SGL Segment Descriptor"},
    {Code::kSglInvalidCount, kInvalidArgument, "Invalid Number of SGL Descriptors"},
    {Code::kSglInvalidLength, kInvalidArgument, "Data SGL Length Invalid"},
    {Code::kSglInvalidMetadataLength, kInvalidArgument, "Metadata SGL Length Invalid"},
    {Code::kSglInvalidType, kInvalidArgument, "SGL Descriptor Type Invalid"},
    {Code::kInvalidControllerMemory, kInvalidArgument, "Invalid Use of Controller Memory Buffer"},
    {Code::kPrpInvalidOffset, kInvalidArgument, "PRP Offset Invalid"},
    {Code::kAtomicWriteExceeded, kInvalidArgument, "Atomic Write Unit Exceeded"},
    {Code::kOperationDenied, kPermissionDenied, "Operation Denied"},
    {Code::kSglInvalidOffset, kInvalidArgument, "SGL Offset Invalid"},
    {Code::kHostIdInconsistentFormat, kInvalidArgument, "Host Identifier Inconsistent Format"},
    {Code::kKeepAliveExpired, kUnavailable, "Keep Alive Timer Expired"},
    {Code::kKeepAliveInvalid, kInvalidArgument, "Keep Alive Timeout Invalid"},
    {Code::kAbortedPreempt, kAborted, "Command Aborted due to Preempt and Abort"},
    {Code::kSanitizeFailed, kDataLoss, "Sanitize Failed"},
    {Code::kSanitizeInProgress, kUnavailable, "Sanitize In Progress"},
    {Code::kSglInvalidGranularity, kInvalidArgument, "SGL Data Block Granularity Invalid"},
    {Code::kCommandInControllerMemory, kUnimplemented, "Command Not Supported for Queue in CMB"},
    {Code::kNamespaceWriteProtected, kFailedPrecondition, "Namespace is Write Protected"},
    {Code::kCommandInterrupted, kUnavailable, "Command Interrupted"},
    {Code::kTransientTransportError, kUnavailable, "Transient Transport Error"},
    {Code::kProhibitedByLockdown, kPermissionDenied,
     "Command Prohibited by Command and Feature Lockdown"},
    {Code::kMediaNotReady, kUnavailable, "Admin Command Media Not Ready"},
    {Code::kLbaOutOfRange, kOutOfRange, "LBA Out of Range"},
    {Code::kCapacityExceeded, kResourceExhausted, "Capacity Exceeded"},
    {Code::kNamespaceNotReady, kUnavailable, "Namespace Not Ready"},
    {Code::kReservationConflict, kPermissionDenied, "Reservation Conflict"},
    {Code::kFormatInProgress, kUnavailable, "Format In Progress"},
    {Code::kInvalidCompletionQueue, kInvalidArgument, "Completion Queue Invalid"},
    {Code::kInvalidQueueId, kInvalidArgument, "Invalid Queue Identifier"},
    {Code::kInvalidQueueSize, kInvalidArgument, "Invalid Queue Size"},
    {Code::kAbortLimitExceeded, kResourceExhausted, "Abort Command Limit Exceeded"},
    {Code::kAsyncEventLimitExceeded, kResourceExhausted,
     "Asynchronous Event Request Limit Exceeded"},
    {Code::kInvalidFirmwareSlot, kInvalidArgument, "Invalid Firmware Slot"},
    {Code::kInvalidFirmwareImage, kInvalidArgument, "Invalid Firmware Image"},
    {Code::kInvalidInterruptVector, kInvalidArgument, "Invalid Interrupt Vector"},
    {Code::kInvalidLogPage, kInvalidArgument, "Invalid Log Page"},
    {Code::kInvalidFormat, kInvalidArgument, "Invalid Format"},
    {Code::kInvalidQueueDeletion, kInvalidArgument, "Invalid Queue Deletion"},
    {Code::kFeatureNotSaveable, kInvalidArgument, "Feature Identifier Not Saveable"},
    {Code::kFeatureNotChangeable, kFailedPrecondition, "Feature Not Changeable"},
    {Code::kFeatureNotPerNamespace, kInvalidArgument, "Feature Not Namespace Specific"},
    {Code::kOverlappingRange, kInvalidArgument, "Overlapping Range"},
    {Code::kNamespaceInsufficientCapacity, kResourceExhausted, "Namespace Insufficient Capacity"},
    {Code::kNamespaceIdUnavailable, kResourceExhausted, "Namespace Identifier Unavailable"},
    {Code::kNamespaceAlreadyAttached, kAlreadyExists, "Namespace Already Attached"},
    {Code::kNamespaceIsPrivate, kPermissionDenied, "Namespace Is Private"},
    {Code::kNamespaceNotAttached, kNotFound, "Namespace Not Attached"},
    {Code::kControllerListInvalid, kInvalidArgument, "Controller List Invalid"},
    {Code::kInvalidControllerId, kInvalidArgument, "Invalid Controller Identifier"},
    {Code::kCommandSetNotSupported, kUnimplemented, "I/O Command Set Not Supported"},
    {Code::kCommandSetNotEnabled, kFailedPrecondition, "I/O Command Set Not Enabled"},
    {Code::kCommandSetRejected, kInvalidArgument, "I/O Command Set Combination Rejected"},
    {Code::kInvalidCommandSet, kInvalidArgument, "Invalid I/O Command Set"},
    {Code::kConflictingAttributes, kInvalidArgument, "Conflicting Attributes"},
    {Code::kInvalidProtection, kInvalidArgument, "Invalid Protection Information"},
    {Code::kReadOnlyRange, kFailedPrecondition, "Attempted Write to Read Only Range"},
    {Code::kSizeLimitExceeded, kInvalidArgument, "Command Size Limit Exceeded"},
    {Code::kWriteFault, kDataLoss, "Write Fault"},
    {Code::kUnrecoveredReadError, kDataLoss, "Unrecovered Read Error"},
    {Code::kGuardCheckError, kDataLoss, "End-to-end Guard Check Error"},
    {Code::kApplicationTagCheckError, kDataLoss, "End-to-end Application Tag Check Error"},
    {Code::kReferenceTagCheckError, kDataLoss, "End-to-end Reference Tag Check Error"},
    {Code::kCompareFailure, kAborted, "Compare Failure"},
    {Code::kAccessDenied, kPermissionDenied, "Access Denied"},
    {Code::kUnwrittenBlock, kDataLoss, "Deallocated or Unwritten Logical Block"},
    {Code::kStorageTagCheckError, kDataLoss, "End-to-end Storage Tag Check Error"},
    {Code::kInternalPathError, kUnavailable, "Internal Path Error"},
    {Code::kAnaPersistentLoss, kUnavailable, "Asymmetric Access Persistent Loss"},
    {Code::kAnaInaccessible, kUnavailable, "Asymmetric Access Inaccessible"},
    {Code::kAnaTransition, kUnavailable, "Asymmetric Access Transition"},
    {Code::kControllerPathError, kUnavailable, "Controller Pathing Error"},
    {Code::kHostPathError, kUnavailable, "Host Pathing Error"},
    {Code::kAbortedByHost, kUnavailable, "Command Aborted By Host"},
};

constexpr Row kFabricsRows[] = {
    {Code::kConnectIncompatibleFormat, kInvalidArgument, "Incompatible Format"},
    {Code::kConnectControllerBusy, kUnavailable, "Controller Busy"},
    {Code::kConnectInvalidParameters, kInvalidArgument, "Connect Invalid Parameters"},
    {Code::kConnectRestartDiscovery, kUnavailable, "Connect Restart Discovery"},
    {Code::kConnectInvalidHost, kPermissionDenied, "Connect Invalid Host"},
    {Code::kDisconnectInvalidQueueType, kInvalidArgument, "Invalid Queue Type"},
    {Code::kDiscoveryRestart, kUnavailable, "Discover Restart"},
    {Code::kAuthenticationRequired, kPermissionDenied, "Authentication Required"},
};

constexpr bool IsOrdered(const Row* rows, size_t count) {
  for (size_t i = 1; i < count; ++i) {
    if (rows[i - 1].code >= rows[i].code) return false;
  }
  return true;
}
static_assert(IsOrdered(kRows, std::size(kRows)));
static_assert(IsOrdered(kFabricsRows, std::size(kFabricsRows)));

template <size_t kCount>
const Row* FindIn(const Row (&rows)[kCount], Code code) {
  const Row* row =
      std::lower_bound(std::begin(rows), std::end(rows), code,
                       [](const Row& candidate, Code wanted) { return candidate.code < wanted; });
  return row != std::end(rows) && row->code == code ? row : nullptr;
}

const Row* Find(Code code, bool is_fabrics) {
  if (is_fabrics) {
    if (const Row* row = FindIn(kFabricsRows, code)) return row;
  }
  return FindIn(kRows, code);
}

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

bool ReadsOnly(block::Op op) { return op == block::Op::kRead || op == block::Op::kCompare; }

}  // namespace

std::string_view Status::name(bool is_fabrics) const {
  if (const Row* row = Find(code(), is_fabrics)) return row->name;
  return type() == 7 ? "Vendor Specific" : "unknown";
}

std::string Status::ToString(bool is_fabrics) const {
  return absl::StrFormat("%02x/%02xh %s%s", type(), number(), View(name(is_fabrics)),
                         do_not_retry() ? ", do not retry" : "");
}

absl::StatusCode Status::ToAbslCode(bool is_fabrics) const {
  if (const Row* row = Find(code(), is_fabrics)) return row->absl_code;
  // A code that we do not know: of its type we know whether another path may help.
  switch (type()) {
    case 2:
      return kDataLoss;
    case 3:
      return kUnavailable;
    default:
      return kInternal;
  }
}

absl::Status Status::ToAbsl(std::string_view what, bool is_fabrics) const {
  if (ok()) return absl::OkStatus();
  return absl::Status(ToAbslCode(is_fabrics), absl::StrCat(View(what), ": ", ToString(is_fabrics)));
}

Status Status::OfBlock(block::Op op, const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return {};
    case kAborted:
      return op == block::Op::kCompare ? Code::kCompareFailure : Code::kInternalError;
    case kDataLoss:
      return ReadsOnly(op) ? Code::kUnrecoveredReadError : Code::kWriteFault;
    case kUnavailable:
      return Code::kInternalPathError;
    case kResourceExhausted:
      return Status(Code::kCapacityExceeded).DoNotRetry();
    case kOutOfRange:
      return Status(Code::kLbaOutOfRange).DoNotRetry();
    case kFailedPrecondition:
      return Status(Code::kNamespaceWriteProtected).DoNotRetry();
    case kPermissionDenied:
      return Status(Code::kAccessDenied).DoNotRetry();
    case kInvalidArgument:
      return Status(Code::kInvalidField).DoNotRetry();
    case kUnimplemented:
      return Status(Code::kInvalidOpcode).DoNotRetry();
    case kCancelled:
      return Code::kAbortRequested;
    default:
      return Code::kInternalError;
  }
}

}  // namespace strata::nvme

// SPDX-License-Identifier: Apache-2.0
#include "rocksdb_status.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace strata::kv {
namespace {

absl::StatusCode CodeOf(const rocksdb::Status& status) {
  using Code = rocksdb::Status::Code;
  using SubCode = rocksdb::Status::SubCode;
  if (status.subcode() == SubCode::kNoSpace || status.subcode() == SubCode::kSpaceLimit) {
    return absl::StatusCode::kResourceExhausted;
  }
  switch (status.code()) {
    case Code::kOk:
      return absl::StatusCode::kOk;
    case Code::kCorruption:
      return absl::StatusCode::kDataLoss;
    case Code::kInvalidArgument:
      return absl::StatusCode::kInvalidArgument;
    case Code::kNotFound:
      return absl::StatusCode::kNotFound;
    case Code::kNotSupported:
      return absl::StatusCode::kUnimplemented;
    case Code::kIOError:
    case Code::kBusy:
    case Code::kTimedOut:
    case Code::kTryAgain:
    case Code::kShutdownInProgress:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = status.ToString();
  absl::StatusCode code = CodeOf(status);
  // What has no code of its own, or loses it when it is passed on from background work.
  if (text.find("No space left on device") != std::string::npos) {
    code = absl::StatusCode::kResourceExhausted;
  } else if (status.IsIOError() && text.find("lock") != std::string::npos &&
             text.find("/LOCK") != std::string::npos) {
    code = absl::StatusCode::kFailedPrecondition;
  }
  return absl::Status(code, absl::StrCat(std::string(doing), ": ", text));
}

}  // namespace strata::kv

// SPDX-License-Identifier: Apache-2.0
#include "strata/ofs/posix_error.h"

#include <cerrno>
#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "strata/base/errno_status.h"

namespace strata::ofs {
namespace {

constexpr absl::string_view kPayload = "strata.errno";

}  // namespace

absl::Status PosixError(int error, std::string_view what) {
  absl::Status status = ErrnoStatus(error, what);
  status.SetPayload(kPayload, absl::Cord(absl::StrCat(error)));
  return status;
}

int ErrnoOf(const absl::Status& status) {
  if (status.ok()) return 0;
  if (const absl::optional<absl::Cord> payload = status.GetPayload(kPayload); payload) {
    int error = 0;
    if (absl::SimpleAtoi(std::string(*payload), &error) && error > 0) return error;
  }
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return ENOENT;
    case absl::StatusCode::kAlreadyExists:
      return EEXIST;
    case absl::StatusCode::kResourceExhausted:
      return ENOSPC;
    case absl::StatusCode::kPermissionDenied:
      return EPERM;
    case absl::StatusCode::kInvalidArgument:
      return EINVAL;
    case absl::StatusCode::kUnimplemented:
      return ENOTSUP;
    case absl::StatusCode::kCancelled:
      return EINTR;
    default:
      return EIO;
  }
}

}  // namespace strata::ofs

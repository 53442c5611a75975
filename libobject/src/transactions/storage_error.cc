// SPDX-License-Identifier: Apache-2.0
#include "transactions/storage_error.h"

#include <string>

#include "strata/base/errno_status.h"
#include "strata/object/error.h"

namespace strata::object {

absl::Status FromStorage(absl::Status status) {
  if (status.ok() || ReasonOf(status) != Reason::kNone) return status;
  const std::string message(status.message());
  if (absl::IsDataLoss(status)) return MakeError(Reason::kDamaged, message);
  if (absl::IsResourceExhausted(status)) return MakeError(Reason::kStorageFull, message);
  return status;
}

absl::Status FromStorage(absl::Status status, std::string_view doing) {
  if (status.ok() || ReasonOf(status) != Reason::kNone) return status;
  return FromStorage(Annotate(status, doing));
}

}  // namespace strata::object

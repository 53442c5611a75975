// SPDX-License-Identifier: Apache-2.0
#include "stripes/codes.h"

#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

absl::StatusOr<std::unique_ptr<ec::Code>> Make(const Protection& protection) {
  if (protection.kind == Protection::Kind::kLocallyRepairable) {
    return ec::CreateLocallyRepairable(
        {.data_shards = protection.data_units,
         .groups = protection.local_groups,
         .global_parities = protection.parity_units - protection.local_groups});
  }
  return ec::CreateReedSolomon(
      {.data_shards = protection.data_units, .parity_shards = protection.parity_units});
}

}  // namespace

absl::StatusOr<const ec::Code*> Codes::Find(const Protection& protection) {
  if (protection.kind == Protection::Kind::kMirror) return nullptr;
  MutexLock lock(&mutex_);
  std::unique_ptr<ec::Code>& code = made_[protection];
  if (code == nullptr) {
    STRATA_ASSIGN_OR_RETURN(code, Make(protection));
  }
  return code.get();
}

}  // namespace strata::ofs

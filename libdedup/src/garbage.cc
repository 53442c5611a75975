// SPDX-License-Identifier: Apache-2.0
#include "store_core.h"

namespace strata::dedup {

absl::StatusOr<GarbageReport> CollectGarbage(StoreCore*, const GarbageOptions&) {
  return absl::UnimplementedError("dedup: garbage collection");
}

absl::StatusOr<VerifyReport> VerifyStore(StoreCore*, const VerifyOptions&) {
  return absl::UnimplementedError("dedup: verification");
}

absl::Status RebuildChunkIndex(StoreCore*, const ProgressCallback&) {
  return absl::UnimplementedError("dedup: rebuilding the index");
}

}  // namespace strata::dedup

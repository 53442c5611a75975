// SPDX-License-Identifier: Apache-2.0
//
// The calls that go through a whole store: garbage.cc, verify.cc, rebuild.cc.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store_core.h"

namespace strata::dedup {

absl::StatusOr<GarbageReport> CollectGarbage(StoreCore* core, const GarbageOptions& options);
absl::StatusOr<GarbageReport> FoldStore(StoreCore* core, const FoldOptions& options);
absl::StatusOr<VerifyReport> VerifyStore(StoreCore* core, const VerifyOptions& options);
absl::Status RebuildChunkIndex(StoreCore* core, const ProgressCallback& progress);

}  // namespace strata::dedup

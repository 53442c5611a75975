// SPDX-License-Identifier: Apache-2.0
//
// RocksDB's errors in our terms.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "rocksdb/status.h"

namespace strata::kv {

// `doing` begins the message: "opening /data/kv". DataLoss: damaged files; ResourceExhausted: no
// space; FailedPrecondition: the lock is held; Unavailable: the disk or the file system failed.
absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view doing);

}  // namespace strata::kv

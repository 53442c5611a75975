// SPDX-License-Identifier: Apache-2.0
//
// How the RocksDB engine is tuned. Each choice has its reason in libkv/README.md, "Tuning".
// Only rocksdb_*.{h,cc} include RocksDB.
#pragma once

#include <memory>

#include "rocksdb/cache.h"
#include "rocksdb/options.h"
#include "strata/kv/engines.h"
#include "strata/kv/store.h"

namespace strata::kv {

rocksdb::DBOptions DatabaseOptions(const RocksDbOptions& options);

// `cache` is shared by all spaces.
rocksdb::ColumnFamilyOptions SpaceColumnOptions(const RocksDbOptions& options,
                                                const SpaceOptions& space,
                                                std::shared_ptr<rocksdb::Cache> cache);

}  // namespace strata::kv

// SPDX-License-Identifier: Apache-2.0
#include "rocksdb_options.h"

#include <utility>

#include "rocksdb/filter_policy.h"
#include "rocksdb/statistics.h"
#include "rocksdb/table.h"

namespace strata::kv {
namespace {

// On a full disk memtables are so many times as long, so that the longest log fits into them.
constexpr size_t kMaxReplayed = 4;

}  // namespace

rocksdb::DBOptions DatabaseOptions(const RocksDbOptions& options) {
  rocksdb::DBOptions db;
  db.create_if_missing = true;
  db.create_missing_column_families = false;
  db.paranoid_checks = true;

  db.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  db.track_and_verify_wals_in_manifest = true;
  db.max_total_wal_size = options.max_memtable_total_bytes;
  db.db_write_buffer_size = options.max_memtable_total_bytes;
  db.max_background_jobs = options.max_background_threads;
  db.max_open_files = 256;
  db.bytes_per_sync = 1u << 20;

  if (options.disk_is_full) {
    db.avoid_flush_during_recovery = true;
    db.allow_fallocate = false;
    db.max_total_wal_size *= kMaxReplayed;
    db.db_write_buffer_size *= kMaxReplayed;
  }

  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  db.statistics = rocksdb::CreateDBStatistics();
  db.statistics->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
  return db;
}

rocksdb::ColumnFamilyOptions SpaceColumnOptions(const RocksDbOptions& options,
                                                const SpaceOptions& space,
                                                std::shared_ptr<rocksdb::Cache> cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = std::move(cache);
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.whole_key_filtering = true;
  table.optimize_filters_for_memory = true;
  table.format_version = 5;

  rocksdb::ColumnFamilyOptions column;
  column.write_buffer_size = options.memtable_bytes * (options.disk_is_full ? kMaxReplayed : 1);
  column.max_bytes_for_level_base = 4 * options.memtable_bytes;
  column.target_file_size_base = 32u << 20;
  column.level_compaction_dynamic_level_bytes = true;
  if (space.access == SpaceOptions::Access::kPoint) {
    table.block_size = 4u << 10;
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    column.compression = rocksdb::kNoCompression;
    column.memtable_whole_key_filtering = true;
    column.memtable_prefix_bloom_size_ratio = 0.02;
  } else {
    table.block_size = 16u << 10;
    column.compression = rocksdb::kLZ4Compression;
    column.bottommost_compression = rocksdb::kZSTD;
    column.bottommost_compression_opts.enabled = true;
    column.bottommost_compression_opts.level = 1;
  }
  column.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return column;
}

}  // namespace strata::kv

// SPDX-License-Identifier: Apache-2.0
//
// The engine on RocksDB: a column family per space, whose name carries the space's options:
// "o.NAME" is ordered, "p.NAME" is for points. The default column family stays empty.
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "argument_checks.h"
#include "directory_mark.h"
#include "embedded_store.h"
#include "forked_child.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/statistics.h"
#include "rocksdb/utilities/checkpoint.h"
#include "rocksdb_engine.h"
#include "rocksdb_options.h"
#include "rocksdb_status.h"
#include "rocksdb_threads.h"
#include "strata/base/check.h"
#include "strata/base/fork.h"
#include "strata/base/mutex.h"
#include "strata/base/status_macros.h"
#include "strata/kv/engines.h"

namespace strata::kv {
namespace {

using ColumnFamily = rocksdb::ColumnFamilyHandle;
using ColumnDescriptors = std::vector<rocksdb::ColumnFamilyDescriptor>;

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

std::string ColumnName(std::string_view space, const SpaceOptions& options) {
  const bool point = options.access == SpaceOptions::Access::kPoint;
  return absl::StrCat(point ? "p." : "o.", std::string(space));
}

// Larger than every key, for ranges that go to the end of the space.
const std::string& BehindEveryKey() {
  static const std::string kEnd(kEmbeddedLimits.max_key_bytes + 1, '\xFF');
  return kEnd;
}

// Finds the first key from some place on, where a block cannot be read, that can be read; empty:
// there is none. RocksDB does not say where the block ends. So this tries ever larger keys, and
// halves the distance between the last that failed and the first that did not, eight bytes of the
// key at a time.
class DamageSeeker final {
 public:
  // Makes an iterator. One that met damage once may take a later Seek() to it for the end.
  using NewIterator = std::function<std::unique_ptr<rocksdb::Iterator>()>;
  explicit DamageSeeker(NewIterator new_iterator) : new_iterator_(std::move(new_iterator)) {}

  std::string SeekFrom(std::string from) {
    from.resize(std::max<size_t>(from.size(), 16));
    if (!Widen(from)) return "";
    Narrow(place_, Window(fails_, place_), Window(good_, place_));
    // Keys that share what was narrowed so far, up to the longest.
    for (size_t place = place_ + kWindowBytes; place < kEmbeddedLimits.max_key_bytes;
         place += kWindowBytes) {
      fails_.resize(place);
      const std::string last = fails_ + std::string(kWindowBytes, '\xFF');
      if (!Reads(last)) break;
      good_ = last;
      Narrow(place, 0, UINT64_MAX);
    }
    if (!Reads(good_) || !at_->Valid()) return "";
    return at_->key().ToString();
  }

 private:
  static constexpr size_t kWindowBytes = 8;

  bool Reads(const std::string& key) {
    at_ = new_iterator_();
    at_->Seek(key);
    return at_->Valid() || at_->status().ok();
  }

  // Finds a key that reads, one that does not, and the first place where they differ.
  bool Widen(const std::string& from) {
    fails_ = from;
    for (place_ = from.size(); place_ > 0;) {
      --place_;
      std::string key = from.substr(0, place_ + 1);
      // Only the first byte has no byte before it to grow instead.
      while (key[place_] != '\xFF') {
        ++key[place_];
        if (Reads(key)) {
          good_ = key;
          return true;
        }
        fails_ = key;
        if (place_ > 0) break;
      }
    }
    return false;
  }

  static uint64_t Window(const std::string& key, size_t place) {
    uint64_t value = 0;
    for (size_t i = place; i < place + kWindowBytes; ++i) {
      value = value << 8 | (i < key.size() ? static_cast<uint8_t>(key[i]) : 0);
    }
    return value;
  }

  // Brings fails_ and good_, which differ from `place` on, as close as the bytes there allow.
  void Narrow(size_t place, uint64_t low, uint64_t high) {
    const std::string prefix = good_.substr(0, place);
    const auto key_of = [&prefix](uint64_t window) {
      std::string key = prefix;
      for (size_t i = 0; i < kWindowBytes; ++i) {
        key += static_cast<char>(window >> (8 * (kWindowBytes - 1 - i)));
      }
      return key;
    };
    while (high - low > 1) {
      const uint64_t middle = low + (high - low) / 2;
      (Reads(key_of(middle)) ? high : low) = middle;
    }
    fails_ = key_of(low);
    good_ = key_of(high);
  }

  const NewIterator new_iterator_;
  std::unique_ptr<rocksdb::Iterator> at_;
  std::string fails_;
  std::string good_;
  size_t place_ = 0;
};

// RocksDB's own messages, from warnings up, go where ours go. It must not keep a log file: once a
// write to that file has failed, as on a full disk, Debian's RocksDB aborts the process at the
// next.
class ForwardedLog final : public rocksdb::Logger {
 public:
  explicit ForwardedLog(LogSink log)
      : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), log_(std::move(log)) {}

  using rocksdb::Logger::Logv;
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < GetInfoLogLevel() || level == rocksdb::InfoLogLevel::HEADER_LEVEL) return;
    char line[1024];
    std::vsnprintf(line, sizeof(line), format, arguments);
    Log(log_, level == rocksdb::InfoLogLevel::WARN_LEVEL ? LogLevel::kWarning : LogLevel::kError,
        absl::StrCat("kv: rocksdb: ", line));
  }
  void Logv(const char* format, va_list arguments) override {
    Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
  }

 private:
  const LogSink log_;
};

// RocksDB has a timer thread while a database is open. It sleeps on a static object that nothing
// can replace. A child that is forked then lacks the thread, and may find the object's lock held
// for ever: opening a database would never return, and neither would exit(), since the object's
// destructor waits for the thread to wake. Such a child is refused a database of its own, and ends
// before RocksDB's destructors run.
std::atomic<int> open_databases{0};
std::atomic<bool> open_at_fork{false};

void NoteFork() {
  if (open_databases.load(std::memory_order_relaxed) != 0) open_at_fork = true;
}

// One database that is open, or is being opened.
class DatabaseUse final {
 public:
  static absl::StatusOr<std::unique_ptr<DatabaseUse>> Begin() {
    static const int registered = pthread_atfork(nullptr, nullptr, &NoteFork);
    STRATA_CHECK(registered == 0, "no memory for a fork handler");
    if (open_at_fork) {
      return absl::FailedPreconditionError(
          "kv: this process was forked while a store was open; it must exec before it opens one to "
          "write");
    }
    return std::make_unique<DatabaseUse>();
  }
  DatabaseUse() { ++open_databases; }
  ~DatabaseUse() { --open_databases; }
  DatabaseUse(const DatabaseUse&) = delete;
  DatabaseUse& operator=(const DatabaseUse&) = delete;
};

void EndChildEarly(int exit_status, void*) {
  if (!open_at_fork) return;
  std::fflush(nullptr);
  _exit(exit_status);
}

// REQUIRES: a database was opened before, so that RocksDB's static objects are older.
void EndChildrenEarly() {
  static const int registered = on_exit(&EndChildEarly, nullptr);
  STRATA_CHECK(registered == 0, "no memory for an exit handler");
}

class RocksDbEngine final : public Engine {
 public:
  static constexpr uint32_t kMaxSpaces = 255;

  static absl::StatusOr<std::unique_ptr<Engine>> Open(const RocksDbOptions& options);
  ~RocksDbEngine() override;

  absl::Status OpenSpace(SpaceId id, std::string_view name, const SpaceOptions& options) override;
  std::shared_ptr<const View> NewView() override;
  absl::Status CheckWritable() const override;
  absl::Status Apply(std::span<const WriteBatch* const> batches, bool sync) override;
  absl::Status Sync() override;
  absl::Status VerifyChecksums() override;
  absl::Status Compact(uint64_t most_bytes) override;
  absl::StatusOr<bool> ClearSpace(SpaceId space) override;
  absl::Status Checkpoint(const std::string& directory) override;
  std::vector<SpaceInfo> ListSpaces() const override;
  uint64_t applied_count() const override { return db_->GetLatestSequenceNumber(); }
  uint64_t sync_count() const override {
    return statistics_->getTickerCount(rocksdb::WAL_FILE_SYNCED);
  }

 private:
  friend class RocksDbView;

  RocksDbEngine(const RocksDbOptions& options, std::unique_ptr<DatabaseUse> use,
                std::unique_ptr<DirectoryMark> mark)
      : options_(options),
        use_(std::move(use)),
        mark_(std::move(mark)),
        cache_(rocksdb::NewLRUCache(options.block_cache_bytes)) {}

  absl::StatusOr<bool> FindDatabase() const;
  absl::StatusOr<ColumnDescriptors> DescribeColumns() const;
  absl::Status OpenDatabase();
  absl::Status OpenReadOnly();
  absl::Status Rehearse(const rocksdb::DBOptions& db_options, const ColumnDescriptors& columns);
  absl::Status CheckRecovered(uint64_t sequence) const;
  absl::Status FlushAll();
  absl::Status Close();

  ColumnFamily* column(SpaceId id) const {
    return columns_[id.value].load(std::memory_order_acquire);
  }
  std::string Doing(std::string_view what) const {
    return absl::StrCat("kv: ", std::string(what), " ", options_.directory);
  }

  const RocksDbOptions options_;
  const std::unique_ptr<DatabaseUse> use_;  // Null: read-only, which needs no timer.
  const std::unique_ptr<DirectoryMark> mark_;
  RocksDbThreads threads_;
  const std::shared_ptr<rocksdb::Cache> cache_;
  std::shared_ptr<rocksdb::Statistics> statistics_;
  std::unique_ptr<rocksdb::DB> db_;
  std::map<std::string, ColumnFamily*> column_by_name_;  // Open() and OpenSpace() only.
  std::array<std::atomic<ColumnFamily*>, kMaxSpaces + 1> columns_{};  // By SpaceId.
  mutable Mutex columns_mutex_;         // No batch is applied while a space changes its column.
  std::vector<ColumnFamily*> dropped_;  // ClearSpace()'s; views may still read them.
  std::atomic<bool> failed_{false};
};

class RocksDbView final : public View {
 public:
  explicit RocksDbView(const RocksDbEngine* engine)
      : engine_(engine),
        snapshot_(engine->options_.read_only ? nullptr : engine->db_->GetSnapshot()) {}
  ~RocksDbView() override {
    if (snapshot_ != nullptr) engine_->db_->ReleaseSnapshot(snapshot_);
  }

  absl::StatusOr<std::optional<std::string>> Get(SpaceId space,
                                                 std::string_view key) const override {
    if (engine_->column(space) == nullptr) return std::nullopt;
    std::string value;
    const rocksdb::Status status =
        engine_->db_->Get(ReadOptions(), engine_->column(space), ToSlice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    STRATA_RETURN_IF_ERROR(FromRocksDb(status, engine_->Doing("reading")));
    return value;
  }

  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      SpaceId space, const std::vector<std::string>& keys) const override {
    if (engine_->column(space) == nullptr) {
      return std::vector<std::optional<std::string>>(keys.size());
    }
    std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
    std::vector<rocksdb::PinnableSlice> found(keys.size());
    std::vector<rocksdb::Status> statuses(keys.size());
    engine_->db_->MultiGet(ReadOptions(), engine_->column(space), keys.size(), slices.data(),
                           found.data(), statuses.data());
    std::vector<std::optional<std::string>> values(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (statuses[i].IsNotFound()) continue;
      STRATA_RETURN_IF_ERROR(FromRocksDb(statuses[i], engine_->Doing("reading")));
      values[i] = found[i].ToString();
    }
    return values;
  }

  absl::StatusOr<Page> List(SpaceId space, const Range& range,
                            const PageOptions& options) const override {
    Page page;
    if (IsEmptyRange(range) || engine_->column(space) == nullptr) return page;
    rocksdb::ReadOptions read = ReadOptions();
    const rocksdb::Slice begin(range.begin);
    const rocksdb::Slice end(range.end);
    read.iterate_lower_bound = &begin;
    if (!range.end.empty()) read.iterate_upper_bound = &end;
    const auto new_iterator = [&] {
      return std::unique_ptr<rocksdb::Iterator>(
          engine_->db_->NewIterator(read, engine_->column(space)));
    };
    std::unique_ptr<rocksdb::Iterator> at = new_iterator();
    options.reverse ? at->SeekToLast() : at->Seek(begin);
    size_t bytes = 0;
    for (;; options.reverse ? at->Prev() : at->Next()) {
      if (!at->Valid()) {
        if (!options.skip_damaged || options.reverse || !at->status().IsCorruption()) break;
        const std::string from = page.items.empty() ? range.begin : page.items.back().key + '\0';
        const std::string found = DamageSeeker(new_iterator).SeekFrom(from);
        page.skipped.push_back({from, found.empty() ? range.end : found});
        if (found.empty()) return page;
        at = new_iterator();
        at->Seek(found);
        if (!at->Valid()) break;
      }
      const size_t item_bytes = at->key().size() + at->value().size();
      if (page.items.size() == options.max_items ||
          (!page.items.empty() && bytes + item_bytes > options.max_bytes)) {
        page.more = true;
        break;
      }
      bytes += item_bytes;
      page.items.push_back({at->key().ToString(), at->value().ToString()});
    }
    STRATA_RETURN_IF_ERROR(FromRocksDb(at->status(), engine_->Doing("listing")));
    return page;
  }

 private:
  rocksdb::ReadOptions ReadOptions() const {
    rocksdb::ReadOptions read;
    read.snapshot = snapshot_;
    return read;
  }

  const RocksDbEngine* const engine_;
  const rocksdb::Snapshot* const snapshot_;
};

absl::StatusOr<std::unique_ptr<Engine>> RocksDbEngine::Open(const RocksDbOptions& options) {
  std::error_code error;
  std::unique_ptr<DatabaseUse> use;
  if (!options.read_only) {
    STRATA_ASSIGN_OR_RETURN(use, DatabaseUse::Begin());
  }
  if (options.create_if_missing && !options.read_only) {
    std::filesystem::create_directories(options.directory, error);
  } else if (!std::filesystem::exists(options.directory + "/CURRENT", error)) {
    return absl::NotFoundError(absl::StrCat("kv: ", options.directory, " holds no store"));
  }
  STRATA_ASSIGN_OR_RETURN(
      std::unique_ptr<DirectoryMark> mark,
      options.read_only ? DirectoryMark::OpenReadOnly(options.directory, options.assume_unlocked)
                        : DirectoryMark::Open(options.directory));
  std::unique_ptr<RocksDbEngine> engine(
      new RocksDbEngine(options, std::move(use), std::move(mark)));
  STRATA_RETURN_IF_ERROR(options.read_only ? engine->OpenReadOnly() : engine->OpenDatabase());
  return engine;
}

absl::Status RocksDbEngine::OpenDatabase() {
  STRATA_ASSIGN_OR_RETURN(const bool exists, FindDatabase());
  ColumnDescriptors columns;
  columns.emplace_back(rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions());
  if (exists) {
    STRATA_ASSIGN_OR_RETURN(columns, DescribeColumns());
  }
  rocksdb::DBOptions db_options = DatabaseOptions(options_);
  db_options.env = &threads_;
  db_options.info_log = std::make_shared<ForwardedLog>(options_.log);
  if (exists && !mark_->was_closed_cleanly()) {
    STRATA_RETURN_IF_ERROR(Rehearse(db_options, columns));
  }
  STRATA_RETURN_IF_ERROR(mark_->BeginUse());

  statistics_ = db_options.statistics;
  std::vector<ColumnFamily*> handles;
  rocksdb::DB* db = nullptr;
  STRATA_RETURN_IF_ERROR(FromRocksDb(
      rocksdb::DB::Open(db_options, options_.directory, columns, &handles, &db), Doing("opening")));
  db_.reset(db);
  EndChildrenEarly();
  for (ColumnFamily* handle : handles) column_by_name_[handle->GetName()] = handle;
  STRATA_RETURN_IF_ERROR(CheckRecovered(db_->GetLatestSequenceNumber()));
  Log(options_.log, LogLevel::kInfo,
      absl::StrCat(Doing("opened"), ", ", handles.size() - 1, " spaces, sequence ",
                   db_->GetLatestSequenceNumber()));
  return absl::OkStatus();
}

// The log is replayed into memory alone.
absl::Status RocksDbEngine::OpenReadOnly() {
  STRATA_ASSIGN_OR_RETURN(const ColumnDescriptors columns, DescribeColumns());
  rocksdb::DBOptions db_options = DatabaseOptions(options_);
  db_options.env = &threads_;
  db_options.info_log = std::make_shared<ForwardedLog>(options_.log);
  db_options.create_if_missing = false;
  statistics_ = db_options.statistics;
  std::vector<ColumnFamily*> handles;
  rocksdb::DB* db = nullptr;
  STRATA_RETURN_IF_ERROR(FromRocksDb(
      rocksdb::DB::OpenForReadOnly(db_options, options_.directory, columns, &handles, &db),
      Doing("opening read-only")));
  db_.reset(db);
  for (ColumnFamily* handle : handles) column_by_name_[handle->GetName()] = handle;
  return CheckRecovered(db_->GetLatestSequenceNumber());
}

absl::Status RocksDbEngine::CheckWritable() const {
  if (!options_.read_only) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(Doing("writing to"), ": opened read-only"));
}

// Whether there is a database to open. RocksDB goes by CURRENT alone, and would make a new database
// over the tables of one that lost it.
absl::StatusOr<bool> RocksDbEngine::FindDatabase() const {
  std::error_code error;
  bool exists = false;
  bool has_tables = false;
  for (std::filesystem::directory_iterator file(options_.directory, error), end;
       !error && file != end; file.increment(error)) {
    exists = exists || file->path().filename() == "CURRENT";
    has_tables = has_tables || file->path().extension() == ".sst";
  }
  if (error) {
    return absl::UnavailableError(absl::StrCat(Doing("listing"), ": ", error.message()));
  }
  if (!exists && (has_tables || mark_->acknowledged_at_open() > 0)) {
    return absl::DataLossError(absl::StrCat(options_.directory, "/CURRENT is missing"));
  }
  return exists;
}

// After a crash, first recovers without changing a file: if something acknowledged turns out to be
// lost, the files are still as they were found.
absl::Status RocksDbEngine::Rehearse(const rocksdb::DBOptions& db_options,
                                     const ColumnDescriptors& columns) {
  rocksdb::DBOptions quiet = db_options;
  quiet.create_if_missing = false;
  std::vector<ColumnFamily*> handles;
  rocksdb::DB* opened = nullptr;
  STRATA_RETURN_IF_ERROR(FromRocksDb(
      rocksdb::DB::OpenForReadOnly(quiet, options_.directory, columns, &handles, &opened),
      Doing("recovering")));
  const std::unique_ptr<rocksdb::DB> db(opened);
  const uint64_t sequence = db->GetLatestSequenceNumber();
  for (ColumnFamily* handle : handles) db->DestroyColumnFamilyHandle(handle);
  return CheckRecovered(sequence);
}

absl::Status RocksDbEngine::CheckRecovered(uint64_t sequence) const {
  if (sequence >= mark_->acknowledged_at_open()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      Doing("recovering"), ": the write-ahead log is damaged: it ends at sequence ", sequence,
      ", commits up to ", mark_->acknowledged_at_open(), " were acknowledged. Removing ",
      DirectoryMark::kFileName, " accepts the loss."));
}

absl::StatusOr<ColumnDescriptors> RocksDbEngine::DescribeColumns() const {
  std::vector<std::string> names;
  STRATA_RETURN_IF_ERROR(FromRocksDb(
      rocksdb::DB::ListColumnFamilies({}, options_.directory, &names), Doing("opening")));
  ColumnDescriptors columns;
  for (const std::string& name : names) {
    if (name == rocksdb::kDefaultColumnFamilyName) {
      columns.emplace_back(name, rocksdb::ColumnFamilyOptions());
      continue;
    }
    SpaceOptions space;
    if (name.starts_with("p.")) {
      space.access = SpaceOptions::Access::kPoint;
    } else if (!name.starts_with("o.")) {
      return absl::FailedPreconditionError(
          absl::StrCat(options_.directory, " holds the column family ", PrintableKey(name),
                       ", which this program does not understand"));
    }
    columns.emplace_back(name, SpaceColumnOptions(options_, space, cache_));
  }
  return columns;
}

RocksDbEngine::~RocksDbEngine() {
  if (db_ == nullptr) return;
  if (absl::Status status = Close(); !status.ok()) {
    Log(options_.log, LogLevel::kWarning,
        absl::StrCat("kv: closing: ", std::string(status.message())));
  }
}

// Leaves nothing in the log, so that the next opening has nothing to recover.
absl::Status RocksDbEngine::Close() {
  const bool flush = !failed_ && !options_.read_only;
  const absl::Status flushed = flush ? FlushAll() : absl::OkStatus();
  for (const auto& [name, handle] : column_by_name_) db_->DestroyColumnFamilyHandle(handle);
  for (ColumnFamily* handle : dropped_) db_->DestroyColumnFamilyHandle(handle);
  const uint64_t sequence = db_->GetLatestSequenceNumber();
  const rocksdb::Status closed = db_->Close();
  db_.reset();
  if (options_.read_only) return absl::OkStatus();
  STRATA_RETURN_IF_ERROR(flushed);
  STRATA_RETURN_IF_ERROR(FromRocksDb(closed, Doing("closing")));
  return failed_ ? absl::OkStatus() : mark_->MarkClosed(sequence);
}

absl::Status RocksDbEngine::FlushAll() {
  std::vector<ColumnFamily*> handles;
  for (const auto& [name, handle] : column_by_name_) handles.push_back(handle);
  return FromRocksDb(db_->Flush(rocksdb::FlushOptions(), handles), Doing("flushing"));
}

absl::Status RocksDbEngine::OpenSpace(SpaceId id, std::string_view name,
                                      const SpaceOptions& options) {
  if (id.value > kMaxSpaces) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a store has at most ", kMaxSpaces, " spaces"));
  }
  for (const auto access : {SpaceOptions::Access::kOrdered, SpaceOptions::Access::kPoint}) {
    if (access != options.access && column_by_name_.contains(ColumnName(name, {access}))) {
      return absl::InvalidArgumentError(
          absl::StrCat("space ", std::string(name), " was made with other options"));
    }
  }
  MutexLock columns(&columns_mutex_);
  if (options_.read_only && !column_by_name_.contains(ColumnName(name, options))) {
    return absl::OkStatus();  // It reads as empty.
  }
  ColumnFamily*& handle = column_by_name_[ColumnName(name, options)];
  if (handle == nullptr) {
    const rocksdb::Status status = db_->CreateColumnFamily(
        SpaceColumnOptions(options_, options, cache_), ColumnName(name, options), &handle);
    if (!status.ok()) {
      column_by_name_.erase(ColumnName(name, options));
      return FromRocksDb(status, Doing("making a space in"));
    }
  }
  columns_[id.value].store(handle, std::memory_order_release);
  return absl::OkStatus();
}

std::vector<SpaceInfo> RocksDbEngine::ListSpaces() const {
  MutexLock columns(&columns_mutex_);
  std::vector<SpaceInfo> spaces;
  for (const auto& [name, handle] : column_by_name_) {
    if (name == rocksdb::kDefaultColumnFamilyName) continue;
    const bool point = name.starts_with("p.");
    spaces.push_back(
        {name.substr(2), {point ? SpaceOptions::Access::kPoint : SpaceOptions::Access::kOrdered}});
  }
  return spaces;
}

std::shared_ptr<const View> RocksDbEngine::NewView() { return std::make_shared<RocksDbView>(this); }

absl::Status RocksDbEngine::Apply(std::span<const WriteBatch* const> batches, bool sync) {
  MutexLock columns(&columns_mutex_);
  size_t bytes = 0;
  for (const WriteBatch* batch : batches) {
    bytes += batch->size_bytes() + 32 * batch->operations().size();
  }
  rocksdb::WriteBatch merged(bytes);
  rocksdb::Status status;
  for (const WriteBatch* batch : batches) {
    for (const WriteBatch::Operation& operation : batch->operations()) {
      ColumnFamily* const in = column(operation.space);
      if (!status.ok()) break;
      switch (operation.kind) {
        case WriteBatch::Operation::Kind::kPut:
          status = merged.Put(in, operation.key, operation.value);
          break;
        case WriteBatch::Operation::Kind::kDelete:
          status = merged.Delete(in, operation.key);
          break;
        case WriteBatch::Operation::Kind::kDeleteRange:
          if (IsEmptyRange({operation.key, operation.value})) break;
          status = merged.DeleteRange(in, operation.key,
                                      operation.value.empty() ? BehindEveryKey() : operation.value);
          break;
      }
    }
  }
  if (status.ok()) {
    rocksdb::WriteOptions write;
    write.sync = sync;
    status = db_->Write(write, &merged);
  }
  if (!status.ok()) failed_ = true;
  STRATA_RETURN_IF_ERROR(FromRocksDb(status, Doing("writing")));
  return sync ? mark_->Acknowledge(db_->GetLatestSequenceNumber()) : absl::OkStatus();
}

absl::Status RocksDbEngine::Sync() {
  const uint64_t sequence = db_->GetLatestSequenceNumber();
  const rocksdb::Status status = db_->SyncWAL();
  if (!status.ok()) failed_ = true;
  STRATA_RETURN_IF_ERROR(FromRocksDb(status, Doing("syncing")));
  return mark_->Acknowledge(sequence);
}

absl::Status RocksDbEngine::VerifyChecksums() {
  return FromRocksDb(db_->VerifyChecksum(), Doing("verifying"));
}

absl::Status RocksDbEngine::Compact(uint64_t most_bytes) {
  std::vector<ColumnFamily*> small;
  {
    MutexLock columns(&columns_mutex_);
    for (const auto& [name, handle] : column_by_name_) {
      uint64_t bytes = 0;
      if (db_->GetIntProperty(handle, rocksdb::DB::Properties::kTotalSstFilesSize, &bytes) &&
          bytes <= most_bytes) {
        small.push_back(handle);
      }
    }
  }
  rocksdb::CompactRangeOptions all;
  all.exclusive_manual_compaction = false;
  all.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  for (ColumnFamily* const handle : small) {
    STRATA_RETURN_IF_ERROR(
        FromRocksDb(db_->CompactRange(all, handle, nullptr, nullptr), Doing("compacting")));
  }
  return absl::OkStatus();
}

// Dropping the column deletes its files unread. Should the process die before it is made again, the
// next OpenSpace() makes it.
absl::StatusOr<bool> RocksDbEngine::ClearSpace(SpaceId space) {
  MutexLock columns(&columns_mutex_);
  ColumnFamily* const old = column(space);
  const std::string name = old->GetName();
  const SpaceOptions options{.access = name.starts_with("p.") ? SpaceOptions::Access::kPoint
                                                              : SpaceOptions::Access::kOrdered};
  STRATA_RETURN_IF_ERROR(FromRocksDb(db_->DropColumnFamily(old), Doing("clearing a space of")));
  dropped_.push_back(old);
  ColumnFamily* made = nullptr;
  const rocksdb::Status status =
      db_->CreateColumnFamily(SpaceColumnOptions(options_, options, cache_), name, &made);
  if (!status.ok()) {
    failed_ = true;  // Batches for the space would go nowhere.
    column_by_name_.erase(name);
    return FromRocksDb(status, Doing("making a space in"));
  }
  column_by_name_[name] = made;
  columns_[space.value].store(made, std::memory_order_release);
  return true;
}

absl::Status RocksDbEngine::Checkpoint(const std::string& directory) {
  STRATA_RETURN_IF_ERROR(CheckWritable());
  std::error_code error;
  if (std::filesystem::exists(directory, error)) {
    return absl::InvalidArgumentError(absl::StrCat("kv: checkpoint: ", directory, " exists"));
  }
  rocksdb::Checkpoint* made = nullptr;
  rocksdb::Status status = rocksdb::Checkpoint::Create(db_.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (status.ok()) status = checkpoint->CreateCheckpoint(directory);
  return FromRocksDb(status,
                     absl::StrCat("kv: checkpoint into ", directory, " of ", options_.directory));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> OpenRocksDbEngine(const RocksDbOptions& options) {
  return RocksDbEngine::Open(options);
}

absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const RocksDbOptions& options) {
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine, OpenRocksDbEngine(options));
  return RefuseForkedChildren(NewEmbeddedStore(std::move(engine)));
}

}  // namespace strata::kv

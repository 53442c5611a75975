// SPDX-License-Identifier: Apache-2.0
//
// The store's face: hands out writers and readers, commits streams, and sends the long jobs to
// their files.
#include "strata/dedup/store.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "long_calls.h"
#include "open.h"
#include "reader.h"
#include "store_core.h"
#include "store_guard.h"
#include "strata/base/check.h"
#include "strata/base/clock.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"
#include "stream_records.h"
#include "writer.h"

namespace strata::dedup {
namespace {

constexpr size_t kListPageItems = 1000;

absl::Status NoStream(const StreamId& id) {
  return absl::NotFoundError(absl::StrFormat("dedup: no stream %s", id.ToHex()));
}

class DedupStore final : public Store {
 public:
  explicit DedupStore(std::unique_ptr<StoreCore> core) : core_(std::move(core)) {}
  ~DedupStore() override {
    core_->log->FinishEntering();
    core_->index->filter().Save(core_->log->current_container(), /*closing=*/true);
  }

  std::unique_ptr<Writer> NewWriter() override {
    return CreateWriter(core_.get(), NewStreamId(), [this](PreparedWriter* writer) {
      const std::unique_ptr<kv::Transaction> txn = core_->options.kv->Begin();
      return Commit(*txn, {.add = {writer}, .copy = {}, .remove = {}}, kv::Durability::kSync);
    });
  }

  std::unique_ptr<WriterGroup> NewWriterGroup() override {
    return CreateWriterGroup(core_.get(), [this] { return NewStreamId(); });
  }

  StoreSettings Settings() override {
    StoreSettings settings{.chunker = core_->chunker->options(),
                           .chunker_keyed = core_->superblock.chunker_keyed,
                           .container_bytes = core_->superblock.container_bytes,
                           .encrypted = core_->cipher != nullptr};
    settings.chunker.key = std::nullopt;
    return settings;
  }

  absl::StatusOr<std::unique_ptr<Reader>> OpenReader(const StreamId& id) override {
    return CreateReader(core_.get(), id);
  }

  StreamId NewStreamId() override {
    StreamId id = first_id_;
    const uint64_t number = next_id_.fetch_add(1, std::memory_order_relaxed);
    for (size_t i = 0; i < kIdNumberBytes; ++i) {
      id.bytes[id.bytes.size() - 1 - i] = static_cast<std::byte>(number >> (8 * i));
    }
    return id;
  }

  absl::Status Commit(kv::Transaction& txn, const Change& change,
                      kv::Durability durability) override;

  absl::Status Delete(const StreamId& id) override {
    const OperationTimer timer(&core_->counters.commits);
    StreamTotals::Change change(&core_->totals);
    uint64_t size_bytes = 0;
    STRATA_RETURN_IF_ERROR(kv::RunTransaction(
        *core_->options.kv, kv::Durability::kSync, [&](kv::Transaction& txn) -> absl::Status {
          STRATA_ASSIGN_OR_RETURN(size_bytes, StageRemoval(txn, id));
          return absl::OkStatus();
        }));
    change.Committed(/*added=*/{}, /*removed=*/{1, size_bytes});
    return absl::OkStatus();
  }

  absl::StatusOr<StreamInfo> Stat(const StreamId& id) override {
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                            core_->options.kv->NewSnapshot()->Get(core_->streams, StreamKey(id)));
    if (!value.has_value()) return NoStream(id);
    STRATA_ASSIGN_OR_RETURN(const StreamRecord record, DecodeStreamRecord(*value));
    return InfoOf(id, record);
  }

  absl::StatusOr<std::vector<StreamInfo>> List(const StreamId& after, size_t max_count) override {
    std::vector<StreamInfo> streams;
    const std::unique_ptr<kv::Snapshot> snapshot = core_->options.kv->NewSnapshot();
    kv::Range range{StreamKey(after) + '\0', ""};
    for (bool more = true; more && streams.size() < max_count;) {
      const size_t wanted = std::min(max_count - streams.size(), kListPageItems);
      STRATA_ASSIGN_OR_RETURN(
          kv::Page page,
          snapshot->List(core_->streams, range, {.max_items = wanted, .skip_damaged = true}));
      for (const kv::Range& skipped : page.skipped) {
        Log(core_->options.log, LogLevel::kWarning,
            "dedup: not listed: " + SkippedStreams(skipped));
      }
      for (const kv::KeyValue& item : page.items) {
        STRATA_ASSIGN_OR_RETURN(const StreamId id, ParseStreamKey(item.key));
        const absl::StatusOr<StreamRecord> record = DecodeStreamRecord(item.value);
        if (record.ok()) {
          streams.push_back(InfoOf(id, *record));
        } else {
          Log(core_->options.log, LogLevel::kWarning,
              absl::StrFormat("dedup: not listed: stream %s: %s", id.ToHex(),
                              std::string(record.status().message())));
        }
      }
      more = page.more;
      if (more) range.begin = page.items.back().key + '\0';
    }
    return streams;
  }

  absl::StatusOr<GarbageReport> CollectGarbage(const GarbageOptions& options) override {
    const OperationTimer timer(&core_->counters.collections);
    return dedup::CollectGarbage(core_.get(), options);
  }
  absl::StatusOr<GarbageReport> FoldDuplicates(const FoldOptions& options) override {
    const OperationTimer timer(&core_->counters.collections);
    return FoldStore(core_.get(), options);
  }
  absl::Status Sync() override { return core_->options.kv->Sync(); }
  absl::StatusOr<VerifyReport> Verify(const VerifyOptions& options) override {
    const OperationTimer timer(&core_->counters.verifications);
    return VerifyStore(core_.get(), options);
  }
  absl::Status RebuildIndex(const ProgressCallback& progress) override {
    return RebuildChunkIndex(core_.get(), progress);
  }

  dedup::Stats Stats() override;

 private:
  // Deletes the record in `txn`. Returns the stream's size.
  absl::StatusOr<uint64_t> StageRemoval(kv::Transaction& txn, const StreamId& id) {
    STRATA_ASSIGN_OR_RETURN(const StreamRecord record, GetRecord(txn, id));
    STRATA_RETURN_IF_ERROR(txn.Delete(core_->streams, StreamKey(id)));
    return record.size_bytes;
  }

  absl::StatusOr<StreamRecord> GetRecord(kv::Transaction& txn, const StreamId& id) {
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                            txn.Get(core_->streams, StreamKey(id)));
    if (!value.has_value()) return NoStream(id);
    return DecodeStreamRecord(*value);
  }

  static constexpr size_t kIdNumberBytes = 6;

  static StreamId RandomId() {
    StreamId id;
    const absl::Status status = SecureRandomBytes(id.bytes);
    STRATA_CHECK(status.ok(), "the kernel gives no random bytes");
    return id;
  }

  std::unique_ptr<StoreCore> core_;
  const StreamId first_id_ = RandomId();
  std::atomic<uint64_t> next_id_{0};
};

absl::Status DedupStore::Commit(kv::Transaction& txn, const Change& change,
                                kv::Durability durability) {
  const OperationTimer timer(&core_->counters.commits);
  uint64_t bytes_added = 0;
  uint64_t bytes_removed = 0;
  std::vector<PreparedWriter*> writers;
  for (Writer* given : change.add) {
    auto* writer = dynamic_cast<PreparedWriter*>(given);
    if (writer == nullptr || writer->core() != core_.get() || !writer->prepared() ||
        writer->committed()) {
      return absl::FailedPreconditionError(
          "dedup: a writer to commit is not prepared, is committed already, or is another store's");
    }
    // Of a group's stream this fills in what only the group's Prepare() could tell.
    STRATA_RETURN_IF_ERROR(writer->Prepare().status());
    // The kv store may keep such a commit where the device loses the data.
    if (durability == kv::Durability::kAsync) {
      STRATA_RETURN_IF_ERROR(core_->log->WaitDurable(writer->log_position()));
    }
    writers.push_back(writer);
    bytes_added += writer->record().size_bytes;
    STRATA_RETURN_IF_ERROR(
        txn.Put(core_->streams, StreamKey(writer->id()), EncodeStreamRecord(writer->record())));
  }
  for (const auto& [source, copy] : change.copy) {
    // The read is checked at the commit: while the source exists, garbage collection keeps its
    // chunks.
    STRATA_ASSIGN_OR_RETURN(StreamRecord record, GetRecord(txn, source));
    record.created_ns = static_cast<uint64_t>(SystemClock().WallNanos());
    record.new_chunk_bytes = 0;
    record.new_stored_bytes = 0;
    bytes_added += record.size_bytes;
    STRATA_RETURN_IF_ERROR(txn.Put(core_->streams, StreamKey(copy), EncodeStreamRecord(record)));
  }
  for (const StreamId& id : change.remove) {
    STRATA_ASSIGN_OR_RETURN(const uint64_t size_bytes, StageRemoval(txn, id));
    bytes_removed += size_bytes;
  }
  StreamTotals::Change totals(&core_->totals);
  STRATA_RETURN_IF_ERROR(txn.Commit(durability));
  for (PreparedWriter* writer : writers) writer->MarkCommitted();
  totals.Committed({change.add.size() + change.copy.size(), bytes_added},
                   {change.remove.size(), bytes_removed});
  return absl::OkStatus();
}

dedup::Stats DedupStore::Stats() {
  const Counters& counters = core_->counters;
  dedup::Stats stats;
  const StreamTotals::Totals totals = core_->Totals();
  stats.stream_count = totals.stream_count;
  stats.logical_bytes = totals.logical_bytes;
  stats.ingested_bytes = counters.ingested_bytes;
  stats.ingested_chunks = counters.ingested_chunks;
  stats.duplicate_bytes = counters.duplicate_bytes;
  stats.duplicate_chunks = counters.duplicate_chunks;
  stats.rewritten_bytes = counters.rewritten_bytes;
  stats.device_read_bytes = core_->io->read_bytes();
  stats.read_bytes = counters.read_bytes;
  stats.device_flushes = core_->log->flush_count();
  stats.index_reads = core_->index->kv_reads();
  stats.corruptions_found = core_->reader->corruptions();
  stats.metadata_memory_bytes = core_->index->memory_bytes();
  stats.ingests = counters.ingests.count;
  stats.ingest_ns = counters.ingests.time_ns;
  stats.reads = counters.reads.count;
  stats.read_ns = counters.reads.time_ns;
  stats.commits = counters.commits.count;
  stats.commit_ns = counters.commits.time_ns;
  stats.collections = counters.collections.count;
  stats.collection_ns = counters.collections.time_ns;
  stats.verifications = counters.verifications.count;
  stats.verification_ns = counters.verifications.time_ns;

  const block::Geometry& geometry = core_->options.device->geometry();
  stats.device_bytes = geometry.block_count * geometry.block_size_bytes;
  const ContainerLog::Unsealed unsealed = core_->log->unsealed();
  stats.chunk_count = unsealed.chunk_count;
  stats.unique_bytes = unsealed.raw_bytes;
  stats.compressed_bytes = unsealed.stored_bytes;
  stats.deferred_bytes = unsealed.deferred_bytes;
  stats.recipe_count = unsealed.recipe_count;
  stats.recipe_bytes = unsealed.recipe_bytes;
  stats.container_bytes = unsealed.device_bytes;
  for (const auto& [id, info] : core_->table->List()) {
    ++stats.container_count;
    if (!info.record.sealed || unsealed.ids.contains(id)) continue;
    stats.chunk_count += info.record.chunk_count - info.record.recipe_count;
    stats.unique_bytes += info.record.raw_bytes - info.record.recipe_bytes;
    stats.compressed_bytes += info.record.data_stored_bytes();
    stats.recipe_count += info.record.recipe_count;
    stats.recipe_bytes += info.record.recipe_bytes;
    if (info.record.deferred) stats.deferred_bytes += info.record.data_stored_bytes();
    stats.container_bytes += core_->superblock.container_bytes;
  }
  return stats;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const StoreOptions& options) {
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<StoreCore> core, OpenStoreCore(options));
  return GuardStore(std::make_unique<DedupStore>(std::move(core)), options.read_only);
}

}  // namespace strata::dedup

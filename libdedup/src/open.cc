// SPDX-License-Identifier: Apache-2.0
//
// Opening a store, in order: find out which it is or make one, load the container records, wire the
// parts, recover the containers that were open when the store was last used.
#include "open.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "format/codec.h"
#include "long_calls.h"
#include "recovery.h"
#include "store_core.h"
#include "store_identity.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr uint32_t kMaxWorkerThreads = 64;

absl::Status CheckOptions(const StoreOptions& options) {
  if (options.device == nullptr || options.kv == nullptr) {
    return absl::InvalidArgumentError("dedup: options.device and options.kv must be given");
  }
  const uint32_t container_bytes = options.container_bytes;
  if (!std::has_single_bit(container_bytes) || container_bytes < kMinContainerBytes ||
      container_bytes > kMaxContainerBytes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "dedup: container_bytes is %d, must be a power of two from 1 to 64 MiB", container_bytes));
  }
  if (options.mode > Mode::kPostProcess) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dedup: mode %d is not known", static_cast<int>(options.mode)));
  }
  if (options.worker_threads > kMaxWorkerThreads) {
    return absl::InvalidArgumentError(absl::StrFormat("dedup: worker_threads is %d, must be 0..%d",
                                                      options.worker_threads, kMaxWorkerThreads));
  }
  return CheckCompression(CompressionOf(options));
}

class Opener final {
 public:
  explicit Opener(const StoreOptions& options) : core_(std::make_unique<StoreCore>()) {
    core_->options = options;
  }

  absl::StatusOr<std::unique_ptr<StoreCore>> Open() {
    STRATA_RETURN_IF_ERROR(CheckOptions(core_->options));
    core_->io = std::make_unique<DeviceIo>(core_->options.device);
    core_->codec = CreateCodec();
    core_->workers = std::make_unique<WorkerPool>(core_->options.worker_threads);
    STRATA_RETURN_IF_ERROR(OpenSpaces());
    StoreIdentity identity(core_.get());
    STRATA_RETURN_IF_ERROR(identity.FindOrCreate());
    STRATA_RETURN_IF_ERROR(LoadContainers());
    STRATA_RETURN_IF_ERROR(CheckLength());
    // Nothing was written so far, unless the store was made.
    if (!read_only()) {
      identity.RepairSuperblock();
      STRATA_RETURN_IF_ERROR(BeginGeneration());
    }
    STRATA_RETURN_IF_ERROR(BeginCipher());
    STRATA_RETURN_IF_ERROR(identity.BecomeJournaled());
    STRATA_RETURN_IF_ERROR(WireParts());
    Recovery recovery(core_.get());
    STRATA_RETURN_IF_ERROR(recovery.Run());
    STRATA_RETURN_IF_ERROR(RepairJournal(recovery));
    const bool incomplete = core_->store_record.state == StoreRecord::State::kRebuilding;
    STRATA_ASSIGN_OR_RETURN(const bool empty, IndexIsEmpty());
    if (read_only() && (incomplete || (empty && AnySealedChunks()))) {
      Log(core_->options.log, LogLevel::kWarning,
          "dedup: the chunk index is incomplete; chunks that it lacks cannot be read before the "
          "store is opened for writing");
    } else if (incomplete || (empty && AnySealedChunks())) {
      Log(core_->options.log, LogLevel::kWarning,
          absl::StrFormat("dedup: rebuilding the chunk index: %s",
                          incomplete ? "an earlier rebuild was cut short" : "it is empty"));
      STRATA_RETURN_IF_ERROR(RebuildChunkIndex(core_.get(), nullptr));
    }
    return std::move(core_);
  }

 private:
  bool read_only() const { return core_->options.read_only; }

  // Damage there must not keep streams from being read whose entries are whole.
  absl::StatusOr<bool> IndexIsEmpty() {
    absl::StatusOr<bool> empty = core_->index->IsEmpty();
    if (!absl::IsDataLoss(empty.status())) return empty;
    Log(core_->options.log, LogLevel::kError,
        absl::StrFormat("dedup: the chunk index is damaged, rebuild it: %s",
                        std::string(empty.status().message())));
    return false;
  }

  absl::Status OpenSpaces() {
    const std::string& name = core_->options.name;
    kv::Store& kv = *core_->options.kv;
    const kv::SpaceOptions ordered{.access = kv::SpaceOptions::Access::kOrdered};
    const kv::SpaceOptions point{.access = kv::SpaceOptions::Access::kPoint};
    STRATA_ASSIGN_OR_RETURN(core_->streams, kv.OpenSpace(name + ".streams", ordered));
    STRATA_ASSIGN_OR_RETURN(core_->containers, kv.OpenSpace(name + ".containers", ordered));
    STRATA_ASSIGN_OR_RETURN(core_->chunks, kv.OpenSpace(name + ".chunks", point));
    if (!read_only()) {
      STRATA_ASSIGN_OR_RETURN(core_->filter, kv.OpenSpace(name + ".filter", ordered));
    }
    return absl::OkStatus();
  }

  bool AnySealedChunks() const {
    const auto containers = core_->table->List();
    return std::any_of(containers.begin(), containers.end(), [](const auto& container) {
      return container.second.record.sealed && container.second.record.chunk_count > 0;
    });
  }

  absl::Status BeginCipher() {
    if (!core_->superblock.encrypted) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(core_->cipher,
                            CreateCipher(*core_->options.encryption_key, core_->superblock.uuid,
                                         core_->store_record.generation));
    core_->options.encryption_key.reset();
    return absl::OkStatus();
  }

  // Durable before anything is named or encrypted by it. The summary filter that is kept goes on
  // being valid, for this opening knows of it.
  absl::Status BeginGeneration() {
    if (core_->store_record.generation == UINT32_MAX) {
      return absl::FailedPreconditionError("dedup: the store was opened 2^32 times");
    }
    ReadSavedFilter();
    ++core_->store_record.generation;
    kv::WriteBatch batch;
    batch.Put(core_->containers, kStoreKey, EncodeStoreRecord(core_->store_record));
    if (saved_filter_.has_value()) {
      saved_filter_->opening = core_->store_record.generation;
      batch.Put(core_->containers, kFilterKey, EncodeFilterRecord(*saved_filter_));
    }
    return core_->options.kv->Write(batch, kv::Durability::kSync);
  }

  // Its pieces are read once they are needed. Nothing that is wrong with it keeps a store closed.
  void ReadSavedFilter() {
    const absl::StatusOr<std::optional<std::string>> value =
        core_->options.kv->NewSnapshot()->Get(core_->containers, kFilterKey);
    if (value.ok() && !value->has_value()) return;
    const absl::StatusOr<FilterRecord> record =
        value.ok() ? DecodeFilterRecord(**value) : absl::StatusOr<FilterRecord>(value.status());
    std::string fault;
    if (!record.ok()) {
      fault = std::string(record.status().message());
    } else if (record->opening != core_->store_record.generation) {
      fault = "a program that knows of none has opened the store since it was kept";
    } else {
      saved_filter_ = *record;
      return;
    }
    Log(core_->options.log, LogLevel::kWarning,
        "dedup: the summary filter is filled again from the chunk index: " + fault);
  }

  absl::Status RepairJournal(const Recovery& recovery) {
    if (core_->journal == nullptr || !core_->journal->needs_repair()) return absl::OkStatus();
    if (recovery.JournalWasCutOff()) {
      // The device may get its end back, as long as nothing is written where that belongs.
      Log(core_->options.log, LogLevel::kWarning,
          "dedup: the end of the device is missing, and part of the journal with it; garbage "
          "collection writes the journal once more");
      return absl::OkStatus();
    }
    Log(core_->options.log, LogLevel::kWarning,
        "dedup: the journal lacks what the kv store has; it is written once more");
    const absl::Status status = core_->journal->WriteCheckpoint(/*for_repair=*/true);
    if (!absl::IsResourceExhausted(status)) return status;
    // Reading and deleting work all the same; garbage collection tries again.
    Log(core_->options.log, LogLevel::kWarning,
        absl::StrFormat("dedup: the journal stays incomplete until there is room: %s",
                        std::string(status.message())));
    return absl::OkStatus();
  }

  absl::Status LoadContainers() {
    core_->table = std::make_unique<ContainerTable>(SlotCount(*core_, core_->superblock));
    const std::unique_ptr<kv::Snapshot> snapshot = core_->options.kv->NewSnapshot();
    std::vector<std::pair<uint64_t, std::string>> damage;
    STRATA_RETURN_IF_ERROR(kv::ForEach(
        *snapshot, core_->containers, {}, [&](const kv::KeyValue& item) -> absl::Status {
          if (const absl::StatusOr<uint64_t> id = ParseDamageKey(item.key); id.ok()) {
            damage.emplace_back(*id, item.value);
            return absl::OkStatus();
          }
          const absl::StatusOr<uint64_t> id = ParseContainerKey(item.key);
          // The store's own record, and others that are alone.
          if (!id.ok()) return absl::OkStatus();
          STRATA_ASSIGN_OR_RETURN(const ContainerRecord record, DecodeContainerRecord(item.value));
          return core_->table->Add(*id, record);
        }));
    for (const auto& [id, value] : damage) {
      absl::StatusOr<LostChunks> lost = DecodeLostChunks(value);
      if (lost.ok()) {
        core_->table->SetLost(id, *std::move(lost));
      } else {  // Lookups may lead to damage until it is found again.
        Log(core_->options.log, LogLevel::kWarning,
            absl::StrFormat("dedup: container %d: %s", id, std::string(lost.status().message())));
      }
    }
    return absl::OkStatus();
  }

  // A file may end before its device does, but not before the end of a container that is sealed:
  // its last byte was durable first.
  absl::Status CheckLength() {
    uint64_t least_bytes = 0;
    uint64_t last = 0;
    for (const auto& [id, info] : core_->table->List()) {
      if (!info.record.sealed) continue;
      const uint64_t end = SlotOffset(info.record.slot + 1, core_->superblock.container_bytes);
      if (end > least_bytes) last = id;
      least_bytes = std::max(least_bytes, end);
    }
    if (least_bytes <= core_->io->present_bytes()) return absl::OkStatus();
    return absl::DataLossError(absl::StrFormat(
        "dedup: %s was cut short: it has %d bytes of at least %d, where container %d ends; restore "
        "it, or lengthen it to that size (truncate -s) to read what is left",
        core_->options.device->name(), core_->io->present_bytes(), least_bytes, last));
  }

  absl::Status WireParts() {
    StoreCore* core = core_.get();
    size_t sealed_chunks = 0;
    size_t containers_since_saved = 0;
    size_t chunks_since_saved = 0;
    for (const auto& [id, info] : core->table->List()) {
      sealed_chunks += info.record.chunk_count;
      if (!saved_filter_.has_value() || id < saved_filter_->first_unknown_container) continue;
      ++containers_since_saved;
      chunks_since_saved += info.record.chunk_count;
    }
    core->container_reader = std::make_unique<ContainerReader>(
        ContainerReader::Options{.io = core->io.get(),
                                 .table = core->table.get(),
                                 .codec = core->codec.get(),
                                 .cipher = core->cipher.get(),
                                 .superblock = &core->superblock,
                                 .cache_bytes = core->options.data_cache_bytes});
    core->index = std::make_unique<ChunkIndex>(ChunkIndex::Options{
        .kv = core->options.kv,
        .chunks = core->chunks,
        .containers = core->containers,
        .metadata_cache_bytes = core->options.metadata_cache_bytes,
        .filter = {.space = core->filter,
                   .opening = core->store_record.generation,
                   .expected_chunks = sealed_chunks,
                   .saved = saved_filter_,
                   .containers_since_saved = containers_since_saved,
                   .chunks_since_saved = chunks_since_saved,
                   .admit =
                       [core](uint64_t bytes) {
                         const StoreOptions& options = core->options;
                         return options.admit_space == nullptr
                                    ? absl::OkStatus()
                                    : options.admit_space(bytes, SpaceUse::kWriter);
                       }},
        .log = core->options.log,
        .table = core->table.get(),
        .container_reader = core->container_reader.get()});
    core->reader = std::make_unique<ChunkReader>(ChunkReader::Options{
        .index = core->index.get(), .containers = core->container_reader.get()});
    STRATA_ASSIGN_OR_RETURN(
        core->log,
        ContainerLog::Create({.device = core->options.device,
                              .kv = core->options.kv,
                              .containers = core->containers,
                              .table = core->table.get(),
                              .index = core->index.get(),
                              .cipher = core->cipher.get(),
                              .workers = core->workers.get(),
                              .superblock = &core->superblock,
                              .generation = core->store_record.generation,
                              .reserved_slots = kReservedSlots,
                              .journaled = core->superblock.journaled,
                              .journal_slots = core->superblock.journaled ? kJournalSlots : 0,
                              .admit_space = core->options.admit_space,
                              .log = core->options.log}));
    if (!core->superblock.journaled || read_only()) return absl::OkStatus();
    STRATA_ASSIGN_OR_RETURN(core->journal,
                            Journal::Attach({.kv = core->options.kv,
                                             .containers = core->containers,
                                             .chunks = core->chunks,
                                             .filter = *core->filter,
                                             .unlogged_prefix = core->options.name,
                                             .log = core->log.get(),
                                             .codec = core->codec.get(),
                                             .cipher = core->cipher.get(),
                                             .compression = core->options.compression,
                                             .compression_level = core->options.compression_level,
                                             .container_bytes = core->superblock.container_bytes,
                                             .generation = core->store_record.generation}));
    return absl::OkStatus();
  }

  std::unique_ptr<StoreCore> core_;
  std::optional<FilterRecord> saved_filter_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<StoreCore>> OpenStoreCore(const StoreOptions& options) {
  return Opener(options).Open();
}

}  // namespace strata::dedup

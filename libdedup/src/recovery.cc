// SPDX-License-Identifier: Apache-2.0
//
// Opening a store: check that device and kv store belong together (or make both), load the
// container records, scan the containers that were open when the store was last used.
#include "recovery.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "chunking/key.h"
#include "format/codec.h"
#include "format/container_scan.h"
#include "journal_recovery.h"
#include "long_calls.h"
#include "store_core.h"
#include "strata/base/clock.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr uint32_t kLeastSlots = kReservedSlots + 2;
constexpr uint32_t kMostWorkerThreads = 64;

absl::Status CheckOptions(const StoreOptions& options) {
  if (options.device == nullptr || options.kv == nullptr) {
    return absl::InvalidArgumentError("dedup: options.device and options.kv must be given");
  }
  const uint32_t container_bytes = options.container_bytes;
  if (!std::has_single_bit(container_bytes) || container_bytes < kLeastContainerBytes ||
      container_bytes > kMostContainerBytes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "dedup: container_bytes is %d, must be a power of two from 1 to 64 MiB", container_bytes));
  }
  if (options.mode > Mode::kPostProcess) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dedup: mode %d is not known", static_cast<int>(options.mode)));
  }
  if (options.worker_threads > kMostWorkerThreads) {
    return absl::InvalidArgumentError(absl::StrFormat("dedup: worker_threads is %d, must be 0..%d",
                                                      options.worker_threads, kMostWorkerThreads));
  }
  return CheckCompression(CompressionOf(options));
}

// A region must fit a container beside its footer, whatever its chunks are like.
absl::Status CheckChunksFit(const ChunkerOptions& chunker, uint32_t container_bytes) {
  const uint32_t longest =
      chunker.algorithm == ChunkAlgorithm::kFixed ? chunker.avg_bytes : chunker.max_bytes;
  if (longest <= container_bytes / 2) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "dedup: chunks of up to %d bytes need containers of at least twice that, not %d", longest,
      container_bytes));
}

std::vector<std::byte> PaddedToBlock(std::vector<std::byte> bytes, uint32_t block_bytes) {
  bytes.resize(AlignUp(bytes.size(), block_bytes));
  return bytes;
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
    STRATA_RETURN_IF_ERROR(Identify());
    STRATA_RETURN_IF_ERROR(LoadContainers());
    STRATA_RETURN_IF_ERROR(CheckLength());
    // Nothing was written so far, unless the store was made.
    if (!read_only()) {
      RepairSuperblock();
      STRATA_RETURN_IF_ERROR(BeginGeneration());
    }
    STRATA_RETURN_IF_ERROR(BeginCipher());
    STRATA_RETURN_IF_ERROR(BeginJournal());
    STRATA_RETURN_IF_ERROR(MakeParts());
    STRATA_RETURN_IF_ERROR(RecoverOpenContainers());
    STRATA_RETURN_IF_ERROR(RepairJournal());
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

  // Finds out which store this is, or makes one.
  absl::Status Identify() {
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                            core_->options.kv->NewSnapshot()->Get(core_->containers, kStoreKey));
    const absl::StatusOr<Superblock> superblock = ReadSuperblock();
    if (!value.has_value()) {
      if (absl::IsNotFound(superblock.status()) && read_only()) {
        return absl::NotFoundError(
            absl::StrFormat("dedup: %s holds no store", core_->options.device->name()));
      }
      if (absl::IsNotFound(superblock.status())) return Create();
      if (!superblock.ok()) return superblock.status();
      return absl::FailedPreconditionError(absl::StrFormat(
          "dedup: %s holds a store that this kv store (name '%s') knows nothing of; they do not "
          "belong together",
          core_->options.device->name(), core_->options.name));
    }
    STRATA_ASSIGN_OR_RETURN(core_->store_record, DecodeStoreRecord(*value));
    const bool ours = !superblock.ok() || superblock->uuid == core_->store_record.uuid;
    if (core_->store_record.state == StoreRecord::State::kCreating && ours) {
      if (!read_only()) return FinishCreating();
      return absl::NotFoundError(absl::StrFormat("dedup: the store on %s was never finished",
                                                 core_->options.device->name()));
    }
    if (absl::IsNotFound(superblock.status())) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "dedup: the kv store (name '%s') belongs to a store, but %s is empty; they do not belong "
          "together",
          core_->options.name, core_->options.device->name()));
    }
    STRATA_RETURN_IF_ERROR(superblock.status());
    if (superblock->uuid != core_->store_record.uuid) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "dedup: %s holds another store than the kv store (name '%s') knows; they do not belong "
          "together",
          core_->options.device->name(), core_->options.name));
    }
    return Use(*superblock);
  }

  // The better of the two copies.
  absl::StatusOr<Superblock> ReadSuperblock() {
    absl::StatusOr<Superblock> copies[2] = {ReadCopy(0), ReadCopy(1)};
    for (const int bad : {0, 1}) {
      const absl::StatusOr<Superblock>& good = copies[1 - bad];
      if (!good.ok() || copies[bad].ok()) continue;
      if (absl::IsUnimplemented(copies[bad].status())) return copies[bad].status();
      damaged_copy_ = {bad, copies[bad].status()};
    }
    if (copies[0].ok()) return copies[0];
    if (copies[1].ok()) return copies[1];
    const absl::Status& status =
        absl::IsNotFound(copies[0].status()) ? copies[1].status() : copies[0].status();
    return absl::Status(status.code(),
                        absl::StrFormat("dedup: %s: %s", core_->options.device->name(),
                                        std::string(status.message())));
  }

  void RepairSuperblock() {
    const auto& [copy, damage] = damaged_copy_;
    if (damage.ok()) return;
    Log(core_->options.log, LogLevel::kWarning,
        absl::StrFormat("dedup: %s: copy %d of the superblock is written anew: %s",
                        core_->options.device->name(), copy, std::string(damage.message())));
    (void)WriteCopy(copy, core_->superblock);
  }

  absl::StatusOr<Superblock> ReadCopy(int copy) {
    if (DeviceBytesTotal() < kDataOffsetBytes) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%d bytes are too few for a store", DeviceBytesTotal()));
    }
    STRATA_ASSIGN_OR_RETURN(const DeviceBytes bytes,
                            core_->io->Read(kSuperblockOffsets[copy], kSuperblockBytes));
    return DecodeSuperblock(bytes.span());
  }

  absl::Status WriteCopy(int copy, const Superblock& superblock) {
    return core_->io->Write(kSuperblockOffsets[copy],
                            PaddedToBlock(EncodeSuperblock(superblock),
                                          core_->options.device->geometry().block_size_bytes));
  }

  absl::Status Create() {
    STRATA_RETURN_IF_ERROR(SecureRandomBytes(core_->store_record.uuid));
    core_->store_record.state = StoreRecord::State::kCreating;
    return FinishCreating();
  }

  // The record says "creating" before the device is touched, so that a crash in between is told
  // from a foreign device.
  absl::Status FinishCreating() {
    Superblock superblock;
    superblock.uuid = core_->store_record.uuid;
    superblock.created_ns = static_cast<uint64_t>(SystemClock().WallNanos());
    superblock.block_bytes =
        std::max(core_->options.device->geometry().block_size_bytes, kUnitBytes);
    superblock.container_bytes = core_->options.container_bytes;
    superblock.chunker = core_->options.chunker;
    superblock.chunker.key.reset();
    superblock.journaled = core_->options.journal;
    superblock.encrypted = core_->options.encryption_key.has_value();
    superblock.chunker_keyed = core_->options.chunker.key.has_value();
    if (superblock.encrypted) {
      superblock.key_check = KeyCheck(*core_->options.encryption_key, superblock);
    }
    if (superblock.chunker_keyed) {
      superblock.chunker_key_check = KeyCheck(*core_->options.chunker.key, superblock);
    }
    STRATA_RETURN_IF_ERROR(CreateChunker(core_->options.chunker).status());
    STRATA_RETURN_IF_ERROR(CheckChunksFit(superblock.chunker, superblock.container_bytes));
    const uint32_t least_slots = kLeastSlots + (superblock.journaled ? kJournalSlots : 0);
    if (SlotCount(superblock) < least_slots) {
      return absl::InvalidArgumentError(
          absl::StrFormat("dedup: %s has %d bytes, too few for %d containers of %d bytes each",
                          core_->options.device->name(), DeviceBytesTotal(), least_slots,
                          superblock.container_bytes));
    }
    STRATA_RETURN_IF_ERROR(WriteStoreRecord());
    STRATA_RETURN_IF_ERROR(WriteCopy(0, superblock));
    STRATA_RETURN_IF_ERROR(WriteCopy(1, superblock));
    STRATA_RETURN_IF_ERROR(GiveBackBetweenCopies());
    STRATA_RETURN_IF_ERROR(core_->io->Flush());
    core_->store_record.state = StoreRecord::State::kReady;
    STRATA_RETURN_IF_ERROR(WriteStoreRecord());
    return Use(superblock);
  }

  // A file took space for all up to slot 0.
  absl::Status GiveBackBetweenCopies() {
    const block::Geometry& geometry = core_->options.device->geometry();
    if (!geometry.thin || !geometry.supports_discard) return absl::OkStatus();
    // A file gives back only what lies before something that was written.
    STRATA_RETURN_IF_ERROR(core_->io->Write(kDataOffsetBytes - geometry.block_size_bytes,
                                            std::vector<std::byte>(geometry.block_size_bytes)));
    const uint64_t ends[] = {kSuperblockOffsets[1], kDataOffsetBytes};
    for (int copy = 0; copy < 2; ++copy) {
      const uint64_t begin = AlignUp(kSuperblockOffsets[copy] + kSuperblockBytes,
                                     std::max(kSuperblockBytes, geometry.block_size_bytes));
      if (begin >= ends[copy]) continue;
      STRATA_RETURN_IF_ERROR(core_->io->Erase(begin, ends[copy] - begin));
    }
    return absl::OkStatus();
  }

  absl::Status Use(const Superblock& superblock) {
    core_->superblock = superblock;
    const uint32_t device_block = core_->options.device->geometry().block_size_bytes;
    if (superblock.block_bytes % device_block != 0) {
      return absl::FailedPreconditionError(
          absl::StrFormat("dedup: the store was made for blocks of %d bytes; those of %s have %d",
                          superblock.block_bytes, core_->options.device->name(), device_block));
    }
    STRATA_RETURN_IF_ERROR(CheckKeys(superblock));
    ChunkerOptions chunker = superblock.chunker;
    chunker.key = core_->options.chunker.key;
    if (superblock.encrypted && !superblock.chunker_keyed && TakesKey(chunker.algorithm)) {
      chunker.key =
          DeriveKey(*core_->options.encryption_key, "strata dedup chunker", superblock.uuid);
    }
    STRATA_ASSIGN_OR_RETURN(core_->chunker, CreateChunker(chunker));
    // Several regions to a container, or a footer would not fit beside one.
    core_->options.region_bytes =
        std::min(core_->options.region_bytes, superblock.container_bytes / 4);
    return CheckChunksFit(superblock.chunker, superblock.container_bytes);
  }

  static std::array<std::byte, 32> KeyCheck(const std::array<std::byte, 32>& key,
                                            const Superblock& superblock) {
    return DeriveKey(key, "strata dedup check", superblock.uuid);
  }

  absl::Status CheckKey(const char* name, const std::optional<EncryptionKey>& given, bool wanted,
                        const std::array<std::byte, 32>& check, const Superblock& superblock) {
    const char* wrong = nullptr;
    if (wanted && !given.has_value()) wrong = "is missing: the store was made with one";
    if (!wanted && given.has_value()) wrong = "is given, but the store was made without one";
    if (wanted && given.has_value() && KeyCheck(*given, superblock) != check) {
      wrong = "is not the one that the store was made with";
    }
    if (wrong == nullptr) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrFormat("dedup: %s: %s %s", core_->options.device->name(), name, wrong));
  }

  absl::Status CheckKeys(const Superblock& superblock) {
    STRATA_RETURN_IF_ERROR(CheckKey("encryption_key", core_->options.encryption_key,
                                    superblock.encrypted, superblock.key_check, superblock));
    return CheckKey("chunker.key", core_->options.chunker.key, superblock.chunker_keyed,
                    superblock.chunker_key_check, superblock);
  }

  absl::Status WriteStoreRecord() { return dedup::WriteStoreRecord(*core_); }

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

  // A store that was made without a journal gets one here. Programs that know of none refuse it
  // from then on, for they would let parts of it go.
  absl::Status BeginJournal() {
    if (read_only() || !core_->options.journal || core_->superblock.journaled) {
      return absl::OkStatus();
    }
    core_->superblock.journaled = true;
    STRATA_RETURN_IF_ERROR(WriteCopy(0, core_->superblock));
    STRATA_RETURN_IF_ERROR(WriteCopy(1, core_->superblock));
    return core_->io->Flush();
  }

  absl::Status RepairJournal() {
    if (core_->journal == nullptr || !core_->journal->needs_repair()) return absl::OkStatus();
    if (JournalWasCutOff()) {
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
    core_->table = std::make_unique<ContainerTable>(SlotCount(core_->superblock));
    const std::unique_ptr<kv::Snapshot> snapshot = core_->options.kv->NewSnapshot();
    std::vector<std::pair<uint64_t, std::string>> damage;
    kv::Range range;
    for (bool more = true; more;) {
      STRATA_ASSIGN_OR_RETURN(kv::Page page, snapshot->List(core_->containers, range, {}));
      for (const kv::KeyValue& item : page.items) {
        if (const absl::StatusOr<uint64_t> id = ParseDamageKey(item.key); id.ok()) {
          damage.emplace_back(*id, item.value);
          continue;
        }
        const absl::StatusOr<uint64_t> id = ParseContainerKey(item.key);
        if (!id.ok()) continue;  // The store's own record, and others that are alone.
        STRATA_ASSIGN_OR_RETURN(const ContainerRecord record, DecodeContainerRecord(item.value));
        STRATA_RETURN_IF_ERROR(core_->table->Add(*id, record));
      }
      more = page.more;
      if (more) range.begin = page.items.back().key + '\0';
    }
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
    if (least_bytes <= PresentBytes()) return absl::OkStatus();
    return absl::DataLossError(absl::StrFormat(
        "dedup: %s was cut short: it has %d bytes of at least %d, where container %d ends; restore "
        "it, or lengthen it to that size (truncate -s) to read what is left",
        core_->options.device->name(), PresentBytes(), least_bytes, last));
  }

  absl::Status MakeParts() {
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
        .expected_chunks = sealed_chunks,
        .filter = core->filter,
        .opening = core->store_record.generation,
        .saved_filter = saved_filter_,
        .containers_since_saved = containers_since_saved,
        .chunks_since_saved = chunks_since_saved,
        .admit =
            [core](uint64_t bytes) {
              const StoreOptions& options = core->options;
              return options.admit_space == nullptr
                         ? absl::OkStatus()
                         : options.admit_space(bytes, StoreOptions::SpaceUse::kWriter);
            },
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

  // Finds what the open containers hold. All but the newest are closed, and that one, too, where it
  // has its footer already; else the log goes on in it. What the journal says is written to the kv
  // store before any of them counts as sealed there.
  absl::Status RecoverOpenContainers() {
    JournalPlace applied;
    if (core_->superblock.journaled) {
      STRATA_ASSIGN_OR_RETURN(const std::optional<JournalPlace> known, ReadJournalPlace(*core_));
      applied = known.value_or(JournalPlace{});
      last_journal_container_ = applied.container_id;
    }
    JournalRecords records(applied.sequence);
    UnsealedRegions unsealed;
    std::vector<ContainerScan> scans;
    for (const auto& [id, info] : core_->table->List()) {
      if (info.record.sealed) continue;
      // What a scan finds may still sit in the device's cache; from here on it is relied on.
      if (unsealed.empty() && !read_only()) STRATA_RETURN_IF_ERROR(core_->io->Flush());
      absl::flat_hash_set<uint32_t>& regions = unsealed[id];
      STRATA_ASSIGN_OR_RETURN(std::optional<ContainerScan> scan,
                              ScanOpenContainer(id, info.record, &records, &regions));
      core_->index->NoteUnfinished(id,
                                   SlotOffset(info.record.slot, core_->superblock.container_bytes) +
                                       (scan.has_value() ? scan->end_bytes : 0));
      if (scan.has_value()) scans.push_back(*std::move(scan));
    }
    if (read_only() && core_->superblock.journaled) {
      WarnOfUnreplayedJournal(*core_, records, unsealed, applied);
    }
    if (core_->journal == nullptr) return GoOnIn(scans);
    STRATA_ASSIGN_OR_RETURN(const ReplayedJournal replayed,
                            ReplayJournal(*core_, records, unsealed));
    STRATA_RETURN_IF_ERROR(GoOnIn(scans));
    return core_->journal->Start(replayed.applied, replayed.some_are_void);
  }

  absl::Status GoOnIn(std::span<const ContainerScan> scans) {
    for (size_t i = 0; i < scans.size(); ++i) {
      if (i > 0) STRATA_RETURN_IF_ERROR(SealLast());
      core_->log->Resume(scans[i]);
    }
    // RebuildMetadata() believes a footer: nothing may follow what that lists.
    if (!scans.empty() && scans.back().has_footer) return SealLast();
    return absl::OkStatus();
  }

  absl::Status SealLast() {
    if (!read_only()) return core_->log->Seal();
    core_->log->SetAside();
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<ContainerScan>> ScanOpenContainer(
      uint64_t id, const ContainerRecord& record, JournalRecords* records,
      absl::flat_hash_set<uint32_t>* regions) {
    STRATA_ASSIGN_OR_RETURN(const DeviceBytes bytes, core_->container_reader->ReadSlot(id));
    std::vector<CollectedPart> parts;
    std::vector<std::string> damage;
    const RegionVisitor collect = [&](const DecodedRegion& region) {
      regions->insert(region.header.sequence);
      return CollectJournal(region, *core_->codec, &parts, &damage);
    };
    absl::StatusOr<ContainerScan> scan =
        ScanContainer(bytes.span(), core_->superblock.block_bytes, core_->cipher.get(), collect);
    if (absl::IsUnimplemented(scan.status())) return scan.status();
    bool ours = scan.ok() && scan->header.id == id && scan->header.slot == record.slot &&
                scan->header.store_uuid == core_->superblock.uuid &&
                scan->header.nonce == record.nonce;
    if (!ours) {
      parts.clear();
      regions->clear();
      scan = RestoreHeader(id, record, bytes.span(), collect);
      ours = scan.ok();
      if (!ours && !absl::IsNotFound(scan.status())) return scan.status();
    }
    if (ours) {
      for (const CollectedPart& collected : parts) records->Add(collected.part, id);
      for (const std::string& what : damage) Log(core_->options.log, LogLevel::kWarning, what);
      Log(core_->options.log, LogLevel::kInfo,
          absl::StrFormat("dedup: container %d was open: %d regions, %d chunks", id,
                          scan->contents.regions.size(), scan->contents.chunks.size()));
      for (const uint64_t gap : scan->gaps) {
        Log(core_->options.log, LogLevel::kWarning,
            absl::StrFormat("dedup: container %d, slot %d: regions at byte %d are damaged, or were "
                            "never finished; others follow",
                            id, record.slot, gap));
      }
      return *std::move(scan);
    }
    // Should a device that was cut short be given its end back, the container is there again.
    if (SlotOffset(record.slot, core_->superblock.container_bytes) >= PresentBytes()) {
      return std::nullopt;
    }
    // Neither its header nor any region became durable, so nothing in it was ever promised.
    if (!read_only()) {
      kv::WriteBatch batch;
      batch.Delete(core_->containers, ContainerKey(id));
      STRATA_RETURN_IF_ERROR(core_->options.kv->Write(batch, kv::Durability::kSync));
    }
    core_->table->Remove(id);
    core_->table->ReleaseSlot(record.slot);
    return std::nullopt;
  }

  // For a container whose header is damaged: writes it anew where regions say that the container
  // was there. NotFound: none does.
  absl::StatusOr<ContainerScan> RestoreHeader(uint64_t id, const ContainerRecord& record,
                                              std::span<const std::byte> bytes,
                                              const RegionVisitor& collect) {
    ContainerHeader header;
    header.id = id;
    header.store_uuid = core_->superblock.uuid;
    header.slot = record.slot;
    header.nonce = record.nonce;
    header.container_bytes = core_->superblock.container_bytes;
    header.created_ns = static_cast<uint64_t>(SystemClock().WallNanos());
    STRATA_ASSIGN_OR_RETURN(ContainerScan scan,
                            ScanWithoutHeader(bytes, header, core_->superblock.block_bytes,
                                              core_->cipher.get(), collect));
    const std::span<const std::byte> first = bytes.first(core_->superblock.block_bytes);
    std::vector<std::byte> block(first.begin(), first.end());
    EncodeContainerHeader(&header, block.data());
    scan.header = header;
    if (read_only()) return scan;
    STRATA_RETURN_IF_ERROR(
        core_->io->Write(SlotOffset(record.slot, core_->superblock.container_bytes), block));
    return scan;
  }

  // Whether the newest record that the kv store has would be where the device ended too early.
  bool JournalWasCutOff() const {
    const std::optional<ContainerInfo> last = core_->table->Find(last_journal_container_);
    return last.has_value() && !last->record.sealed &&
           SlotOffset(last->record.slot + 1, core_->superblock.container_bytes) > PresentBytes();
  }

  uint64_t DeviceBytesTotal() const {
    const block::Geometry& geometry = core_->options.device->geometry();
    return geometry.block_count * geometry.block_size_bytes;
  }

  uint64_t PresentBytes() const {
    return DeviceBytesTotal() - core_->options.device->geometry().absent_bytes;
  }

  uint32_t SlotCount(const Superblock& superblock) const {
    const uint64_t bytes = DeviceBytesTotal();
    if (bytes < kDataOffsetBytes) return 0;
    return static_cast<uint32_t>(
        std::min<uint64_t>((bytes - kDataOffsetBytes) / superblock.container_bytes, UINT32_MAX));
  }

  std::unique_ptr<StoreCore> core_;
  uint64_t last_journal_container_ = 0;
  std::optional<FilterRecord> saved_filter_;
  std::pair<int, absl::Status> damaged_copy_;  // Of the superblock, and why. OK: none.
};

}  // namespace

absl::Status WriteStoreRecord(StoreCore& core) {
  kv::WriteBatch batch;
  batch.Put(core.containers, kStoreKey, EncodeStoreRecord(core.store_record));
  return core.options.kv->Write(batch, kv::Durability::kSync);
}

absl::StatusOr<std::unique_ptr<StoreCore>> OpenStoreCore(const StoreOptions& options) {
  return Opener(options).Open();
}

}  // namespace strata::dedup

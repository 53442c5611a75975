// SPDX-License-Identifier: Apache-2.0
//
// Makes the kv store of a journaled store again, from the device alone: every slot is looked at,
// what it holds of the journal is gathered and written to an empty kv store in order. The chunk
// index is left to the next opening, which makes it from the footers.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "format/container_scan.h"
#include "journal_recovery.h"
#include "store_core.h"
#include "strata/base/status_macros.h"
#include "stream_records.h"

namespace strata::dedup {
namespace {

// Of a container that holds no more regions of the journal each is read by itself.
constexpr size_t kMaxSingleReads = 32;

class MetadataRebuild final {
 public:
  MetadataRebuild(const StoreOptions& options, const ProgressCallback& progress)
      : progress_(progress) {
    core_.options = options;
  }

  absl::StatusOr<MetadataReport> Run() {
    if (core_.options.device == nullptr || core_.options.kv == nullptr) {
      return absl::InvalidArgumentError("dedup: options.device and options.kv must be given");
    }
    core_.io = std::make_unique<DeviceIo>(core_.options.device);
    core_.codec = CreateCodec();
    STRATA_RETURN_IF_ERROR(ReadSuperblock());
    STRATA_RETURN_IF_ERROR(OpenSpaces());
    STRATA_RETURN_IF_ERROR(ReadSlots());
    STRATA_RETURN_IF_ERROR(WriteRecords());
    STRATA_RETURN_IF_ERROR(WriteContainers());
    return std::move(report_);
  }

 private:
  absl::Status Report(std::string_view phase, uint64_t done, uint64_t total) {
    if (progress_ == nullptr || progress_({phase, done, total})) return absl::OkStatus();
    return absl::CancelledError("dedup: rebuilding the metadata was cancelled");
  }

  template <typename... Args>
  void Lost(const absl::FormatSpec<Args...>& format, const Args&... args) {
    report_.lost.push_back(absl::StrFormat(format, args...));
    Log(core_.options.log, LogLevel::kWarning, "dedup: " + report_.lost.back());
  }

  uint64_t PresentBytes() const {
    const block::Geometry& geometry = core_.options.device->geometry();
    return geometry.block_count * geometry.block_size_bytes - geometry.absent_bytes;
  }

  absl::Status ReadSuperblock() {
    absl::Status status = absl::NotFoundError("there is none");
    for (const uint64_t offset : kSuperblockOffsets) {
      if (PresentBytes() < offset + kSuperblockBytes) continue;
      STRATA_ASSIGN_OR_RETURN(const DeviceBytes bytes, core_.io->Read(offset, kSuperblockBytes));
      const absl::StatusOr<Superblock> copy = DecodeSuperblock(bytes.span());
      if (copy.ok()) {
        core_.superblock = *copy;
        return UseSuperblock();
      }
      if (!absl::IsNotFound(copy.status())) status = copy.status();
    }
    return absl::Status(status.code(),
                        absl::StrFormat("dedup: %s: superblock: %s", core_.options.device->name(),
                                        std::string(status.message())));
  }

  absl::Status UseSuperblock() {
    const Superblock& superblock = core_.superblock;
    if (!superblock.journaled) {
      return absl::FailedPreconditionError(
          absl::StrFormat("dedup: %s holds a store without a journal: its containers hold data, "
                          "but not what streams and names there were",
                          core_.options.device->name()));
    }
    const std::optional<EncryptionKey>& key = core_.options.encryption_key;
    if (superblock.encrypted != key.has_value()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "dedup: %s: encryption_key %s", core_.options.device->name(),
          key.has_value() ? "is given, but the store was made without one" : "is missing"));
    }
    if (!key.has_value()) return absl::OkStatus();
    if (DeriveKey(*key, "strata dedup check", superblock.uuid) != superblock.key_check) {
      return absl::InvalidArgumentError(
          absl::StrFormat("dedup: %s: encryption_key is not the one that the store was made with",
                          core_.options.device->name()));
    }
    // Nothing is encrypted here, so that its opening's number plays no part.
    STRATA_ASSIGN_OR_RETURN(core_.cipher, CreateCipher(*key, superblock.uuid, 0));
    return absl::OkStatus();
  }

  absl::Status OpenSpaces() {
    kv::Store& kv = *core_.options.kv;
    STRATA_ASSIGN_OR_RETURN(const std::vector<kv::SpaceInfo> spaces, kv.ListSpaces());
    if (!spaces.empty()) {
      return absl::FailedPreconditionError(
          "dedup: metadata is rebuilt into an empty kv store only, and this one is not");
    }
    const kv::SpaceOptions ordered{.access = kv::SpaceOptions::Access::kOrdered};
    const std::string& name = core_.options.name;
    STRATA_ASSIGN_OR_RETURN(core_.streams, kv.OpenSpace(name + ".streams", ordered));
    STRATA_ASSIGN_OR_RETURN(core_.containers, kv.OpenSpace(name + ".containers", ordered));
    return absl::OkStatus();
  }

  absl::Status ReadSlots() {
    const uint32_t container_bytes = core_.superblock.container_bytes;
    const uint64_t present = PresentBytes();
    const uint64_t count =
        present <= kDataOffsetBytes
            ? 0
            : (present - kDataOffsetBytes + container_bytes - 1) / container_bytes;
    for (uint64_t slot = 0; slot < count; ++slot) {
      STRATA_RETURN_IF_ERROR(ReadSlot(static_cast<uint32_t>(slot)));
      STRATA_RETURN_IF_ERROR(Report("containers", slot + 1, count));
    }
    return absl::OkStatus();
  }

  // Fewer bytes where the device was cut short. An error is the device's.
  absl::StatusOr<DeviceBytes> ReadIn(uint32_t slot, uint64_t offset_bytes, uint64_t size_bytes) {
    const uint64_t begin = SlotOffset(slot, core_.superblock.container_bytes) + offset_bytes;
    const uint64_t present = PresentBytes();
    if (begin >= present) return absl::DataLossError("behind the end of the device");
    return core_.io->Read(begin, std::min(size_bytes, present - begin));
  }

  absl::Status ReadSlot(uint32_t slot) {
    const absl::StatusOr<DeviceBytes> front = ReadIn(slot, 0, kContainerHeaderBytes);
    if (!front.ok()) {
      Lost("slot %d cannot be read: %s", slot, std::string(front.status().message()));
      return absl::OkStatus();
    }
    const std::span<const std::byte> bytes = front->span();
    const bool is_free = std::all_of(bytes.begin(), bytes.end(),
                                     [](std::byte byte) { return byte == std::byte{0}; });
    if (is_free) return absl::OkStatus();
    absl::StatusOr<ContainerHeader> header = DecodeContainerHeader(bytes);
    if (absl::IsUnimplemented(header.status())) return header.status();
    if (header.ok() && (header->store_uuid != core_.superblock.uuid || header->slot != slot)) {
      Lost("slot %d holds a container of another store or place", slot);
      return absl::OkStatus();
    }
    return ReadContainer(slot, header);
  }

  absl::Status ReadContainer(uint32_t slot, const absl::StatusOr<ContainerHeader>& header) {
    size_t footer_bytes = 0;
    absl::StatusOr<DecodedFooter> footer = ReadFooter(slot, &footer_bytes);
    if (absl::IsUnimplemented(footer.status())) return footer.status();
    const bool is_closed =
        footer.ok() && (!header.ok() || (footer->container_id == header->id &&
                                         footer->container_header_crc == header->header_crc));
    if (!is_closed) return ReadRegions(slot, header);
    if (!header.ok()) {
      Lost("the header of container %d, slot %d, is damaged: %s", footer->container_id, slot,
           std::string(header.status().message()));
    }
    const ContainerContents& contents = footer->contents;
    AddContainer(footer->container_id,
                 {.slot = slot,
                  .sealed = true,
                  .chunk_count = static_cast<uint32_t>(contents.chunks.size()),
                  .footer_bytes = static_cast<uint32_t>(footer_bytes),
                  .raw_bytes = contents.raw_bytes,
                  .stored_bytes = contents.stored_bytes,
                  .recipe_count = contents.recipe_count(),
                  .recipe_bytes = static_cast<uint32_t>(contents.recipe_bytes),
                  .deferred = contents.deferred,
                  .dense = contents.dense});
    return ReadJournalOf(slot, footer->container_id, contents);
  }

  absl::StatusOr<DecodedFooter> ReadFooter(uint32_t slot, size_t* footer_bytes) {
    const uint32_t container_bytes = core_.superblock.container_bytes;
    uint64_t size = std::min<uint64_t>(container_bytes, 64u << 10);
    for (int attempt = 0;; ++attempt) {
      STRATA_ASSIGN_OR_RETURN(const DeviceBytes bytes, ReadIn(slot, container_bytes - size, size));
      if (bytes.span().size() < size) return absl::DataLossError("container footer: cut short");
      absl::StatusOr<DecodedFooter> footer =
          DecodeFooter(bytes.span(), core_.cipher.get(), footer_bytes);
      if (!absl::IsOutOfRange(footer.status()) || attempt > 0 || *footer_bytes > container_bytes) {
        return footer;
      }
      size = *footer_bytes;
    }
  }

  absl::Status ReadJournalOf(uint32_t slot, uint64_t id, const ContainerContents& contents) {
    if (contents.journal_regions == 0) return absl::OkStatus();
    DeviceBytes whole;
    if (contents.journal_regions > kMaxSingleReads) {
      absl::StatusOr<DeviceBytes> bytes = ReadIn(slot, 0, core_.superblock.container_bytes);
      if (bytes.ok()) whole = *std::move(bytes);
    }
    for (const RegionExtent& extent : contents.regions) {
      if (extent.kind != RegionKind::kJournal) continue;
      const uint64_t begin = uint64_t{extent.offset_units} * kUnitBytes;
      const uint64_t size = uint64_t{extent.size_units} * kUnitBytes;
      DeviceBytes own;
      std::span<const std::byte> bytes = whole.span();
      absl::Status status;
      if (begin + size > core_.superblock.container_bytes) {
        status = absl::DataLossError("the footer lists a place behind the end");
      } else if (begin + size <= bytes.size()) {
        bytes = bytes.subspan(begin, size);
      } else {
        absl::StatusOr<DeviceBytes> read = ReadIn(slot, begin, size);
        status = read.status();
        if (read.ok()) own = *std::move(read);
        bytes = own.span();
      }
      if (status.ok()) status = TakeRegion(id, extent, bytes);
      if (absl::IsUnimplemented(status)) return status;
      if (!status.ok()) {
        Lost("commits in container %d, slot %d, at byte %d of it are lost: %s", id, slot, begin,
             std::string(status.message()));
      }
    }
    return absl::OkStatus();
  }

  absl::Status TakeRegion(uint64_t id, const RegionExtent& extent,
                          std::span<const std::byte> bytes) {
    STRATA_ASSIGN_OR_RETURN(const DecodedRegion region, DecodeRegion(bytes, core_.cipher.get()));
    if (region.header.container_id != id || region.header.offset_units != extent.offset_units) {
      return absl::DataLossError("a region of another container or place");
    }
    return Collect(region, id);
  }

  absl::Status Collect(const DecodedRegion& region, uint64_t id) {
    std::vector<CollectedPart> parts;
    STRATA_RETURN_IF_ERROR(CollectJournal(region, *core_.codec, &parts, &report_.lost));
    for (const CollectedPart& collected : parts) records_.Add(collected.part, id);
    return absl::OkStatus();
  }

  // A container that was being written, or whose footer is lost.
  absl::Status ReadRegions(uint32_t slot, const absl::StatusOr<ContainerHeader>& header) {
    const absl::StatusOr<DeviceBytes> bytes = ReadIn(slot, 0, core_.superblock.container_bytes);
    if (!bytes.ok()) {
      Lost("slot %d cannot be read: %s", slot, std::string(bytes.status().message()));
      return absl::OkStatus();
    }
    const uint32_t block_bytes = core_.superblock.block_bytes;
    ContainerHeader known;
    if (header.ok()) {
      known = *header;
    } else {
      known = HeaderFromRegion(bytes->span());
      known.slot = slot;
    }
    const uint64_t id = known.id;
    const RegionVisitor collect = [&](const DecodedRegion& region) { return Collect(region, id); };
    absl::StatusOr<ContainerScan> scan = absl::NotFoundError("no region says whose it is");
    if (header.ok()) {
      scan = ScanContainer(bytes->span(), block_bytes, core_.cipher.get(), collect);
    } else if (id != 0) {
      scan = ScanWithoutHeader(bytes->span(), known, block_bytes, core_.cipher.get(), collect);
    }
    if (absl::IsUnimplemented(scan.status())) return scan.status();
    if (!scan.ok()) {
      Lost("slot %d holds a container of which nothing can be read: %s", slot,
           std::string(header.status().message()));
      return absl::OkStatus();
    }
    // What a gap held was perhaps never finished. Where a commit is missing the chain of commits
    // tells, and Verify() which streams miss chunks.
    for (const uint64_t gap : scan->gaps) {
      Log(core_.options.log, LogLevel::kWarning,
          absl::StrFormat("dedup: container %d, slot %d: regions at byte %d of it are damaged, or "
                          "were never finished; others follow",
                          id, slot, gap));
    }
    // The next opening reads it once more, and closes it.
    AddContainer(id, {.slot = slot, .nonce = known.nonce});
    return absl::OkStatus();
  }

  // What a lost header said, as far as the first region repeats it. Later ones are asked only where
  // the store is encrypted: elsewhere a client's bytes may look like a region.
  ContainerHeader HeaderFromRegion(std::span<const std::byte> bytes) {
    ContainerHeader header;
    header.store_uuid = core_.superblock.uuid;
    header.container_bytes = core_.superblock.container_bytes;
    const size_t end = core_.cipher != nullptr ? bytes.size() : 2 * kContainerHeaderBytes;
    for (size_t at = kContainerHeaderBytes; at + kRegionHeaderBytes <= std::min(end, bytes.size());
         at += kUnitBytes) {
      const absl::StatusOr<RegionHeader> region = DecodeRegionHeader(bytes.subspan(at));
      if (!region.ok() || uint64_t{region->offset_units} * kUnitBytes != at) continue;
      if (core_.cipher != nullptr && !DecodeRegion(bytes.subspan(at), core_.cipher.get()).ok()) {
        continue;
      }
      header.id = region->container_id;
      header.nonce = region->container_nonce;
      break;
    }
    return header;
  }

  void AddContainer(uint64_t id, const ContainerRecord& record) {
    const auto [other, is_new] = found_.try_emplace(id, record);
    if (!is_new) {
      Lost("slot %d holds container %d, which lies in slot %d already", record.slot, id,
           other->second.slot);
      return;
    }
    generation_ = std::max(generation_, static_cast<uint32_t>(id >> 32));
    ++report_.containers_found;
  }

  struct Plan {
    std::optional<uint64_t> checkpoint;
    std::vector<uint64_t> commits;  // That follow it, in order.
  };

  bool IsWhole(uint64_t sequence) const {
    const auto found = records_.checkpoints().find(sequence);
    return found != records_.checkpoints().end() && found->second.complete();
  }

  std::optional<uint64_t> NewestCheckpoint(uint64_t most) const {
    std::optional<uint64_t> newest;
    for (const auto& [sequence, checkpoint] : records_.checkpoints()) {
      if (sequence <= most && checkpoint.complete()) newest = sequence;
    }
    return newest;
  }

  // Goes back from the newest commit to the checkpoint that the chain begins at. One beside the
  // chain counts for nothing: a power cut took what it held from the kv store.
  Plan MakePlan() {
    Plan plan;
    const std::map<uint64_t, JournalRecords::Commit>& commits = records_.commits();
    const std::optional<uint64_t> newest = NewestCheckpoint(UINT64_MAX);
    if (commits.empty() || newest.value_or(0) >= commits.rbegin()->first) {
      plan.checkpoint = newest;
      return plan;
    }
    for (auto at = std::prev(commits.end());;) {
      plan.commits.push_back(at->first);
      const uint64_t previous = at->second.previous.sequence;
      if (IsWhole(previous)) plan.checkpoint = previous;
      if (plan.checkpoint.has_value() || previous == 0) break;
      const auto before = commits.find(previous);
      if (before != commits.end()) {
        at = before;
        continue;
      }
      holes_ = true;
      const auto next_commit = commits.lower_bound(previous);
      const uint64_t older_commit =
          next_commit == commits.begin() ? 0 : std::prev(next_commit)->first;
      const std::optional<uint64_t> older = NewestCheckpoint(previous);
      Lost("commits after number %d and up to number %d are lost",
           std::max(older_commit, older.value_or(0)), previous);
      if (older.value_or(0) >= older_commit) {
        plan.checkpoint = older;
        break;
      }
      at = std::prev(next_commit);
    }
    if (!plan.checkpoint.has_value() && holes_) {
      Lost("no checkpoint of the journal is whole; what was not changed since may be missing");
    }
    std::reverse(plan.commits.begin(), plan.commits.end());
    return plan;
  }

  absl::Status WriteRecords() {
    const Plan plan = MakePlan();
    // Where commits are missing, what broken checkpoints hold is better than nothing.
    for (const auto& [sequence, found] : records_.checkpoints()) {
      if (plan.checkpoint.has_value() ? sequence != *plan.checkpoint : !holes_) continue;
      for (const auto& [piece, operations] : found.pieces) {
        STRATA_RETURN_IF_ERROR(Apply({sequence, 0}, operations));
      }
    }
    const uint64_t checkpoint = plan.checkpoint.value_or(0);
    JournalPlace applied{checkpoint, 0};
    for (size_t i = 0; i < plan.commits.size(); ++i) {
      const JournalRecords::Commit& commit = records_.commits().at(plan.commits[i]);
      applied = {plan.commits[i], commit.container_id};
      STRATA_RETURN_IF_ERROR(Apply(applied, commit.operations));
      ++report_.commits_replayed;
      STRATA_RETURN_IF_ERROR(Report("commits", i + 1, plan.commits.size()));
    }
    generation_ = std::max(generation_, static_cast<uint32_t>(records_.newest_sequence() >> 32));
    kv::WriteBatch batch;
    batch.Put(core_.containers, kJournalKey, EncodeJournalPlace(applied));
    batch.Put(core_.containers, kCheckpointKey, EncodeCheckpointRecord({.sequence = checkpoint}));
    if (!report_.lost.empty()) batch.Put(core_.containers, kRepairKey, "");
    return core_.options.kv->Write(batch, kv::Durability::kAsync);
  }

  absl::Status Apply(const JournalPlace& place, std::string_view operations) {
    const absl::Status status = ApplyJournalRecord(core_, place, operations);
    if (!absl::IsDataLoss(status)) return status;
    Lost("part of commit number %d is lost: %s", place.sequence, std::string(status.message()));
    return absl::OkStatus();
  }

  absl::Status WriteContainers() {
    kv::WriteBatch batch;
    for (const auto& [id, record] : found_) {
      batch.Put(core_.containers, ContainerKey(id), EncodeContainerRecord(record));
      if (batch.operations().size() < 1000) continue;
      STRATA_RETURN_IF_ERROR(core_.options.kv->Write(batch, kv::Durability::kAsync));
      batch.Clear();
    }
    // Last, and by it alone the kv store is one of this store's. The opening that follows takes the
    // next number, which no container has, nor anything that was encrypted.
    const StoreRecord store{.state = StoreRecord::State::kRebuilding,
                            .uuid = core_.superblock.uuid,
                            .generation = generation_};
    batch.Put(core_.containers, kStoreKey, EncodeStoreRecord(store));
    STRATA_RETURN_IF_ERROR(core_.options.kv->Write(batch, kv::Durability::kSync));
    const std::unique_ptr<kv::Snapshot> snapshot = core_.options.kv->NewSnapshot();
    return ForEachStream(*snapshot, core_.streams, [this](const StreamId&, const StreamRecord&) {
      ++report_.streams;
      return absl::OkStatus();
    });
  }

  StoreCore core_;  // As much of it as reading takes.
  const ProgressCallback& progress_;
  MetadataReport report_;
  JournalRecords records_;
  std::map<uint64_t, ContainerRecord> found_;
  uint32_t generation_ = 0;
  bool holes_ = false;
};

}  // namespace

absl::StatusOr<MetadataReport> RebuildMetadata(const StoreOptions& options,
                                               const ProgressCallback& progress) {
  return MetadataRebuild(options, progress).Run();
}

}  // namespace strata::dedup

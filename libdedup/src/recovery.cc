// SPDX-License-Identifier: Apache-2.0
#include "recovery.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "format/layout.h"
#include "strata/base/clock.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {

absl::Status Recovery::Run() {
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
  if (core_->journal == nullptr) return ContinueIn(scans);
  STRATA_ASSIGN_OR_RETURN(const ReplayedJournal replayed, ReplayJournal(*core_, records, unsealed));
  STRATA_RETURN_IF_ERROR(ContinueIn(scans));
  return core_->journal->Start(replayed.applied, replayed.some_are_void);
}

absl::Status Recovery::ContinueIn(std::span<const ContainerScan> scans) {
  for (size_t i = 0; i < scans.size(); ++i) {
    if (i > 0) STRATA_RETURN_IF_ERROR(SealLast());
    core_->log->Resume(scans[i]);
  }
  // RebuildMetadata() believes a footer: nothing may follow what that lists.
  if (!scans.empty() && scans.back().has_footer) return SealLast();
  return absl::OkStatus();
}

absl::Status Recovery::SealLast() {
  if (!read_only()) return core_->log->Seal();
  core_->log->SetAside();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<ContainerScan>> Recovery::ScanOpenContainer(
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
  if (SlotOffset(record.slot, core_->superblock.container_bytes) >= core_->io->present_bytes()) {
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
absl::StatusOr<ContainerScan> Recovery::RestoreHeader(uint64_t id, const ContainerRecord& record,
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

bool Recovery::JournalWasCutOff() const {
  const std::optional<ContainerInfo> last = core_->table->Find(last_journal_container_);
  return last.has_value() && !last->record.sealed &&
         SlotOffset(last->record.slot + 1, core_->superblock.container_bytes) >
             core_->io->present_bytes();
}

}  // namespace strata::dedup

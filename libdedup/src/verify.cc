// SPDX-License-Identifier: Apache-2.0
//
// Reads every container and every recipe. First the containers, which tells the damaged places;
// then the streams, which tells who suffers from them.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "format/container_scan.h"
#include "format/salvage.h"
#include "index_check.h"
#include "long_calls.h"
#include "store_core.h"
#include "strata/base/status_macros.h"
#include "stream_records.h"
#include "stream_walk.h"

namespace strata::dedup {
namespace {

class Verification final {
 public:
  Verification(StoreCore* core, const VerifyOptions& options) : core_(core), options_(options) {}

  absl::StatusOr<VerifyReport> Run() {
    STRATA_RETURN_IF_ERROR(CheckKv());
    STRATA_RETURN_IF_ERROR(CheckContainers());
    STRATA_RETURN_IF_ERROR(LeadAwayFromDamage());
    STRATA_RETURN_IF_ERROR(CheckIndexEntries());
    STRATA_RETURN_IF_ERROR(CheckStreams());
    // The next collection, or opening, writes the journal once more.
    if (journal_damaged_) STRATA_RETURN_IF_ERROR(core_->journal->NoteNeedsRepair());
    return std::move(report_);
  }

 private:
  struct ToCheck {
    uint64_t id = 0;
    uint32_t slot = 0;
    bool sealed = false;
    ContainerRecord record;      // Sealed only.
    ContainerContents contents;  // Open only.
  };

  absl::Status Report(std::string_view phase, uint64_t done, uint64_t total) {
    if (options_.progress == nullptr || options_.progress({phase, done, total}))
      return absl::OkStatus();
    return absl::CancelledError("dedup: verification was cancelled");
  }

  struct RegionDamage {
    std::string detail{};
    bool all = false;  // Of its chunks are lost; else these:
    std::vector<uint16_t> lost{};
    bool Has(uint16_t ordinal) const { return all || std::ranges::binary_search(lost, ordinal); }
  };

  absl::Status CheckKv() {
    const absl::Status status = core_->options.kv->VerifyChecksums();
    if (absl::IsDataLoss(status)) report_.index_damage.emplace_back(status.message());
    return ErrorUnlessDamage(status);
  }

  absl::Status CheckIndexEntries() {
    IndexCheck check;
    STRATA_RETURN_IF_ERROR(CheckIndex(
        *core_, [this](uint64_t done, uint64_t total) { return Report("index", done, total); },
        &check));
    report_.index_entries_checked = check.entries;
    std::ranges::move(check.damage, std::back_inserter(report_.index_damage));
    return absl::OkStatus();
  }

  // Where the index leads to a chunk that was found damaged now and another container has it, too.
  absl::Status LeadAwayFromDamage() {
    if (!core_->table->any_lost() || core_->options.read_only) return absl::OkStatus();
    for (const auto& [id, info] : core_->table->List()) {
      if (!info.record.sealed) continue;
      const absl::StatusOr<ContainerContents> contents =
          core_->container_reader->ReadContents(id, info.record);
      if (!contents.ok()) continue;  // Gone, or reported already.
      absl::Status status = core_->index->LeadAwayFromDamage(id, *contents);
      if (absl::IsDataLoss(status)) continue;  // The index; CheckStreams() meets it.
      Written(status);                         // A full disk does not end the verification.
    }
    return absl::OkStatus();
  }

  absl::Status CheckContainers() {
    std::vector<ToCheck> list;
    absl::flat_hash_set<uint64_t> unsealed;
    uint64_t position = 0;
    for (ContainerLog::UnsealedContainer& open : core_->log->ListUnsealed(&position)) {
      unsealed.insert(open.id);
      list.push_back({open.id, open.slot, false, {}, std::move(open.contents)});
    }
    STRATA_RETURN_IF_ERROR(core_->log->WaitDurable(position));
    for (const auto& [id, info] : core_->table->List()) {
      if (!info.record.sealed || unsealed.contains(id)) continue;
      list.push_back({id, info.record.slot, true, info.record, {}});
    }
    for (size_t i = 0; i < list.size(); ++i) {
      STRATA_RETURN_IF_ERROR(CheckContainer(list[i]));
      STRATA_RETURN_IF_ERROR(Report("containers", i + 1, list.size()));
    }
    return absl::OkStatus();
  }

  // A finding counts only while the container is there: garbage collection may free it meanwhile.
  void FoundDamage(uint64_t id, uint64_t offset_bytes, std::string_view what) {
    if (!core_->table->Contains(id)) return;
    std::string detail = absl::StrFormat("container %d is damaged at byte %d of the device: %s", id,
                                         offset_bytes, std::string(what));
    core_->reader->CountCorruption();
    report_.container_damage.push_back(std::move(detail));
  }

  absl::Status CheckContainer(ToCheck& container) {
    const uint32_t container_bytes = core_->superblock.container_bytes;
    const uint64_t slot_offset = SlotOffset(container.slot, container_bytes);
    if (container.sealed) {
      absl::StatusOr<ContainerContents> contents =
          core_->container_reader->ReadFooter(container.id, container.record);
      if (absl::IsNotFound(contents.status())) return absl::OkStatus();  // Collected meanwhile.
      report_.bytes_read += container.record.footer_bytes;
      if (contents.ok()) {
        container.contents = *std::move(contents);
      } else {
        STRATA_RETURN_IF_ERROR(ErrorUnlessDamage(contents.status()));
        FoundDamage(container.id, slot_offset + container_bytes - container.record.footer_bytes,
                    std::string(contents.status().message()));
        // The regions do not tell whether one of the journal is missing among them.
        if (core_->journal != nullptr &&
            container.id >= core_->journal->checkpoint().first_container) {
          journal_damaged_ = true;
        }
        contents = core_->container_reader->ReadContents(container.id, container.record);
        if (contents.ok()) {
          container.contents = *std::move(contents);
        } else {
          unlisted_.insert(container.id);
          core_->table->MarkDamaged(container.id, std::string(contents.status().message()));
        }
      }
    }
    ++report_.containers_checked;
    return options_.read_data ? CheckSlot(container) : CheckHeader(container);
  }

  static absl::Status ErrorUnlessDamage(const absl::Status& status) {
    return absl::IsDataLoss(status) ? absl::OkStatus() : status;
  }

  absl::Status CheckHeader(const ToCheck& container) {
    const ContainerTable::ReadGuard guard(core_->table.get(), container.id);
    if (!guard) return absl::OkStatus();
    const uint64_t slot_offset = SlotOffset(container.slot, core_->superblock.container_bytes);
    STRATA_ASSIGN_OR_RETURN(const DeviceBytes bytes,
                            core_->io->Read(slot_offset, kContainerHeaderBytes));
    report_.bytes_read += kContainerHeaderBytes;
    return CheckHeaderBytes(container, bytes.span());
  }

  absl::Status CheckHeaderBytes(const ToCheck& container, std::span<const std::byte> bytes) {
    const uint64_t slot_offset = SlotOffset(container.slot, core_->superblock.container_bytes);
    const absl::StatusOr<ContainerHeader> header = DecodeContainerHeader(bytes);
    if (!header.ok()) {
      FoundDamage(container.id, slot_offset, std::string(header.status().message()));
    } else if (header->id != container.id || header->store_uuid != core_->superblock.uuid) {
      FoundDamage(container.id, slot_offset, "the header is another container's");
    }
    return absl::OkStatus();
  }

  absl::Status CheckSlot(const ToCheck& container) {
    // Where the rest of the container is being written, only what is durable may be read.
    if (!container.sealed) {
      STRATA_RETURN_IF_ERROR(CheckHeader(container));
      return CheckRegionsAlone(container);
    }
    const absl::StatusOr<DeviceBytes> slot = core_->container_reader->ReadSlot(container.id);
    if (absl::IsNotFound(slot.status())) return absl::OkStatus();  // Collected meanwhile.
    if (!slot.ok()) {
      STRATA_RETURN_IF_ERROR(ErrorUnlessDamage(slot.status()));
      return CheckRegionsAlone(container);
    }
    report_.bytes_read += slot->span().size();
    STRATA_RETURN_IF_ERROR(CheckHeaderBytes(container, slot->span()));
    size_t first_chunk = 0;
    for (const RegionExtent& extent : container.contents.regions) {
      const uint64_t begin = uint64_t{extent.offset_units} * kUnitBytes;
      const uint64_t size = uint64_t{extent.size_units} * kUnitBytes;
      const std::span<const Fingerprint> chunks =
          std::span(container.contents.chunks).subspan(first_chunk, extent.chunk_count);
      first_chunk += extent.chunk_count;
      absl::Status status = absl::DataLossError("the footer lists a place behind the end");
      if (begin + size <= slot->span().size()) {
        status = CheckRegion(container.id, extent, chunks, slot->span().subspan(begin, size));
        if (!status.ok()) {
          NoteRegion(container, extent, status,
                     LostOf(container.id, extent, chunks, slot->span().subspan(begin, size)));
          continue;
        }
      }
      NoteRegion(container, extent, status, {.all = true});
    }
    return absl::OkStatus();
  }

  // Where the whole slot cannot be read at once, each region is by itself.
  absl::Status CheckRegionsAlone(const ToCheck& container) {
    const ContainerTable::ReadGuard guard(core_->table.get(), container.id);
    if (!guard) return absl::OkStatus();
    const uint64_t slot_offset = SlotOffset(container.slot, core_->superblock.container_bytes);
    size_t first_chunk = 0;
    for (const RegionExtent& extent : container.contents.regions) {
      const uint64_t size = uint64_t{extent.size_units} * kUnitBytes;
      const uint64_t offset = slot_offset + uint64_t{extent.offset_units} * kUnitBytes;
      const std::span<const Fingerprint> chunks =
          std::span(container.contents.chunks).subspan(first_chunk, extent.chunk_count);
      first_chunk += extent.chunk_count;
      absl::StatusOr<DeviceBytes> bytes = core_->io->Read(offset, size);
      absl::Status status = bytes.status();
      if (absl::IsDataLoss(status)) bytes = core_->io->ReadByBlock(offset, size);
      if (bytes.ok()) {
        report_.bytes_read += size;
        if (status.ok()) status = CheckRegion(container.id, extent, chunks, bytes->span());
        if (!status.ok()) {
          NoteRegion(container, extent, status,
                     LostOf(container.id, extent, chunks, bytes->span()));
          continue;
        }
      }
      NoteRegion(container, extent, status, {.all = true});
    }
    return absl::OkStatus();
  }

  // Which of the chunks of a region that does not pass as a whole are lost.
  RegionDamage LostOf(uint64_t id, const RegionExtent& extent, std::span<const Fingerprint> chunks,
                      std::span<const std::byte> bytes) {
    const absl::StatusOr<SalvagedRegion> salvaged =
        SalvageRegion(bytes, *core_->codec, core_->cipher.get());
    if (!salvaged.ok() || salvaged->header.container_id != id ||
        salvaged->header.offset_units != extent.offset_units ||
        salvaged->actual.size() != chunks.size()) {
      return {.all = true};
    }
    RegionDamage damage;
    for (size_t i = 0; i < chunks.size(); ++i) {
      if (salvaged->actual[i].fingerprint == chunks[i]) continue;
      damage.lost.push_back(static_cast<uint16_t>(i));
    }
    damage.all = damage.lost.size() == chunks.size();
    return damage;
  }

  // `status`: what is wrong with the region; `damage`: what of it is lost by that.
  void NoteRegion(const ToCheck& container, const RegionExtent& extent, const absl::Status& status,
                  RegionDamage damage) {
    if (status.ok()) {
      Written(core_->index->ClearLost(container.id, extent.offset_units));
      return;
    }
    const uint64_t offset = SlotOffset(container.slot, core_->superblock.container_bytes) +
                            uint64_t{extent.offset_units} * kUnitBytes;
    FoundDamage(container.id, offset, std::string(status.message()));
    if (extent.kind == RegionKind::kJournal && core_->journal != nullptr) {
      journal_damaged_ = true;
    }
    damage.detail = absl::StrFormat("container %d is damaged at byte %d of the device: %s",
                                    container.id, offset, std::string(status.message()));
    if (damage.all || !damage.lost.empty()) {
      Written(core_->index->MarkLost(container.id, extent.offset_units,
                                     damage.all ? std::vector<uint16_t>() : damage.lost));
    }
    damaged_regions_[{container.id, extent.offset_units}] = std::move(damage);
  }

  // What cannot be written down counts as long as the store is open.
  void Written(const absl::Status& status) {
    if (status.ok()) return;
    Log(core_->options.log, LogLevel::kWarning,
        absl::StrFormat("dedup: damage is not written down: %s", std::string(status.message())));
  }

  absl::Status CheckRegion(uint64_t id, const RegionExtent& extent,
                           std::span<const Fingerprint> chunks, std::span<const std::byte> bytes) {
    STRATA_ASSIGN_OR_RETURN(const DecodedRegion region, DecodeRegion(bytes, core_->cipher.get()));
    if (region.header.container_id != id || region.header.offset_units != extent.offset_units ||
        region.table.size() != chunks.size()) {
      return absl::DataLossError("a region of another container or place");
    }
    std::vector<std::byte> raw(region.header.raw_bytes);
    STRATA_RETURN_IF_ERROR(core_->codec->Decompress(region.header.codec, region.payload, raw));
    std::vector<std::span<const std::byte>> parts;
    std::span<const std::byte> rest = raw;
    for (const ChunkEntry& entry : region.table) {
      parts.push_back(rest.first(entry.size_bytes));
      rest = rest.subspan(entry.size_bytes);
    }
    std::vector<Fingerprint> fingerprints(parts.size());
    FingerprintMany(parts, fingerprints);
    for (size_t i = 0; i < parts.size(); ++i) {
      ++report_.chunks_checked;
      if (fingerprints[i] != region.table[i].fingerprint || fingerprints[i] != chunks[i]) {
        return absl::DataLossError(
            absl::StrFormat("chunk %d of the region has another fingerprint", i));
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckStreams() {
    const std::unique_ptr<kv::Snapshot> snapshot = core_->options.kv->NewSnapshot();
    const uint64_t stream_count = core_->Totals().stream_count;
    return ForEachReadableStream(
        *snapshot, core_->streams,
        [&](const StreamId& id, const StreamRecord& record) -> absl::Status {
          stream_ = id;
          bool whole = true;
          STRATA_RETURN_IF_ERROR(CheckNode(record.root, 0, &whole));
          if (!whole) STRATA_RETURN_IF_ERROR(ForgetUnlessThere(id));
          return Report("streams", ++report_.streams_checked, stream_count);
        },
        [this](std::string damage) { report_.index_damage.push_back(std::move(damage)); });
  }

  // Who deletes a stream meanwhile has its chunks collected.
  absl::Status ForgetUnlessThere(const StreamId& id) {
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                            core_->options.kv->NewSnapshot()->Get(core_->streams, StreamKey(id)));
    if (value.has_value()) return absl::OkStatus();
    std::erase_if(report_.streams, [&id](const Damage& damage) { return damage.stream == id; });
    return absl::OkStatus();
  }

  absl::Status CheckNode(const RecipeNode& node, uint64_t begin_bytes, bool* whole) {
    for (const RecipeEntry& entry : node.entries) {
      bool entry_whole = true;
      if (node.level == 0) {
        STRATA_RETURN_IF_ERROR(CheckChunk(entry, begin_bytes, &entry_whole));
      } else if (!whole_nodes_.contains(entry.fingerprint)) {
        absl::StatusOr<RecipeNode> child =
            ReadRecipeNode(*core_->reader, entry, static_cast<uint8_t>(node.level - 1));
        if (child.ok()) {
          STRATA_RETURN_IF_ERROR(CheckNode(*child, begin_bytes, &entry_whole));
          if (entry_whole) whole_nodes_.insert(entry.fingerprint);
        } else {
          STRATA_RETURN_IF_ERROR(ErrorUnlessDamage(child.status()));
          StreamDamage(begin_bytes, entry.covered_bytes, std::string(child.status().message()));
          entry_whole = false;
        }
      }
      *whole = *whole && entry_whole;
      begin_bytes += entry.covered_bytes;
    }
    return absl::OkStatus();
  }

  absl::Status CheckChunk(const RecipeEntry& entry, uint64_t begin_bytes, bool* whole) {
    const absl::StatusOr<FoundChunk> found = core_->index->Find(entry.fingerprint);
    if (!found.ok()) {
      // Not there, or its entry is in a part of the kv store that cannot be read.
      if (!absl::IsNotFound(found.status())) {
        STRATA_RETURN_IF_ERROR(ErrorUnlessDamage(found.status()));
      }
      core_->reader->CountCorruption();
      StreamDamage(begin_bytes, entry.chunk_bytes, std::string(found.status().message()));
      *whole = false;
      return absl::OkStatus();
    }
    const auto damaged =
        damaged_regions_.find({found->place.container_id, found->place.offset_units});
    if (damaged != damaged_regions_.end()) {
      if (!damaged->second.Has(found->place.ordinal)) return absl::OkStatus();
      StreamDamage(begin_bytes, entry.chunk_bytes, damaged->second.detail);
      *whole = false;
    } else if (options_.read_data && unlisted_.contains(found->place.container_id)) {
      const absl::Status status =
          core_->reader->Read(entry.fingerprint, entry.chunk_bytes, /*ahead=*/nullptr).status();
      if (absl::IsDataLoss(status)) {
        StreamDamage(begin_bytes, entry.chunk_bytes, std::string(status.message()));
        *whole = false;
      }
    }
    return absl::OkStatus();
  }

  // Neighbouring chunks lost for one reason are one entry.
  void StreamDamage(uint64_t begin_bytes, uint64_t size_bytes, const std::string& detail) {
    if (!report_.streams.empty()) {
      Damage& last = report_.streams.back();
      if (last.stream == stream_ && last.detail == detail &&
          last.offset_bytes + last.size_bytes == begin_bytes) {
        last.size_bytes += size_bytes;
        return;
      }
    }
    report_.streams.push_back({stream_, begin_bytes, size_bytes, detail});
  }

  StoreCore* const core_;
  const VerifyOptions& options_;
  VerifyReport report_;
  absl::flat_hash_map<std::pair<uint64_t, uint32_t>, RegionDamage> damaged_regions_;
  absl::flat_hash_set<uint64_t> unlisted_;  // Containers without a footer to say what they hold.
  absl::flat_hash_set<Fingerprint, FingerprintHash> whole_nodes_;
  bool journal_damaged_ = false;
  StreamId stream_;
};

}  // namespace

absl::StatusOr<VerifyReport> VerifyStore(StoreCore* core, const VerifyOptions& options) {
  return Verification(core, options).Run();
}

}  // namespace strata::dedup

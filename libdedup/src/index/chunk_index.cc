// SPDX-License-Identifier: Apache-2.0
#include "index/chunk_index.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/strings/str_format.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr size_t kLoadPageItems = 10000;
constexpr size_t kLoadPageBytes = 4u << 20;
constexpr size_t kKeysPerMultiGet = 1024;
// Of a full container, in one transaction: commits of others wait until it is through.
constexpr size_t kEntriesPerBatch = 1024;

// Of all chunks, in the order of `contents`.
std::vector<ChunkPlace> PlacesOf(uint64_t container_id, const ContainerContents& contents) {
  std::vector<ChunkPlace> places;
  places.reserve(contents.chunks.size());
  for (const RegionExtent& region : contents.regions) {
    for (uint32_t i = 0; i < region.chunk_count; ++i) {
      places.push_back(
          {container_id, region.offset_units, region.size_units, static_cast<uint16_t>(i)});
    }
  }
  return places;
}

template <typename Number>
void AddSorted(std::span<const Number> added, std::vector<Number>* numbers) {
  numbers->insert(numbers->end(), added.begin(), added.end());
  std::ranges::sort(*numbers);
  numbers->erase(std::unique(numbers->begin(), numbers->end()), numbers->end());
}

}  // namespace

ChunkIndex::ChunkIndex(Options options)
    : options_(std::move(options)),
      filter_(options_.filter, {.kv = options_.kv,
                                .chunks = options_.chunks,
                                .containers = options_.containers,
                                .table = options_.table,
                                .container_reader = options_.container_reader,
                                .log = options_.log,
                                .mutex = &mutex_,
                                .visit_unsealed =
                                    [this](const GrowingFilter::VisitFingerprint& visit) {
                                      mutex_.AssertHeld();
                                      for (const auto& [fingerprint, unsealed] : unsealed_)
                                        visit(fingerprint);
                                    }}),
      cache_(options_.metadata_cache_bytes) {}

absl::Status ChunkIndex::ForEachEntry(const VisitEntry& visit) {
  const std::unique_ptr<kv::Snapshot> snapshot = options_.kv->NewSnapshot();
  return kv::ForEach(
      *snapshot, options_.chunks, {},
      [&](const kv::KeyValue& item) -> absl::Status {
        STRATA_ASSIGN_OR_RETURN(const Fingerprint fingerprint, ParseChunkKey(item.key));
        STRATA_ASSIGN_OR_RETURN(const ChunkPlace place, DecodeChunkPlace(item.value));
        return visit(fingerprint, place);
      },
      {.max_items = kLoadPageItems, .max_bytes = kLoadPageBytes});
}

absl::StatusOr<bool> ChunkIndex::IsEmpty() {
  STRATA_ASSIGN_OR_RETURN(const kv::Page page,
                          options_.kv->NewSnapshot()->List(options_.chunks, {}, {.max_items = 1}));
  return page.items.empty();
}

absl::Status ChunkIndex::CheckReadable() {
  return ForEachEntry([](const Fingerprint&, const ChunkPlace&) { return absl::OkStatus(); });
}

bool ChunkIndex::FindUsable(const Fingerprint& fingerprint, PinSet* pins,
                            std::optional<FoundChunk>* found) {
  found->reset();
  if (filter_.CertainlyNew(fingerprint)) return true;
  if (const auto unsealed = unsealed_.find(fingerprint);
      unsealed != unsealed_.end() && !options_.table->Lost(unsealed->second.chunk.place)) {
    *found = unsealed->second.chunk;
  } else if (const std::optional<FoundChunk> cached = cache_.Find(fingerprint);
             cached.has_value() && !options_.table->Lost(cached->place)) {
    *found = *cached;
  } else {
    return false;
  }
  if (!options_.table->PinIfUsable((*found)->place, pins)) found->reset();
  return true;
}

std::optional<FoundChunk> ChunkIndex::FindDurable(const Fingerprint& fingerprint) {
  const auto unsealed = unsealed_.find(fingerprint);
  if (unsealed != unsealed_.end() &&
      unsealed->second.chunk.log_position <= durable_position_.load() &&
      !options_.table->Lost(unsealed->second.chunk.place)) {
    return unsealed->second.chunk;
  }
  const std::optional<FoundChunk> cached = cache_.Find(fingerprint);
  // Of a chunk that was stored twice the table may show the copy that is going, or damaged. The kv
  // store knows the other.
  if (cached.has_value() && options_.table->Usable(cached->place.container_id) &&
      !options_.table->Lost(cached->place)) {
    return cached;
  }
  return std::nullopt;
}

absl::StatusOr<std::optional<ChunkPlace>> ChunkIndex::FindInKv(const Fingerprint& fingerprint) {
  kv_reads_.fetch_add(1, std::memory_order_relaxed);
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                          options_.kv->NewSnapshot()->Get(options_.chunks, ChunkKey(fingerprint)));
  if (!value.has_value()) return std::nullopt;
  STRATA_ASSIGN_OR_RETURN(const ChunkPlace place, DecodeChunkPlace(*value));
  return place;
}

void ChunkIndex::LoadTable(uint64_t container_id) {
  const std::optional<ContainerInfo> info = options_.table->Find(container_id);
  if (!info.has_value() || !info->usable() || !info->record.sealed) return;
  {
    MutexLock lock(&mutex_);
    if (cache_.Holds(container_id)) return;
  }
  const absl::StatusOr<ContainerContents> contents =
      options_.container_reader->ReadContents(container_id, info->record);
  if (contents.ok()) {
    MutexLock lock(&mutex_);
    const std::optional<ContainerInfo> now = options_.table->Find(container_id);
    if (now.has_value()) cache_.Insert(container_id, *contents, now->record.superseded_regions);
  } else if (absl::IsDataLoss(contents.status())) {
    // Unless it was emptied and freed meanwhile, which makes this harmless.
    options_.table->MarkDamaged(container_id, std::string(contents.status().message()));
  }
}

absl::Status ChunkIndex::FindForDuplicates(std::span<const Fingerprint> fingerprints, PinSet* pins,
                                           std::span<std::optional<FoundChunk>> found) {
  STRATA_CHECK(fingerprints.size() == found.size(), "one answer per fingerprint");
  std::vector<size_t> unknown;
  {
    MutexLock lock(&mutex_);
    for (size_t i = 0; i < fingerprints.size(); ++i) {
      if (!FindUsable(fingerprints[i], pins, &found[i])) unknown.push_back(i);
    }
  }
  if (!unknown.empty()) filter_.Prepare(unknown.size());
  size_t misses = 0;
  for (const size_t i : unknown) {
    {
      // The filter, or the table that came in for an earlier chunk, may know of this one by now.
      MutexLock lock(&mutex_);
      if (FindUsable(fingerprints[i], pins, &found[i])) continue;
    }
    for (;;) {
      const uint64_t moves = moves_.load();
      const absl::StatusOr<std::optional<ChunkPlace>> entry = FindInKv(fingerprints[i]);
      // A chunk whose entry cannot be read is stored again.
      if (absl::IsDataLoss(entry.status())) break;
      STRATA_RETURN_IF_ERROR(entry.status());
      const std::optional<ChunkPlace>& place = *entry;
      if (!place.has_value()) {
        ++misses;
        break;
      }
      LoadTable(place->container_id);
      {
        MutexLock lock(&mutex_);
        if (FindUsable(fingerprints[i], pins, &found[i]) && found[i].has_value()) break;
      }
      found[i].reset();
      if (options_.table->PinIfUsable(*place, pins)) found[i] = FoundChunk{*place};
      // Otherwise the entry may have moved before this pin could tell.
      if (moves == moves_.load()) break;
    }
  }
  const absl::Status filled = filter_.Advance(misses);
  return absl::IsDataLoss(filled) ? absl::OkStatus() : filled;  // The filter stays incomplete.
}

absl::Status ChunkIndex::FindInMemory(std::span<const Fingerprint> fingerprints, PinSet* pins,
                                      std::span<std::optional<FoundChunk>> found) {
  STRATA_CHECK(fingerprints.size() == found.size(), "one answer per fingerprint");
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < fingerprints.size(); ++i) {
    if (!FindUsable(fingerprints[i], pins, &found[i])) found[i].reset();
  }
  return absl::OkStatus();
}

absl::StatusOr<FoundChunk> ChunkIndex::Find(const Fingerprint& fingerprint) {
  for (;;) {
    const uint64_t removals = removals_.load();
    {
      MutexLock lock(&mutex_);
      if (const std::optional<FoundChunk> found = FindDurable(fingerprint)) return *found;
    }
    STRATA_ASSIGN_OR_RETURN(const std::optional<ChunkPlace> place, FindInKv(fingerprint));
    if (place.has_value()) {
      LoadTable(place->container_id);
      return FoundChunk{*place};
    }
    if (options_.table->any_lost()) {
      // The only copy is known as damaged: the reader says how, or finds it readable after all.
      MutexLock lock(&mutex_);
      const auto unsealed = unsealed_.find(fingerprint);
      if (unsealed != unsealed_.end()) return unsealed->second.chunk;
    }
    // A container that was emptied meanwhile: the chunk is in another one by now.
    if (removals == removals_.load()) {
      MutexLock lock(&mutex_);
      return absl::NotFoundError(
          absl::StrFormat("dedup: no chunk %s is stored%s", fingerprint.ToHex(), unfinished_));
    }
  }
}

void ChunkIndex::NoteUnfinished(uint64_t container_id, uint64_t end_bytes) {
  MutexLock lock(&mutex_);
  unfinished_ += absl::StrFormat(
      "; container %d was not full when the store was opened and ended at byte %d of the device",
      container_id, end_bytes);
}

void ChunkIndex::AddUnsealed(uint64_t container_id, const RegionExtent& region,
                             std::span<const Fingerprint> chunks, uint64_t log_position) {
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < chunks.size(); ++i) {
    const bool is_certainly_new = filter_.CertainlyNew(chunks[i]);
    filter_.Add(chunks[i]);
    const Unsealed added{
        {{container_id, region.offset_units, region.size_units, static_cast<uint16_t>(i)},
         log_position,
         region.chunk_count},
        !is_certainly_new};
    const auto [known, is_new] = unsealed_.try_emplace(chunks[i], added);
    // Two writers had the same new chunk. The older copy is durable first: readers may need it.
    if (!is_new && (!options_.table->Usable(known->second.chunk.place.container_id) ||
                    options_.table->Lost(known->second.chunk.place))) {
      known->second = added;
    }
  }
}

absl::Status ChunkIndex::WriteIfFull(kv::WriteBatch* batch, kv::Durability durability) {
  const kv::Limits& limits = options_.kv->limits();
  if (batch->operations().size() + 1 < limits.max_transaction_operations &&
      batch->size_bytes() + 1024 < limits.max_transaction_bytes) {
    return absl::OkStatus();
  }
  STRATA_RETURN_IF_ERROR(options_.kv->Write(*batch, durability));
  batch->Clear();
  return absl::OkStatus();
}

absl::StatusOr<ChunkIndex::Relocations> ChunkIndex::FindRelocations(std::span<const Entry> entries,
                                                                    bool rebuilding) {
  Relocations moves;
  const auto take = [&](const ChunkPlace& old, const ChunkPlace& place) {
    if (old.container_id == place.container_id) return;
    if (rebuilding && old.container_id > place.container_id) return;
    moves.left[old.container_id].push_back(old.offset_units);
    moves.from_to.insert({old.container_id, place.container_id});
  };
  // Chunks that the kv store may know, and where it will say that they are.
  std::vector<Fingerprint> maybe_stored;
  std::vector<ChunkPlace> places;
  {
    MutexLock lock(&mutex_);
    for (size_t i = 0, end = 0; i < entries.size(); i = end) {
      const Fingerprint& fingerprint = *entries[i].fingerprint;
      for (end = i + 1; end < entries.size() && *entries[end].fingerprint == fingerprint;) ++end;
      const ChunkPlace& last = entries[end - 1].place;
      for (size_t older = i; older + 1 < end; ++older) take(entries[older].place, last);
      const auto unsealed = unsealed_.find(fingerprint);
      if (unsealed != unsealed_.end() && !unsealed->second.perhaps_stored &&
          unsealed->second.chunk.place.container_id == entries[i].place.container_id) {
        continue;
      }
      maybe_stored.push_back(fingerprint);
      places.push_back(last);
    }
  }
  STRATA_ASSIGN_OR_RETURN(const std::vector<ChunkPlace> known, EntriesOf(maybe_stored));
  for (size_t i = 0; i < known.size(); ++i) {
    if (known[i].container_id != 0) take(known[i], places[i]);
  }
  return moves;
}

absl::Status ChunkIndex::CommitSealed(std::span<const SealedContainer* const> containers,
                                      bool rebuilding) {
  MutexLock writes(&kv_writes_);
  std::vector<Entry> entries;
  for (const SealedContainer* sealed : containers) {
    const std::vector<ChunkPlace> places = PlacesOf(sealed->id, sealed->contents);
    for (size_t i = 0; i < places.size(); ++i) {
      entries.push_back({&sealed->contents.chunks[i], places[i]});
    }
  }
  // In the order of the keys, which the store's tree takes faster. Of equal ones the last counts.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.fingerprint->bytes < b.fingerprint->bytes;
  });
  STRATA_ASSIGN_OR_RETURN(Relocations moves, FindRelocations(entries, rebuilding));
  std::vector<ContainerRecord> records;
  for (const SealedContainer* sealed : containers) {
    records.push_back(sealed->record);
    // A rebuild's were left in part already.
    const std::optional<ContainerInfo> now = options_.table->Find(sealed->id);
    if (now.has_value()) records.back().superseded_regions = now->record.superseded_regions;
    const auto left = moves.left.extract(sealed->id);
    if (!left.empty()) AddSorted<uint32_t>(left.mapped(), &records.back().superseded_regions);
  }
  // Before the entries move: a crash in between costs no more than lookups.
  for (const auto& [id, regions] : moves.left) {
    STRATA_RETURN_IF_ERROR(MarkSupersededLocked(id, regions));
  }
  // Entries may go ahead of the records in batches of their own: until these say "sealed",
  // recovery enters them again.
  kv::WriteBatch batch;
  for (const Entry& entry : entries) {
    batch.Put(options_.chunks, ChunkKey(*entry.fingerprint), EncodeChunkPlace(entry.place));
    if (batch.operations().size() < kEntriesPerBatch) continue;
    STRATA_RETURN_IF_ERROR(options_.kv->Write(batch, kv::Durability::kAsync));
    batch.Clear();
  }
  for (size_t i = 0; i < containers.size(); ++i) {
    batch.Put(options_.containers, ContainerKey(containers[i]->id),
              EncodeContainerRecord(records[i]));
    STRATA_RETURN_IF_ERROR(WriteIfFull(&batch, kv::Durability::kAsync));
  }
  STRATA_RETURN_IF_ERROR(options_.kv->Write(batch, kv::Durability::kAsync));
  // Who read an entry before it moved, and pins what it named only after the next loop, sees this.
  if (!moves.from_to.empty()) moves_.fetch_add(1);

  for (size_t i = 0; i < containers.size(); ++i) {
    const SealedContainer& sealed = *containers[i];
    options_.table->Update(sealed.id, records[i]);
    MutexLock lock(&mutex_);
    cache_.Remove(sealed.id);  // A rebuild's.
    cache_.Insert(sealed.id, sealed.contents, records[i].superseded_regions);
    for (const Fingerprint& fingerprint : sealed.contents.chunks) {
      filter_.Add(fingerprint);
      const auto unsealed = unsealed_.find(fingerprint);
      if (unsealed != unsealed_.end() && unsealed->second.chunk.place.container_id == sealed.id) {
        unsealed_.erase(unsealed);
      }
    }
  }
  for (const auto& [from, to] : moves.from_to) options_.table->CarryPinsOver(from, to);
  return absl::OkStatus();
}

absl::Status ChunkIndex::MarkSuperseded(uint64_t container_id, std::span<const uint32_t> regions) {
  MutexLock writes(&kv_writes_);
  return MarkSupersededLocked(container_id, regions);
}

absl::Status ChunkIndex::MarkSupersededLocked(uint64_t container_id,
                                              std::span<const uint32_t> regions) {
  const std::optional<ContainerInfo> info = options_.table->Find(container_id);
  if (!info.has_value() || !info->record.sealed) return absl::OkStatus();
  ContainerRecord record = info->record;
  AddSorted(regions, &record.superseded_regions);
  if (record == info->record) return absl::OkStatus();
  kv::WriteBatch batch;
  batch.Put(options_.containers, ContainerKey(container_id), EncodeContainerRecord(record));
  STRATA_RETURN_IF_ERROR(options_.kv->Write(batch, kv::Durability::kAsync));
  options_.table->Update(container_id, record);
  MutexLock lock(&mutex_);
  cache_.Remove(container_id);  // Comes back without them.
  return absl::OkStatus();
}

absl::Status ChunkIndex::MarkLost(uint64_t container_id, uint32_t offset_units,
                                  std::span<const uint16_t> ordinals) {
  MutexLock writes(&kv_writes_);
  const std::optional<ContainerInfo> info = options_.table->Find(container_id);
  if (!info.has_value()) return absl::OkStatus();
  LostChunks lost = info->lost;
  const auto [region, is_new] = lost.try_emplace(offset_units);
  if (ordinals.empty()) {
    region->second.clear();
  } else if (is_new || !region->second.empty()) {
    AddSorted(ordinals, &region->second);
  }
  if (lost == info->lost) return absl::OkStatus();
  return WriteLost(container_id, std::move(lost));
}

absl::Status ChunkIndex::ClearLost(uint64_t container_id, uint32_t offset_units) {
  if (!options_.table->any_lost()) return absl::OkStatus();
  MutexLock writes(&kv_writes_);
  const std::optional<ContainerInfo> info = options_.table->Find(container_id);
  if (!info.has_value() || !info->lost.contains(offset_units)) return absl::OkStatus();
  LostChunks lost = info->lost;
  lost.erase(offset_units);
  return WriteLost(container_id, std::move(lost));
}

// The table first: what cannot be written down counts as long as the store is open.
absl::Status ChunkIndex::WriteLost(uint64_t container_id, LostChunks lost) {
  kv::WriteBatch batch;
  if (lost.empty()) {
    batch.Delete(options_.containers, DamageKey(container_id));
  } else {
    batch.Put(options_.containers, DamageKey(container_id), EncodeLostChunks(lost));
  }
  options_.table->SetLost(container_id, std::move(lost));
  return options_.kv->Write(batch, kv::Durability::kSync);
}

absl::Status ChunkIndex::LeadAwayFromDamage(uint64_t container_id,
                                            const ContainerContents& contents) {
  if (!options_.table->any_lost() || !options_.table->Usable(container_id)) return absl::OkStatus();
  MutexLock writes(&kv_writes_);
  STRATA_ASSIGN_OR_RETURN(const std::vector<ChunkPlace> entries, EntriesOf(contents.chunks));
  const std::vector<ChunkPlace> places = PlacesOf(container_id, contents);
  std::set<uint64_t> from;
  kv::WriteBatch batch;
  for (size_t i = 0; i < places.size(); ++i) {
    if (entries[i].container_id == 0 || entries[i] == places[i] ||
        !options_.table->Lost(entries[i]) || options_.table->Lost(places[i])) {
      continue;
    }
    batch.Put(options_.chunks, ChunkKey(contents.chunks[i]), EncodeChunkPlace(places[i]));
    from.insert(entries[i].container_id);
    STRATA_RETURN_IF_ERROR(WriteIfFull(&batch, kv::Durability::kAsync));
  }
  if (from.empty()) return absl::OkStatus();
  STRATA_RETURN_IF_ERROR(options_.kv->Write(batch, kv::Durability::kSync));
  moves_.fetch_add(1);
  for (const uint64_t id : from) options_.table->CarryPinsOver(id, container_id);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ChunkPlace>> ChunkIndex::EntriesOf(std::span<const Fingerprint> chunks) {
  std::vector<ChunkPlace> entries(chunks.size());
  const std::unique_ptr<kv::Snapshot> snapshot = options_.kv->NewSnapshot();
  for (size_t first = 0; first < chunks.size(); first += kKeysPerMultiGet) {
    const size_t end = std::min(first + kKeysPerMultiGet, chunks.size());
    std::vector<std::string> keys;
    for (size_t i = first; i < end; ++i) keys.push_back(ChunkKey(chunks[i]));
    const absl::StatusOr<std::vector<std::optional<std::string>>> values =
        snapshot->MultiGet(options_.chunks, keys);
    if (!values.ok() && !absl::IsDataLoss(values.status())) return values.status();
    for (size_t i = 0; i < keys.size(); ++i) {
      std::optional<std::string> value;
      if (values.ok()) {
        value = (*values)[i];
      } else {  // An entry that cannot be read counts as none; the others are read one by one.
        absl::StatusOr<std::optional<std::string>> one = snapshot->Get(options_.chunks, keys[i]);
        if (absl::IsDataLoss(one.status())) continue;
        STRATA_ASSIGN_OR_RETURN(value, std::move(one));
      }
      if (!value.has_value()) continue;
      const absl::StatusOr<ChunkPlace> place = DecodeChunkPlace(*value);
      if (place.ok()) entries[first + i] = *place;
    }
  }
  return entries;
}

absl::StatusOr<std::vector<bool>> ChunkIndex::IsCurrentCopy(uint64_t container_id,
                                                            const ContainerContents& contents) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<ChunkPlace> entries, EntriesOf(contents.chunks));
  const std::vector<ChunkPlace> places = PlacesOf(container_id, contents);
  std::vector<bool> is_current(entries.size());
  // What was stored anew meanwhile is not in the kv store yet.
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < is_current.size(); ++i) {
    // An entry that leads to damage does not make this copy superfluous.
    const bool leads_elsewhere = entries[i].container_id != 0 && entries[i] != places[i] &&
                                 !options_.table->Lost(entries[i]);
    const auto unsealed = unsealed_.find(contents.chunks[i]);
    const bool stored_again =
        unsealed != unsealed_.end() && !options_.table->Lost(unsealed->second.chunk.place);
    is_current[i] = !leads_elsewhere && !stored_again;
  }
  return is_current;
}

absl::Status ChunkIndex::DeleteFoundEntries(std::span<const RemovedContainer> containers,
                                            const ContainerIds& gone) {
  std::vector<Fingerprint> chunks;
  for (const RemovedContainer& container : containers) {
    chunks.insert(chunks.end(), container.chunks.begin(), container.chunks.end());
  }
  // In the order of the keys, which the store's tree reads and takes faster.
  std::ranges::sort(chunks, {}, &Fingerprint::bytes);
  for (size_t first = 0; first < chunks.size(); first += kEntriesPerBatch) {
    const auto some =
        std::span(chunks).subspan(first, std::min(kEntriesPerBatch, chunks.size() - first));
    MutexLock writes(&kv_writes_);
    STRATA_ASSIGN_OR_RETURN(const std::vector<ChunkPlace> entries, EntriesOf(some));
    kv::WriteBatch batch;
    for (size_t i = 0; i < some.size(); ++i) {
      if (gone.contains(entries[i].container_id)) batch.Delete(options_.chunks, ChunkKey(some[i]));
    }
    STRATA_RETURN_IF_ERROR(options_.kv->Write(batch, kv::Durability::kAsync));
  }
  return absl::OkStatus();
}

absl::Status ChunkIndex::DeleteScannedEntries(const ContainerIds& gone, const GoOn& go_on) {
  kv::Range range;
  for (bool more = true; more;) {
    // No entry comes to lead to a container that is condemned, on either side of this page.
    MutexLock writes(&kv_writes_);
    STRATA_ASSIGN_OR_RETURN(kv::Page page,
                            options_.kv->NewSnapshot()->List(
                                options_.chunks, range,
                                {.max_items = kLoadPageItems,
                                 .max_bytes = kLoadPageBytes,
                                 .skip_damaged = true}));  // What cannot be read counts as none.
    kv::WriteBatch batch;
    for (const kv::KeyValue& item : page.items) {
      const absl::StatusOr<ChunkPlace> place = DecodeChunkPlace(item.value);
      if (!place.ok() || !gone.contains(place->container_id)) continue;
      batch.Delete(options_.chunks, item.key);
      if (batch.operations().size() < kEntriesPerBatch) continue;
      STRATA_RETURN_IF_ERROR(options_.kv->Write(batch, kv::Durability::kAsync));
      batch.Clear();
    }
    STRATA_RETURN_IF_ERROR(options_.kv->Write(batch, kv::Durability::kAsync));
    more = page.more;
    if (!more) break;
    range.begin = page.items.back().key + '\0';
    STRATA_RETURN_IF_ERROR(go_on());
  }
  return absl::OkStatus();
}

absl::Status ChunkIndex::RemoveContainers(std::span<const RemovedContainer> containers,
                                          Search search, const GoOn& go_on) {
  ContainerIds gone;
  for (const RemovedContainer& container : containers) {
    gone.insert(container.id);
    MutexLock writes(&kv_writes_);
    STRATA_RETURN_IF_ERROR(MarkSupersededLocked(container.id, container.regions));
  }
  STRATA_RETURN_IF_ERROR(search == Search::kScan ? DeleteScannedEntries(gone, go_on)
                                                 : DeleteFoundEntries(containers, gone));
  MutexLock writes(&kv_writes_);
  kv::WriteBatch batch;
  for (const RemovedContainer& container : containers) {
    batch.Delete(options_.containers, ContainerKey(container.id));
    batch.Delete(options_.containers, DamageKey(container.id));
    STRATA_RETURN_IF_ERROR(WriteIfFull(&batch, kv::Durability::kAsync));
  }
  STRATA_RETURN_IF_ERROR(options_.kv->Write(batch, kv::Durability::kSync));
  for (const RemovedContainer& container : containers) options_.table->Remove(container.id);
  {
    MutexLock lock(&mutex_);
    for (const RemovedContainer& container : containers) cache_.Remove(container.id);
  }
  removals_.fetch_add(1);
  return absl::OkStatus();
}

absl::Status ChunkIndex::Sweep(const KeepEntry& keep) {
  MutexLock writes(&kv_writes_);
  kv::WriteBatch batch;
  STRATA_RETURN_IF_ERROR(
      ForEachEntry([&](const Fingerprint& fingerprint, const ChunkPlace& place) -> absl::Status {
        if (keep(fingerprint, place)) return absl::OkStatus();
        batch.Delete(options_.chunks, ChunkKey(fingerprint));
        return WriteIfFull(&batch, kv::Durability::kAsync);
      }));
  return options_.kv->Write(batch, kv::Durability::kSync);
}

size_t ChunkIndex::memory_bytes() const {
  MutexLock lock(&mutex_);
  return filter_.memory_bytes() + cache_.memory_bytes() +
         unsealed_.capacity() * (sizeof(Fingerprint) + sizeof(FoundChunk));
}

}  // namespace strata::dedup

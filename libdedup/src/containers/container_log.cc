// SPDX-License-Identifier: Apache-2.0
#include "containers/container_log.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"

namespace strata::dedup {
namespace {

// Of full containers that wait for a flush. Each flush lets the device run dry.
constexpr size_t kMaxChunksWaiting = 16u << 10;
constexpr size_t kMaxContainersWaiting = 16;  // Recovery reads them all.
// What a store that is closed keeps of its open container's space, behind the last region and in
// the footer: deletions go to the journal there when the filesystem is full at the next opening.
constexpr uint64_t kKeptTailBytes = 64u << 10;
constexpr size_t kKeptFooterRegions = 256;
constexpr uint64_t kSpaceUnitBytes = 4096;  // Filesystems give space in such units, or larger ones.

uint64_t RandomSeed() {
  std::array<std::byte, 8> bytes{};
  if (!SecureRandomBytes(bytes).ok()) return static_cast<uint64_t>(SystemClock().WallNanos());
  return LoadLe64(bytes.data());
}

}  // namespace

absl::StatusOr<std::unique_ptr<ContainerLog>> ContainerLog::Create(const Options& options) {
  auto log = std::unique_ptr<ContainerLog>(new ContainerLog(options));
  MutexLock lock(&log->mutex_);
  ContainerLog* const self = log.get();
  STRATA_ASSIGN_OR_RETURN(
      log->queue_, AppendQueue::Create(
                       {.device = options.device,
                        .mutex = &log->mutex_,
                        .block_bytes = log->block_bytes_,
                        .most_append_bytes = log->container_bytes_,
                        .log = options.log,
                        .on_durable = [self](uint64_t durable) { self->NoteDurable(durable); }}));
  MutexLock space_lock(&log->space_mutex_);
  STRATA_ASSIGN_OR_RETURN(log->space_channel_, options.device->OpenChannel({.queue_depth = 2}));
  return log;
}

ContainerLog::ContainerLog(const Options& options)
    : options_(options),
      block_bytes_(options.superblock->block_bytes),
      container_bytes_(options.superblock->container_bytes),
      random_(RandomSeed()) {}

ContainerLog::~ContainerLog() {
  FinishEntering();
  MutexLock lock(&mutex_);
  if (queue_ == nullptr) return;
  queue_->Drain();
  if (!queue_->failure().ok()) return;
  for (const std::optional<OpenContainer>& open : open_) {
    if (open.has_value()) GiveBackTail(*open);
  }
}

bool ContainerLog::Fits(const OpenContainer& open, const EncodedRegion& region) const {
  // Before the region there may be padding up to the next block.
  const uint64_t end = AlignUp(open.end_bytes, block_bytes_) + region.size_bytes();
  const size_t chunks = open.contents.chunks.size() + region.table.size();
  const size_t footer =
      FooterBytes(open.contents.regions.size() + 1, chunks, options_.cipher != nullptr);
  return chunks <= kMaxChunksPerContainer &&
         open.contents.journal_regions < kMaxJournalRegionsPerContainer &&
         AlignUp(end, block_bytes_) + AlignUp(footer, block_bytes_) <= container_bytes_;
}

absl::Status ContainerLog::AdmitWriter() const {
  if (options_.table->free_slots() + 1 <= options_.reserved_slots + options_.journal_slots) {
    return absl::ResourceExhaustedError(
        "dedup: the device is full: what is left is kept for deletions and garbage collection");
  }
  return AdmitSpace(Caller::kWriter, container_bytes_);
}

absl::Status ContainerLog::AdmitSpace(Caller caller, uint64_t bytes) const {
  if (options_.admit_space == nullptr) return absl::OkStatus();
  return options_.admit_space(bytes,
                              caller == Caller::kWriter ? SpaceUse::kWriter : SpaceUse::kReserved);
}

absl::Status ContainerLog::TakeSpace(uint32_t slot, uint64_t begin_bytes, uint64_t end_bytes) {
  const block::Geometry& geometry = options_.device->geometry();
  if (!geometry.thin) return absl::OkStatus();
  MutexLock lock(&space_mutex_);
  const block::Lba lba{(SlotOffset(slot, container_bytes_) + begin_bytes) /
                       geometry.block_size_bytes};
  const uint64_t block_count = (end_bytes - begin_bytes) / geometry.block_size_bytes;
  return block::WriteZeroesBlocking(*space_channel_, lba, block_count);
}

void ContainerLog::GiveBack(uint32_t slot, uint64_t begin_bytes, uint64_t end_bytes) {
  const block::Geometry& geometry = options_.device->geometry();
  if (!geometry.thin || !geometry.supports_discard || begin_bytes >= end_bytes) return;
  MutexLock lock(&space_mutex_);
  const block::Lba lba{(SlotOffset(slot, container_bytes_) + begin_bytes) /
                       geometry.block_size_bytes};
  (void)block::DiscardBlocking(*space_channel_, lba,
                               (end_bytes - begin_bytes) / geometry.block_size_bytes);
}

ContainerLog::Gap ContainerLog::TailOf(const OpenContainer& open) const {
  const uint64_t unit = std::max<uint64_t>(block_bytes_, kSpaceUnitBytes);
  const uint64_t footer =
      FooterBytes(open.contents.regions.size() + kKeptFooterRegions,
                  open.contents.chunks.size() + kKeptFooterRegions, options_.cipher != nullptr);
  return {AlignUp(open.end_bytes + kKeptTailBytes, unit),
          AlignDown(container_bytes_ - std::min<uint64_t>(footer, container_bytes_), unit)};
}

absl::StatusOr<uint64_t> ContainerLog::TakeSpaceOfNew(Caller caller, uint32_t slot) {
  absl::Status status = AdmitSpace(caller, container_bytes_);
  if (status.ok()) {
    status = TakeSpace(slot, 0, container_bytes_);
    if (status.ok()) return container_bytes_;
    GiveBack(slot, 0, container_bytes_);
  }
  if (caller != Caller::kJournal) return status;
  OpenContainer empty;
  empty.end_bytes = kContainerHeaderBytes;
  const Gap rest = TailOf(empty);
  status = TakeSpace(slot, 0, rest.begin_bytes);
  if (status.ok()) status = TakeSpace(slot, rest.end_bytes, container_bytes_);
  if (status.ok()) return rest.begin_bytes;
  GiveBack(slot, 0, container_bytes_);
  return status;
}

absl::Status ContainerLog::TakeSpaceAgain(Caller caller, OpenContainer* open,
                                          const EncodedRegion& region) {
  const uint32_t slot = open->header.slot;
  const uint64_t begin = AlignUp(open->end_bytes, block_bytes_);
  absl::Status status = AdmitSpace(caller, container_bytes_ - begin);
  const uint64_t end = AlignUp(begin + region.size_bytes(), block_bytes_);
  if (status.ok()) {
    status = TakeSpace(slot, begin, container_bytes_);
    if (status.ok()) {
      open->space_end_bytes = container_bytes_;
      return absl::OkStatus();
    }
    const Gap tail = TailOf(*open);
    GiveBack(slot, std::max(tail.begin_bytes, AlignUp(end, kSpaceUnitBytes)), tail.end_bytes);
  }
  if (caller != Caller::kJournal) return status;
  const uint64_t footer =
      FooterBytes(open->contents.regions.size() + 1,
                  open->contents.chunks.size() + region.table.size(), options_.cipher != nullptr);
  STRATA_RETURN_IF_ERROR(TakeSpace(slot, begin, end));
  return TakeSpace(slot, container_bytes_ - AlignUp(footer, block_bytes_), container_bytes_);
}

absl::Status ContainerLog::GiveBackGap(const OpenContainer& closing, uint64_t footer_begin_bytes) {
  const block::Geometry& geometry = options_.device->geometry();
  if (!geometry.thin || !geometry.supports_discard) return absl::OkStatus();
  const uint64_t unit = std::max<uint64_t>(block_bytes_, kSpaceUnitBytes);
  const uint64_t slot_offset = SlotOffset(closing.header.slot, container_bytes_);
  const uint64_t begin = AlignUp(slot_offset + closing.end_bytes, unit);
  const uint64_t end = AlignDown(slot_offset + footer_begin_bytes, unit);
  if (begin >= end) return absl::OkStatus();
  return queue_->Discard(block::Lba{begin / geometry.block_size_bytes},
                         static_cast<uint32_t>((end - begin) / geometry.block_size_bytes));
}

void ContainerLog::GiveBackTail(const OpenContainer& open) {
  // Of what this opening added nothing to, an earlier one gave back what there was.
  if (open.space_end_bytes < container_bytes_) return;
  const Gap tail = TailOf(open);
  GiveBack(open.header.slot, tail.begin_bytes, tail.end_bytes);
}

absl::Status ContainerLog::PrepareUnlocked(Caller caller, kv::CommitLog::DirectWrite* direct,
                                           Prepared* prepared) {
  uint32_t keep_free = 0;
  if (caller == Caller::kWriter) keep_free = options_.reserved_slots + options_.journal_slots;
  if (caller == Caller::kJournal) keep_free = options_.reserved_slots;
  STRATA_ASSIGN_OR_RETURN(prepared->slot, options_.table->AcquireSlot(keep_free));
  if (caller != Caller::kWriter) prepared->reserved = !AdmitWriter().ok();
  const absl::StatusOr<uint64_t> space_end_bytes = TakeSpaceOfNew(caller, prepared->slot);
  if (!space_end_bytes.ok()) {
    options_.table->ReleaseSlot(prepared->slot);
    return space_end_bytes.status();
  }
  prepared->space_end_bytes = *space_end_bytes;
  {
    MutexLock lock(&mutex_);
    prepared->id = uint64_t{options_.generation} << 32 | next_id_++;
    prepared->nonce = random_.Next64();
    unopened_ids_.insert(prepared->id);
  }
  // Without a journal whoever commits a stream durably makes this record durable before it: commits
  // keep their order. With one, what is in the container is what makes a commit durable.
  const ContainerRecord record{.slot = prepared->slot, .nonce = prepared->nonce};
  const kv::Durability durability =
      options_.journaled ? kv::Durability::kSync : kv::Durability::kAsync;
  kv::WriteBatch batch;
  batch.Put(options_.containers, ContainerKey(prepared->id), EncodeContainerRecord(record));
  absl::Status status =
      direct != nullptr ? direct->Write(batch, durability) : options_.kv->Write(batch, durability);
  if (status.ok()) status = options_.table->Add(prepared->id, record);
  if (status.ok()) return status;
  options_.table->ReleaseSlot(prepared->slot);
  MutexLock lock(&mutex_);
  unopened_ids_.erase(prepared->id);
  return queue_->Fail("a write to the kv store", status);
}

absl::Status ContainerLog::Abandon(const Prepared& prepared, kv::CommitLog::DirectWrite* direct) {
  kv::WriteBatch batch;
  batch.Delete(options_.containers, ContainerKey(prepared.id));
  const absl::Status status = direct != nullptr ? direct->Write(batch, kv::Durability::kAsync)
                                                : options_.kv->Write(batch, kv::Durability::kAsync);
  options_.table->Remove(prepared.id);
  options_.table->ReleaseSlot(prepared.slot);
  MutexLock lock(&mutex_);
  unopened_ids_.erase(prepared.id);
  return status.ok() ? status : queue_->Fail("a write to the kv store", status);
}

absl::Status ContainerLog::Prepare(Caller caller, kv::CommitLog::DirectWrite* direct) {
  // Each would take a slot of its own, and give it back: a device with few left would be "full" for
  // that moment. The leader of a commit does not wait: the one that prepares may wait for it.
  if (direct == nullptr && preparing_) {
    prepare_ended_.Wait(&mutex_);
    return absl::OkStatus();
  }
  const bool alone = !std::exchange(preparing_, true);
  Prepared prepared;
  mutex_.Unlock();
  absl::Status status = PrepareUnlocked(caller, direct, &prepared);
  mutex_.Lock();
  // Ids grow from container to container. While the mutex was free another caller may have been
  // quicker.
  const bool first = !prepared_.has_value() && prepared.id > last_opened_id_;
  if (status.ok() && first) {
    prepared_ = prepared;
  } else if (status.ok()) {
    mutex_.Unlock();
    status = Abandon(prepared, direct);
    mutex_.Lock();
  }
  if (alone) {
    preparing_ = false;
    prepare_ended_.NotifyAll();
  }
  return status;
}

absl::StatusOr<ContainerLog::OpenContainer*> ContainerLog::OpenWithRoom(
    Caller caller, const EncodedRegion& region, kv::CommitLog::DirectWrite* direct) {
  const bool collection = caller == Caller::kCollection;
  OpenContainer empty;
  empty.end_bytes = kContainerHeaderBytes;
  STRATA_CHECK(Fits(empty, region), "a region larger than a container");
  for (;;) {
    STRATA_RETURN_IF_ERROR(queue_->failure());
    if (queue_->full()) {
      STRATA_RETURN_IF_ERROR(queue_->WaitForCompletion());
      continue;
    }
    std::optional<OpenContainer>& open = OpenFor(collection);
    if (open.has_value() && (!Fits(*open, region) || !options_.table->Usable(open->header.id))) {
      STRATA_RETURN_IF_ERROR(Close(&open));
      continue;
    }
    if (open.has_value() && open->reserved && caller == Caller::kWriter) {
      STRATA_RETURN_IF_ERROR(AdmitWriter());
      open->reserved = false;
    }
    if (open.has_value() && open->space_end_bytes < container_bytes_ &&
        !TakeSpaceAgain(caller, &*open, region).ok()) {
      STRATA_RETURN_IF_ERROR(Close(&open));
      continue;
    }
    if (open.has_value()) return &*open;
    if (!collection && !collecting_ && OpenFor(true).has_value()) {
      open = std::exchange(OpenFor(true), std::nullopt);  // What the last collection left.
      continue;
    }
    if (prepared_.has_value() && prepared_->reserved && caller == Caller::kWriter) {
      STRATA_RETURN_IF_ERROR(AdmitWriter());
      prepared_->reserved = false;
    }
    if (!prepared_.has_value()) {
      STRATA_RETURN_IF_ERROR(Prepare(caller, direct));
      continue;
    }
    const Prepared prepared = *std::exchange(prepared_, std::nullopt);
    OpenContainer next;
    next.header.id = prepared.id;
    next.header.store_uuid = options_.superblock->uuid;
    next.header.slot = prepared.slot;
    next.header.container_bytes = container_bytes_;
    next.header.created_ns = static_cast<uint64_t>(SystemClock().WallNanos());
    next.header.nonce = prepared.nonce;
    std::array<std::byte, kContainerHeaderBytes> bytes;
    EncodeContainerHeader(&next.header, bytes.data());
    next.last_crc = next.header.header_crc;
    next.end_bytes = kContainerHeaderBytes;
    next.space_end_bytes = prepared.space_end_bytes;
    next.reserved = prepared.reserved;
    last_opened_id_ = prepared.id;
    unopened_ids_.erase(prepared.id);
    open = std::move(next);
    if (collection) collection_containers_.fetch_add(1, std::memory_order_relaxed);
    STRATA_RETURN_IF_ERROR(queue_->Stage(SlotOffset(prepared.slot, container_bytes_), bytes));
  }
}

absl::Status ContainerLog::Close(std::optional<OpenContainer>* open) {
  OpenContainer closing = *std::exchange(*open, std::nullopt);
  const std::vector<std::byte> footer =
      EncodeFooter(closing.header, closing.contents, options_.cipher);
  const uint64_t slot_offset = SlotOffset(closing.header.slot, container_bytes_);
  const uint64_t pad = AlignUp(footer.size(), block_bytes_) - footer.size();
  WaitingContainer waiting;
  waiting.sealed.id = closing.header.id;
  waiting.sealed.record = {.slot = closing.header.slot,
                           .sealed = true,
                           .chunk_count = static_cast<uint32_t>(closing.contents.chunks.size()),
                           .footer_bytes = static_cast<uint32_t>(footer.size()),
                           .raw_bytes = closing.contents.raw_bytes,
                           .stored_bytes = closing.contents.stored_bytes,
                           .recipe_count = closing.contents.recipe_count(),
                           .recipe_bytes = static_cast<uint32_t>(closing.contents.recipe_bytes),
                           .deferred = closing.contents.deferred,
                           .dense = closing.contents.dense};
  waiting.sealed.contents = std::move(closing.contents);
  const uint64_t position = queue_->Begin();
  waiting.position = position;
  const uint64_t footer_at = slot_offset + container_bytes_ - footer.size();
  sealed_.push_back(std::move(waiting));
  STRATA_RETURN_IF_ERROR(queue_->Stage(footer_at - pad, std::vector<std::byte>(pad)));
  STRATA_RETURN_IF_ERROR(queue_->Stage(footer_at, footer));
  queue_->MarkStaged(position);
  STRATA_RETURN_IF_ERROR(queue_->Submit());
  return GiveBackGap(closing, container_bytes_ - footer.size() - pad);
}

absl::StatusOr<uint64_t> ContainerLog::Place(EncodedRegion* region, PinSet* pins, Caller caller,
                                             kv::CommitLog::DirectWrite* direct) {
  STRATA_ASSIGN_OR_RETURN(OpenContainer* const open, OpenWithRoom(caller, *region, direct));
  // From here on the lock is not given up.
  const uint64_t slot_offset = SlotOffset(open->header.slot, container_bytes_);
  const bool joins = queue_->Continues(slot_offset + open->end_bytes);
  const uint64_t at = joins ? open->end_bytes : AlignUp(open->end_bytes, block_bytes_);
  PlaceRegion({.container_id = open->header.id,
               .container_nonce = open->header.nonce,
               .sequence = open->next_sequence,
               .offset_units = static_cast<uint32_t>(at / kUnitBytes),
               .previous_crc = open->last_crc},
              region);
  const RegionHeader& header = region->header;
  open->end_bytes = at + region->size_bytes();
  open->next_sequence = header.sequence + 1;
  open->last_crc = header.header_crc;
  const size_t first_chunk = open->contents.chunks.size();
  AppendToContents(header, region->table, &open->contents);
  const uint64_t position = queue_->Begin();
  if (options_.journaled) not_durable_.push_back({position, header.container_id, header.sequence});
  if (pins != nullptr) options_.table->Pin(header.container_id, pins);
  options_.index->AddUnsealed(header.container_id, open->contents.regions.back(),
                              std::span(open->contents.chunks).subspan(first_chunk), position);
  const std::array<std::byte, kUnitBytes> zeroes{};
  uint64_t next = slot_offset + at;
  for (const std::span<const std::byte> part :
       {std::span<const std::byte>(region->front), region->uncompressed,
        std::span<const std::byte>(zeroes).first(region->padding_bytes)}) {
    STRATA_RETURN_IF_ERROR(queue_->Stage(next, part));
    next += part.size();
  }
  queue_->MarkStaged(position);
  return position;
}

absl::StatusOr<uint64_t> ContainerLog::Append(EncodedRegion* region, PinSet* pins,
                                              bool may_use_reserve) {
  uint64_t position = 0;
  Waiting waiting;
  std::shared_ptr<Job> commit_job;
  {
    MutexLock lock(&mutex_);
    STRATA_ASSIGN_OR_RETURN(
        position, Place(region, pins, may_use_reserve ? Caller::kCollection : Caller::kWriter,
                        /*direct=*/nullptr));
    waiting = WaitingNow();
    if (waiting.chunks > 3 * kMaxChunksWaiting || sealed_.size() > 3 * kMaxContainersWaiting) {
      commit_job = commit_job_;
    }
  }
  if (waiting.not_durable_chunks > kMaxChunksWaiting ||
      waiting.not_durable_containers > kMaxContainersWaiting) {
    STRATA_RETURN_IF_ERROR(WaitDurable(position));
  }
  if (commit_job != nullptr) options_.workers->Finish(*commit_job);
  return position;
}

absl::StatusOr<uint64_t> ContainerLog::AppendJournal(EncodedRegion* region,
                                                     kv::CommitLog::DirectWrite* direct) {
  MutexLock lock(&mutex_);
  return Place(region, /*pins=*/nullptr, Caller::kJournal, direct);
}

std::vector<RegionRange> ContainerLog::NotDurable() {
  std::vector<RegionRange> ranges;
  MutexLock lock(&mutex_);
  for (const Appended& region : not_durable_) {
    const auto known = std::find_if(ranges.begin(), ranges.end(), [&](const RegionRange& range) {
      return range.container_id == region.container_id;
    });
    if (known == ranges.end()) {
      ranges.push_back({region.container_id, region.sequence, region.sequence + 1});
    } else {
      known->end = region.sequence + 1;  // They grow.
    }
  }
  return ranges;
}

void ContainerLog::EnterSealed() {
  if (is_committing_.load()) return;
  {
    MutexLock lock(&mutex_);
    if (sealed_.empty() || sealed_.front().position > queue_->durable()) return;
  }
  (void)CommitSealedBehind();  // Errors are the queue's failure().
}

void ContainerLog::FinishEntering() {
  std::shared_ptr<Job> job;
  {
    MutexLock lock(&mutex_);
    job = commit_job_;
  }
  if (job != nullptr) options_.workers->Finish(*job);
}

absl::Status ContainerLog::WaitDurable(uint64_t position) {
  bool flushed = false;
  STRATA_RETURN_IF_ERROR(WaitFlushed(position, &flushed));
  return flushed ? CommitSealedBehind() : absl::OkStatus();
}

absl::Status ContainerLog::WaitDurableOnly(uint64_t position) {
  bool flushed = false;
  return WaitFlushed(position, &flushed);
}

absl::Status ContainerLog::WaitFlushed(uint64_t position, bool* flushed) {
  MutexLock lock(&mutex_);
  return queue_->WaitDurable(position, flushed);
}

void ContainerLog::NoteDurable(uint64_t position) {
  mutex_.AssertHeld();
  while (!not_durable_.empty() && not_durable_.front().position <= position) {
    not_durable_.pop_front();
  }
  options_.index->SetDurable(position);
}

ContainerLog::Waiting ContainerLog::WaitingNow() const {
  Waiting waiting;
  for (const WaitingContainer& full : sealed_) {
    const size_t chunks = full.sealed.contents.chunks.size();
    waiting.chunks += chunks;
    if (full.position <= queue_->durable()) continue;
    waiting.not_durable_chunks += chunks;
    ++waiting.not_durable_containers;
  }
  return waiting;
}

absl::Status ContainerLog::CommitSealedBehind() {
  if (options_.workers == nullptr || !options_.workers->has_threads()) return CommitSealed();
  MutexLock lock(&mutex_);
  if (sealed_.empty() || sealed_.front().position > queue_->durable()) return absl::OkStatus();
  // One that runs may have looked before the last flush; then the next flush sees to the rest.
  if (commit_job_ != nullptr && !commit_job_->done()) return absl::OkStatus();
  commit_job_ =
      std::make_shared<Job>([this] { (void)CommitSealed(); });  // Errors are the queue's failure().
  options_.workers->Submit(commit_job_);
  return absl::OkStatus();
}

absl::Status ContainerLog::CommitSealed() {
  MutexLock committing(&committing_);
  is_committing_ = true;
  const absl::Cleanup done = [this] { is_committing_ = false; };
  std::vector<const SealedContainer*> durable;
  {
    MutexLock lock(&mutex_);
    // Only this function takes elements away; push_back moves none.
    for (const WaitingContainer& waiting : sealed_) {
      if (waiting.position > queue_->durable()) break;
      durable.push_back(&waiting.sealed);
    }
  }
  if (durable.empty()) return absl::OkStatus();
  const absl::Status status = options_.index->CommitSealed(durable);
  {
    MutexLock lock(&mutex_);
    if (!status.ok()) return queue_->Fail("a write to the kv store", status);
    for (size_t i = 0; i < durable.size(); ++i) sealed_.pop_front();
  }
  options_.index->filter().Save(current_container(), /*closing=*/false);
  return absl::OkStatus();
}

absl::Status ContainerLog::Seal() {
  uint64_t position = 0;
  {
    MutexLock lock(&mutex_);
    STRATA_RETURN_IF_ERROR(queue_->failure());
    for (std::optional<OpenContainer>& open : open_) {
      if (open.has_value()) STRATA_RETURN_IF_ERROR(Close(&open));
    }
    position = queue_->appended();
  }
  STRATA_RETURN_IF_ERROR(WaitDurable(position));
  return CommitSealed();
}

void ContainerLog::Resume(const ContainerScan& scan) {
  MutexLock lock(&mutex_);
  STRATA_CHECK(!OpenFor(false).has_value(), "a container is open already");
  OpenContainer open;
  open.header = scan.header;
  open.contents = scan.contents;
  open.end_bytes = AlignUp(scan.end_bytes, block_bytes_);
  open.space_end_bytes = options_.device->geometry().thin ? open.end_bytes : container_bytes_;
  open.next_sequence = scan.next_sequence;
  open.last_crc = scan.last_crc;
  size_t chunk = 0;
  for (const RegionExtent& region : open.contents.regions) {
    options_.index->AddUnsealed(open.header.id, region,
                                std::span(open.contents.chunks).subspan(chunk, region.chunk_count),
                                /*log_position=*/0);
    chunk += region.chunk_count;
  }
  OpenFor(false) = std::move(open);
}

void ContainerLog::SetAside() {
  MutexLock lock(&mutex_);
  std::optional<OpenContainer>& open = OpenFor(false);
  WaitingContainer waiting;
  waiting.sealed.id = open->header.id;
  waiting.sealed.record.slot = open->header.slot;
  waiting.sealed.contents = std::move(open->contents);
  sealed_.push_back(std::move(waiting));
  open.reset();
}

void ContainerLog::SetCollecting(bool collecting) {
  MutexLock lock(&mutex_);
  collecting_ = collecting;
}

uint64_t ContainerLog::current_container() {
  MutexLock lock(&mutex_);
  uint64_t first = uint64_t{options_.generation} << 32 | next_id_;
  for (const std::optional<OpenContainer>& open : open_) {
    if (open.has_value()) first = std::min(first, open->header.id);
  }
  if (!unopened_ids_.empty()) first = std::min(first, *unopened_ids_.begin());
  return first;
}

uint64_t ContainerLog::position() {
  MutexLock lock(&mutex_);
  return queue_->appended();
}

std::vector<ContainerLog::UnsealedContainer> ContainerLog::ListUnsealed(uint64_t* position) {
  MutexLock lock(&mutex_);
  *position = queue_->appended();
  std::vector<UnsealedContainer> list;
  for (const WaitingContainer& waiting : sealed_) {
    const SealedContainer& sealed = waiting.sealed;
    list.push_back({sealed.id, sealed.record.slot, sealed.contents});
  }
  for (const std::optional<OpenContainer>& open : open_) {
    if (open.has_value()) list.push_back({open->header.id, open->header.slot, open->contents});
  }
  return list;
}

ContainerLog::Unsealed ContainerLog::unsealed() {
  Unsealed sum;
  const auto add = [&sum](uint64_t id, const ContainerContents& contents, uint64_t device_bytes) {
    sum.ids.insert(id);
    const uint64_t data_stored_bytes = contents.stored_bytes - contents.recipe_bytes;
    sum.chunk_count += contents.chunks.size() - contents.recipe_count();
    sum.raw_bytes += contents.raw_bytes - contents.recipe_bytes;
    sum.stored_bytes += data_stored_bytes;
    sum.recipe_count += contents.recipe_count();
    sum.recipe_bytes += contents.recipe_bytes;
    if (contents.deferred) sum.deferred_bytes += data_stored_bytes;
    sum.device_bytes += device_bytes;
  };
  MutexLock lock(&mutex_);
  for (const WaitingContainer& waiting : sealed_) {
    add(waiting.sealed.id, waiting.sealed.contents, container_bytes_);
  }
  for (const std::optional<OpenContainer>& open : open_) {
    if (open.has_value()) add(open->header.id, open->contents, open->end_bytes);
  }
  return sum;
}

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
#include "containers/journal.h"

#include <algorithm>
#include <utility>

#include "format/index_records.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr char kVersion = 1;
constexpr size_t kMaxPartBytes = 2u << 20;
// Of a checkpoint; a longer operation is one. The longer, the better do they compress.
constexpr size_t kMaxPieceBytes = 2000u << 10;
constexpr size_t kMinCompressedBytes = 256;

std::string EncodeNumbers(std::initializer_list<uint64_t> numbers) {
  std::string bytes(1 + 8 * numbers.size(), kVersion);
  auto* at = reinterpret_cast<std::byte*>(bytes.data()) + 1;
  for (const uint64_t number : numbers) {
    StoreLe64(at, number);
    at += 8;
  }
  return bytes;
}

absl::Status DecodeNumbers(const char* what, std::string_view bytes,
                           std::initializer_list<uint64_t*> numbers) {
  if (!bytes.empty() && bytes[0] > kVersion) {
    return absl::UnimplementedError(std::string(what) + ": a newer format");
  }
  if (bytes.size() != 1 + 8 * numbers.size() || bytes[0] != kVersion) {
    return absl::DataLossError(std::string(what) + ": cannot be decoded");
  }
  const auto* at = reinterpret_cast<const std::byte*>(bytes.data()) + 1;
  for (uint64_t* const number : numbers) {
    *number = LoadLe64(at);
    at += 8;
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodeJournalPlace(const JournalPlace& place) {
  return EncodeNumbers({place.sequence, place.container_id});
}

absl::StatusOr<JournalPlace> DecodeJournalPlace(std::string_view bytes) {
  JournalPlace place;
  STRATA_RETURN_IF_ERROR(
      DecodeNumbers("journal place", bytes, {&place.sequence, &place.container_id}));
  return place;
}

std::string EncodeCheckpointRecord(const CheckpointRecord& record) {
  return EncodeNumbers(
      {record.sequence, record.first_container, record.raw_bytes, record.stored_bytes});
}

absl::StatusOr<CheckpointRecord> DecodeCheckpointRecord(std::string_view bytes) {
  CheckpointRecord record;
  STRATA_RETURN_IF_ERROR(DecodeNumbers(
      "checkpoint record", bytes,
      {&record.sequence, &record.first_container, &record.raw_bytes, &record.stored_bytes}));
  return record;
}

absl::StatusOr<std::unique_ptr<Journal>> Journal::Attach(const Options& options) {
  std::unique_ptr<Journal> journal(new Journal(options));
  STRATA_RETURN_IF_ERROR(options.kv->AttachCommitLog(
      journal.get(), {options.containers, options.chunks, options.filter}));
  return journal;
}

Journal::~Journal() {
  (void)Sync();  // An error is the log's from now on; the next opening finds what is missing.
  options_.log->FinishEntering();  // A worker's commits would meet the change.
  (void)options_.kv->AttachCommitLog(nullptr, {});
}

absl::Status Journal::Start(const JournalPlace& applied, bool begin_with_empty) {
  last_ = applied;
  next_sequence_ = (uint64_t{options_.generation} << 32) + 1;
  started_ = true;
  if (!begin_with_empty) return absl::OkStatus();
  const JournalPart header{.kind = JournalKind::kCommit,
                           .last_part = true,
                           .sync = true,
                           .last_piece = false,
                           .part = 0,
                           .piece = 0,
                           .sequence = next_sequence_,
                           .previous = last_,
                           .operations = {}};
  uint64_t size_bytes = 0;
  JournalPlace place{next_sequence_++, 0};
  STRATA_ASSIGN_OR_RETURN(const uint64_t position, WriteRecord(
                                                       header, {}, &region_,
                                                       [this](EncodedRegion* region) {
                                                         return options_.log->AppendJournal(
                                                             region, /*direct=*/nullptr);
                                                       },
                                                       &place.container_id, &size_bytes));
  position_ = position;
  STRATA_RETURN_IF_ERROR(options_.log->WaitDurable(position));
  last_ = place;
  kv::WriteBatch batch;
  batch.Put(options_.containers, kJournalKey, EncodeJournalPlace(last_));
  return options_.kv->Write(batch, kv::Durability::kSync);
}

absl::StatusOr<const kv::SpaceInfo*> Journal::SpaceOf(kv::SpaceId space) {
  const auto known = spaces_.find(space);
  if (known != spaces_.end()) return &known->second;
  STRATA_ASSIGN_OR_RETURN(kv::SpaceInfo info, options_.kv->FindSpace(space));
  return &spaces_.emplace(space, std::move(info)).first->second;
}

absl::StatusOr<uint64_t> Journal::WriteRecord(JournalPart header,
                                              std::span<const std::byte> operations,
                                              EncodedRegion* region, const AppendRegion& append,
                                              uint64_t* container_id, uint64_t* size_bytes) {
  const size_t most = std::min<size_t>(kMaxPartBytes, options_.container_bytes / 4);
  for (header.part = 0;; ++header.part) {
    header.operations = operations.first(std::min(operations.size(), most));
    operations = operations.subspan(header.operations.size());
    header.last_part = operations.empty();
    const std::vector<std::byte> raw = EncodeJournalPart(header);
    const bool compresses = raw.size() >= kMinCompressedBytes;
    const int level =
        header.kind == JournalKind::kCheckpoint ? checkpoint_level() : options_.compression_level;
    EncodeRegion(RegionKind::kJournal, {}, raw,
                 compresses ? options_.compression : Compression::kNone, level, *options_.codec,
                 options_.cipher, region);
    STRATA_ASSIGN_OR_RETURN(const uint64_t position, append(region));
    *size_bytes += region->size_bytes();
    *container_id = region->header.container_id;
    if (header.last_part) return position;
  }
}

absl::Status Journal::Append(std::span<const kv::WriteBatch* const> commits,
                             kv::Durability durability, DirectWrite& direct, kv::WriteBatch* also) {
  if (!started_) return absl::OkStatus();
  operations_.Clear();
  // The flush that makes the record durable is the one that makes these durable. Where the power
  // goes before, the record may be there without them, and says so.
  for (const RegionRange& regions : options_.log->NotDurable()) operations_.AddNeeded(regions);
  for (const kv::WriteBatch* commit : commits) {
    for (const kv::WriteBatch::Operation& operation : commit->operations()) {
      if (operation.space == options_.containers || operation.space == options_.chunks) continue;
      STRATA_ASSIGN_OR_RETURN(const kv::SpaceInfo* const space, SpaceOf(operation.space));
      operations_.Add(*space, operation.kind, operation.key, operation.value);
    }
  }
  // Where this fails, part of the record may be on the device: its sequence is not used again.
  JournalPlace place{next_sequence_++, 0};
  uint64_t size_bytes = 0;
  STRATA_ASSIGN_OR_RETURN(
      const uint64_t position,
      WriteRecord(
          {.kind = JournalKind::kCommit,
           .last_part = false,
           .sync = durability == kv::Durability::kSync,
           .last_piece = false,
           .part = 0,
           .piece = 0,
           .sequence = place.sequence,
           .previous = last_,
           .operations = {}},
          operations_.bytes(), &region_,
          [&](EncodedRegion* region) { return options_.log->AppendJournal(region, &direct); },
          &place.container_id, &size_bytes));
  position_ = position;
  if (durability == kv::Durability::kSync) {
    STRATA_RETURN_IF_ERROR(options_.log->WaitDurableOnly(position));
  }
  last_ = place;
  also->Put(options_.containers, kJournalKey, EncodeJournalPlace(place));
  return absl::OkStatus();
}

absl::Status Journal::Sync() { return options_.log->WaitDurableOnly(position_); }

absl::StatusOr<std::vector<kv::SpaceInfo>> Journal::LoggedSpaces(kv::Store& kv,
                                                                 const std::string& prefix) {
  STRATA_ASSIGN_OR_RETURN(std::vector<kv::SpaceInfo> spaces, kv.ListSpaces());
  std::erase_if(spaces, [&prefix](const kv::SpaceInfo& space) {
    return space.name == prefix + ".containers" || space.name == prefix + ".chunks" ||
           space.name == prefix + ".filter";
  });
  return spaces;
}

absl::Status Journal::VisitLogged(kv::Snapshot& snapshot, const Visit& visit) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<kv::SpaceInfo> spaces,
                          LoggedSpaces(*options_.kv, options_.unlogged_prefix));
  for (const kv::SpaceInfo& space : spaces) {
    STRATA_ASSIGN_OR_RETURN(const kv::SpaceId id,
                            options_.kv->OpenSpace(space.name, space.options));
    STRATA_RETURN_IF_ERROR(kv::ForEach(
        snapshot, id, {}, [&](const kv::KeyValue& item) { return visit(space, item); }));
  }
  return absl::OkStatus();
}

absl::Status Journal::DumpSpaces(kv::Snapshot& snapshot, bool for_repair,
                                 CheckpointRecord* record) {
  JournalPart header{.kind = JournalKind::kCheckpoint,
                     .last_part = false,
                     .sync = false,
                     .last_piece = false,
                     .part = 0,
                     .piece = 0,
                     .sequence = record->sequence,
                     .previous = {},
                     .operations = {}};
  JournalOperations operations;
  EncodedRegion region;
  const AppendRegion append = [this, for_repair](EncodedRegion* region) {
    if (for_repair) return options_.log->AppendJournal(region, /*direct=*/nullptr);
    // Beside what garbage collection copies, so that it leaves one container that is not full, not
    // two. It takes no more room than a writer might.
    return options_.log->Append(region, /*pins=*/nullptr,
                                /*may_use_reserve=*/options_.log->AdmitWriter().ok());
  };
  uint64_t container_id = 0;
  const auto write_piece = [&]() -> absl::Status {
    record->raw_bytes += operations.bytes().size();
    STRATA_RETURN_IF_ERROR(WriteRecord(header, operations.bytes(), &region, append, &container_id,
                                       &record->stored_bytes)
                               .status());
    operations.Clear();
    ++header.piece;
    return absl::OkStatus();
  };
  STRATA_RETURN_IF_ERROR(VisitLogged(
      snapshot, [&](const kv::SpaceInfo& space, const kv::KeyValue& item) -> absl::Status {
        if (operations.bytes().size() + item.key.size() + item.value.size() > kMaxPieceBytes &&
            !operations.empty()) {
          STRATA_RETURN_IF_ERROR(write_piece());
        }
        operations.Add(space, JournalOperations::Kind::kPut, item.key, item.value);
        return absl::OkStatus();
      }));
  header.last_piece = true;
  return write_piece();
}

absl::StatusOr<uint64_t> Journal::EstimateCheckpoint() {
  // The first operations of each space tell how well the others compress.
  uint64_t needed_bytes = 0;
  uint64_t raw_bytes = 0;
  uint64_t sampled_bytes = 0;
  JournalOperations sample;
  std::string space_name;
  EncodedRegion region;
  const auto add_space = [&] {
    if (sampled_bytes == 0) return;
    EncodeRegion(RegionKind::kJournal, {}, sample.bytes(), options_.compression, checkpoint_level(),
                 *options_.codec, options_.cipher, &region);
    needed_bytes += static_cast<uint64_t>(static_cast<double>(raw_bytes) *
                                          static_cast<double>(region.size_bytes()) /
                                          static_cast<double>(sampled_bytes));
    raw_bytes = sampled_bytes = 0;
    sample.Clear();
  };
  const std::unique_ptr<kv::Snapshot> snapshot = options_.kv->NewSnapshot();
  STRATA_RETURN_IF_ERROR(
      VisitLogged(*snapshot, [&](const kv::SpaceInfo& space, const kv::KeyValue& item) {
        if (space.name != space_name) add_space();
        space_name = space.name;
        const size_t size = item.key.size() + item.value.size();
        raw_bytes += size;
        if (sampled_bytes == 0 || sample.bytes().size() + size <= kMaxPieceBytes) {
          sample.Add(space, JournalOperations::Kind::kPut, item.key, item.value);
          sampled_bytes += size;
        }
        return absl::OkStatus();
      }));
  add_space();
  return needed_bytes;
}

absl::Status Journal::NoteNeedsRepair() {
  needs_repair_ = true;
  kv::WriteBatch batch;
  batch.Put(options_.containers, kRepairKey, "");
  return options_.kv->Write(batch, kv::Durability::kSync);
}

absl::Status Journal::WriteCheckpoint(bool for_repair) {
  CheckpointRecord record;
  // What lies in containers before this one was appended by now. Behind this write all of it is
  // applied, too, so that the snapshot holds it.
  record.first_container = options_.log->current_container();
  kv::WriteBatch barrier;
  barrier.Delete(options_.containers, "checkpoint_barrier");
  STRATA_RETURN_IF_ERROR(options_.kv->Write(barrier, kv::Durability::kAsync));
  const std::unique_ptr<kv::Snapshot> snapshot = options_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> applied,
                          snapshot->Get(options_.containers, kJournalKey));
  JournalPlace place;
  if (applied.has_value()) {
    STRATA_ASSIGN_OR_RETURN(place, DecodeJournalPlace(*applied));
  }
  record.sequence = place.sequence;
  STRATA_RETURN_IF_ERROR(DumpSpaces(*snapshot, for_repair, &record));
  STRATA_RETURN_IF_ERROR(options_.log->WaitDurable(options_.log->position()));
  kv::WriteBatch batch;
  batch.Put(options_.containers, kCheckpointKey, EncodeCheckpointRecord(record));
  batch.Delete(options_.containers, kRepairKey);
  STRATA_RETURN_IF_ERROR(options_.kv->Write(batch, kv::Durability::kSync));
  SetCheckpoint(record);
  needs_repair_ = false;
  return absl::OkStatus();
}

CheckpointRecord Journal::checkpoint() const {
  MutexLock lock(&mutex_);
  return checkpoint_;
}

void Journal::SetCheckpoint(const CheckpointRecord& record) {
  MutexLock lock(&mutex_);
  checkpoint_ = record;
}

bool Journal::Needs(const JournalPart& part) const {
  const CheckpointRecord newest = checkpoint();
  return part.kind == JournalKind::kCheckpoint ? part.sequence == newest.sequence
                                               : part.sequence > newest.sequence;
}

}  // namespace strata::dedup

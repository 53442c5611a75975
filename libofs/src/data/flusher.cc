// SPDX-License-Identifier: Apache-2.0
#include "data/flusher.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>

#include "data/extent_removal.h"
#include "data/extent_rows.h"
#include "disks/session_rows.h"
#include "namespace/namespace_rows.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr uint64_t kSmallBytes = 64u << 10;  // Less than this is packed with others.
constexpr uint64_t kLeastStripeBytes = 128u << 10;
constexpr size_t kMaxRowsAtOnce = 512;   // Old extents that one transaction takes away.
constexpr size_t kMaxFilesAtOnce = 128;  // Of one transaction.

}  // namespace

// What one flush takes along.
class Flusher::Batch final {
 public:
  Batch(DataContext& context, std::vector<NodePointer> nodes);
  ~Batch();

  absl::Status Run(kv::Durability durability);

 private:
  struct File {
    NodePointer node;
    std::unique_ptr<NodeGate> gate;
    std::shared_ptr<const DirtyRanges> taken;  // What the node was relieved of.
    DirtyRanges composed{};                    // With the inline data below, where there is some.
    bool is_composed = false;
    uint64_t size_bytes = 0;
    int64_t mtime_ns = 0;
    int64_t ctime_ns = 0;
    bool is_gone = false;  // Nothing has its inode any more.
    bool is_inline = false;
    GroupKind kind{};
    std::vector<Extent> extents{};  // That are not published yet.
    bool is_finished = false;

    const DirtyRanges& data() const { return is_composed ? composed : *taken; }
  };
  // What a transaction did of a file.
  struct Step {
    size_t extents = 0;            // That are published now.
    std::optional<Extent> rest{};  // Of the one after them, where only its front is.
    bool is_finished = false;
  };
  struct Piece {
    File* file = nullptr;
    uint64_t offset = 0;
    uint32_t bytes = 0;
  };

  absl::Status Examine(File& file);
  absl::Status WriteStripes();
  void PlanFile(File& file, uint64_t most_stripe_bytes);
  void PlanStripe(const GroupKind& kind, const std::vector<Piece>& pieces);
  void PackSmall();
  std::span<const std::byte> BytesOf(const Piece& piece);
  void NoteExtents(const std::vector<WrittenStripe>& stripes);

  absl::Status Publish(kv::Durability durability);
  absl::Status PublishSome(std::span<File*> files, kv::Durability durability);
  absl::StatusOr<Step> PublishFile(kv::Transaction& txn, uint64_t epoch, const File& file,
                                   size_t* budget, std::vector<FreedPiece>* freed) const;
  void FreeUnpublished();
  void AbandonGroups();
  absl::Status FreeUnpublished(const File& file, std::span<const Extent> extents);

  DataContext& context_;
  std::deque<File> files_;
  std::vector<StripeContent> contents_;
  std::deque<std::vector<std::byte>> assembled_;
  std::map<GroupKind, std::vector<Piece>> small_;
  std::map<uint64_t, File*> by_inode_;
};

Flusher::Batch::Batch(DataContext& context, std::vector<NodePointer> nodes) : context_(context) {
  std::sort(nodes.begin(), nodes.end(),
            [](const NodePointer& a, const NodePointer& b) { return a->inode < b->inode; });
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  for (NodePointer& node : nodes) {
    auto gate = std::make_unique<NodeGate>(node);
    MutexLock lock(&node->mutex);
    if (!node->IsDirty()) continue;
    File& file = files_.emplace_back();
    file.taken = std::make_shared<DirtyRanges>(std::exchange(node->dirty, {}));
    node->flushing = file.taken;
    node->has_new_times = false;
    file.size_bytes = node->size_bytes;
    file.mtime_ns = node->mtime_ns;
    file.ctime_ns = node->ctime_ns;
    file.node = std::move(node);
    file.gate = std::move(gate);
    by_inode_[file.node->inode] = &file;
  }
}

Flusher::Batch::~Batch() {
  for (File& file : files_) {
    MutexLock lock(&file.node->mutex);
    if (file.is_finished) {
      context_.dirty_bytes -= file.taken->memory_bytes();
    } else {
      const uint64_t before = file.node->dirty.memory_bytes() + file.taken->memory_bytes();
      file.node->dirty.PutBelow(*file.taken);
      context_.dirty_bytes += file.node->dirty.memory_bytes() - before;
      file.node->has_new_times = true;
    }
    file.node->flushing = nullptr;
  }
}

absl::Status Flusher::Batch::Run(kv::Durability durability) {
  if (files_.empty() && durability == kv::Durability::kSync) {
    return context_.metadata.store->Sync();
  }
  for (File& file : files_) STRATA_RETURN_IF_ERROR(Examine(file));
  STRATA_RETURN_IF_ERROR(WriteStripes());
  absl::Status status = Publish(durability);
  ++context_.publications;
  return status;
}

absl::Status Flusher::Batch::Examine(File& file) {
  const auto snapshot = context_.metadata.store->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(std::optional<InodeRecord> record,
                          FindInode(*snapshot, context_.metadata.meta, file.node->inode));
  if (!record.has_value()) {
    file.is_gone = true;
    return absl::OkStatus();
  }
  if (record->trim_from.has_value()) {
    STRATA_RETURN_IF_ERROR(FinishTrim(context_, file.node->inode, *record->trim_from));
    return Examine(file);
  }
  file.kind = KindOf(context_.format, record->layout);
  file.is_inline = file.size_bytes <= kMaxInlineBytes && record->stored_blocks == 0;
  if (!file.is_inline && !record->inline_data.empty()) {
    file.composed = *file.taken;
    DirtyRanges below;
    below.Write(0, std::as_bytes(std::span(record->inline_data)));
    file.composed.PutBelow(below);
    file.is_composed = true;
  }
  return absl::OkStatus();
}

// ---- Stripes

absl::Status Flusher::Batch::WriteStripes() {
  // With fewer failure domains than were wanted a stripe holds less, how much is not known before.
  for (uint64_t most = context_.most_stripe_bytes;; most = std::min<uint64_t>(most, 4u << 20) / 2) {
    contents_.clear();
    assembled_.clear();
    small_.clear();
    for (File& file : files_) {
      if (!file.is_gone && !file.is_inline) PlanFile(file, most);
    }
    PackSmall();
    if (contents_.empty()) return absl::OkStatus();
    const absl::StatusOr<std::vector<WrittenStripe>> stripes =
        context_.writer->WriteDurably(contents_);
    if (absl::IsOutOfRange(stripes.status()) && most > kLeastStripeBytes) continue;
    STRATA_RETURN_IF_ERROR(stripes.status());
    context_.most_stripe_bytes = most;
    NoteExtents(*stripes);
    // They are the metadata's from here on: what it does not come to refer to, it frees.
    for (const WrittenStripe& stripe : *stripes) context_.allocator->Keep(stripe.columns);
    return absl::OkStatus();
  }
}

void Flusher::Batch::PlanFile(File& file, uint64_t most_stripe_bytes) {
  const uint64_t most = std::min<uint64_t>(MostPayloadBytes(file.kind.wanted), most_stripe_bytes);
  const auto& pieces = file.data().pieces();
  for (auto at = pieces.begin(); at != pieces.end();) {
    const uint64_t begin = at->first;
    uint64_t end = begin;
    for (; at != pieces.end() && at->first == end; ++at) end += at->second.size();
    for (uint64_t next = begin; next < end;) {
      const auto bytes = static_cast<uint32_t>(std::min(most, end - next));
      const Piece piece{&file, next, bytes};
      if (bytes < kSmallBytes) {
        GroupKind kind = file.kind;
        kind.wanted = Protection::Mirror(kind.wanted.tolerated_losses() + 1);
        small_[kind].push_back(piece);
      } else {
        PlanStripe(file.kind, {piece});
      }
      next += bytes;
    }
  }
}

void Flusher::Batch::PackSmall() {
  for (auto& [kind, pieces] : small_) {
    // Whole blocks first: they then lie on block boundaries, and a read of one touches one.
    std::stable_partition(pieces.begin(), pieces.end(),
                          [](const Piece& piece) { return piece.bytes % kBlockBytes == 0; });
    std::vector<Piece> pack;
    uint64_t bytes = 0;
    for (const Piece& piece : pieces) {
      if (!pack.empty() && (bytes + piece.bytes > MostPayloadBytes(kind.wanted) ||
                            pack.size() == kMaxStripeRecords)) {
        PlanStripe(kind, pack);
        pack.clear();
        bytes = 0;
      }
      pack.push_back(piece);
      bytes += piece.bytes;
    }
    if (!pack.empty()) PlanStripe(kind, pack);
  }
}

// Adds a stripe of these pieces, one after the other.
void Flusher::Batch::PlanStripe(const GroupKind& kind, const std::vector<Piece>& pieces) {
  StripeContent& content = contents_.emplace_back();
  content.kind = kind;
  uint32_t at = 0;
  for (const Piece& piece : pieces) {
    content.records.push_back({.inode = piece.file->node->inode,
                               .file_offset = piece.offset,
                               .payload_offset = at,
                               .stored_bytes = piece.bytes,
                               .raw_bytes = piece.bytes});
    at += piece.bytes;
  }
  if (pieces.size() == 1) {
    content.payload = BytesOf(pieces[0]);
    return;
  }
  std::vector<std::byte>& payload = assembled_.emplace_back(at);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::span<const std::byte> bytes = BytesOf(pieces[i]);
    std::memcpy(payload.data() + content.records[i].payload_offset, bytes.data(), bytes.size());
  }
  content.payload = payload;
}

std::span<const std::byte> Flusher::Batch::BytesOf(const Piece& piece) {
  const DirtyRanges& data = piece.file->data();
  const auto at = std::prev(data.pieces().upper_bound(piece.offset));
  const uint64_t inside = piece.offset - at->first;
  if (inside + piece.bytes <= at->second.size()) {
    return std::span(at->second).subspan(inside, piece.bytes);
  }
  std::vector<std::byte>& bytes = assembled_.emplace_back(piece.bytes);
  data.Read(piece.offset, bytes, [](uint64_t, uint64_t) {});
  return bytes;
}

void Flusher::Batch::NoteExtents(const std::vector<WrittenStripe>& stripes) {
  const auto now_ns = static_cast<uint64_t>(context_.clock->WallNanos());
  for (size_t i = 0; i < stripes.size(); ++i) {
    const Columns& columns = stripes[i].columns;
    for (const StripeRecord& record : contents_[i].records) {
      by_inode_.at(record.inode)
          ->extents.push_back({record.file_offset,
                               {.length_bytes = record.stored_bytes,
                                .group = columns.group,
                                .column = columns.column,
                                .unit_blocks = columns.unit_blocks,
                                .birth = columns.birth,
                                .stripe_bytes = stripes[i].payload_bytes,
                                .payload_offset = record.payload_offset,
                                .written_ns = now_ns}});
    }
  }
  for (File& file : files_) {
    std::sort(file.extents.begin(), file.extents.end(),
              [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
    std::vector<Extent> joined;
    for (const Extent& extent : file.extents) {
      if (joined.empty() || !Join(&joined.back(), extent)) joined.push_back(extent);
    }
    file.extents = std::move(joined);
  }
}

// ---- Rows

absl::Status Flusher::Batch::Publish(kv::Durability durability) {
  std::vector<File*> rest;
  for (File& file : files_) rest.push_back(&file);
  absl::Status status;
  while (status.ok() && !rest.empty()) {
    const size_t count = std::min(rest.size(), kMaxFilesAtOnce);
    const bool may_be_last = count == rest.size();
    status = PublishSome(std::span(rest).first(count),
                         may_be_last ? durability : kv::Durability::kAsync);
    std::erase_if(rest, [](const File* file) { return file->is_finished; });
  }
  FreeUnpublished();
  return status;
}

absl::Status Flusher::Batch::PublishSome(std::span<File*> files, kv::Durability durability) {
  std::vector<Step> steps;
  STRATA_RETURN_IF_ERROR(ChangeFiles(
      context_.metadata, context_.session, durability,
      [&](kv::Transaction& txn, uint64_t epoch) -> absl::Status {
        steps.clear();
        std::vector<FreedPiece> freed;
        size_t budget = kMaxRowsAtOnce;
        for (const File* file : files) {
          if (budget == 0) break;
          STRATA_ASSIGN_OR_RETURN(Step step, PublishFile(txn, epoch, *file, &budget, &freed));
          steps.push_back(step);
        }
        return freed.empty() ? absl::OkStatus() : context_.allocator->Free(txn, freed);
      }));
  for (size_t i = 0; i < steps.size(); ++i) {
    std::vector<Extent>& extents = files[i]->extents;
    extents.erase(extents.begin(), extents.begin() + static_cast<ptrdiff_t>(steps[i].extents));
    if (steps[i].rest.has_value()) extents.front() = *steps[i].rest;
    files[i]->is_finished = steps[i].is_finished;
  }
  return absl::OkStatus();
}

absl::StatusOr<Flusher::Batch::Step> Flusher::Batch::PublishFile(
    kv::Transaction& txn, uint64_t epoch, const File& file, size_t* budget,
    std::vector<FreedPiece>* freed) const {
  const uint64_t inode = file.node->inode;
  STRATA_ASSIGN_OR_RETURN(std::optional<InodeRecord> record,
                          FindInode(txn, context_.metadata.meta, inode));
  if (!record.has_value()) return Step{.is_finished = true};  // FreeUnpublished() sees to the rest.
  Step step;
  ExtentChange change;
  uint64_t published_end = 0;
  for (const Extent& planned : file.extents) {
    if (*budget == 0) break;
    Extent extent = planned;
    extent.record.born_epoch = epoch;
    const size_t freed_before = change.freed.size();
    STRATA_ASSIGN_OR_RETURN(const uint64_t emptied,
                            RemoveExtents(txn, context_.metadata, inode, extent.offset,
                                          extent.end(), *budget, &change));
    *budget -= std::min(*budget, 1 + change.freed.size() - freed_before);
    published_end = emptied;
    if (emptied < extent.end()) {
      step.rest = Slice(extent, emptied, extent.end());
      extent = Slice(extent, extent.offset, emptied);
    } else {
      ++step.extents;
    }
    STRATA_RETURN_IF_ERROR(PutExtent(txn, context_.metadata, inode, extent, &change));
    if (step.rest.has_value()) break;
  }
  step.is_finished = step.extents == file.extents.size();
  record->stored_blocks += static_cast<uint64_t>(change.stored_blocks);
  record->size_bytes =
      step.is_finished ? file.size_bytes : std::max(record->size_bytes, published_end);
  if (file.is_inline) {
    std::string& content = record->inline_data;
    content.resize(file.size_bytes);
    file.data().Read(0, std::as_writable_bytes(std::span(content)), [](uint64_t, uint64_t) {});
  } else if (step.is_finished) {
    record->inline_data.clear();
  }
  record->mtime_ns = file.mtime_ns;
  record->ctime_ns = std::max(record->ctime_ns, file.ctime_ns);
  STRATA_RETURN_IF_ERROR(PutInode(txn, context_.metadata.meta, inode, &*record));
  freed->insert(freed->end(), change.freed.begin(), change.freed.end());
  return step;
}

// The stripes are kept, and nothing refers to what is left of the extents: the commit failed, or
// the file is gone. A commit that failed may have been applied all the same, so the rows are asked.
//
// This is tried once: a second attempt could free them twice. If it fails, too, the groups are left
// to the next session.
void Flusher::Batch::FreeUnpublished() {
  for (File& file : files_) {
    for (size_t begin = 0; begin < file.extents.size(); begin += kMaxRowsAtOnce) {
      const auto some = std::span(file.extents).subspan(begin);
      if (!FreeUnpublished(file, some.first(std::min(some.size(), kMaxRowsAtOnce))).ok()) {
        return AbandonGroups();
      }
    }
  }
}

void Flusher::Batch::AbandonGroups() {
  for (const File& file : files_) {
    for (const Extent& extent : file.extents) context_.allocator->Abandon(extent.record.group);
  }
}

absl::Status Flusher::Batch::FreeUnpublished(const File& file, std::span<const Extent> extents) {
  const uint64_t inode = file.node->inode;
  return ChangeFiles(
      context_.metadata, context_.session, kv::Durability::kAsync,
      [&](kv::Transaction& txn, uint64_t) -> absl::Status {
        STRATA_ASSIGN_OR_RETURN(std::optional<InodeRecord> record,
                                FindInode(txn, context_.metadata.meta, inode));
        std::vector<FreedPiece> freed;
        for (const Extent& extent : extents) {
          uint64_t live_end = extent.offset;
          if (record.has_value()) {
            STRATA_ASSIGN_OR_RETURN(live_end, PublishedEnd(txn, context_.metadata, inode, extent));
          }
          if (live_end < extent.end()) AppendFreed(Slice(extent, live_end, extent.end()), &freed);
        }
        // With the inode's row changed, a commit that is still on its way fails.
        if (record.has_value()) {
          STRATA_RETURN_IF_ERROR(PutInode(txn, context_.metadata.meta, inode, &*record));
        }
        return freed.empty() ? absl::OkStatus() : context_.allocator->Free(txn, freed);
      });
}

absl::Status Flusher::FlushBatch(std::vector<NodePointer> nodes, kv::Durability durability) {
  Batch batch(context_, std::move(nodes));
  return batch.Run(durability);
}

absl::Status Flusher::Flush(std::vector<NodePointer> nodes, kv::Durability durability) {
  if (nodes.size() < 2) return FlushBatch(std::move(nodes), durability);
  absl::Status together = FlushBatch(nodes, durability);
  if (together.ok()) return together;
  // What one file cannot have, the others are not to miss.
  absl::Status first_error;
  for (NodePointer& node : nodes) {
    const absl::Status status = FlushBatch({std::move(node)}, durability);
    if (first_error.ok()) first_error = status;
  }
  return first_error;
}

absl::Status Flusher::FlushTogether(const NodePointer& node) {
  Waiter self{.node = node};
  std::vector<Waiter*> led;
  {
    MutexLock lock(&mutex_);
    waiting_.push_back(&self);
    while (is_led_ && !self.is_done) batch_ended_.Wait(&mutex_);
    if (self.is_done) return self.status;
    is_led_ = true;
    led.swap(waiting_);
  }
  std::vector<NodePointer> nodes;
  for (const Waiter* waiter : led) nodes.push_back(waiter->node);
  const absl::Status together = FlushBatch(std::move(nodes), kv::Durability::kSync);
  for (Waiter* waiter : led) {
    // Each is told what became of its own file.
    const bool is_for_each = together.ok() || led.size() == 1;
    waiter->status = is_for_each ? together : FlushBatch({waiter->node}, kv::Durability::kSync);
  }
  MutexLock lock(&mutex_);
  is_led_ = false;
  for (Waiter* waiter : led) waiter->is_done = true;
  batch_ended_.NotifyAll();
  return self.status;
}

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// A stream on its way in: bytes -> chunks -> fingerprints -> known or new -> regions of the log,
// and a recipe beside them. The streams of a group share regions.
#include "writer.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "chunking/tar_splitter.h"
#include "fragments.h"
#include "region_builder.h"
#include "store_core.h"
#include "strata/base/check.h"
#include "strata/base/clock.h"
#include "strata/base/status_macros.h"
#include "strata/dedup/fingerprint.h"
#include "stream_records.h"

namespace strata::dedup {
namespace {

// Bytes are chunked, fingerprinted and copied a window at a time, so that they stay in the CPU's
// cache; where workers help, the window is longer, so that waking them is worth it.
constexpr size_t kWindowBytes = 256u << 10;
constexpr size_t kSharedWindowBytes = 1u << 20;
constexpr size_t kMinSharedBytes = 256u << 10;
constexpr size_t kBatchBytes = 128u << 10;

// The fingerprints of a window's chunks, a batch at a time: while the caller stores the chunks of
// one, workers are at the next.
class Fingerprinting {
 public:
  // Without threads, or for little, there is one batch.
  Fingerprinting(WorkerPool* workers, std::span<const std::span<const std::byte>> chunks,
                 std::span<Fingerprint> out)
      : workers_(workers) {
    size_t bytes = 0;
    for (const std::span<const std::byte> chunk : chunks) bytes += chunk.size();
    const bool shared = workers->has_threads() && bytes >= kMinSharedBytes;
    size_t begin = 0;
    bytes = 0;
    for (size_t i = 0; i < chunks.size(); ++i) {
      bytes += chunks[i].size();
      if (i + 1 < chunks.size() && (!shared || bytes < kBatchBytes)) continue;
      const auto batch = chunks.subspan(begin, i + 1 - begin);
      const auto fingerprints = out.subspan(begin, batch.size());
      batches_.push_back(
          {std::make_shared<Job>([=] { FingerprintMany(batch, fingerprints); }), i + 1});
      if (shared) workers->Submit(batches_.back().job);
      begin = i + 1;
      bytes = 0;
    }
  }
  ~Fingerprinting() {
    for (; next_ < batches_.size(); ++next_) workers_->Cancel(*batches_[next_].job);
  }

  // Where the next batch ends, whose fingerprints are there now. REQUIRES: there is one.
  size_t FinishNext() {
    const Batch& batch = batches_[next_++];
    // Where a worker is at it, one of those behind it is more use than waiting.
    for (size_t i = next_ - 1; i < batches_.size() && !batch.job->done(); ++i) {
      if (workers_->TryRun(*batches_[i].job)) break;
    }
    workers_->Finish(*batch.job);
    return batch.end;
  }

 private:
  struct Batch {
    std::shared_ptr<Job> job;
    size_t end;
  };
  WorkerPool* const workers_;
  std::vector<Batch> batches_;
  size_t next_ = 0;
};

// Where new chunks go: those of one stream, or of all streams of a group's round, which small
// streams share.
struct WriterRegions {
  explicit WriterRegions(StoreCore* owner)
      : core(owner),
        data(core, RegionKind::kData, &pins, RegionBuilder::Owner::kWriter),
        nodes(core, RegionKind::kRecipes, &pins, RegionBuilder::Owner::kWriter) {
    core->table->Register(&pins);
  }
  ~WriterRegions() { core->table->Unregister(&pins); }
  WriterRegions(const WriterRegions&) = delete;
  WriterRegions& operator=(const WriterRegions&) = delete;

  // Writes out what is left and waits until all of it, and what it builds on, is durable. With a
  // journal nobody waits here: the records of the streams follow their data in the log, and the
  // flush of the commit is for both.
  absl::Status Flush() {
    STRATA_RETURN_IF_ERROR(data.Flush());
    STRATA_RETURN_IF_ERROR(nodes.Flush());
    log_position = std::max({log_position, data.log_position(), nodes.log_position()});
    if (core->journal == nullptr) STRATA_RETURN_IF_ERROR(core->log->WaitDurable(log_position));
    flushed = true;
    return absl::OkStatus();
  }

  // What the new chunks of one stream took on the device: its share by size.
  uint64_t StoredBytesOf(uint64_t stream_new_bytes) const {
    const uint64_t stored_bytes = data.stored_bytes() + nodes.stored_bytes();
    if (!flushed || stream_new_bytes == new_bytes) return stored_bytes;
    return static_cast<uint64_t>(static_cast<double>(stored_bytes) *
                                 static_cast<double>(stream_new_bytes) /
                                 static_cast<double>(std::max<uint64_t>(new_bytes, 1)));
  }

  StoreCore* const core;
  PinSet pins;
  RegionBuilder data;
  RegionBuilder nodes;
  uint64_t log_position = 0;  // Of the duplicates; from Flush() on of the new chunks, too.
  uint64_t new_bytes = 0;     // Of new chunks of streams that ended.
  size_t writing = 0;         // Streams that have not ended.
  bool flushed = false;
};

class StreamWriter final : public PreparedWriter {
 public:
  // A writer of a group ends its stream at Prepare(); the group makes it durable.
  StreamWriter(StoreCore* core, const StreamId& id, FinishStream finish,
               std::shared_ptr<WriterRegions> regions, bool in_group)
      : core_(core),
        id_(id),
        finish_(std::move(finish)),
        in_group_(in_group),
        regions_(std::move(regions)),
        data_(regions_->data),
        nodes_(regions_->nodes),
        fragments_(core, &regions_->pins, core->log->current_container()),
        splitter_(core->chunker.get()),
        recipe_([this](std::span<const std::byte> node) { return StoreNode(node); }) {
    ++regions_->writing;
  }
  ~StreamWriter() override {
    if (!ended_) --regions_->writing;
  }

  absl::Status Write(std::span<const std::byte> data) override {
    STRATA_RETURN_IF_ERROR(status_);
    if (ended_) return absl::FailedPreconditionError("dedup: Write() after Prepare()");
    const OperationTimer timer(&core_->counters.ingests, /*count=*/0);
    status_ = Ingest(data);
    return status_;
  }

  absl::StatusOr<StreamInfo> Prepare() override {
    STRATA_RETURN_IF_ERROR(status_);
    if (!ended_) {
      const OperationTimer timer(&core_->counters.ingests);
      status_ = End();
      if (status_.ok() && !in_group_) status_ = regions_->Flush();
      STRATA_RETURN_IF_ERROR(status_);
    }
    if (regions_->flushed) {
      record_.new_stored_bytes =
          regions_->StoredBytesOf(record_.new_chunk_bytes) + fragments_.stored_bytes();
    }
    return InfoOf(id_, record_);
  }

  absl::StatusOr<StreamInfo> Finish() override {
    if (in_group_) {
      return absl::FailedPreconditionError(
          "dedup: a stream of a group is committed after the group's Prepare()");
    }
    STRATA_ASSIGN_OR_RETURN(const StreamInfo info, Prepare());
    if (committed_) return absl::FailedPreconditionError("dedup: the stream is committed already");
    STRATA_RETURN_IF_ERROR(finish_(this));
    return info;
  }

  const StreamId& id() const override { return id_; }
  const StoreCore* core() const override { return core_; }
  bool prepared() const override { return ended_ && regions_->flushed; }
  bool committed() const override { return committed_; }
  void MarkCommitted() override { committed_ = true; }
  const StreamRecord& record() const override { return record_; }
  uint64_t log_position() const override { return regions_->log_position; }

 private:
  absl::Status Ingest(std::span<const std::byte> data) {
    record_.size_bytes += data.size();
    const size_t max_bytes = core_->chunker->options().algorithm == ChunkAlgorithm::kFixed
                                 ? core_->chunker->options().avg_bytes
                                 : core_->chunker->options().max_bytes;
    if (!pending_.empty()) {
      // As much of the new data as ends the chunks that began in the old.
      const size_t before = pending_.size();
      const size_t joined = std::min(data.size(), max_bytes);
      pending_.insert(pending_.end(), data.begin(), data.begin() + static_cast<ptrdiff_t>(joined));
      STRATA_ASSIGN_OR_RETURN(const size_t consumed, AddChunks(pending_, /*last=*/false));
      if (consumed < before) {
        pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(consumed));
        STRATA_CHECK(joined == data.size(), "max_bytes more data end the chunk");
        return absl::OkStatus();
      }
      pending_.clear();
      data = data.subspan(consumed - before);
    }
    const size_t window_bytes = core_->workers->has_threads() ? kSharedWindowBytes : kWindowBytes;
    while (data.size() >= max_bytes) {
      const std::span<const std::byte> window =
          data.first(std::min(data.size(), window_bytes + max_bytes));
      STRATA_ASSIGN_OR_RETURN(const size_t consumed, AddChunks(window, /*last=*/false));
      data = data.subspan(consumed);
    }
    pending_.assign(data.begin(), data.end());
    return absl::OkStatus();
  }

  // Cuts `data` and takes the chunks in. Returns how many bytes they cover.
  absl::StatusOr<size_t> AddChunks(std::span<const std::byte> data, bool last) {
    lengths_.clear();
    const size_t consumed = splitter_.Split(data, last, &lengths_);
    chunks_.clear();
    for (const uint32_t length : lengths_) {
      chunks_.push_back(data.first(length));
      data = data.subspan(length);
    }
    fingerprints_.resize(chunks_.size());
    found_.resize(chunks_.size());
    written_.clear();
    Fingerprinting fingerprinting(core_->workers.get(), chunks_, fingerprints_);
    for (size_t begin = 0, end = 0; begin < chunks_.size(); begin = end) {
      end = fingerprinting.FinishNext();
      STRATA_RETURN_IF_ERROR(FindDuplicates(std::span(fingerprints_).subspan(begin, end - begin),
                                            std::span(found_).subspan(begin, end - begin)));
      for (size_t i = begin; i < end; ++i) {
        STRATA_RETURN_IF_ERROR(AddChunk(fingerprints_[i], chunks_[i], found_[i]));
      }
    }
    return consumed;
  }

  absl::Status AddChunk(const Fingerprint& fingerprint, std::span<const std::byte> chunk,
                        const std::optional<FoundChunk>& found) {
    ++record_.chunk_count;
    if (found.has_value()) {
      regions_->log_position = std::max(regions_->log_position, found->log_position);
      fragments_.Note(*found);
    } else if (!data_.Holds(fingerprint) && written_.insert(fingerprint).second) {
      record_.new_chunk_bytes += chunk.size();
      ++new_chunks_;
      STRATA_RETURN_IF_ERROR(data_.Add(fingerprint, chunk));
    }
    return recipe_.Add(fingerprint, static_cast<uint32_t>(chunk.size()));
  }

  absl::Status FindDuplicates(std::span<const Fingerprint> fingerprints,
                              std::span<std::optional<FoundChunk>> found) {
    switch (core_->options.mode) {
      case Mode::kInline:
        return core_->index->FindForDuplicates(fingerprints, &regions_->pins, found);
      case Mode::kHybrid:
        return core_->index->FindInMemory(fingerprints, &regions_->pins, found);
      case Mode::kPostProcess:
        std::fill(found.begin(), found.end(), std::nullopt);
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Fingerprint> StoreNode(std::span<const std::byte> node) {
    const Fingerprint fingerprint = FingerprintOf(node);
    std::optional<FoundChunk> found;
    STRATA_RETURN_IF_ERROR(FindDuplicates({&fingerprint, 1}, {&found, 1}));
    if (found.has_value()) {
      regions_->log_position = std::max(regions_->log_position, found->log_position);
    } else if (!nodes_.Holds(fingerprint)) {
      STRATA_RETURN_IF_ERROR(nodes_.Add(fingerprint, node));
    }
    return fingerprint;
  }

  // The stream is whole; what of it is not full waits for the next stream or the flush.
  absl::Status End() {
    STRATA_RETURN_IF_ERROR(AddChunks(pending_, /*last=*/true).status());
    STRATA_ASSIGN_OR_RETURN(record_.root, recipe_.Finish());
    if (!in_group_ || record_.size_bytes >= core_->options.rewrite_min_bytes) {
      // What is rewritten comes after the stream's own.
      STRATA_RETURN_IF_ERROR(data_.Flush());
      STRATA_RETURN_IF_ERROR(nodes_.Flush());
    }
    if (absl::Status status = fragments_.Rewrite(record_.size_bytes);
        !status.ok() && !absl::IsResourceExhausted(status)) {
      return status;
    }
    record_.created_ns = static_cast<uint64_t>(SystemClock().WallNanos());
    Counters& counters = core_->counters;
    counters.ingested_bytes += record_.size_bytes;
    counters.ingested_chunks += record_.chunk_count;
    counters.duplicate_bytes += record_.size_bytes - record_.new_chunk_bytes;
    counters.duplicate_chunks += record_.chunk_count - new_chunks_;
    regions_->new_bytes += record_.new_chunk_bytes;
    --regions_->writing;
    ended_ = true;
    // A group keeps many of these until it commits.
    pending_ = {};
    lengths_ = {};
    chunks_ = {};
    fingerprints_ = {};
    found_ = {};
    written_ = {};
    return absl::OkStatus();
  }

  StoreCore* const core_;
  const StreamId id_;
  const FinishStream finish_;
  const bool in_group_;
  absl::Status status_;
  bool ended_ = false;
  bool committed_ = false;
  StreamRecord record_;
  uint64_t new_chunks_ = 0;
  const std::shared_ptr<WriterRegions> regions_;
  RegionBuilder& data_;
  RegionBuilder& nodes_;
  Fragments fragments_;
  TarSplitter splitter_;
  RecipeBuilder recipe_;
  std::vector<std::byte> pending_;  // Begins at a chunk's start; shorter than a chunk may be.

  // One window's.
  std::vector<uint32_t> lengths_;
  std::vector<std::span<const std::byte>> chunks_;
  std::vector<Fingerprint> fingerprints_;
  std::vector<std::optional<FoundChunk>> found_;
  absl::flat_hash_set<Fingerprint, FingerprintHash> written_;
};

class GroupOfWriters final : public WriterGroup {
 public:
  GroupOfWriters(StoreCore* core, NewStream new_stream)
      : core_(core), new_stream_(std::move(new_stream)) {}

  std::unique_ptr<Writer> NewWriter() override {
    if (round_ == nullptr) round_ = std::make_shared<WriterRegions>(core_);
    return std::make_unique<StreamWriter>(core_, new_stream_(), nullptr, round_, /*in_group=*/true);
  }

  absl::Status Prepare() override {
    STRATA_RETURN_IF_ERROR(status_);
    if (round_ == nullptr) return absl::OkStatus();
    if (round_->writing > 0) {
      return absl::FailedPreconditionError(
          "dedup: a stream of the group is neither prepared nor abandoned");
    }
    const OperationTimer timer(&core_->counters.ingests, /*count=*/0);
    status_ = round_->Flush();
    if (status_.ok()) round_ = nullptr;
    return status_;
  }

 private:
  StoreCore* const core_;
  const NewStream new_stream_;
  std::shared_ptr<WriterRegions> round_;  // Null: nothing waits.
  absl::Status status_;
};

}  // namespace

std::unique_ptr<Writer> CreateWriter(StoreCore* core, const StreamId& id, FinishStream finish) {
  return std::make_unique<StreamWriter>(core, id, std::move(finish),
                                        std::make_shared<WriterRegions>(core), /*in_group=*/false);
}

std::unique_ptr<WriterGroup> CreateWriterGroup(StoreCore* core, NewStream new_stream) {
  return std::make_unique<GroupOfWriters>(core, std::move(new_stream));
}

}  // namespace strata::dedup

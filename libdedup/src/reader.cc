// SPDX-License-Identifier: Apache-2.0
//
// A stream on its way out: offset -> recipe -> chunk -> region -> bytes.
#include "reader.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "containers/read_ahead.h"
#include "store_core.h"
#include "strata/base/status_macros.h"
#include "stream_records.h"
#include "stream_walk.h"

namespace strata::dedup {
namespace {

// How far a reader looks ahead of its caller at first; twice as far with every time that reading
// goes on in order, up to StoreOptions::read_ahead_bytes.
constexpr uint64_t kMinSpanBytes = 512u << 10;

class StreamReader final : public Reader {
 public:
  StreamReader(StoreCore* core, const StreamId& id, std::unique_ptr<const StreamRecord> record)
      : core_(core),
        record_(std::move(record)),
        info_(InfoOf(id, *record_)),
        walk_(core->reader.get(), record_.get()),
        scout_(core->reader.get(), record_.get()),
        most_expected_bytes_(core->options.read_ahead_bytes / 2),
        ahead_(core->container_reader.get(), core->workers.get()) {}

  ~StreamReader() override {
    Claim(0);
    MutexLock lock(&core_->roots_mutex);
    core_->open_streams.erase(record_.get());
  }

  const StreamInfo& info() const override { return info_; }

  absl::StatusOr<size_t> Read(uint64_t offset_bytes, std::span<std::byte> out) override {
    const OperationTimer timer(&core_->counters.reads);
    if (offset_bytes > record_->size_bytes) {
      return absl::OutOfRangeError(absl::StrFormat("dedup: read at %d of a stream of %d bytes",
                                                   offset_bytes, record_->size_bytes));
    }
    const size_t wanted = std::min<uint64_t>(out.size(), record_->size_bytes - offset_bytes);
    for (size_t done = 0; done < wanted;) {
      const uint64_t at = offset_bytes + done;
      const absl::StatusOr<std::span<const std::byte>> bytes = BytesAt(at);
      if (!bytes.ok()) return WithPlace(bytes.status(), at);
      const size_t size = std::min(bytes->size(), wanted - done);
      std::memcpy(out.data() + done, bytes->data(), size);
      done += size;
    }
    core_->counters.read_bytes.fetch_add(wanted, std::memory_order_relaxed);
    return wanted;
  }

 private:
  // The rest of the chunk that covers `offset`.
  absl::StatusOr<std::span<const std::byte>> BytesAt(uint64_t offset) {
    if (offset < chunk_begin_ || offset - chunk_begin_ >= chunk_.bytes.size()) {
      STRATA_ASSIGN_OR_RETURN(const StreamWalk::Position position, walk_.Find(offset));
      LookAhead(position);
      const RecipeEntry& wanted = position.chunk;
      if (std::optional<ChunkBytes> next = chunk_.Next(wanted.fingerprint, wanted.chunk_bytes)) {
        chunk_ = *std::move(next);
      } else {
        chunk_ = {};
        ahead_.MoveTo(position.begin_bytes);
        STRATA_ASSIGN_OR_RETURN(
            chunk_, core_->reader->Read(wanted.fingerprint, wanted.chunk_bytes, &ahead_));
      }
      chunk_begin_ = position.begin_bytes;
    }
    return chunk_.bytes.subspan(offset - chunk_begin_);
  }

  // Has what follows read, once two chunks were asked for in order. A span at a time, so that
  // neighbours on the device are read together.
  void LookAhead(const StreamWalk::Position& position) {
    const bool in_order = chunk_begin_ + chunk_.bytes.size() == position.begin_bytes;
    if (!in_order || scouted_ < position.begin_bytes) {
      ahead_.Forget();
      scouted_ = position.begin_bytes + position.chunk.chunk_bytes;
      span_bytes_ = kMinSpanBytes;
      Claim(0);
      return;
    }
    if (scouted_ - position.begin_bytes > span_bytes_ / 4 * 3 ||
        ahead_.expected_bytes() > most_expected_bytes_ / 4 * 3) {
      return;
    }
    span_bytes_ = Claim(std::min<uint64_t>(2 * span_bytes_, core_->options.read_ahead_bytes));
    if (span_bytes_ < least_span_bytes()) {
      scouted_ = 0;  // As if nothing had been asked for in order.
      return;
    }
    const uint64_t end = std::min(position.begin_bytes + span_bytes_, record_->size_bytes);
    while (scouted_ < end && ahead_.expected_bytes() < most_expected_bytes_) {
      const absl::StatusOr<StreamWalk::Position> next = scout_.Find(scouted_);
      if (!next.ok()) break;  // Met again when its turn comes.
      const absl::StatusOr<FoundChunk> found = core_->index->Find(next->chunk.fingerprint);
      if (found.ok()) ahead_.Expect(found->place, scouted_);
      scouted_ += next->chunk.chunk_bytes;
    }
    ahead_.Start();
  }

  uint64_t least_span_bytes() const {
    return std::min<uint64_t>(kMinSpanBytes, core_->options.read_ahead_bytes);
  }

  // Takes a share of what all readers together may read ahead, in place of the one that was taken
  // before, which nobody takes away. Returns how much it is.
  uint64_t Claim(uint64_t bytes) {
    std::atomic<uint64_t>& all = core_->read_ahead_bytes;
    const uint64_t others = all.load(std::memory_order_relaxed) - claimed_bytes_;
    const uint64_t total = core_->options.read_ahead_total_bytes;
    const uint64_t share = total > others ? (total - others) / 4 : 0;
    if (bytes > share) bytes = std::max(share, claimed_bytes_);
    if (bytes < least_span_bytes()) bytes = 0;
    all.fetch_add(bytes - claimed_bytes_, std::memory_order_relaxed);
    claimed_bytes_ = bytes;
    return bytes;
  }

  absl::Status WithPlace(const absl::Status& status, uint64_t offset) const {
    return absl::Status(status.code(), absl::StrFormat("stream %s at byte %d: %s", info_.id.ToHex(),
                                                       offset, std::string(status.message())));
  }

  StoreCore* const core_;
  const std::unique_ptr<const StreamRecord> record_;
  const StreamInfo info_;
  StreamWalk walk_;
  StreamWalk scout_;      // Of what is read ahead.
  uint64_t scouted_ = 0;  // It has been there.
  uint64_t span_bytes_ = kMinSpanBytes;
  uint64_t claimed_bytes_ = 0;        // Of what all readers may read ahead.
  const size_t most_expected_bytes_;  // On the device.
  ReadAhead ahead_;
  ChunkBytes chunk_;  // The last one; begins at chunk_begin_ of the stream.
  uint64_t chunk_begin_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Reader>> CreateReader(StoreCore* core, const StreamId& id) {
  MutexLock lock(&core->roots_mutex);
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                          core->options.kv->NewSnapshot()->Get(core->streams, StreamKey(id)));
  if (!value.has_value()) {
    return absl::NotFoundError(absl::StrFormat("dedup: no stream %s", id.ToHex()));
  }
  STRATA_ASSIGN_OR_RETURN(StreamRecord record, DecodeStreamRecord(*value));
  auto kept = std::make_unique<const StreamRecord>(std::move(record));
  core->open_streams.insert(kept.get());
  return std::make_unique<StreamReader>(core, id, std::move(kept));
}

}  // namespace strata::dedup

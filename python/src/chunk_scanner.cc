// SPDX-License-Identifier: Apache-2.0
#include "chunk_scanner.h"

#include <time.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace strata::python {
namespace {

// What is cut is fingerprinted while it is in the cache.
constexpr size_t kWindowBytes = 1u << 20;

uint64_t ProcessorNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

ChunkScanner::ChunkScanner(std::unique_ptr<const dedup::Chunker> chunker, bool digests)
    : chunker_(std::move(chunker)),
      digests_(digests),
      longest_bytes_(std::max(chunker_->options().max_bytes, chunker_->options().avg_bytes)) {}

void ChunkScanner::Update(std::span<const std::byte> data) {
  MutexLock lock(&mutex_);
  if (!pending_.empty()) {
    const size_t before = pending_.size();
    const size_t taken = std::min(data.size(), longest_bytes_);
    pending_.insert(pending_.end(), data.begin(), data.begin() + static_cast<ptrdiff_t>(taken));
    const size_t cut = Cut(pending_, /*last=*/false);
    if (cut < before) {  // The piece, all of it taken, was too short to end the pending chunk.
      pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(cut));
      return;
    }
    pending_.clear();
    data = data.subspan(cut - before);
  }
  while (data.size() >= longest_bytes_) {
    const size_t window = std::max(kWindowBytes, 2 * longest_bytes_);
    data = data.subspan(Cut(data.first(std::min(data.size(), window)), /*last=*/false));
  }
  pending_.assign(data.begin(), data.end());
}

void ChunkScanner::Finish() {
  MutexLock lock(&mutex_);
  Cut(pending_, /*last=*/true);
  pending_.clear();
}

std::vector<ChunkRow> ChunkScanner::Take() {
  MutexLock lock(&mutex_);
  return std::exchange(rows_, {});
}

size_t ChunkScanner::Cut(std::span<const std::byte> data, bool last) {
  lengths_.clear();
  const uint64_t begin_ns = ProcessorNs();
  const size_t consumed = chunker_->Split(data, last, &lengths_);
  chunking_ns_ += ProcessorNs() - begin_ns;
  const size_t first = rows_.size();
  rows_.resize(first + lengths_.size());
  chunks_.clear();
  for (size_t i = 0; i < lengths_.size(); ++i) {
    rows_[first + i].offset = offset_bytes_;
    rows_[first + i].length = lengths_[i];
    offset_bytes_ += lengths_[i];
    chunks_.push_back(data.first(lengths_[i]));
    data = data.subspan(lengths_[i]);
  }
  if (!digests_) return consumed;
  fingerprints_.resize(chunks_.size());
  dedup::FingerprintMany(chunks_, fingerprints_);
  for (size_t i = 0; i < chunks_.size(); ++i) {
    std::memcpy(rows_[first + i].digest, fingerprints_[i].bytes.data(), 32);
  }
  return consumed;
}

}  // namespace strata::python

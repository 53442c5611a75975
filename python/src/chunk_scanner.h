// SPDX-License-Identifier: Apache-2.0
//
// Cuts bytes that come in pieces, and fingerprints the chunks: what strata.dedup.chunks() and
// chunk_table() are made of. The cuts do not depend on the pieces. Thread-safe: calls take turns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "strata/base/mutex.h"
#include "strata/dedup/chunker.h"
#include "strata/dedup/fingerprint.h"

namespace strata::python {

// A row of the NumPy table, as NumPy lays it out.
#pragma pack(push, 1)
struct ChunkRow {
  uint64_t offset;
  uint32_t length;
  char digest[32];  // SHA-256; zeros when none was asked for.
};
#pragma pack(pop)
static_assert(sizeof(ChunkRow) == 44);

class ChunkScanner final {
 public:
  ChunkScanner(std::unique_ptr<const dedup::Chunker> chunker, bool digests);

  // Takes the next piece. Of long pieces nothing but the last, unfinished chunk is copied.
  void Update(std::span<const std::byte> data);

  // No more pieces: what is left is cut too.
  void Finish();

  // The chunks that are complete by now, each handed out once.
  std::vector<ChunkRow> Take();

  // Processor time of this scanner that went into finding cut points.
  double chunking_seconds() const {
    MutexLock lock(&mutex_);
    return static_cast<double>(chunking_ns_) * 1e-9;
  }

 private:
  // Cuts the front of `data`, which starts at a chunk's start. Returns how much of it was cut.
  size_t Cut(std::span<const std::byte> data, bool last) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::unique_ptr<const dedup::Chunker> chunker_;
  const bool digests_;
  const size_t longest_bytes_;  // No chunk is longer.
  mutable Mutex mutex_;
  std::vector<std::byte> pending_ ABSL_GUARDED_BY(mutex_);
  std::vector<ChunkRow> rows_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint32_t> lengths_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::span<const std::byte>> chunks_ ABSL_GUARDED_BY(mutex_);
  std::vector<dedup::Fingerprint> fingerprints_ ABSL_GUARDED_BY(mutex_);
  uint64_t offset_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t chunking_ns_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace strata::python

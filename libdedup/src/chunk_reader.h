// SPDX-License-Identifier: Apache-2.0
//
// Brings chunks back: finds the place, reads the region around it in one I/O, checks it,
// decompresses it, and keeps it for the neighbours. Every region that comes off the device is
// checked by CRC-32C, and the chunk asked for by the fingerprint in the region's table.
//
// Thread safety: any thread; a ReadAhead belongs to one of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "chunk_index.h"
#include "codec.h"
#include "container_format.h"
#include "container_scan.h"
#include "device_io.h"
#include "region_cache.h"
#include "strata/dedup/fingerprint.h"
#include "superblock.h"
#include "worker_pool.h"

namespace strata::dedup {

// What one reader's last device reads brought in. Regions that are asked for in the order they were
// written are found here; a window grows while that goes on. There are several, because a stream
// that shares chunks with older ones goes through many containers side by side, each in order. And
// the regions that it expects to need, on their way through the workers.
class ReadAhead final {
 public:
  ReadAhead() = default;
  explicit ReadAhead(WorkerPool* workers) : workers_(workers) {}
  ~ReadAhead() { ForgetExpected(); }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Of regions that are expected and were not asked for yet.
  size_t expected_bytes() const { return expected_bytes_; }
  void ForgetExpected();

 private:
  friend class ChunkReader;
  struct Expected {
    RegionCache::Key key;
    std::shared_ptr<const DeviceBytes> window;  // Holds `bytes`.
    std::span<const std::byte> bytes;
    absl::StatusOr<std::shared_ptr<const LoadedRegion>> region;
    std::shared_ptr<Job> job;  // Sets `region`.
  };

  WorkerPool* const workers_ = nullptr;
  std::deque<std::unique_ptr<Expected>> expected_;  // In the order of the stream.
  size_t expected_bytes_ = 0;
  struct Window {
    uint64_t container_id = 0;
    uint64_t begin_bytes = 0;  // Within the container.
    size_t next_bytes = 0;     // Of the next read, when it goes on here.
    std::shared_ptr<const DeviceBytes> bytes;
    uint64_t end_bytes() const { return begin_bytes + bytes->span().size(); }
  };
  // Brings the window that covers `begin` of the container, or ends shortly before it, to the
  // front.
  Window* Find(uint64_t container_id, uint64_t begin);
  std::list<Window> windows_;  // The most recently used first.
};

// A chunk's bytes, and what keeps them alive.
struct ChunkBytes {
  std::shared_ptr<const LoadedRegion> region;
  std::span<const std::byte> bytes;
};

class ChunkReader final {
 public:
  struct Options {
    DeviceIo* io = nullptr;
    ChunkIndex* index = nullptr;
    ContainerTable* table = nullptr;
    Codec* codec = nullptr;
    Cipher* cipher = nullptr;  // Null: the store is not encrypted.
    const Superblock* superblock = nullptr;
    size_t cache_bytes = 0;
  };
  explicit ChunkReader(const Options& options) : options_(options), cache_(options.cache_bytes) {}

  // DataLoss: missing or damaged; names container and place. `ahead` may be null.
  absl::StatusOr<ChunkBytes> Read(const Fingerprint& fingerprint, uint32_t size_bytes,
                                  ReadAhead* ahead);

  // Reads the region around a chunk that is needed soon, and has a worker decompress it. What goes
  // wrong meanwhile comes to light when the chunk is read. REQUIRES: `ahead` has workers.
  void Expect(const Fingerprint& fingerprint, ReadAhead* ahead);

  // The region at `place`, decompressed. NotFound: another container lies there by now.
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> ReadRegion(const ChunkPlace& place,
                                                                 ReadAhead* ahead);

  // A sealed container's table of contents. NotFound: the container is gone.
  absl::StatusOr<ContainerContents> ReadFooter(uint64_t container_id,
                                               const ContainerRecord& record);

  // The whole slot. NotFound: the container is gone.
  absl::StatusOr<DeviceBytes> ReadSlot(uint64_t container_id);

  uint64_t corruptions() const { return corruptions_.load(std::memory_order_relaxed); }
  void CountCorruption() { corruptions_.fetch_add(1, std::memory_order_relaxed); }
  size_t memory_bytes() const { return cache_.memory_bytes(); }

 private:
  // The region's bytes, from `ahead` or the device.
  absl::StatusOr<std::span<const std::byte>> ReadBytes(const ChunkPlace& place,
                                                       const ContainerRecord& record,
                                                       ReadAhead* ahead);
  // Checks and decompresses. DataLoss, Unimplemented: says what is wrong, not where.
  absl::StatusOr<std::shared_ptr<const LoadedRegion>> Load(const ChunkPlace& place,
                                                           std::span<const std::byte> bytes) const;
  // An expected region that is whole; null: there is none.
  std::shared_ptr<const LoadedRegion> TakeExpected(const RegionCache::Key& key, ReadAhead* ahead);
  absl::Status Damaged(const ChunkPlace& place, uint32_t slot, const absl::Status& cause);

  const Options options_;
  RegionCache cache_;
  std::atomic<uint64_t> corruptions_{0};
};

}  // namespace strata::dedup

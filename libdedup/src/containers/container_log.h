// SPDX-License-Identifier: Apache-2.0
//
// Appends regions to the open container, or to that of garbage collection. Append() places a region
// and returns at once; the append queue writes it. WaitDurable() waits until it is on stable media.
//
// When a container is full its footer is written, and once that is durable it is entered into the
// chunk index as sealed, by a worker where the store has some.
//
// Where the kv store's commits are logged here (journal.h), one that leads a group of commits calls
// AppendJournal(): it must not wait for a commit. So the log's mutex is never held over a commit,
// and what the caller needs committed goes through its DirectWrite.
//
// Thread safety: any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "containers/append_queue.h"
#include "containers/worker_pool.h"
#include "format/container_format.h"
#include "format/container_scan.h"
#include "format/journal_format.h"
#include "format/region_format.h"
#include "format/superblock.h"
#include "index/chunk_index.h"
#include "reading/container_table.h"
#include "strata/base/clock.h"
#include "strata/base/mutex.h"
#include "strata/base/random.h"
#include "strata/block/buffer.h"
#include "strata/block/device.h"
#include "strata/dedup/types.h"
#include "strata/kv/store.h"

namespace strata::dedup {

class ContainerLog final {
 public:
  struct Options {
    block::Device* device = nullptr;
    kv::Store* kv = nullptr;
    kv::SpaceId containers;
    ContainerTable* table = nullptr;
    ChunkIndex* index = nullptr;
    Cipher* cipher = nullptr;  // For footers; null: the store is not encrypted.
    WorkerPool* workers = nullptr;
    const Superblock* superblock = nullptr;
    uint32_t generation = 0;      // Upper half of the ids of new containers.
    uint32_t reserved_slots = 0;  // Left to those who may use the reserve: garbage collection.
    // Journaled stores: the record of a container is durable before anything is in the container,
    // and writers leave so many more slots to the journal.
    bool journaled = false;
    uint32_t journal_slots = 0;
    std::function<absl::Status(uint64_t bytes, SpaceUse use)> admit_space = {};
    LogSink log;
  };
  static absl::StatusOr<std::unique_ptr<ContainerLog>> Create(const Options& options);
  ~ContainerLog();  // Waits for writes in flight; what nobody waited for may be lost.

  // Gives `region` its place; `pins` holds its container from then on. Returns a position for
  // WaitDurable(). ResourceExhausted: the device is full.
  absl::StatusOr<uint64_t> Append(EncodedRegion* region, PinSet* pins, bool may_use_reserve);

  // The same for a region of the journal. `direct`: the caller leads a group of commits; null: it
  // does not. It may use what writers leave free, for a deletion must not need room.
  absl::StatusOr<uint64_t> AppendJournal(EncodedRegion* region, kv::CommitLog::DirectWrite* direct);
  // Whether a writer might have opened the container that was opened last.
  absl::Status AdmitWriter() const;

  // Regions that were appended and may not be durable yet.
  std::vector<RegionRange> NotDurable();

  // WaitDurable() for a caller that leads a group of commits: enters no container into the index.
  absl::Status WaitDurableOnly(uint64_t position);
  // Enters containers that such calls made durable.
  void EnterSealed();
  // Waits until no worker enters containers any more.
  void FinishEntering();

  // Everything appended up to `position` is on stable media when this returns.
  absl::Status WaitDurable(uint64_t position);

  // For WaitDurable(): everything appended so far.
  uint64_t position();

  // Ids of containers grow. What is appended from now on goes to this one or later ones.
  uint64_t current_container();

  // Closes the open containers, durably, and enters them into the index.
  absl::Status Seal();

  // While a garbage collection runs, who may use the reserve has a container of its own.
  void SetCollecting(bool collecting);

  // Goes on in a container that recovery scanned. REQUIRES: none is open, and the table holds it.
  void Resume(const ContainerScan& scan);

  // Keeps what Resume() opened as full, in memory alone. For stores that are only read.
  void SetAside();

  // Opened so far for who may use the reserve.
  uint64_t collection_containers() const {
    return collection_containers_.load(std::memory_order_relaxed);
  }

  uint64_t flush_count() const { return queue_->flush_count(); }

  // What lies in containers that the index does not know as sealed. While these are entered some of
  // them may be in the container table as sealed already: ask here first, then there, and count
  // `ids` once.
  struct Unsealed {
    absl::flat_hash_set<uint64_t> ids;
    uint64_t chunk_count = 0;  // Of data, as all down to deferred_bytes.
    uint64_t raw_bytes = 0;
    uint64_t stored_bytes = 0;
    uint64_t deferred_bytes = 0;
    uint64_t recipe_count = 0;
    uint64_t recipe_bytes = 0;
    uint64_t device_bytes = 0;
  };
  Unsealed unsealed();

  // The same, in detail, for those who read it from the device, which they may do once
  // WaitDurable(*position) has returned.
  struct UnsealedContainer {
    uint64_t id = 0;
    uint32_t slot = 0;
    ContainerContents contents;
  };
  std::vector<UnsealedContainer> ListUnsealed(uint64_t* position);

 private:
  enum class Caller { kWriter, kCollection, kJournal };
  struct OpenContainer {
    ContainerHeader header;
    ContainerContents contents;
    uint64_t end_bytes = 0;  // Behind the last region.
    uint64_t space_end_bytes =
        0;                  // Of a thin device: how far the slot's space is known to be ours.
    bool reserved = false;  // The journal's, of the slots that writers leave free.
    uint32_t next_sequence = 0;
    uint32_t last_crc = 0;
  };
  struct WaitingContainer {
    SealedContainer sealed;
    uint64_t position = 0;  // Durable when the footer is.
  };
  // A slot that is taken, and in the container table, for a container that nobody opened yet.
  struct Prepared {
    uint64_t id = 0;
    uint32_t slot = 0;
    uint64_t nonce = 0;
    uint64_t space_end_bytes = 0;
    bool reserved = false;
  };

  explicit ContainerLog(const Options& options);

  absl::Status AdmitSpace(Caller caller, uint64_t bytes) const;
  std::optional<OpenContainer>& OpenFor(bool may_use_reserve)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return open_[may_use_reserve ? 1 : 0];
  }
  bool Fits(const OpenContainer& open, const EncodedRegion& region) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the space of a part of a slot, so that no write to it finds the device full.
  absl::Status TakeSpace(uint32_t slot, uint64_t begin_bytes, uint64_t end_bytes)
      ABSL_LOCKS_EXCLUDED(space_mutex_);
  void GiveBack(uint32_t slot, uint64_t begin_bytes, uint64_t end_bytes)
      ABSL_LOCKS_EXCLUDED(space_mutex_);
  // What a closed store does not keep of its open container's space; none where begin >= end.
  struct Gap {
    uint64_t begin_bytes = 0;
    uint64_t end_bytes = 0;
  };
  Gap TailOf(const OpenContainer& open) const;
  // The same for a whole slot; the journal makes do with TailOf() an empty container. Returns how
  // far the slot's space was taken.
  absl::StatusOr<uint64_t> TakeSpaceOfNew(Caller caller, uint32_t slot)
      ABSL_LOCKS_EXCLUDED(space_mutex_);
  // TakeSpace() for a container of which a part was given back: all that is left of the slot, or,
  // where that is refused, what the journal's region and the footer need.
  absl::Status TakeSpaceAgain(Caller caller, OpenContainer* open, const EncodedRegion& region)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a thin device: what no region and no footer will take any more.
  absl::Status GiveBackGap(const OpenContainer& closing, uint64_t footer_begin_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The last act: what the next opening takes again when it needs it.
  void GiveBackTail(const OpenContainer& open) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sets prepared_, or waits for another caller's; then all is to be looked at again. Gives the
  // mutex up while it commits the container's record.
  absl::Status Prepare(Caller caller, kv::CommitLog::DirectWrite* direct)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status PrepareUnlocked(Caller caller, kv::CommitLog::DirectWrite* direct,
                               Prepared* prepared) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Abandon(const Prepared& prepared, kv::CommitLog::DirectWrite* direct)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // A container for `caller` with room for the region. May give the mutex up before it returns.
  absl::StatusOr<OpenContainer*> OpenWithRoom(Caller caller, const EncodedRegion& region,
                                              kv::CommitLog::DirectWrite* direct)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<uint64_t> Place(EncodedRegion* region, PinSet* pins, Caller caller,
                                 kv::CommitLog::DirectWrite* direct)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Close(std::optional<OpenContainer>* open) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WaitFlushed(uint64_t position, bool* flushed) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status CommitSealed();
  // The same, by a worker where there is one.
  absl::Status CommitSealedBehind();
  // Of sealed_.
  struct Waiting {
    size_t chunks = 0;
    size_t not_durable_chunks = 0;
    size_t not_durable_containers = 0;
  };
  Waiting WaitingNow() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Called by the queue, which holds the mutex.
  void NoteDurable(uint64_t position);

  const Options options_;
  const uint32_t block_bytes_;
  const uint32_t container_bytes_;

  Mutex mutex_;
  std::unique_ptr<AppendQueue> queue_;  // Locked by mutex_.
  // That of writers, and that of garbage collection: what is compressed anew does not lie among
  // what writers deferred, else it would be copied again. Writers go on in the latter afterwards.
  std::array<std::optional<OpenContainer>, 2> open_ ABSL_GUARDED_BY(mutex_);
  bool collecting_ ABSL_GUARDED_BY(mutex_) = false;
  struct Appended {
    uint64_t position;
    uint64_t container_id;
    uint32_t sequence;
  };
  std::deque<Appended> not_durable_ ABSL_GUARDED_BY(mutex_);     // Journaled stores only.
  std::deque<WaitingContainer> sealed_ ABSL_GUARDED_BY(mutex_);  // Not in the index yet.
  uint32_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;  // Lower half of the next container's id.
  uint64_t last_opened_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<uint64_t> unopened_ids_ ABSL_GUARDED_BY(mutex_);  // Being prepared, or prepared_.
  std::optional<Prepared> prepared_ ABSL_GUARDED_BY(mutex_);
  bool preparing_ ABSL_GUARDED_BY(mutex_) = false;  // A caller is within Prepare().
  CondVar prepare_ended_;
  Random random_ ABSL_GUARDED_BY(mutex_);

  Mutex committing_;                        // One at a time enters sealed containers, in order.
  std::atomic<bool> is_committing_{false};  // Somebody, perhaps the caller, holds committing_.
  Mutex space_mutex_;
  std::unique_ptr<block::Channel> space_channel_ ABSL_GUARDED_BY(space_mutex_);
  std::shared_ptr<Job> commit_job_ ABSL_GUARDED_BY(mutex_);  // Enters them behind the callers.
  std::atomic<uint64_t> collection_containers_{0};
};

}  // namespace strata::dedup

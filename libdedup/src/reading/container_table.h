// SPDX-License-Identifier: Apache-2.0
//
// Which containers there are, in which slots, and who may rely on them. A writer that finds a
// duplicate pins the container it lies in; garbage collection condemns only containers that nobody
// pinned. Both happen under one lock, so that one of them comes first and the other sees it.
//
// Thread safety: any thread; a PinSet belongs to one writer.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "format/index_records.h"
#include "strata/base/mutex.h"

namespace strata::dedup {

// The containers a writer relies on.
class PinSet final {
 private:
  friend class ContainerTable;
  absl::flat_hash_set<uint64_t> ids_;
};

struct ContainerInfo {
  ContainerRecord record;
  bool condemned = false;  // Being emptied: nothing may begin to rely on it.
  // What it holds cannot be told: nothing may begin to rely on it, and it is never freed.
  std::string damage;
  LostChunks lost{};  // Nothing may begin to rely on these.
  bool usable() const { return !condemned && damage.empty(); }
};

class ContainerTable final {
 public:
  explicit ContainerTable(uint32_t slot_count) : slot_count_(slot_count) {}

  // ResourceExhausted: no more than `keep_free` slots are free.
  absl::StatusOr<uint32_t> AcquireSlot(uint32_t keep_free);
  void ReleaseSlot(uint32_t slot);

  // Add takes the slot where that was not done. InvalidArgument: it is taken twice, or past the end
  // of the device.
  absl::Status Add(uint64_t id, const ContainerRecord& record);
  void Update(uint64_t id, const ContainerRecord& record);
  void Remove(uint64_t id);  // Keeps the slot.
  void MarkDamaged(uint64_t id, std::string_view damage);
  void SetLost(uint64_t id, LostChunks lost);

  bool Contains(uint64_t id) const;
  bool Usable(uint64_t id) const;
  // The chunk was found damaged. Cheap while none was.
  bool Lost(const ChunkPlace& place) const;
  bool any_lost() const { return any_lost_.load(std::memory_order_relaxed); }
  std::optional<uint32_t> SlotOf(uint64_t id) const;
  std::optional<ContainerInfo> Find(uint64_t id) const;
  std::vector<std::pair<uint64_t, ContainerInfo>> List() const;  // In order of id.

  // While a ReadGuard of a container lives its slot is neither erased nor used again. False: the
  // container is gone.
  class ReadGuard final {
   public:
    ReadGuard(ContainerTable* table, uint64_t id);
    ~ReadGuard();
    ReadGuard(const ReadGuard&) = delete;
    ReadGuard& operator=(const ReadGuard&) = delete;
    explicit operator bool() const { return record_.has_value(); }
    const ContainerRecord& record() const { return *record_; }

   private:
    ContainerTable* const table_;
    const uint64_t id_;
    std::optional<ContainerRecord> record_;
  };
  // Until no guard of a container that was removed is left.
  void WaitForReaders(uint64_t id);

  // Pins.
  void Register(PinSet* pins);
  void Unregister(PinSet* pins);
  void Pin(uint64_t id, PinSet* pins);
  // False: the container is gone, condemned or damaged; take its chunks as absent.
  bool PinIfUsable(uint64_t id, PinSet* pins);
  bool PinIfUsable(const ChunkPlace& place, PinSet* pins);  // Nor may the chunk be damaged.
  // Whoever relies on `from` relies on `to` as well: the index leads there now for some chunk.
  void CarryPinsOver(uint64_t from, uint64_t to);

  // Garbage collection. From BeginCollection() on the pins of writers that end are kept.
  void BeginCollection();
  void EndCollection();  // Also takes every condemnation back.
  // Of `ids`, condemns those that nobody pinned and returns them.
  std::vector<uint64_t> Condemn(const std::vector<uint64_t>& ids);

  uint32_t slot_count() const { return slot_count_; }
  uint32_t free_slots() const;

 private:
  const uint32_t slot_count_;
  mutable Mutex mutex_;
  std::atomic<bool> any_lost_{false};
  absl::flat_hash_map<uint64_t, ContainerInfo> containers_ ABSL_GUARDED_BY(mutex_);
  std::set<uint32_t> gaps_ ABSL_GUARDED_BY(mutex_);  // Free slots below next_slot_.
  uint32_t next_slot_ ABSL_GUARDED_BY(mutex_) = 0;   // This and all after it are free.
  absl::flat_hash_set<PinSet*> pin_sets_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, uint32_t> guards_ ABSL_GUARDED_BY(mutex_);
  CondVar guard_ended_;
  bool collecting_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<uint64_t> kept_pins_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::dedup

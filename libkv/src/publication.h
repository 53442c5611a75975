// SPDX-License-Identifier: Apache-2.0
//
// What the rest of the world may see: the newest committed version together with the view that
// belongs to it, the transactions that began from one, and those who wait for it to change.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "engine.h"
#include "strata/base/mutex.h"
#include "strata/kv/store.h"

namespace strata::kv {

// A version and exactly the state that it names.
struct PublishedState {
  uint64_t version;
  std::shared_ptr<const View> view;
};

struct CommittedWrites {
  uint64_t version;
  const WriteBatch* writes;
};

class Publication {
 public:
  explicit Publication(PublishedState state) : version_(state.version), state_(std::move(state)) {}

  PublishedState Current() const;

  // A transaction begins at the current state, and ends.
  PublishedState BeginTransaction();
  void EndTransaction(uint64_t begun_at);

  // No transaction is open, or will begin, at an earlier version than this.
  uint64_t OldestTransaction() const;

  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // Makes `state` current and wakes those who wait for something in `commits`, which are in order.
  void Publish(PublishedState state, std::span<const CommittedWrites> commits);

  // Waits until a published commit later than `after_version` writes to the range. `find_earlier`
  // looks, given the current version, for such a commit among those published before the call; it
  // runs under the lock, so that no commit is missed between looking and waiting.
  std::optional<uint64_t> WaitForWrite(
      SpaceId space, const Range& range, uint64_t after_version, uint64_t timeout_ms,
      const std::function<std::optional<uint64_t>(uint64_t current_version)>& find_earlier);

 private:
  struct Waiter {
    SpaceId space;
    Range range;
    uint64_t after_version;
    std::optional<uint64_t> found;
    CondVar wake;
  };

  void Notify(std::span<const CommittedWrites> commits) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::atomic<uint64_t> version_;
  mutable Mutex mutex_;
  PublishedState state_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, uint64_t> transactions_ ABSL_GUARDED_BY(mutex_);  // Begun at -> how many.
  std::list<Waiter*> waiters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::kv

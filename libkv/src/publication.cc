// SPDX-License-Identifier: Apache-2.0
#include "publication.h"

#include <algorithm>
#include <utility>

#include "argument_checks.h"
#include "strata/base/check.h"
#include "strata/base/clock.h"

namespace strata::kv {
namespace {

bool Touches(const WriteBatch::Operation& operation, SpaceId space, const Range& range) {
  if (operation.space != space) return false;
  if (operation.kind == WriteBatch::Operation::Kind::kDeleteRange) {
    return RangesOverlap({operation.key, operation.value}, range);
  }
  return InRange(range, operation.key);
}

}  // namespace

PublishedState Publication::Current() const {
  MutexLock lock(&mutex_);
  return state_;
}

PublishedState Publication::BeginTransaction() {
  MutexLock lock(&mutex_);
  ++transactions_[state_.version];
  return state_;
}

void Publication::EndTransaction(uint64_t begun_at) {
  MutexLock lock(&mutex_);
  const auto count = transactions_.find(begun_at);
  STRATA_CHECK(count != transactions_.end(), "a transaction ended that never began");
  if (--count->second == 0) transactions_.erase(count);
}

uint64_t Publication::OldestTransaction() const {
  MutexLock lock(&mutex_);
  return transactions_.empty() ? state_.version : transactions_.begin()->first;
}

void Publication::Publish(PublishedState state, std::span<const CommittedWrites> commits) {
  MutexLock lock(&mutex_);
  std::swap(state_, state);  // The old view, when nobody else holds it, dies after the lock.
  version_.store(state_.version, std::memory_order_release);
  Notify(commits);
}

void Publication::Notify(std::span<const CommittedWrites> commits) {
  for (Waiter* waiter : waiters_) {
    for (const CommittedWrites& commit : commits) {
      if (commit.version <= waiter->after_version) continue;
      const auto& operations = commit.writes->operations();
      if (std::any_of(operations.begin(), operations.end(), [&](const auto& operation) {
            return Touches(operation, waiter->space, waiter->range);
          })) {
        waiter->found = commit.version;
      }
    }
    if (waiter->found.has_value()) waiter->wake.NotifyOne();
  }
}

std::optional<uint64_t> Publication::WaitForWrite(
    SpaceId space, const Range& range, uint64_t after_version, uint64_t timeout_ms,
    const std::function<std::optional<uint64_t>(uint64_t current_version)>& find_earlier) {
  constexpr uint64_t kLongestWaitMs = 1'000'000'000;  // Eleven days; keeps nanoseconds in range.
  const int64_t deadline_ns =
      SystemClock().MonotonicNanos() +
      static_cast<int64_t>(std::min(timeout_ms, kLongestWaitMs)) * 1'000'000;
  Waiter waiter{
      .space = space, .range = range, .after_version = after_version, .found = {}, .wake = {}};
  MutexLock lock(&mutex_);
  if (const std::optional<uint64_t> earlier = find_earlier(state_.version)) return earlier;
  const auto position = waiters_.insert(waiters_.end(), &waiter);
  while (!waiter.found.has_value()) {
    const int64_t left_ns = deadline_ns - SystemClock().MonotonicNanos();
    if (left_ns <= 0) break;
    waiter.wake.WaitForNanos(&mutex_, left_ns);
  }
  waiters_.erase(position);
  return waiter.found;
}

}  // namespace strata::kv

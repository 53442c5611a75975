// SPDX-License-Identifier: Apache-2.0
//
// The reap queue: streams that were too many to delete with the object they belonged to, and
// records that are kept for a while. Entries are in order of the time from which they may go. An
// entry whose time is further away than any wait was made while the clock was ahead.
#include <algorithm>
#include <utility>

#include "operations/object_store.h"
#include "strata/base/status_macros.h"
#include "transactions/range_cursor.h"

namespace strata::object {
namespace {

constexpr size_t kMaxStreamsPerTransaction = 200;
constexpr size_t kMaxBroughtForward = 256;                 // In one call.
constexpr uint64_t kClockSlackNs = 60ull * 1'000'000'000;  // A clock that is set back a little.

// Without those that the dedup store does not have.
absl::StatusOr<std::vector<dedup::StreamId>> Existing(dedup::Store* dedup,
                                                      const std::vector<dedup::StreamId>& streams) {
  std::vector<dedup::StreamId> existing;
  for (const dedup::StreamId& id : streams) {
    const absl::Status status = dedup->Stat(id).status();
    if (absl::IsNotFound(status)) continue;
    if (!status.ok()) return FromStorage(status, "looking for a stream");
    existing.push_back(id);
  }
  return existing;
}

}  // namespace

absl::StatusOr<size_t> ObjectStore::ReapOne(const std::string& reap_key, size_t max_streams) {
  size_t reaped = 0;
  STRATA_RETURN_IF_ERROR(Mutate(reap_key, [&](Mutation& mutation) -> absl::Status {
    reaped = 0;
    STRATA_ASSIGN_OR_RETURN(std::optional<ReapRecord> record,
                            ReadRecord(mutation.txn(), mutation.space(), reap_key, DecodeReap));
    if (!record.has_value()) return absl::OkStatus();
    if (record->manifest_id.has_value() && pins_.IsPinned(*record->manifest_id)) {
      return absl::OkStatus();
    }
    reaped = std::min({max_streams, record->streams.size(), kMaxStreamsPerTransaction});
    const auto end = record->streams.begin() + static_cast<ptrdiff_t>(reaped);
    STRATA_ASSIGN_OR_RETURN(const std::vector<dedup::StreamId> streams,
                            Existing(backing_.dedup, {record->streams.begin(), end}));
    mutation.RemoveStreamsNow(streams);
    record->streams.erase(record->streams.begin(), end);
    if (!record->streams.empty()) return mutation.Put(reap_key, Encode(*record));
    if (!record->expired_key.empty()) STRATA_RETURN_IF_ERROR(mutation.Delete(record->expired_key));
    return mutation.Delete(reap_key);
  }));
  return reaped;
}

absl::Status ObjectStore::BringForward(const std::string& reap_key) {
  return Mutate(reap_key, [&](Mutation& mutation) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const std::optional<ReapRecord> record,
                            ReadRecord(mutation.txn(), mutation.space(), reap_key, DecodeReap));
    if (!record.has_value()) return absl::OkStatus();
    STRATA_RETURN_IF_ERROR(mutation.Delete(reap_key));
    // Streams wait for nothing. A record waits as long as one that is made now.
    const uint64_t due_ns = record->expired_key.empty() ? 0 : mutation.now_ns() + kKeepCompletedNs;
    return mutation.Put(ReapKey(due_ns, backing_.ids->Next64()), Encode(*record));
  });
}

absl::Status ObjectStore::BringForwardFromTheFuture(uint64_t now_ns) {
  kv::Range range = TableRange(Table::kReap);
  range.begin = ReapKey(now_ns + kKeepCompletedNs + kClockSlackNs, 0);
  const absl::StatusOr<kv::Page> page =
      backing_.kv->NewSnapshot()->List(backing_.space, range, {.max_items = kMaxBroughtForward});
  if (!page.ok()) return FromStorage(page.status(), "listing the reap queue");
  for (const kv::KeyValue& item : page->items) STRATA_RETURN_IF_ERROR(BringForward(item.key));
  return absl::OkStatus();
}

absl::StatusOr<size_t> ObjectStore::ReapStreams(size_t max_streams) {
  const uint64_t now_ns = backing_.NowNs();
  STRATA_RETURN_IF_ERROR(BringForwardFromTheFuture(now_ns));
  size_t total = 0;
  kv::Range range = TableRange(Table::kReap);
  range.end = ReapKey(now_ns + 1, 0);
  while (total < max_streams) {
    // A snapshot for each entry: the walk may be long.
    const absl::StatusOr<kv::Page> page =
        backing_.kv->NewSnapshot()->List(backing_.space, range, {.max_items = 1});
    if (!page.ok()) return FromStorage(page.status(), "listing the reap queue");
    if (page->items.empty()) break;
    const std::string& key = page->items[0].key;
    STRATA_ASSIGN_OR_RETURN(const size_t reaped, ReapOne(key, max_streams - total));
    total += reaped;
    // An entry that gave nothing is pinned or done; else it is looked at again.
    range.begin = reaped > 0 ? key : key + '\0';
  }
  return total;
}

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
//
// What an object store stands on, handed to each of its parts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "records/key_layout.h"
#include "strata/base/clock.h"
#include "strata/base/fork.h"
#include "strata/base/log.h"
#include "strata/base/mutex.h"
#include "strata/base/random.h"
#include "strata/dedup/store.h"
#include "strata/kv/store.h"
#include "transactions/storage_error.h"

namespace strata::object {

// Numbers nobody else has drawn, for ids that need not be secret. Thread-safe.
class IdSource final {
 public:
  explicit IdSource(uint64_t seed) : random_(seed) {}
  uint64_t Next64() {
    if (opener_.InForkedChild()) return 1;  // The store refuses what it is drawn for.
    MutexLock lock(&mutex_);
    return random_.Next64();
  }

 private:
  const ProcessMark opener_;
  Mutex mutex_;
  Random random_ ABSL_GUARDED_BY(mutex_);
};

struct Backing {
  dedup::Store* dedup = nullptr;
  kv::Store* kv = nullptr;
  kv::SpaceId space;
  const Clock* clock = nullptr;
  IdSource* ids = nullptr;
  LogSink log;

  uint64_t NowNs() const {
    const int64_t now_ns = clock->WallNanos();
    return now_ns > 0 ? static_cast<uint64_t>(now_ns) : 1;
  }

  // 8 bytes of time, then 8 of chance: in order of making, and unique.
  RecordId NewRecordId() const;
};

// Reads and decodes one record; nullopt when there is none. kDamaged: it does not decode.
template <typename Record>
absl::StatusOr<std::optional<Record>> ReadRecord(
    kv::Reader& reader, kv::SpaceId space, std::string_view key,
    absl::StatusOr<Record> (*decode)(std::string_view)) {
  absl::StatusOr<std::optional<std::string>> value = reader.Get(space, key);
  if (!value.ok()) return FromStorage(value.status(), "reading a record");
  if (!value->has_value()) return std::nullopt;
  absl::StatusOr<Record> record = decode(**value);
  if (!record.ok()) return FromStorage(record.status(), "decoding a record");
  return std::optional<Record>(*std::move(record));
}

}  // namespace strata::object

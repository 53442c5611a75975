// SPDX-License-Identifier: Apache-2.0
//
// Where groups lie: the rows of `G`, the newest of which are kept in memory.
//
// Thread safety: any thread. No lock is held across a kv call.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "disks/disk_rows.h"
#include "strata/base/mutex.h"

namespace strata::ofs {

using GroupPointer = std::shared_ptr<const GroupRecord>;

class GroupTable final {
 public:
  static constexpr size_t kMaxKept = 65'536;

  explicit GroupTable(const Metadata& metadata) : metadata_(metadata) {}

  // NotFound: there is no such group (any more).
  absl::StatusOr<GroupPointer> Find(uint64_t group);
  // The same from the store, for a reader that found other bytes than it expected.
  absl::StatusOr<GroupPointer> FindAgain(uint64_t group);

  void Keep(uint64_t group, GroupPointer record);
  void Forget(uint64_t group);

 private:
  const Metadata metadata_;
  Mutex mutex_;
  std::unordered_map<uint64_t, GroupPointer> kept_ ABSL_GUARDED_BY(mutex_);
  std::deque<uint64_t> order_ ABSL_GUARDED_BY(mutex_);  // Oldest first; some are forgotten already.
};

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
#include "groups/group_table.h"

#include <utility>

#include "groups/group_rows.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {

absl::StatusOr<GroupPointer> GroupTable::Find(uint64_t group) {
  {
    MutexLock lock(&mutex_);
    const auto it = kept_.find(group);
    if (it != kept_.end()) return it->second;
  }
  return FindAgain(group);
}

absl::StatusOr<GroupPointer> GroupTable::FindAgain(uint64_t group) {
  absl::StatusOr<GroupRecord> record = GetGroup(metadata_, *metadata_.store->NewSnapshot(), group);
  if (absl::IsNotFound(record.status())) Forget(group);
  STRATA_RETURN_IF_ERROR(record.status());
  auto pointer = std::make_shared<const GroupRecord>(*std::move(record));
  Keep(group, pointer);
  return pointer;
}

void GroupTable::Keep(uint64_t group, GroupPointer record) {
  MutexLock lock(&mutex_);
  const auto [it, is_new] = kept_.insert_or_assign(group, std::move(record));
  if (!is_new) return;
  order_.push_back(group);
  while (order_.size() > kMaxKept) {
    kept_.erase(order_.front());
    order_.pop_front();
  }
}

void GroupTable::Forget(uint64_t group) {
  MutexLock lock(&mutex_);
  kept_.erase(group);
}

}  // namespace strata::ofs

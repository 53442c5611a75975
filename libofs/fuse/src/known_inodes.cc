// SPDX-License-Identifier: Apache-2.0
#include "known_inodes.h"

#include <utility>

#include "strata/base/status_macros.h"

namespace strata::ofs {

void KnownInodes::Add(uint64_t inode) {
  MutexLock lock(&mutex_);
  ++lookups_[inode];
}

void KnownInodes::Forget(uint64_t inode, uint64_t count) {
  uint64_t holds = 0;
  {
    MutexLock lock(&mutex_);
    const auto it = lookups_.find(inode);
    if (it == lookups_.end()) return;  // The root, which nobody looked up.
    if (it->second > count) {
      it->second -= count;
      return;
    }
    lookups_.erase(it);
    if (const auto kept = kept_.find(inode); kept != kept_.end()) {
      holds = kept->second;
      kept_.erase(kept);
    }
  }
  for (; holds > 0; --holds) filesystem_.Release(inode);
}

void KnownInodes::KeepUntilForgotten(uint64_t inode) {
  {
    MutexLock lock(&mutex_);
    if (lookups_.contains(inode)) {
      ++kept_[inode];
      return;
    }
  }
  filesystem_.Release(inode);
}

absl::Status KnownInodes::Open(uint64_t inode, bool for_writing) {
  STRATA_RETURN_IF_ERROR(filesystem_.Hold(inode));
  MutexLock lock(&mutex_);
  Opens& opens = opens_[inode];
  ++opens.all;
  if (for_writing) ++opens.for_writing;
  return absl::OkStatus();
}

void KnownInodes::Close(uint64_t inode, bool for_writing) {
  {
    MutexLock lock(&mutex_);
    const auto it = opens_.find(inode);
    if (it == opens_.end()) return;
    if (for_writing) --it->second.for_writing;
    if (--it->second.all == 0) opens_.erase(it);
  }
  filesystem_.Release(inode);
}

bool KnownInodes::IsOpenForWriting(uint64_t inode) {
  MutexLock lock(&mutex_);
  const auto it = opens_.find(inode);
  return it != opens_.end() && it->second.for_writing > 0;
}

void KnownInodes::ForgetAll() {
  absl::flat_hash_map<uint64_t, uint64_t> kept;
  absl::flat_hash_map<uint64_t, Opens> opens;
  {
    MutexLock lock(&mutex_);
    lookups_.clear();
    kept = std::exchange(kept_, {});
    opens = std::exchange(opens_, {});
  }
  for (const auto& [inode, open] : opens) kept[inode] += open.all;
  for (auto& [inode, holds] : kept) {
    for (; holds > 0; --holds) filesystem_.Release(inode);
  }
}

}  // namespace strata::ofs

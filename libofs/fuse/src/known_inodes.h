// SPDX-License-Identifier: Apache-2.0
//
// Which inodes the kernel knows, and which it has open. It may use an inode that has lost its last
// name for as long as it knows it: FileSystem::Hold() keeps those.
//
// Thread-safe. No lock is held across a call of the filesystem.
#pragma once

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "strata/base/mutex.h"
#include "strata/ofs/file_system.h"

namespace strata::ofs {

class KnownInodes final {
 public:
  explicit KnownInodes(FileSystem* filesystem) : filesystem_(*filesystem) {}
  KnownInodes(const KnownInodes&) = delete;
  KnownInodes& operator=(const KnownInodes&) = delete;

  // A reply names the inode: called before it is sent.
  void Add(uint64_t inode);
  // The kernel forgets so many replies.
  void Forget(uint64_t inode, uint64_t count);
  // The inode may have lost its last name. Takes over one Hold() of the caller's, until the kernel
  // has forgotten the inode.
  void KeepUntilForgotten(uint64_t inode);

  // Errors: those of Hold().
  absl::Status Open(uint64_t inode, bool for_writing);
  void Close(uint64_t inode, bool for_writing);
  bool IsOpenForWriting(uint64_t inode);

  // The kernel is gone, and has forgotten and closed everything.
  void ForgetAll();

 private:
  struct Opens {
    uint64_t all = 0;
    uint64_t for_writing = 0;
  };

  FileSystem& filesystem_;
  Mutex mutex_;
  absl::flat_hash_map<uint64_t, uint64_t> lookups_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, uint64_t> kept_ ABSL_GUARDED_BY(mutex_);  // Holds of each.
  absl::flat_hash_map<uint64_t, Opens> opens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// What the kernel asks for, and the calls of FileSystem that answer it.
//
// Thread safety: any number of threads serve requests of one session.
#pragma once

#include <atomic>
#include <memory>

#include "fuse_api.h"
#include "known_inodes.h"
#include "seek_queue.h"
#include "strata/ofs_fuse/mount.h"

namespace strata::ofs {

inline constexpr uint32_t kMaxRequestBytes = 1u << 20;  // Of one read or write.

// What the operations work on: the user data of a session.
struct Served {
  Served(FileSystem* served, const MountOptions& chosen)
      : filesystem(*served), options(chosen), known(served) {}

  FileSystem& filesystem;
  const MountOptions options;
  KnownInodes known;
  std::unique_ptr<SeekQueue> seeks;
  std::atomic<int64_t> last_complaint_ns{0};
};

const fuse_lowlevel_ops& Operations();

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// Seeks for data and holes in files that are being written. The kernel asks without having sent
// what it has gathered of the file, so it is first made to send it. A thread that serves requests
// must not wait for that: the data comes as requests. One thread does nothing else.
//
// Thread-safe.
#pragma once

#include <deque>
#include <thread>

#include "fuse_api.h"
#include "strata/base/mutex.h"
#include "strata/ofs/file_system.h"

namespace strata::ofs {

struct SeekRequest {
  fuse_req_t request;
  uint64_t inode;
  uint64_t offset;
  SeekWhence whence;
};

// Answers the request.
void ReplySeek(FileSystem& filesystem, const SeekRequest& seek);

class SeekQueue final {
 public:
  SeekQueue(FileSystem* filesystem, fuse_session* session);
  ~SeekQueue() { End(); }
  SeekQueue(const SeekQueue&) = delete;
  SeekQueue& operator=(const SeekQueue&) = delete;

  void Add(const SeekRequest& seek);

  // Refuses what is not answered yet, and what comes later. REQUIRES: other threads serve requests
  // until it returns.
  void End();

 private:
  void Serve();

  FileSystem& filesystem_;
  fuse_session* const session_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<SeekRequest> waiting_ ABSL_GUARDED_BY(mutex_);
  bool is_ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
#include "seek_queue.h"

#include <cerrno>

#include "strata/ofs/posix_error.h"

namespace strata::ofs {

void ReplySeek(FileSystem& filesystem, const SeekRequest& seek) {
  const absl::StatusOr<uint64_t> found = filesystem.Seek(seek.inode, seek.offset, seek.whence);
  if (found.ok()) {
    fuse_reply_lseek(seek.request, static_cast<off_t>(*found));
  } else {
    fuse_reply_err(seek.request, ErrnoOf(found.status()));
  }
}

SeekQueue::SeekQueue(FileSystem* filesystem, fuse_session* session)
    : filesystem_(*filesystem), session_(session), thread_([this] { Serve(); }) {}

void SeekQueue::End() {
  {
    MutexLock lock(&mutex_);
    if (is_ending_) return;
    is_ending_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
  MutexLock lock(&mutex_);
  for (const SeekRequest& seek : waiting_) fuse_reply_err(seek.request, ENOTCONN);
  waiting_.clear();
}

void SeekQueue::Add(const SeekRequest& seek) {
  MutexLock lock(&mutex_);
  if (is_ending_) {
    fuse_reply_err(seek.request, ENOTCONN);
    return;
  }
  waiting_.push_back(seek);
  changed_.NotifyAll();
}

void SeekQueue::Serve() {
  for (;;) {
    SeekRequest seek;
    {
      MutexLock lock(&mutex_);
      while (waiting_.empty() && !is_ending_) changed_.Wait(&mutex_);
      if (is_ending_) return;
      seek = waiting_.front();
      waiting_.pop_front();
    }
    // Pages that are dirty are sent before they are dropped. An error shows when they are asked
    // for: the file then has no data there.
    fuse_lowlevel_notify_inval_inode(session_, seek.inode, 0, 0);
    ReplySeek(filesystem_, seek);
  }
}

}  // namespace strata::ofs

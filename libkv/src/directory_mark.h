// SPDX-License-Identifier: Apache-2.0
//
// The file STRATA_KV in the directory of an embedded store. It says that the directory is ours and
// in which format, it holds the lock that keeps a second opener out, and it remembers how far
// commits were acknowledged as durable. Recovery that stops short of that point has met a damaged
// log, not the ordinary torn end that a crash leaves.
//
//   offset size
//        0    8  "STRATAKV"
//        8    4  format version, little-endian: 1
//       12    4  flags: bit 0: closed cleanly
//       16    8  acknowledged sequence number
//       24    4  CRC-32C of bytes [0, 24)
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/fork.h"
#include "strata/base/mutex.h"

namespace strata::kv {

class DirectoryMark {
 public:
  static constexpr char kFileName[] = "STRATA_KV";

  // Locks the directory and reads its mark, making one when there is none.
  // FailedPrecondition: somebody else holds the lock, or the format is unknown. DataLoss: the mark
  // is damaged. Other errors: the directory cannot be used; they name it.
  static absl::StatusOr<std::unique_ptr<DirectoryMark>> Open(const std::string& directory);

  // For those who only read: changes nothing. FailedPrecondition: the directory is in use, or
  // whether it is cannot be told, unless `assume_unlocked`.
  static absl::StatusOr<std::unique_ptr<DirectoryMark>> OpenReadOnly(const std::string& directory,
                                                                     bool assume_unlocked);

  ~DirectoryMark();  // Gives the lock back. In a forked child: nothing.
  DirectoryMark(const DirectoryMark&) = delete;
  DirectoryMark& operator=(const DirectoryMark&) = delete;

  // As found by Open().
  bool was_absent() const { return was_absent_; }
  bool was_closed_cleanly() const { return was_closed_cleanly_; }
  uint64_t acknowledged_at_open() const { return acknowledged_at_open_; }

  // From now on the directory counts as in use: not closed cleanly.
  absl::Status BeginUse();

  // Everything up to `sequence` is durable. Costs one small write, no flush: after a power cut the
  // mark may be old, which only makes the check weaker.
  absl::Status Acknowledge(uint64_t sequence);

  // Everything up to `sequence`, the last, is in its files; the log holds nothing that is needed.
  absl::Status MarkClosed(uint64_t sequence);

 private:
  DirectoryMark(int fd, std::string path) : fd_(fd), closed_in_child_(fd), path_(std::move(path)) {}

  absl::Status Load(bool* usable);
  absl::Status Store(bool closed_cleanly) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ProcessMark opener_;
  const int fd_;
  std::optional<CloseInChild> closed_in_child_;
  const std::string path_;
  bool was_absent_ = false;
  bool was_closed_cleanly_ = false;
  uint64_t acknowledged_at_open_ = 0;

  Mutex mutex_;
  uint64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace strata::kv

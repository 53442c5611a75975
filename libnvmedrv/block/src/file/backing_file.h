// SPDX-License-Identifier: Apache-2.0
//
// The file or kernel block device under a FileDevice: opened, locked, measured, and grown as
// blocks are written.
//
// Thread safety: any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/fork.h"
#include "strata/base/mutex.h"
#include "strata/block/devices.h"

namespace strata::block {

class BackingFile {
 public:
  static absl::StatusOr<std::unique_ptr<BackingFile>> Open(const FileDeviceOptions& options);

  // Gives back what was preallocated and never written. In a forked child: nothing.
  ~BackingFile();
  BackingFile(const BackingFile&) = delete;
  BackingFile& operator=(const BackingFile&) = delete;

  int fd() const { return fd_; }
  const Geometry& geometry() const { return geometry_; }
  const std::string& path() const { return path_; }
  bool read_only() const { return read_only_; }
  bool direct() const { return direct_; }
  const ProcessMark& opener() const { return opener_; }

  // Where the file ends now; all beyond reads as zeroes.
  uint64_t size_bytes() const { return size_bytes_.load(std::memory_order_acquire); }

  // Where what was written or reserved ends, or the file ended at first. What the file has behind
  // it was preallocated: it reads as zeroes and goes again when the file is closed.
  uint64_t used_bytes() const {
    return std::max(first_size_bytes_, written_end_bytes_.load(std::memory_order_relaxed));
  }

  // Makes room for a write of [offset, end) before it is started, and for some that may follow.
  // ResourceExhausted: no space left.
  absl::Status Extend(uint64_t offset_bytes, uint64_t end_bytes) {
    NoteWritten(end_bytes);
    if (end_bytes <= size_bytes()) return absl::OkStatus();
    return Grow(offset_bytes, end_bytes);
  }

  // Makes room for [offset, end), and where there is plenty of it for some that may follow: growing
  // waits until no write is on its way. Returns used_bytes() as it was before.
  absl::StatusOr<uint64_t> Reserve(uint64_t offset_bytes, uint64_t end_bytes);

  // What the filesystem was found not to do, so that it is asked only once.
  std::atomic<bool> can_punch_hole{true};
  std::atomic<bool> can_zero_range{true};
  std::atomic<bool> can_preallocate{true};

  // After a failed flush the kernel forgets which pages were dirty: a later flush that succeeds
  // proves nothing.
  std::atomic<bool> flush_failed{false};

  // The status for errno `error` of a call named `what`.
  absl::Status Error(int error, std::string_view what, uint64_t offset_bytes,
                     uint64_t size_bytes) const;

 private:
  BackingFile(const FileDeviceOptions& options, int fd, bool direct);

  absl::Status MeasureFile(const FileDeviceOptions& options);
  absl::Status MeasureBlockDevice(const FileDeviceOptions& options);
  absl::Status Lock(bool shared);
  absl::Status MakeCreationDurable();
  absl::Status FallBackToPageCache(std::string_view why, const LogSink& log);
  bool ProbeDirect();
  void NoteWritten(uint64_t end_bytes) {
    uint64_t written = written_end_bytes_.load(std::memory_order_relaxed);
    while (end_bytes > written && !written_end_bytes_.compare_exchange_weak(written, end_bytes)) {
    }
  }
  // A step of growing, as large as suits a file of this size.
  uint64_t StepBytes() const;
  bool LeavesPlenty(uint64_t taken_bytes) const;
  absl::Status Grow(uint64_t offset_bytes, uint64_t end_bytes);
  // `step_bytes` or less behind `end_bytes`; where that is refused, to `end_bytes` alone.
  absl::Status GrowBySteps(uint64_t offset_bytes, uint64_t end_bytes, uint64_t step_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(grow_mutex_);
  absl::Status GrowLocked(uint64_t offset_bytes, uint64_t target_bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(grow_mutex_);

  const ProcessMark opener_;
  const std::string path_;
  const int fd_;
  std::optional<CloseInChild> closed_in_child_;
  const bool read_only_;
  bool direct_;
  bool is_regular_ = true;
  uint32_t memory_alignment_bytes_ = 0;  // O_DIRECT: what the kernel asks for; 0: it did not say.
  uint32_t offset_alignment_bytes_ = 0;
  Geometry geometry_;
  uint64_t first_size_bytes_ = 0;
  std::atomic<uint64_t> size_bytes_{0};
  std::atomic<uint64_t> written_end_bytes_{0};
  Mutex grow_mutex_;
};

}  // namespace strata::block

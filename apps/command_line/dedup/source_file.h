// SPDX-License-Identifier: Apache-2.0
//
// A large file that is read once, from front to back, by a thread ahead of its user. Pieces that
// the page cache has come from there, the others go past it, so that a backup neither pays for
// pages that nobody reads again nor drives out what the machine has in its memory. Used by one
// thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <semaphore>
#include <span>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/block/buffer.h"

namespace strata::appliance {

class SourceFile final {
 public:
  // Of a regular file. NotFound; Unavailable: the system's words.
  static absl::StatusOr<std::unique_ptr<SourceFile>> Open(const std::string& path);
  // Of one that is open; the descriptor becomes the object's. `path` is for messages.
  static absl::StatusOr<std::unique_ptr<SourceFile>> OpenDescriptor(const std::string& path,
                                                                    int fd);
  ~SourceFile();

  // What comes next, valid until the next call; nothing at the end, which is where the file ends
  // then, however long it was before. Unavailable: the system's words.
  absl::StatusOr<std::span<const std::byte>> NextPiece();

 private:
  static constexpr size_t kPieceCount = 4;
  struct Piece {
    std::span<std::byte> memory;
    size_t size_bytes = 0;  // 0: the end, or `error`.
    int error = 0;          // An errno.
  };

  SourceFile(std::string path, int fd);
  // The thread.
  void ReadAhead();
  // Fills the piece with what comes next, as far as the file goes, or sets its error.
  void Fill(int fd, Piece* piece);
  bool IsCached(uint64_t offset_bytes, size_t size_bytes) const;

  const std::string path_;
  const int fd_;
  int direct_fd_;              // -1: refused here.
  void* map_ = nullptr;        // Of the whole file, to ask what of it is cached; never touched.
  size_t map_bytes_ = 0;       // 0: there is none.
  uint64_t offset_bytes_ = 0;  // The thread's: of what it reads next.
  block::Buffer memory_;       // Of all pieces.
  std::array<Piece, kPieceCount> pieces_;
  // In turns between the thread and the user.
  std::counting_semaphore<kPieceCount + 1> empty_{kPieceCount};  // One more to stop with.
  std::counting_semaphore<kPieceCount> full_{0};
  std::atomic<bool> stopped_ = false;
  size_t next_ = 0;
  bool holds_piece_ = false;
  bool at_end_ = false;
  absl::Status failure_;
  std::thread thread_;
};

}  // namespace strata::appliance

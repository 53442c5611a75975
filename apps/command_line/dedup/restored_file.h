// SPDX-License-Identifier: Apache-2.0
//
// A file that is written once, from front to back. A large one goes past the page cache: its pieces
// are on their way to the disk while the next ones are made, and what else the machine has in its
// memory stays there. Used by one thread.
//
//   STRATA_ASSIGN_OR_RETURN(auto file, RestoredFile::Create(part.get(), size_bytes));
//   while (there is more) {
//     STRATA_ASSIGN_OR_RETURN(std::span<std::byte> piece, file->NextPiece());
//     ... fill the front of it ...
//     STRATA_RETURN_IF_ERROR(file->Write(count));
//   }
//   STRATA_RETURN_IF_ERROR(file->Finish());
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "command_line/part_file.h"
#include "strata/block/buffer.h"
#include "strata/block/device.h"

namespace strata::appliance {

class RestoredFile final {
 public:
  // Writes the content of `part`, which the caller commits. It outlives this.
  static absl::StatusOr<std::unique_ptr<RestoredFile>> Create(PartFile* part, uint64_t size_bytes);
  ~RestoredFile();

  // Memory for what comes next. Waits while all pieces are on their way. ResourceExhausted: the
  // disk is full; otherwise the system's words.
  absl::StatusOr<std::span<std::byte>> NextPiece();

  // Takes the first `count` bytes of the piece. REQUIRES: all of it, save at the file's end.
  absl::Status Write(size_t count);

  // Waits until all of it is written.
  absl::Status Finish();

 private:
  struct Piece {
    std::span<std::byte> memory;
    block::Request request;
    block::Segment segment;
  };

  RestoredFile(PartFile* file, uint64_t size_bytes) : file_(file), size_bytes_(size_bytes) {}

  absl::Status OpenDevice();
  absl::Status WaitForAll();  // That are on their way.

  PartFile* const file_;
  const uint64_t size_bytes_;
  uint64_t end_bytes_ = 0;                 // Of what was written.
  std::unique_ptr<block::Device> device_;  // Null: the file is small.
  std::unique_ptr<block::Channel> channel_;
  block::Buffer memory_;  // Of all pieces.
  std::vector<std::unique_ptr<Piece>> pieces_;
  size_t next_ = 0;  // In turns.
  absl::Status failure_;
};

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
#include "command_line/dedup/restored_file.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"
#include "strata/block/devices.h"

namespace strata::appliance {
namespace {

constexpr size_t kPieceBytes = 1u << 20;
constexpr size_t kPieceCount = 8;
constexpr uint64_t kMinDirectBytes = 4u << 20;
constexpr uint64_t kBlockBytes = 4096;

uint64_t WholeBlocks(uint64_t size_bytes) {
  return (size_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RestoredFile>> RestoredFile::Create(PartFile* part,
                                                                   uint64_t size_bytes) {
  auto file = std::unique_ptr<RestoredFile>(new RestoredFile(part, size_bytes));
  if (size_bytes >= kMinDirectBytes) STRATA_RETURN_IF_ERROR(file->OpenDevice());
  const size_t piece_count = file->device_ == nullptr ? 1 : kPieceCount;
  file->memory_ = block::Buffer(piece_count * kPieceBytes);
  for (size_t i = 0; i < piece_count; ++i) {
    file->pieces_.push_back(std::make_unique<Piece>());
    file->pieces_.back()->memory = file->memory_.span().subspan(i * kPieceBytes, kPieceBytes);
  }
  return file;
}

absl::Status RestoredFile::OpenDevice() {
  STRATA_RETURN_IF_ERROR(file_->file().Reserve(WholeBlocks(size_bytes_)));
  // By its descriptor: its name may be somebody else's by now.
  const std::string path = absl::StrCat("/proc/self/fd/", file_->file().fd());
  if (access(path.c_str(), F_OK) != 0) return absl::OkStatus();  // Through the page cache, then.
  STRATA_ASSIGN_OR_RETURN(device_, block::OpenFileDevice({.path = path,
                                                          .size_bytes = WholeBlocks(size_bytes_),
                                                          .block_size_bytes = kBlockBytes}));
  STRATA_ASSIGN_OR_RETURN(channel_, device_->OpenChannel({.queue_depth = kPieceCount}));
  return absl::OkStatus();
}

RestoredFile::~RestoredFile() {
  if (channel_ != nullptr) (void)WaitForAll();
}

absl::Status RestoredFile::WaitForAll() {
  while (channel_->in_flight() > 0) block::PollOrSleep(*channel_);
  return failure_;
}

absl::StatusOr<std::span<std::byte>> RestoredFile::NextPiece() {
  if (channel_ != nullptr) {
    const Piece& next = *pieces_[next_];
    while (next.request.context != nullptr) block::PollOrSleep(*channel_);
    STRATA_RETURN_IF_ERROR(failure_);
  }
  return pieces_[next_]->memory;
}

absl::Status RestoredFile::Write(size_t count) {
  STRATA_CHECK(end_bytes_ + count <= size_bytes_ &&
                   (count == kPieceBytes || end_bytes_ + count == size_bytes_),
               "whole pieces up to the file's end");
  const uint64_t offset = std::exchange(end_bytes_, end_bytes_ + count);
  Piece& piece = *pieces_[next_];
  next_ = (next_ + 1) % pieces_.size();
  if (channel_ == nullptr) return file_->file().WriteAt(offset, piece.memory.first(count));
  const size_t padded = WholeBlocks(count);
  std::memset(piece.memory.data() + count, 0, padded - count);
  piece.segment = {piece.memory.data(), padded};
  piece.request = block::Request{};
  piece.request.op = block::Op::kWrite;
  piece.request.lba = block::Lba{offset / kBlockBytes};
  piece.request.block_count = static_cast<uint32_t>(padded / kBlockBytes);
  piece.request.segments = {&piece.segment, 1};
  piece.request.context = this;
  piece.request.done = [](block::Request* request) {
    auto* const file = static_cast<RestoredFile*>(std::exchange(request->context, nullptr));
    if (file->failure_.ok()) file->failure_ = request->status;
  };
  STRATA_RETURN_IF_ERROR(channel_->Submit(&piece.request));
  channel_->Poll(kPieceCount);
  return failure_;
}

absl::Status RestoredFile::Finish() {
  STRATA_CHECK(end_bytes_ == size_bytes_, "all of it was written");
  if (channel_ != nullptr) {
    STRATA_RETURN_IF_ERROR(WaitForAll());
    channel_ = nullptr;
    device_ = nullptr;
    STRATA_RETURN_IF_ERROR(file_->file().SetSize(size_bytes_));
  }
  return absl::OkStatus();
}

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
#include "command_line/dedup/source_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "strata/base/errno_status.h"

namespace strata::appliance {
namespace {

constexpr size_t kPieceBytes = 1u << 20;
constexpr uint64_t kBlockBytes = 4096;  // What O_DIRECT wants of offsets and lengths.

}  // namespace

absl::StatusOr<std::unique_ptr<SourceFile>> SourceFile::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, path);
  return OpenDescriptor(path, fd);
}

absl::StatusOr<std::unique_ptr<SourceFile>> SourceFile::OpenDescriptor(const std::string& path,
                                                                       int fd) {
  std::unique_ptr<SourceFile> file(new SourceFile(path, fd));
  try {
    file->thread_ = std::thread([source = file.get()] { source->ReadAhead(); });
  } catch (const std::system_error& error) {
    return absl::UnavailableError(absl::StrCat(path, ": no thread to read it: ", error.what()));
  }
  return file;
}

SourceFile::SourceFile(std::string path, int fd)
    : path_(std::move(path)),
      fd_(fd),
      direct_fd_(open(absl::StrCat("/proc/self/fd/", fd).c_str(),
                      O_RDONLY | O_CLOEXEC | O_DIRECT | O_NONBLOCK)) {
  struct stat opened;
  struct stat direct;
  if (direct_fd_ >= 0 && (fstat(fd_, &opened) != 0 || fstat(direct_fd_, &direct) != 0 ||
                          opened.st_dev != direct.st_dev || opened.st_ino != direct.st_ino)) {
    close(std::exchange(direct_fd_, -1));  // The name went to another file in between.
  }
  if (direct_fd_ >= 0) {
    map_bytes_ = static_cast<size_t>(opened.st_size);
    map_ = mmap(nullptr, map_bytes_, PROT_READ, MAP_SHARED, fd_, 0);
    if (map_ == MAP_FAILED) map_bytes_ = 0;
  }
  memory_ = block::Buffer::ForOverwrite(kPieceCount * kPieceBytes);
  for (size_t i = 0; i < kPieceCount; ++i) {
    pieces_[i].memory = memory_.span().subspan(i * kPieceBytes, kPieceBytes);
  }
}

SourceFile::~SourceFile() {
  stopped_ = true;
  empty_.release();
  if (thread_.joinable()) thread_.join();
  if (map_bytes_ > 0) munmap(map_, map_bytes_);
  if (direct_fd_ >= 0) close(direct_fd_);
  close(fd_);
}

absl::StatusOr<std::span<const std::byte>> SourceFile::NextPiece() {
  if (!failure_.ok()) return failure_;
  if (at_end_) return std::span<const std::byte>();
  if (std::exchange(holds_piece_, true)) empty_.release();
  full_.acquire();
  const Piece& piece = pieces_[next_];
  next_ = (next_ + 1) % kPieceCount;
  at_end_ = piece.size_bytes == 0;
  if (piece.error != 0) return failure_ = ErrnoStatus(piece.error, path_);
  return piece.memory.first(piece.size_bytes);
}

void SourceFile::ReadAhead() {
  for (size_t i = 0;; i = (i + 1) % kPieceCount) {
    empty_.acquire();
    if (stopped_) return;
    // A read that was short, as it is at the file's end, leaves an offset that O_DIRECT refuses.
    const bool direct = direct_fd_ >= 0 && offset_bytes_ % kBlockBytes == 0 &&
                        !IsCached(offset_bytes_, kPieceBytes);
    Fill(direct ? direct_fd_ : fd_, &pieces_[i]);
    const bool at_end = pieces_[i].size_bytes == 0;
    full_.release();
    if (at_end) return;
  }
}

void SourceFile::Fill(int fd, Piece* piece) {
  ssize_t count;
  do {
    count = pread(fd, piece->memory.data(), kPieceBytes, static_cast<off_t>(offset_bytes_));
  } while (count < 0 && errno == EINTR);
  if (count < 0 && fd == direct_fd_) {  // It wants another alignment, say.
    close(std::exchange(direct_fd_, -1));
    return Fill(fd_, piece);
  }
  piece->size_bytes = count < 0 ? 0 : static_cast<size_t>(count);
  piece->error = count < 0 ? errno : 0;
  offset_bytes_ += piece->size_bytes;
}

// To those who may not write the file the kernel says that all of it is: they use the page cache.
bool SourceFile::IsCached(uint64_t offset_bytes, size_t size_bytes) const {
  if (offset_bytes >= map_bytes_) return map_bytes_ == 0;
  const size_t length = std::min(size_bytes, map_bytes_ - static_cast<size_t>(offset_bytes));
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((length + page - 1) / page);
  if (mincore(static_cast<std::byte*>(map_) + offset_bytes, length, resident.data()) != 0)
    return true;
  return std::ranges::all_of(resident, [](unsigned char of_page) { return (of_page & 1) != 0; });
}

}  // namespace strata::appliance

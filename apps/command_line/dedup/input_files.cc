// SPDX-License-Identifier: Apache-2.0
#include "command_line/dedup/input_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "command_line/dedup/source_file.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr size_t kPieceBytes = 1u << 20;
constexpr uint64_t kMinLargeBytes = 4u << 20;
constexpr uint64_t kMaxHoles = 4096;  // As many as an entry of the catalogue holds.
constexpr int kPollMs = 200;

using TakePiece = std::function<absl::Status(std::span<const std::byte>)>;

absl::StatusOr<std::vector<std::string>> NamesIn(FileHandle folder) {
  const int fd = fcntl(folder.fd(), F_DUPFD_CLOEXEC, 0);
  DIR* const stream = fd < 0 ? nullptr : fdopendir(fd);
  if (stream == nullptr) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return ErrnoStatus(error, folder.path());
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> closer(stream, closedir);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const item = readdir(stream);
    if (item == nullptr) break;
    const std::string name = item->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) return ErrnoStatus(errno, folder.path());
  std::ranges::sort(names);
  return names;
}

absl::StatusOr<uint64_t> TakeLarge(const FileHandle& file, const TakePiece& take) {
  const int fd = fcntl(file.fd(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus(errno, file.path());
  STRATA_ASSIGN_OR_RETURN(const auto source, SourceFile::OpenDescriptor(file.path(), fd));
  uint64_t size_bytes = 0;
  for (;;) {
    STRATA_ASSIGN_OR_RETURN(const std::span<const std::byte> piece, source->NextPiece());
    if (piece.empty()) return size_bytes;
    size_bytes += piece.size();
    STRATA_RETURN_IF_ERROR(take(piece));
  }
}

absl::StatusOr<uint64_t> TakeInOrder(const FileHandle& file, bool may_wait, size_t piece_bytes,
                                     const TakePiece& take) {
  std::vector<std::byte> piece(piece_bytes);
  for (uint64_t size_bytes = 0;;) {
    if (may_wait) {
      pollfd waiting{.fd = file.fd(), .events = POLLIN, .revents = 0};
      if (poll(&waiting, 1, kPollMs) <= 0) {
        STRATA_RETURN_IF_ERROR(take({}));
        continue;
      }
    }
    const ssize_t count = read(file.fd(), piece.data(), piece.size());
    if (count == 0) return size_bytes;
    if (count > 0) {
      size_bytes += static_cast<uint64_t>(count);
      STRATA_RETURN_IF_ERROR(take(std::span(piece).first(static_cast<size_t>(count))));
    } else if (errno != EINTR && errno != EAGAIN) {
      return ErrnoStatus(errno, file.path());
    }
  }
}

// The longest ones, where there are too many. None where the filesystem cannot tell.
std::vector<dedup::Hole> FindHoles(const FileHandle& file, uint64_t size_bytes) {
  std::vector<dedup::Hole> holes;
  const auto size = static_cast<off_t>(size_bytes);
  for (off_t at = 0; at < size;) {
    const off_t begin = lseek(file.fd(), at, SEEK_HOLE);
    if (begin < 0 || begin >= size) break;
    off_t end = lseek(file.fd(), begin, SEEK_DATA);
    if (end < 0 && errno != ENXIO) return {};
    if (end < 0 || end > size) end = size;
    if (end > begin) {
      holes.push_back({static_cast<uint64_t>(begin), static_cast<uint64_t>(end - begin)});
    }
    at = end;
  }
  if (holes.size() > kMaxHoles) {
    std::ranges::nth_element(holes, holes.begin() + kMaxHoles, std::ranges::greater{},
                             &dedup::Hole::size_bytes);
    holes.resize(kMaxHoles);
    std::ranges::sort(holes, {}, &dedup::Hole::offset_bytes);
  }
  return holes;
}

absl::Status TakeBetweenHoles(const FileHandle& file, uint64_t size_bytes, const TakePiece& take,
                              ContentRead* content) {
  std::vector<std::byte> piece(kPieceBytes);
  std::vector<dedup::Hole> holes = FindHoles(file, size_bytes);
  holes.push_back({size_bytes, 0});
  uint64_t at = 0;
  for (const dedup::Hole& hole : holes) {
    while (at < hole.offset_bytes) {
      const size_t wanted = std::min<uint64_t>(piece.size(), hole.offset_bytes - at);
      const ssize_t count = pread(file.fd(), piece.data(), wanted, static_cast<off_t>(at));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return ErrnoStatus(errno, file.path());
      content->size_bytes = at += static_cast<uint64_t>(count);
      if (count == 0) return absl::OkStatus();  // It was cut.
      STRATA_RETURN_IF_ERROR(take(std::span(piece).first(static_cast<size_t>(count))));
    }
    if (hole.size_bytes > 0) content->holes.push_back(hole);
    content->size_bytes = at = hole.offset_bytes + hole.size_bytes;
  }
  return absl::OkStatus();
}

bool SameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

absl::StatusOr<InputTree> InputTree::Open(const std::string& path,
                                          const std::set<FolderId>& left_out) {
  InputTree tree;
  InputFile top{.path = path, .relative = ""};
  if (path != "-") {
    if (stat(path.c_str(), &top.info) != 0) return ErrnoStatus(errno, path);
  }
  tree.files_.push_back(top);
  if (!S_ISDIR(top.info.st_mode)) return tree;
  STRATA_ASSIGN_OR_RETURN(tree.tree_, FolderTree::Open(path));
  if (absl::Status status = tree.Walk("", left_out); !status.ok()) {
    tree.failures_.push_back(std::move(status));
  }
  return tree;
}

absl::Status InputTree::Walk(const std::string& relative, const std::set<FolderId>& left_out) {
  STRATA_ASSIGN_OR_RETURN(FileHandle folder, tree_->OpenFolder(relative, /*make=*/false));
  STRATA_ASSIGN_OR_RETURN(const std::vector<std::string> names, NamesIn(std::move(folder)));
  for (const std::string& name : names) {
    InputFile file{.path = {}, .relative = relative.empty() ? name : relative + "/" + name};
    const absl::StatusOr<FilePlace> place = tree_->Find(file.relative, /*make=*/false);
    if (!place.ok()) {
      failures_.push_back(place.status());
      continue;
    }
    file.path = place->path;
    if (fstatat(place->folder_fd, name.c_str(), &file.info, AT_SYMLINK_NOFOLLOW) != 0) {
      failures_.push_back(ErrnoStatus(errno, file.path));
      continue;
    }
    const bool is_folder = S_ISDIR(file.info.st_mode);
    if (is_folder && left_out.contains({file.info.st_dev, file.info.st_ino})) {
      left_out_.push_back(file.path);
      continue;
    }
    const std::string below = file.relative;
    files_.push_back(std::move(file));
    if (!is_folder) continue;
    if (absl::Status status = Walk(below, left_out); !status.ok()) {
      failures_.push_back(std::move(status));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<FileHandle> InputTree::OpenToRead(const InputFile& file) {
  if (file.path == "-") {
    const int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return ErrnoStatus(errno, "standard input");
    return FileHandle(fd, "standard input");
  }
  if (S_ISDIR(file.info.st_mode)) return tree_->OpenFolder(file.relative, /*make=*/false);
  FilePlace place{.folder_fd = AT_FDCWD, .leaf = file.path, .path = file.path};
  // A pipe must not keep us waiting for its writer.
  int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  if (!file.relative.empty()) {
    STRATA_ASSIGN_OR_RETURN(place, tree_->Find(file.relative, /*make=*/false));
    flags |= O_NOFOLLOW;
  }
  // The access times stay as they are, where the system lets us.
  int fd = openat(place.folder_fd, place.leaf.c_str(), flags | O_NOATIME);
  if (fd < 0 && errno == EPERM) fd = openat(place.folder_fd, place.leaf.c_str(), flags);
  if (fd < 0) return ErrnoStatus(errno, file.path);
  FileHandle opened(fd, file.path);
  struct stat now {};
  if (fstat(fd, &now) != 0) return ErrnoStatus(errno, file.path);
  if ((now.st_mode & S_IFMT) != (file.info.st_mode & S_IFMT)) {
    return absl::UnavailableError(absl::StrCat(file.path, " is something else by now"));
  }
  return opened;
}

absl::StatusOr<std::string> InputTree::ReadLink(const InputFile& file) {
  STRATA_ASSIGN_OR_RETURN(const FilePlace place, tree_->Find(file.relative, /*make=*/false));
  std::string target(PATH_MAX + 1, '\0');
  const ssize_t size =
      readlinkat(place.folder_fd, place.leaf.c_str(), target.data(), target.size());
  if (size < 0) return ErrnoStatus(errno, file.path);
  target.resize(static_cast<size_t>(size));
  return target;
}

absl::StatusOr<ContentRead> ReadContent(const FileHandle& file, const TakePiece& take) {
  ContentRead content;
  struct stat before {};
  if (fstat(file.fd(), &before) != 0) return ErrnoStatus(errno, file.path());
  const auto size_bytes = static_cast<uint64_t>(before.st_size);
  // Standard input may be a file that somebody has read the beginning of.
  if (!S_ISREG(before.st_mode) || lseek(file.fd(), 0, SEEK_CUR) != 0) {
    STRATA_ASSIGN_OR_RETURN(content.size_bytes,
                            TakeInOrder(file, /*may_wait=*/true, kPieceBytes, take));
    return content;
  }
  if (static_cast<uint64_t>(before.st_blocks) * 512 < size_bytes && size_bytes > 4096) {
    STRATA_RETURN_IF_ERROR(TakeBetweenHoles(file, size_bytes, take, &content));
  } else if (size_bytes >= kMinLargeBytes) {
    STRATA_ASSIGN_OR_RETURN(content.size_bytes, TakeLarge(file, take));
  } else {
    // One byte more than it had: so the end is found at once.
    STRATA_ASSIGN_OR_RETURN(
        content.size_bytes,
        TakeInOrder(file, /*may_wait=*/false, std::min<size_t>(size_bytes + 1, kPieceBytes), take));
  }
  struct stat after {};
  if (fstat(file.fd(), &after) != 0) return ErrnoStatus(errno, file.path());
  content.changed = content.size_bytes != size_bytes || after.st_size != before.st_size ||
                    !SameTime(after.st_mtim, before.st_mtim);
  return content;
}

}  // namespace strata::appliance

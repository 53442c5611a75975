// SPDX-License-Identifier: Apache-2.0
#include "input_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "source_file.h"
#include "strata/base/status_macros.h"
#include "system_error.h"

namespace strata::appliance {
namespace {

constexpr size_t kPieceBytes = 1u << 20;
constexpr off_t kLeastLargeBytes = 4 << 20;

absl::Status ReadLarge(const std::string& path,
                       const std::function<absl::Status(std::span<const std::byte>)>& take) {
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<SourceFile> file, SourceFile::Open(path));
  for (;;) {
    STRATA_ASSIGN_OR_RETURN(const std::span<const std::byte> piece, file->NextPiece());
    if (piece.empty()) return absl::OkStatus();
    STRATA_RETURN_IF_ERROR(take(piece));
  }
}

}  // namespace

absl::StatusOr<std::vector<InputFile>> FilesUnder(const std::string& path) {
  namespace fs = std::filesystem;
  if (path == "-") return std::vector<InputFile>{{.path = path, .relative = "", .size_bytes = 0}};
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (error) return SystemError(path, error.value());
  if (!fs::is_directory(status)) {
    const uintmax_t size = fs::file_size(path, error);
    return std::vector<InputFile>{
        {.path = path, .relative = "", .size_bytes = error ? 0 : static_cast<uint64_t>(size)}};
  }
  std::vector<InputFile> files;
  fs::recursive_directory_iterator entry(path, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code of_entry;
    if (!fs::is_regular_file(entry->symlink_status(of_entry))) continue;
    const uintmax_t size = entry->file_size(of_entry);
    if (of_entry) return SystemError(entry->path().string(), of_entry.value());
    files.push_back({.path = entry->path().string(),
                     .relative = entry->path().lexically_relative(path).string(),
                     .size_bytes = static_cast<uint64_t>(size)});
  }
  if (error) return SystemError(path, error.value());
  std::ranges::sort(files, {}, &InputFile::path);
  return files;
}

absl::Status ReadPieces(const std::string& path,
                        const std::function<absl::Status(std::span<const std::byte>)>& take) {
  struct stat info;
  const bool standard_input = path == "-";
  if (!standard_input && stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
      info.st_size >= kLeastLargeBytes) {
    return ReadLarge(path, take);
  }
  const int fd = standard_input ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(path, errno);
  const absl::Cleanup closer = [&] {
    if (!standard_input) close(fd);
  };
  std::vector<std::byte> piece(kPieceBytes);
  for (;;) {
    const ssize_t count = read(fd, piece.data(), piece.size());
    if (count == 0) return absl::OkStatus();
    if (count > 0) {
      STRATA_RETURN_IF_ERROR(take(std::span(piece).first(static_cast<size_t>(count))));
    } else if (errno != EINTR) {
      return SystemError(path, errno);
    }
  }
}

}  // namespace strata::appliance

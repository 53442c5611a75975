// SPDX-License-Identifier: Apache-2.0
#include "appliance/secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "strata/base/errno_status.h"
#include "strata/base/file_descriptor.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr size_t kMaxSecretBytes = 128;  // As object::AccessKey has it.

absl::StatusOr<std::string> ReadSecret(int fd, const std::string& path) {
  std::array<char, kMaxSecretBytes + 3> bytes;  // "\r\n", and one byte more to see what is longer.
  const auto wipe = absl::MakeCleanup([&] { explicit_bzero(bytes.data(), bytes.size()); });
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = read(fd, bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  std::string_view line(bytes.data(), size);
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty() || line.size() > kMaxSecretBytes || line.find('\n') != std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " does not hold a secret key: one line of 8 to 128 characters"));
  }
  return std::string(line);
}

}  // namespace

absl::Status CheckGuarded(int fd, const std::string& path, const char* what) {
  struct stat info;
  if (fstat(fd, &info) != 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  if ((info.st_mode & (S_IWGRP | S_IRWXO)) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s holds %s, but others may read or change it (mode %04o): chmod 0600 it",
                      path, what, info.st_mode & 07777));
}

absl::StatusOr<std::string> ReadSecretFile(const std::string& path) {
  if (path == "-") return ReadSecret(STDIN_FILENO, "standard input");
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  struct stat info;
  if (fstat(file.get(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  }
  if (S_ISREG(info.st_mode)) STRATA_RETURN_IF_ERROR(CheckGuarded(file.get(), path, "a secret key"));
  return ReadSecret(file.get(), path);
}

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// A socket address holds 107 characters of path; through /proc/self/fd any directory fits.
#include "appliance/local_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

absl::Status ErrnoError(absl::string_view what, const std::string& directory,
                        const std::string& name) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", directory, "/", name));
}

absl::StatusOr<int> OpenDirectory(const std::string& directory) {
  const int fd = open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", directory));
  return fd;
}

sockaddr_un AddressOf(int directory_fd, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = absl::StrCat("/proc/self/fd/", directory_fd, "/", name);
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

}  // namespace

absl::StatusOr<int> ListenLocal(const std::string& directory, const std::string& name) {
  STRATA_ASSIGN_OR_RETURN(const int directory_fd, OpenDirectory(directory));
  const auto close_directory = absl::MakeCleanup([directory_fd] { close(directory_fd); });
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoError("make", directory, name);
  // The mode of an unbound socket is that of the file which bind() makes: never open to others.
  const sockaddr_un address = AddressOf(directory_fd, name);
  unlinkat(directory_fd, name.c_str(), 0);
  if (fchmod(fd, 0600) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(fd, 64) != 0) {
    const absl::Status status = ErrnoError("listen on", directory, name);
    close(fd);
    return status;
  }
  return fd;
}

void RemoveLocal(const std::string& directory, const std::string& name) {
  unlink(absl::StrCat(directory, "/", name).c_str());
}

absl::StatusOr<int> ConnectLocal(const std::string& directory, const std::string& name) {
  STRATA_ASSIGN_OR_RETURN(const int directory_fd, OpenDirectory(directory));
  const auto close_directory = absl::MakeCleanup([directory_fd] { close(directory_fd); });
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoError("connect to", directory, name);
  const sockaddr_un address = AddressOf(directory_fd, name);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
    absl::Status status = ErrnoError("connect to", directory, name);
    if (errno == ECONNREFUSED) status = absl::NotFoundError(status.message());
    close(fd);
    return status;
  }
  return fd;
}

}  // namespace strata::appliance

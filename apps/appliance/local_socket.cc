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

#include "absl/strings/str_cat.h"
#include "strata/base/errno_status.h"
#include "strata/base/file_descriptor.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

absl::Status ErrnoError(absl::string_view what, const std::string& directory,
                        const std::string& name) {
  return ErrnoStatus(errno, absl::StrCat("cannot ", what, " ", directory, "/", name));
}

absl::StatusOr<FileDescriptor> OpenDirectory(const std::string& directory) {
  FileDescriptor opened(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!opened.is_open()) return ErrnoStatus(errno, absl::StrCat("cannot open ", directory));
  return opened;
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
  STRATA_ASSIGN_OR_RETURN(const FileDescriptor opened, OpenDirectory(directory));
  FileDescriptor owner(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = owner.get();
  if (fd < 0) return ErrnoError("make", directory, name);
  // The mode of an unbound socket is that of the file which bind() makes: never open to others.
  const sockaddr_un address = AddressOf(opened.get(), name);
  unlinkat(opened.get(), name.c_str(), 0);
  if (fchmod(fd, 0600) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(fd, 64) != 0) {
    return ErrnoError("listen on", directory, name);
  }
  return owner.Release();
}

void RemoveLocal(const std::string& directory, const std::string& name) {
  unlink(absl::StrCat(directory, "/", name).c_str());
}

absl::StatusOr<int> ConnectLocal(const std::string& directory, const std::string& name) {
  STRATA_ASSIGN_OR_RETURN(const FileDescriptor opened, OpenDirectory(directory));
  FileDescriptor owner(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int fd = owner.get();
  if (fd < 0) return ErrnoError("connect to", directory, name);
  const sockaddr_un address = AddressOf(opened.get(), name);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
    absl::Status status = ErrnoError("connect to", directory, name);
    if (errno == ECONNREFUSED) status = absl::NotFoundError(status.message());
    return status;
  }
  return owner.Release();
}

}  // namespace strata::appliance

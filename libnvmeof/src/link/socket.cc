// SPDX-License-Identifier: Apache-2.0
#include "link/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace strata::nvmeof {
namespace {

constexpr int kBacklog = 1024;

// The number in a file of the kernel's; 0 where it cannot be read.
uint64_t MachineLimit(const char* path) {
  uint64_t limit = 0;
  std::ifstream(path) >> limit;
  return limit;
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Address ToAddress(const Endpoint& endpoint) {
  Address address;
  if (endpoint.is_ipv6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.address.data(), sizeof(v6.sin6_addr));
    std::memcpy(&address.storage, &v6, sizeof(v6));
    address.size = sizeof(v6);
  } else {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.data(), sizeof(v4.sin_addr));
    std::memcpy(&address.storage, &v4, sizeof(v4));
    address.size = sizeof(v4);
  }
  return address;
}

Endpoint ToEndpoint(const Address& address) {
  Endpoint endpoint;
  if (address.storage.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &address.storage, sizeof(v6));
    endpoint.is_ipv6 = true;
    endpoint.port = ntohs(v6.sin6_port);
    std::memcpy(endpoint.address.data(), &v6.sin6_addr, sizeof(v6.sin6_addr));
  } else if (address.storage.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address.storage, sizeof(v4));
    endpoint.port = ntohs(v4.sin_port);
    std::memcpy(endpoint.address.data(), &v4.sin_addr, sizeof(v4.sin_addr));
  }
  return endpoint;
}

absl::StatusOr<Socket> NewSocket(const Endpoint& endpoint) {
  Socket socket(::socket(endpoint.is_ipv6 ? AF_INET6 : AF_INET,
                         SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (socket.fd() < 0) return ErrnoStatus(errno, "socket");
  return socket;
}

void SetOption(int fd, int level, int name, int value) {
  (void)setsockopt(fd, level, name, &value, sizeof(value));
}

}  // namespace

void Socket::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

absl::Status ErrnoStatus(int error, std::string_view what) {
  const std::string message = absl::StrCat(absl::string_view(what.data(), what.size()), ": ",
                                           std::generic_category().message(error));
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return absl::ResourceExhaustedError(message);
    case EADDRINUSE:
      return absl::AlreadyExistsError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    default:
      return absl::UnavailableError(message);
  }
}

absl::StatusOr<Socket> ListenOn(const Endpoint& endpoint) {
  absl::StatusOr<Socket> socket = NewSocket(endpoint);
  if (!socket.ok()) return socket;
  SetOption(socket->fd(), SOL_SOCKET, SO_REUSEADDR, 1);
  // Else "[::]" would take the IPv4 port too.
  if (endpoint.is_ipv6) SetOption(socket->fd(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  Address address = ToAddress(endpoint);
  if (bind(socket->fd(), address.get(), address.size) != 0 || listen(socket->fd(), kBacklog) != 0) {
    return ErrnoStatus(errno, absl::StrCat("listen on ", ToString(endpoint)));
  }
  return socket;
}

absl::StatusOr<Socket> StartConnect(const Endpoint& endpoint, int* error) {
  absl::StatusOr<Socket> socket = NewSocket(endpoint);
  if (!socket.ok()) return socket;
  SetNoDelay(socket->fd());
  Address address = ToAddress(endpoint);
  *error = connect(socket->fd(), address.get(), address.size) == 0 ? 0 : errno;
  return socket;
}

absl::StatusOr<Socket> AcceptFrom(int fd, Endpoint* peer) {
  Address address;
  Socket socket(accept4(fd, address.get(), &address.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.fd() < 0) return ErrnoStatus(errno, "accept");
  SetNoDelay(socket.fd());
  *peer = ToEndpoint(address);
  return socket;
}

Endpoint LocalAddress(int fd) {
  Address address;
  if (getsockname(fd, address.get(), &address.size) != 0) return {};
  return ToEndpoint(address);
}

Endpoint PeerAddress(int fd) {
  Address address;
  if (getpeername(fd, address.get(), &address.size) != 0) return {};
  return ToEndpoint(address);
}

int TakeError(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

void SetNoDelay(int fd) { SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

// The kernel would silently set less than it was asked for, and stop growing the buffer itself.
void SetBuffers(int fd, uint32_t size_bytes) {
  static const uint64_t max_receive = MachineLimit("/proc/sys/net/core/rmem_max");
  static const uint64_t max_send = MachineLimit("/proc/sys/net/core/wmem_max");
  if (size_bytes == 0) return;
  if (size_bytes <= max_receive) {
    SetOption(fd, SOL_SOCKET, SO_RCVBUF, static_cast<int>(size_bytes));
  }
  if (size_bytes <= max_send) SetOption(fd, SOL_SOCKET, SO_SNDBUF, static_cast<int>(size_bytes));
}

void ResetOnClose(int fd) {
  const linger now = {.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

}  // namespace strata::nvmeof

// SPDX-License-Identifier: Apache-2.0
//
// TCP sockets of the kernel, always non-blocking and closed on exec.
//
// Thread safety: none; each belongs to one owner.
#pragma once

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "strata/nvmeof/endpoint.h"

namespace strata::nvmeof {

// Owns a descriptor.
class Socket final {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { Close(); }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    if (this != &other) {
      Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }

  int fd() const { return fd_; }
  void Close();

 private:
  int fd_ = -1;
};

absl::Status ErrnoStatus(int error, std::string_view what);

absl::StatusOr<Socket> ListenOn(const Endpoint& endpoint);
// Begins to connect; the socket becomes writable when that is decided (see TakeError()).
absl::StatusOr<Socket> StartConnect(const Endpoint& endpoint, int* error);
// The next waiting connection; Unavailable: there is none. ResourceExhausted: no descriptor left.
absl::StatusOr<Socket> AcceptFrom(int fd, Endpoint* peer);

Endpoint LocalAddress(int fd);
Endpoint PeerAddress(int fd);
int TakeError(int fd);      // SO_ERROR
void SetNoDelay(int fd);    // Small PDUs do not wait for others.
void ResetOnClose(int fd);  // SO_LINGER of 0.
// Gives the socket's two buffers a fixed size, where the machine allows so much (net.core.rmem_max,
// wmem_max). Else, and for 0, the kernel sizes them as it sees fit.
void SetBuffers(int fd, uint32_t size_bytes);

}  // namespace strata::nvmeof

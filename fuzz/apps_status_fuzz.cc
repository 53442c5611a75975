// SPDX-License-Identifier: Apache-2.0
//
// Any bytes on a connection to the status server. Each connection ends, and the server answers the
// next one.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "strata/base/check.h"
#include "stratad/status_server.h"

namespace {

using namespace strata::appliance;  // NOLINT: a program's own file

std::string Exchange(uint16_t port, std::string_view bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  STRATA_CHECK(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "connect");
  (void)send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  shutdown(fd, SHUT_WR);
  std::string answer;
  char buffer[4096];
  for (ssize_t got; (got = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
    answer.append(buffer, static_cast<size_t>(got));
  }
  close(fd);
  return answer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<StatusServer> server =
      StatusServer::Start({.address = "127.0.0.1", .port = 0}).value();
  static uint64_t runs = 0;
  const std::string answer = Exchange(server->port(), {reinterpret_cast<const char*>(data), size});
  STRATA_CHECK(answer.empty() || answer.starts_with("HTTP/1."), answer);
  if (runs++ % 64 == 0) {
    const std::string health = Exchange(server->port(), "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    STRATA_CHECK(health.starts_with("HTTP/1.1 200 "), health);
  }
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "appliance/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace strata::appliance {
namespace {

void Handle(const HttpRequest& request, HttpReply& reply) {
  if (request.path == "/lines") {
    reply.SendLine("1");
    reply.SendLine("2");
    return;
  }
  reply.Send(200, "text/plain", request.method + " " + request.path + " " + request.body);
}

std::unique_ptr<HttpServer> Start(HttpHandler handler, int threads = 2) {
  HttpServerOptions options;
  options.threads = threads;
  options.max_body_bytes = 1000;
  options.handler = std::move(handler);
  return HttpServer::Listen({.address = "127.0.0.1", .port = 0}, std::move(options)).value();
}

int Connect(const HttpServer& server) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  return fd;
}

// Sends `text` and returns all that comes until the server closes.
std::string Exchange(const HttpServer& server, const std::string& text) {
  const int fd = Connect(server);
  REQUIRE(send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  std::string answer;
  char buffer[4096];
  ssize_t got;
  while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0) answer.append(buffer, got);
  close(fd);
  return answer;
}

TEST_CASE("one request, one answer") {
  const auto server = Start(Handle);
  const std::string answer = Exchange(*server, "GET /a/b?c=d HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 200 OK\r\n") &&
                         Catch::Contains("Connection: close") &&
                         Catch::EndsWith("\r\n\r\nGET /a/b "));
  CHECK_THAT(Exchange(*server, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"),
             Catch::EndsWith("POST /x abc"));
  const std::string head = Exchange(*server, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(head, Catch::Contains("Content-Length: 7") && Catch::EndsWith("\r\n\r\n"));
  CHECK_THAT(Exchange(*server, "POST /lines HTTP/1.1\r\nHost: x\r\n\r\n"),
             Catch::EndsWith("2\r\n1\n\r\n2\r\n2\n\r\n0\r\n\r\n"));
}

TEST_CASE("bad requests are answered or dropped, and the server goes on") {
  const auto server = Start(Handle, 1);
  CHECK_THAT(Exchange(*server, "nonsense\r\n\r\n"), Catch::StartsWith("HTTP/1.1 400"));
  CHECK_THAT(Exchange(*server, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"),
             Catch::StartsWith("HTTP/1.1 413"));
  const std::string long_header(20'000, 'x');
  CHECK_THAT(Exchange(*server, "GET / HTTP/1.1\r\nA: " + long_header), !Catch::Contains("200 OK"));
  const int half = Connect(*server);
  REQUIRE(send(half, "GET /", 5, MSG_NOSIGNAL) == 5);
  close(half);
  CHECK_THAT(Exchange(*server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Catch::Contains("200 OK"));
}

TEST_CASE("a client that leaves is noticed in the middle of a long answer") {
  std::atomic<bool> noticed{false};
  const auto server = Start([&](const HttpRequest&, HttpReply& reply) {
    while (!reply.client_is_gone() && reply.SendLine("{}")) std::this_thread::yield();
    noticed = true;
  });
  const int fd = Connect(*server);
  const std::string request = "POST / HTTP/1.1\r\nHost: x\r\n\r\n";
  REQUIRE(send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size()));
  char byte;
  REQUIRE(recv(fd, &byte, 1, 0) == 1);
  CHECK_FALSE(noticed);
  close(fd);
  server->Stop();  // Waits for the handler.
  CHECK(noticed);
}

TEST_CASE("clients that say nothing keep no thread busy") {
  const auto server = Start(Handle, 1);
  std::vector<int> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(Connect(*server));
  CHECK_THAT(Exchange(*server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Catch::Contains("200 OK"));
  for (const int fd : silent) close(fd);
  CHECK_THAT(Exchange(*server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Catch::Contains("200 OK"));
}

// Eight clients that had sent one byte each kept all threads busy for ten seconds, twice.
TEST_CASE("clients that send one byte keep no thread busy, and do not fill the server") {
  const auto server = Start(Handle, 1);
  std::vector<int> slow;
  for (int i = 0; i < 300; ++i) {
    slow.push_back(Connect(*server));
    REQUIRE(send(slow.back(), "G", 1, MSG_NOSIGNAL) == 1);
  }
  CHECK_THAT(Exchange(*server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Catch::Contains("200 OK"));
  // The oldest gave way.
  char byte;
  CHECK(recv(slow.front(), &byte, 1, 0) <= 0);
  for (const int fd : slow) close(fd);
}

TEST_CASE("clients that do not take their answers keep no thread busy") {
  const std::string large(4 << 20, 'x');
  const auto server = Start(
      [&large](const HttpRequest&, HttpReply& reply) { reply.Send(200, "text/plain", large); }, 1);
  std::vector<int> slow;
  for (int i = 0; i < 8; ++i) {
    slow.push_back(Connect(*server));
    REQUIRE(send(slow.back(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, MSG_NOSIGNAL) == 27);
  }
  CHECK_THAT(Exchange(*server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Catch::EndsWith(large));
  for (const int fd : slow) close(fd);
}

TEST_CASE("what is answered at once waits for no handler") {
  std::atomic<bool> go{false};
  HttpServerOptions options;
  options.threads = 1;
  options.handler = [&go](const HttpRequest&, HttpReply& reply) {
    go.wait(false);
    reply.Send(200, "text/plain", "late");
  };
  options.prompt = [](const HttpRequest& request, HttpReply& reply) {
    if (request.path != "/health") return false;
    reply.Send(200, "text/plain", "alive");
    return true;
  };
  const auto server =
      HttpServer::Listen({.address = "127.0.0.1", .port = 0}, std::move(options)).value();
  std::thread blocked([&server] { (void)Exchange(*server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); });
  CHECK_THAT(Exchange(*server, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"),
             Catch::EndsWith("alive"));
  go = true;
  go.notify_all();
  blocked.join();
}

TEST_CASE("a handler that throws is a 500, and the server goes on") {
  const auto server = Start([](const HttpRequest& request, HttpReply& reply) {
    if (request.path == "/bad") throw std::runtime_error("no reason");
    reply.Send(200, "text/plain", "fine");
  });
  CHECK_THAT(Exchange(*server, "GET /bad HTTP/1.1\r\nHost: x\r\n\r\n"),
             Catch::StartsWith("HTTP/1.1 500") && Catch::EndsWith("no reason\n"));
  CHECK_THAT(Exchange(*server, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), Catch::EndsWith("fine"));
}

TEST_CASE("a chunked body is refused") {
  const auto server = Start(Handle);
  CHECK_THAT(
      Exchange(*server, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r"),
      Catch::StartsWith("HTTP/1.1 411"));
}

TEST_CASE("a stop does not wait for clients that say nothing") {
  const auto server = Start(Handle, 2);
  const std::vector<int> silent = {Connect(*server), Connect(*server), Connect(*server)};
  server->Stop();
  for (const int fd : silent) close(fd);
}

TEST_CASE("an address that is taken is an error that names it") {
  const auto server = Start(Handle);
  const absl::Status status =
      HttpServer::Listen({.address = "127.0.0.1", .port = server->port()}, {}).status();
  CHECK(absl::IsUnavailable(status));
  CHECK_THAT(
      std::string(status.message()),
      Catch::Contains("127.0.0.1:" + std::to_string(server->port())) && Catch::Contains("in use"));
}

}  // namespace
}  // namespace strata::appliance

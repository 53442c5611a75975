// SPDX-License-Identifier: Apache-2.0
#include "appliance/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "appliance/stream_socket.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::chrono::seconds kRequestTime{10};
constexpr uint32_t kMaxHeaderBytes = 16 << 10;

class Reply final : public HttpReply {
 public:
  Reply(StreamSocket& socket, bool head) : socket_(socket), head_(head) {}

  void Send(int status, std::string_view content_type, std::string_view body) override {
    http::response<http::string_body> response(http::status(status), 11);
    Describe(response, content_type);
    response.body() = body;
    response.prepare_payload();
    if (head_) response.body().clear();
    http::response_serializer<http::string_body> serializer(response);
    http::write(socket_, serializer, error_);
  }

  bool SendLine(std::string_view line) override {
    if (!started_) {
      started_ = true;
      http::response<http::empty_body> response(http::status::ok, 11);
      Describe(response, "application/x-ndjson");
      response.chunked(true);
      http::response_serializer<http::empty_body> serializer(response);
      http::write_header(socket_, serializer, error_);
    }
    if (!error_) {
      const std::string text = absl::StrCat(absl::string_view(line.data(), line.size()), "\n");
      boost::asio::write(socket_, http::make_chunk(boost::asio::buffer(text)), error_);
    }
    return !error_;
  }

  bool client_is_gone() const override { return error_ || socket_.peer_is_gone(); }

  void Finish() {
    if (started_ && !error_) boost::asio::write(socket_, http::make_chunk_last(), error_);
  }

 private:
  template <typename Response>
  static void Describe(Response& response, std::string_view content_type) {
    response.keep_alive(false);
    response.set(http::field::content_type, {content_type.data(), content_type.size()});
    response.set(http::field::cache_control, "no-store");
    response.set("X-Content-Type-Options", "nosniff");
  }

  StreamSocket& socket_;
  const bool head_;
  bool started_ = false;
  boost::system::error_code error_;
};

class Server final : public HttpServer {
 public:
  Server(int listening_fd, HttpServerOptions options)
      : options_(std::move(options)),
        listening_fd_(listening_fd),
        stop_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    STRATA_CHECK(stop_fd_ >= 0, "no eventfd");
    for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { AcceptLoop(); });
  }

  ~Server() override {
    Stop();
    close(stop_fd_);
  }

  uint16_t port() const override {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    if (getsockname(listening_fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
    if (address.ss_family == AF_INET) {
      return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
    }
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  }

  void Stop() override {
    if (threads_.empty()) return;
    const uint64_t one = 1;
    STRATA_CHECK(write(stop_fd_, &one, sizeof(one)) == sizeof(one), "cannot signal an eventfd");
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    close(listening_fd_);
  }

 private:
  void AcceptLoop() {
    while (true) {
      pollfd waited[2] = {{listening_fd_, POLLIN, 0}, {stop_fd_, POLLIN, 0}};
      if (poll(waited, 2, -1) < 0 && errno != EINTR) return;
      if (waited[1].revents != 0) return;
      // Another thread may have been quicker; then this is EAGAIN.
      const int fd = accept4(listening_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        Converse(fd);
      } else if (errno == EMFILE || errno == ENFILE) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    }
  }

  void Converse(int fd) {
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    StreamSocket socket(fd, stop_fd_);
    socket.set_read_deadline(std::chrono::steady_clock::now() + kRequestTime);
    beast::flat_buffer buffer(kMaxHeaderBytes);
    http::request_parser<http::string_body> parser;
    parser.header_limit(kMaxHeaderBytes);
    parser.body_limit(options_.max_body_bytes);
    boost::system::error_code error;
    http::read(socket, buffer, parser, error);
    if (error == http::error::body_limit || error == http::error::header_limit) {
      Reply(socket, false).Send(413, "text/plain", "too large\n");
      return;
    }
    if (error.category() == http::make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      Reply(socket, false).Send(400, "text/plain", "not HTTP\n");
      return;
    }
    if (error) return;
    const auto& message = parser.get();
    HttpRequest request{std::string(message.method_string()), std::string(message.target()),
                        message.body()};
    request.path = request.path.substr(0, request.path.find('?'));
    Reply reply(socket, request.method == "HEAD");
    options_.handler(request, reply);
    reply.Finish();
  }

  const HttpServerOptions options_;
  const int listening_fd_;
  const int stop_fd_;
  std::vector<std::thread> threads_;
};

// The address in the kernel's form. REQUIRES: it came from ParseEndpoint().
socklen_t FillAddress(const Endpoint& endpoint, sockaddr_storage* address) {
  std::memset(address, 0, sizeof(*address));
  auto* v4 = reinterpret_cast<sockaddr_in*>(address);
  if (inet_pton(AF_INET, endpoint.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    return sizeof(*v4);
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(address);
  inet_pton(AF_INET6, endpoint.address.c_str(), &v6->sin6_addr);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(endpoint.port);
  return sizeof(*v6);
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(const Endpoint& endpoint,
                                                               HttpServerOptions options) {
  sockaddr_storage address;
  const socklen_t size = FillAddress(endpoint, &address);
  const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int yes = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0 || listen(fd, 64) != 0) {
    const absl::Status status = absl::UnavailableError(
        absl::StrCat("cannot listen on ", PrintEndpoint(endpoint), ": ", std::strerror(errno)));
    if (fd >= 0) close(fd);
    return status;
  }
  return Serve(fd, std::move(options));
}

std::unique_ptr<HttpServer> HttpServer::Serve(int listening_fd, HttpServerOptions options) {
  return std::make_unique<Server>(listening_fd, std::move(options));
}

}  // namespace strata::appliance

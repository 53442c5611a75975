// SPDX-License-Identifier: Apache-2.0
#include "appliance/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "appliance/stream_socket.h"
#include "strata/base/check.h"
#include "strata/base/mutex.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::chrono::seconds kRequestTime{10};
constexpr uint32_t kMaxHeaderBytes = 16 << 10;
constexpr size_t kMaxConnections = 256;
constexpr size_t kMaxUnreadBytes = 1 << 20;  // Of a request that was refused.

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

// Connections on which a request has begun, for the threads that answer.
class ReadyQueue {
 public:
  void Push(int fd) {
    MutexLock lock(&mutex_);
    ready_.push_back(fd);
    changed_.NotifyOne();
  }

  // -1: the end.
  int Pop() {
    MutexLock lock(&mutex_);
    while (ready_.empty() && !ended_) changed_.Wait(&mutex_);
    if (ended_) return -1;
    const int fd = ready_.front();
    ready_.pop_front();
    return fd;
  }

  size_t size() {
    MutexLock lock(&mutex_);
    return ready_.size();
  }

  void End() {
    MutexLock lock(&mutex_);
    ended_ = true;
    for (const int fd : ready_) close(fd);
    ready_.clear();
    changed_.NotifyAll();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<int> ready_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

// One thread accepts, and holds connections until they say something: those that are silent keep no
// other thread busy. The rest answer.
class Server final : public HttpServer {
 public:
  Server(int listening_fd, HttpServerOptions options)
      : options_(std::move(options)),
        listening_fd_(listening_fd),
        stop_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    STRATA_CHECK(stop_fd_ >= 0, "no eventfd");
    threads_.emplace_back([this] { AcceptLoop(); });
    for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { AnswerLoop(); });
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
    queue_.End();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    close(listening_fd_);
  }

 private:
  struct Silent {
    int fd;
    std::chrono::steady_clock::time_point until;
  };

  void AcceptLoop() {
    std::vector<Silent> silent;  // In the order of their coming.
    while (WaitForAny(silent)) {
      Accept(silent);
      const auto now = std::chrono::steady_clock::now();
      std::erase_if(silent, [&](const Silent& connection) {
        pollfd waited{connection.fd, POLLIN, 0};
        if (poll(&waited, 1, 0) > 0) {
          queue_.Push(connection.fd);
          return true;
        }
        if (connection.until > now) return false;
        close(connection.fd);
        return true;
      });
    }
    for (const Silent& connection : silent) close(connection.fd);
  }

  // False: the end. Otherwise something may have come, or a time run out.
  bool WaitForAny(const std::vector<Silent>& silent) {
    const bool full = silent.size() + queue_.size() >= kMaxConnections;
    std::vector<pollfd> waited = {{stop_fd_, POLLIN, 0}, {full ? -1 : listening_fd_, POLLIN, 0}};
    for (const Silent& connection : silent) waited.push_back({connection.fd, POLLIN, 0});
    // The oldest runs out first; one that is full looks again soon, as the others make room.
    std::chrono::milliseconds timeout(silent.empty() ? -1 : 0);
    if (!silent.empty()) {
      timeout = std::max(timeout, std::chrono::ceil<std::chrono::milliseconds>(
                                      silent.front().until - std::chrono::steady_clock::now()));
    }
    if (full) timeout = std::chrono::milliseconds(50);
    if (poll(waited.data(), waited.size(), static_cast<int>(timeout.count())) < 0) {
      return errno == EINTR;
    }
    return waited[0].revents == 0;
  }

  void Accept(std::vector<Silent>& silent) {
    while (silent.size() + queue_.size() < kMaxConnections) {
      const int fd = accept4(listening_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        silent.push_back({fd, std::chrono::steady_clock::now() + kRequestTime});
        continue;
      }
      // Out of descriptors: the connection stays in the backlog; do not spin on it.
      if (errno == EMFILE || errno == ENFILE) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
      return;
    }
  }

  void AnswerLoop() {
    int fd;
    while ((fd = queue_.Pop()) >= 0) Converse(fd);
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
      return Refuse(socket, 413, "too large\n");
    }
    if (error.category() == http::make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      return Refuse(socket, 400, "not HTTP\n");
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

  static void Refuse(StreamSocket& socket, int status, std::string_view why) {
    Reply(socket, false).Send(status, "text/plain", why);
    socket.Hush(kMaxUnreadBytes);
  }

  const HttpServerOptions options_;
  const int listening_fd_;
  const int stop_fd_;
  ReadyQueue queue_;
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

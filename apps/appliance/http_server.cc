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
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <sstream>
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

namespace http = boost::beast::http;

using Clock = std::chrono::steady_clock;
using Parser = http::request_parser<http::string_body>;

constexpr std::chrono::seconds kRequestTime{10};  // For a request, and then for its answer.
constexpr uint32_t kMaxHeaderBytes = 16 << 10;
constexpr size_t kMaxConnections = 256;         // That are read from or written to.
constexpr size_t kMaxQueued = 256;              // Requests that wait for a thread.
constexpr size_t kMaxDiscardedBytes = 1 << 20;  // Of a request that was refused.

template <typename Response>
void Describe(Response& response, std::string_view content_type) {
  response.keep_alive(false);
  response.set(http::field::content_type, {content_type.data(), content_type.size()});
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
}

std::string Format(int status, std::string_view content_type, std::string_view body, bool head) {
  http::response<http::empty_body> response(http::status(status), 11);
  Describe(response, content_type);
  response.content_length(body.size());
  std::ostringstream text;
  text << response;
  if (!head) text << body;
  return text.str();
}

// The answer of a handler that runs in a thread of its own. A whole answer is only noted; lines are
// sent as they come, by a thread that may wait for the client.
class Reply final : public HttpReply {
 public:
  // `socket`: nullptr where lines cannot be sent.
  Reply(StreamSocket* socket, bool head) : socket_(socket), head_(head) {}

  void Send(int status, std::string_view content_type, std::string_view body) override {
    whole_ = Format(status, content_type, body, head_);
  }

  bool SendLine(std::string_view line) override {
    STRATA_CHECK(socket_ != nullptr, "a prompt answer has no lines");
    if (!started_) {
      started_ = true;
      http::response<http::empty_body> response(http::status::ok, 11);
      Describe(response, "application/x-ndjson");
      response.chunked(true);
      http::response_serializer<http::empty_body> serializer(response);
      http::write_header(*socket_, serializer, error_);
    }
    if (!error_) {
      const std::string text = absl::StrCat(absl::string_view(line.data(), line.size()), "\n");
      boost::asio::write(*socket_, http::make_chunk(boost::asio::buffer(text)), error_);
    }
    return !error_;
  }

  bool client_is_gone() const override {
    return error_ || (socket_ != nullptr && socket_->peer_is_gone());
  }

  // After the handler. What is to be sent yet.
  std::string Finish() {
    if (started_ && !error_) boost::asio::write(*socket_, http::make_chunk_last(), error_);
    return started_ ? std::string() : std::move(whole_);
  }
  bool started() const { return started_; }

 private:
  StreamSocket* const socket_;
  const bool head_;
  bool started_ = false;
  std::string whole_;
  boost::system::error_code error_;
};

// A connection of the thread that reads and writes.
struct Conversation {
  int fd = -1;
  Clock::time_point until;  // For what it does now.
  enum class State { kReading, kWriting, kDiscarding } state = State::kReading;
  std::unique_ptr<Parser> parser;
  std::string in;         // Not parsed yet.
  std::string out;        // Not sent yet.
  bool discards = false;  // After `out`: the client may still be sending.
  size_t discarded_bytes = 0;
};

struct Request {
  int fd = -1;
  HttpRequest request;
};

// Requests for the threads that answer.
class RequestQueue {
 public:
  // False: it is full.
  bool Push(Request& request) {
    MutexLock lock(&mutex_);
    if (ended_ || requests_.size() >= kMaxQueued) return false;
    requests_.push_back(std::move(request));
    changed_.NotifyOne();
    return true;
  }

  // False: the end.
  bool Pop(Request* request) {
    MutexLock lock(&mutex_);
    while (requests_.empty() && !ended_) changed_.Wait(&mutex_);
    if (ended_) return false;
    *request = std::move(requests_.front());
    requests_.pop_front();
    return true;
  }

  void End() {
    MutexLock lock(&mutex_);
    ended_ = true;
    for (const Request& request : requests_) close(request.fd);
    requests_.clear();
    changed_.NotifyAll();
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<Request> requests_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

void Signal(int event_fd) {
  const uint64_t one = 1;
  STRATA_CHECK(write(event_fd, &one, sizeof(one)) == sizeof(one), "cannot signal an eventfd");
}

class Server final : public HttpServer {
 public:
  Server(int listening_fd, HttpServerOptions options)
      : options_(std::move(options)),
        listening_fd_(listening_fd),
        stop_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    STRATA_CHECK(stop_fd_ >= 0 && wake_fd_ >= 0, "no eventfd");
    threads_.emplace_back([this] { ConverseLoop(); });
    for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { AnswerLoop(); });
  }

  ~Server() override {
    Stop();
    close(stop_fd_);
    close(wake_fd_);
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
    Signal(stop_fd_);
    queue_.End();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    MutexLock lock(&mutex_);
    for (const Conversation& conversation : answered_) close(conversation.fd);
    answered_.clear();
    close(listening_fd_);
  }

 private:
  // ---- The thread that reads and writes

  void ConverseLoop() {
    std::vector<Conversation> all;
    std::vector<pollfd> waited;
    while (WaitForAny(all, waited)) {
      const auto now = Clock::now();
      for (size_t i = 0; i < all.size(); ++i) {
        Conversation& conversation = all[i];
        const bool ready = waited[i + kFixedFds].revents != 0;
        if (!(ready ? Advance(conversation) : now < conversation.until)) Close(conversation);
      }
      std::erase_if(all, [](const Conversation& conversation) { return conversation.fd < 0; });
      TakeAnswered(all);
      Accept(all);
    }
    for (Conversation& conversation : all) Close(conversation);
  }

  static constexpr size_t kFixedFds = 3;

  // False: the end. Otherwise something may have come, or a time run out.
  bool WaitForAny(const std::vector<Conversation>& all, std::vector<pollfd>& waited) {
    waited = {{stop_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}, {listening_fd_, POLLIN, 0}};
    auto until = Clock::time_point::max();
    for (const Conversation& conversation : all) {
      const bool writing = conversation.state == Conversation::State::kWriting;
      waited.push_back({conversation.fd, static_cast<short>(writing ? POLLOUT : POLLIN), 0});
      until = std::min(until, conversation.until);
    }
    std::chrono::milliseconds timeout(-1);
    if (!all.empty()) {
      timeout = std::max(std::chrono::milliseconds(0),
                         std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()));
    }
    if (poll(waited.data(), waited.size(), static_cast<int>(timeout.count())) < 0) {
      if (errno != EINTR) return false;
      for (pollfd& one : waited) one.revents = 0;
    }
    uint64_t count;
    if (waited[1].revents != 0) (void)!read(wake_fd_, &count, sizeof(count));
    return waited[0].revents == 0;
  }

  // Of too many connections the oldest gives way: otherwise those that say nothing would keep
  // everybody else out.
  void Accept(std::vector<Conversation>& all) {
    for (size_t taken = 0; taken < kMaxConnections; ++taken) {
      const int fd = accept4(listening_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        // Out of descriptors: the connection stays in the backlog; do not spin on it.
        if (errno == EMFILE || errno == ENFILE) {
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        return;
      }
      if (all.size() >= kMaxConnections) {
        const auto oldest = std::min_element(
            all.begin(), all.end(),
            [](const Conversation& a, const Conversation& b) { return a.until < b.until; });
        Close(*oldest);
        all.erase(oldest);
      }
      const int yes = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
      Conversation conversation;
      conversation.fd = fd;
      conversation.until = Clock::now() + kRequestTime;
      conversation.parser = std::make_unique<Parser>();
      conversation.parser->header_limit(kMaxHeaderBytes);
      conversation.parser->body_limit(options_.max_body_bytes);
      conversation.parser->eager(false);
      all.push_back(std::move(conversation));
    }
  }

  void TakeAnswered(std::vector<Conversation>& all) {
    MutexLock lock(&mutex_);
    for (Conversation& conversation : answered_) all.push_back(std::move(conversation));
    answered_.clear();
  }

  static void Close(Conversation& conversation) {
    if (conversation.fd >= 0) close(conversation.fd);
    conversation.fd = -1;
  }

  // Does what the connection is ready for. False: it is to be closed; its descriptor is -1 if a
  // thread that answers has it now.
  bool Advance(Conversation& conversation) {
    try {
      switch (conversation.state) {
        case Conversation::State::kReading:
          return Read(conversation);
        case Conversation::State::kWriting:
          return Write(conversation);
        case Conversation::State::kDiscarding:
          return Discard(conversation);
      }
    } catch (const std::exception&) {
      // Memory that is not there: this connection ends, the others stay.
    }
    return false;
  }

  bool Read(Conversation& conversation) {
    char buffer[4096];
    const ssize_t got = recv(conversation.fd, buffer, sizeof(buffer), 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    conversation.in.append(buffer, static_cast<size_t>(got));
    Parser& parser = *conversation.parser;
    while (!parser.is_done()) {
      boost::system::error_code error;
      const size_t taken = parser.put(boost::asio::buffer(conversation.in), error);
      conversation.in.erase(0, taken);
      if (error == http::error::need_more) return true;
      if (error == http::error::body_limit || error == http::error::header_limit) {
        return Refuse(conversation, 413, "too large\n");
      }
      if (error) return Refuse(conversation, 400, "not HTTP\n");
      if (parser.is_header_done() && parser.chunked()) {
        return Refuse(conversation, 411, "a body needs a Content-Length\n");
      }
      if (!parser.is_done() && conversation.in.empty()) return true;
    }
    const auto& message = parser.get();
    Request request{
        conversation.fd,
        {std::string(message.method_string()), std::string(message.target()), message.body()}};
    std::string& path = request.request.path;
    path = path.substr(0, path.find('?'));
    conversation.parser.reset();
    return Dispatch(conversation, request);
  }

  bool Dispatch(Conversation& conversation, Request& request) {
    Reply reply(nullptr, request.request.method == "HEAD");
    if (options_.prompt && options_.prompt(request.request, reply)) {
      return BeginWriting(conversation, reply.Finish());
    }
    if (!queue_.Push(request)) {
      return BeginWriting(conversation, Format(503, "text/plain", "busy\n", false));
    }
    conversation.fd = -1;
    return true;
  }

  static bool Refuse(Conversation& conversation, int status, std::string_view why) {
    conversation.discards = true;
    return BeginWriting(conversation, Format(status, "text/plain", why, false));
  }

  static bool BeginWriting(Conversation& conversation, std::string text) {
    conversation.out = std::move(text);
    conversation.state = Conversation::State::kWriting;
    conversation.until = Clock::now() + kRequestTime;
    return Write(conversation);
  }

  static bool Write(Conversation& conversation) {
    while (!conversation.out.empty()) {
      const ssize_t sent =
          send(conversation.fd, conversation.out.data(), conversation.out.size(), MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR;
      conversation.out.erase(0, static_cast<size_t>(sent));
    }
    if (!conversation.discards && conversation.in.empty()) return false;
    // A connection that is closed with unread bytes may lose the answer on its way.
    shutdown(conversation.fd, SHUT_WR);
    conversation.state = Conversation::State::kDiscarding;
    return true;
  }

  static bool Discard(Conversation& conversation) {
    char buffer[4096];
    const ssize_t got = recv(conversation.fd, buffer, sizeof(buffer), 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    conversation.discarded_bytes += static_cast<size_t>(got);
    return got > 0 && conversation.discarded_bytes < kMaxDiscardedBytes;
  }

  // ---- The threads that answer

  void AnswerLoop() {
    Request request;
    while (queue_.Pop(&request)) Answer(request);
  }

  void Answer(const Request& request) {
    StreamSocket socket(request.fd, stop_fd_);
    const bool head = request.request.method == "HEAD";
    Reply reply(&socket, head);
    try {
      options_.handler(request.request, reply);
    } catch (const std::exception& error) {
      // Of a handler that failed the client learns why, unless its answer has begun: then that ends
      // without its last chunk.
      if (reply.started()) return;
      reply.Send(500, "text/plain", absl::StrCat(error.what(), "\n"));
    }
    Conversation conversation;
    std::string text = reply.Finish();
    if (text.empty()) return;
    conversation.fd = socket.Release();
    if (!BeginWriting(conversation, std::move(text))) return Close(conversation);
    {
      MutexLock lock(&mutex_);
      answered_.push_back(std::move(conversation));
    }
    Signal(wake_fd_);
  }

  const HttpServerOptions options_;
  const int listening_fd_;
  const int stop_fd_;
  const int wake_fd_;
  RequestQueue queue_;
  Mutex mutex_;
  std::vector<Conversation> answered_ ABSL_GUARDED_BY(mutex_);  // What a socket had no room for.
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

// SPDX-License-Identifier: Apache-2.0
#include "appliance/http_server.h"

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <cstring>
#include <exception>
#include <list>
#include <memory>
#include <sstream>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"

namespace strata::appliance {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

using boost::system::error_code;
using Protocol = asio::generic::stream_protocol;  // TCP and Unix sockets.
using Stream = beast::basic_stream<Protocol>;
using Parser = http::request_parser<http::string_body>;

constexpr std::chrono::seconds kRequestTime{10};  // For a request, and then for its answer.
constexpr std::chrono::milliseconds kAcceptPause{50};
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

// Sends all of `text` within the time that `stream` has.
asio::awaitable<error_code> Write(Stream& stream, const std::string& text) {
  error_code error;
  co_await asio::async_write(stream, asio::buffer(text),
                             asio::redirect_error(asio::use_awaitable, error));
  co_return error;
}

// The answer of a handler. A whole answer is only noted. Lines are sent as they come: the handler's
// thread waits until the server's thread has sent them.
class Reply final : public HttpReply {
 public:
  // `stream`: nullptr where lines cannot be sent.
  Reply(Stream* stream, bool head)
      : stream_(stream),
        fd_(stream == nullptr ? -1 : stream->socket().native_handle()),
        head_(head) {}

  void Send(int status, std::string_view content_type, std::string_view body) override {
    whole_ = Format(status, content_type, body, head_);
  }

  bool SendLine(std::string_view line) override {
    STRATA_CHECK(stream_ != nullptr, "a prompt answer has no lines");
    std::string text;
    if (!started_) {
      started_ = true;
      http::response<http::empty_body> response(http::status::ok, 11);
      Describe(response, "application/x-ndjson");
      response.chunked(true);
      std::ostringstream header;
      header << response.base();
      text = header.str();
    }
    const std::string chunk = absl::StrCat(absl::string_view(line.data(), line.size()), "\n");
    text += beast::buffers_to_string(http::make_chunk(asio::buffer(chunk)));
    return SendNow(text);
  }

  // The peer closed the connection, or its sending half.
  bool client_is_gone() const override {
    pollfd waited{fd_, POLLRDHUP, 0};
    return error_ ||
           (poll(&waited, 1, 0) > 0 && (waited.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
  }

  // After the handler. What is to be sent yet.
  std::string Finish() {
    if (started_) SendNow(beast::buffers_to_string(http::make_chunk_last()));
    return started_ ? std::string() : std::move(whole_);
  }
  bool started() const { return started_; }

 private:
  // In the handler's thread.
  bool SendNow(const std::string& text) {
    if (error_) return false;
    error_ = asio::co_spawn(
                 stream_->get_executor(),
                 [this, &text]() -> asio::awaitable<error_code> {
                   stream_->expires_after(kRequestTime);
                   co_return co_await Write(*stream_, text);
                 },
                 asio::use_future)
                 .get();
    return !error_;
  }

  Stream* const stream_;
  const int fd_;
  const bool head_;
  bool started_ = false;
  std::string whole_;
  error_code error_;
};

// Memory that is not there, for example, ends one connection; the others stay.
void DropFailed(const std::exception_ptr&) {}

class Server final : public HttpServer {
 public:
  Server(int listening_fd, HttpServerOptions options)
      : options_(std::move(options)), acceptor_(io_), pool_(static_cast<size_t>(options_.threads)) {
    sockaddr address{};
    socklen_t size = sizeof(address);
    getsockname(listening_fd, &address, &size);
    acceptor_.assign(Protocol(address.sa_family, 0), listening_fd);
    acceptor_.non_blocking(true);
    const auto endpoint = acceptor_.local_endpoint();
    if (address.sa_family == AF_INET || address.sa_family == AF_INET6) {
      asio::ip::tcp::endpoint tcp;
      std::memcpy(tcp.data(), endpoint.data(), endpoint.size());
      tcp.resize(endpoint.size());
      port_ = tcp.port();
    }
    asio::co_spawn(io_, AcceptLoop(), DropFailed);
    thread_ = std::thread([this] { io_.run(); });
  }

  ~Server() override { Stop(); }

  uint16_t port() const override { return port_; }

  void Stop() override {
    if (!thread_.joinable()) return;
    stopping_ = true;
    asio::post(io_, [this] {
      error_code ignored;
      acceptor_.close(ignored);
      CloseAll();
    });
    pool_.join();
    // What the last handlers answered is sent as far as the sockets have room for it.
    asio::post(io_, [this] { CloseAll(); });
    thread_.join();
  }

 private:
  // A connection that is read from or written to, and not one of a handler that runs.
  class Listed {
   public:
    Listed(Server* server, Stream* stream) : server_(server), stream_(stream) {
      server_->open_.push_back(stream);
      stream->expires_after(kRequestTime);
    }
    ~Listed() { server_->open_.remove(stream_); }
    Listed(const Listed&) = delete;
    Listed& operator=(const Listed&) = delete;

   private:
    Server* const server_;
    Stream* const stream_;
  };

  struct Incoming {
    HttpRequest request;
    int refusal_status = 0;  // Not 0: it is refused, and the client may still be sending.
    std::string_view refusal;
    bool ended = false;  // There is nobody to answer.
  };

  void CloseAll() {
    for (Stream* stream : open_) stream->close();
  }

  asio::awaitable<void> AcceptLoop() {
    for (;;) {
      Stream stream(io_);
      error_code error;
      co_await acceptor_.async_accept(stream.socket(),
                                      asio::redirect_error(asio::use_awaitable, error));
      if (!acceptor_.is_open()) co_return;
      if (error) {
        // Out of descriptors, for example: the connection stays in the backlog.
        asio::steady_timer pause(io_, kAcceptPause);
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      // Of too many connections the oldest gives way: otherwise those that say nothing would keep
      // everybody else out.
      if (open_.size() >= kMaxConnections) {
        open_.front()->close();
        open_.pop_front();
      }
      stream.socket().set_option(asio::ip::tcp::no_delay(true), error);  // Not of a Unix socket.
      asio::co_spawn(io_, Serve(std::move(stream)), DropFailed);
    }
  }

  asio::awaitable<void> Serve(Stream stream) {
    beast::flat_buffer buffer;
    Incoming incoming;
    {
      const Listed listed(this, &stream);
      incoming = co_await Read(stream, buffer);
    }
    if (incoming.ended || stopping_) co_return;
    std::string answer;
    const bool is_refused = incoming.refusal_status != 0;
    if (is_refused) {
      answer = Format(incoming.refusal_status, "text/plain", incoming.refusal, false);
    } else if (Reply reply(nullptr, incoming.request.method == "HEAD");
               options_.prompt && options_.prompt(incoming.request, reply)) {
      answer = reply.Finish();
    } else if (queued_ >= kMaxQueued) {
      answer = Format(503, "text/plain", "busy\n", false);
    } else {
      answer = co_await Handle(incoming.request, stream);
    }
    if (answer.empty()) co_return;
    const Listed listed(this, &stream);
    if (co_await Write(stream, answer)) co_return;
    // A connection that is closed with unread bytes may lose the answer on its way.
    if (is_refused || buffer.size() > 0) co_await Discard(stream);
  }

  asio::awaitable<Incoming> Read(Stream& stream, beast::flat_buffer& buffer) {
    Incoming incoming;
    Parser parser;
    parser.header_limit(kMaxHeaderBytes);
    parser.body_limit(options_.max_body_bytes);
    error_code error;
    co_await http::async_read_header(stream, buffer, parser,
                                     asio::redirect_error(asio::use_awaitable, error));
    const auto refuse = [&incoming](int status, std::string_view why) {
      incoming.refusal_status = status;
      incoming.refusal = why;
    };
    if (!error && parser.chunked()) {
      refuse(411, "a body needs a Content-Length\n");
      co_return incoming;
    }
    if (!error && !parser.is_done()) {
      co_await http::async_read(stream, buffer, parser,
                                asio::redirect_error(asio::use_awaitable, error));
    }
    const bool is_cut =
        error == http::error::end_of_stream || error == http::error::partial_message;
    if (error == http::error::body_limit || error == http::error::header_limit) {
      refuse(413, "too large\n");
    } else if (error && !is_cut &&
               error.category() == http::make_error_code(http::error::bad_method).category()) {
      refuse(400, "not HTTP\n");
    } else if (error) {
      incoming.ended = true;
    } else {
      const auto& message = parser.get();
      const std::string target(message.target());
      incoming.request = {.method = std::string(message.method_string()),
                          .path = target.substr(0, target.find('?')),
                          .body = message.body()};
    }
    co_return incoming;
  }

  // Runs the handler in a thread of the pool. Returns what is to be sent yet.
  asio::awaitable<std::string> Handle(const HttpRequest& request, Stream& stream) {
    std::string answer;
    ++queued_;
    co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(
        [&](auto done) {
          asio::post(pool_, [&, done = std::move(done)]() mutable {
            --queued_;
            if (!stopping_) answer = Answer(request, stream);
            asio::post(io_, std::move(done));
          });
        },
        asio::use_awaitable);
    co_return answer;
  }

  std::string Answer(const HttpRequest& request, Stream& stream) {
    Reply reply(&stream, request.method == "HEAD");
    try {
      options_.handler(request, reply);
    } catch (const std::exception& error) {
      // Of a handler that failed the client learns why, unless its answer has begun: then that ends
      // without its last chunk.
      if (reply.started()) return {};
      reply.Send(500, "text/plain", absl::StrCat(error.what(), "\n"));
    }
    return reply.Finish();
  }

  static asio::awaitable<void> Discard(Stream& stream) {
    error_code error;
    stream.socket().shutdown(asio::socket_base::shutdown_send, error);
    char bytes[4096];
    for (size_t discarded = 0; !error && discarded < kMaxDiscardedBytes;) {
      discarded += co_await stream.async_read_some(
          asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
    }
  }

  const HttpServerOptions options_;
  std::atomic<bool> stopping_ = false;
  std::atomic<size_t> queued_ = 0;
  uint16_t port_ = 0;
  std::list<Stream*> open_;  // Oldest first. In the thread of io_ alone.
  asio::io_context io_;      // Of the thread that reads and writes.
  asio::basic_socket_acceptor<Protocol> acceptor_;
  asio::thread_pool pool_;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(const Endpoint& endpoint,
                                                               HttpServerOptions options) {
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io);
  error_code error;
  const asio::ip::tcp::endpoint address(asio::ip::make_address(endpoint.address, error),
                                        endpoint.port);
  if (!error) acceptor.open(address.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(address, error);
  if (!error) acceptor.listen(64, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", PrintEndpoint(endpoint), ": ", error.message()));
  }
  return Serve(acceptor.release(), std::move(options));
}

std::unique_ptr<HttpServer> HttpServer::Serve(int listening_fd, HttpServerOptions options) {
  return std::make_unique<Server>(listening_fd, std::move(options));
}

}  // namespace strata::appliance

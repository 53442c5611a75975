// SPDX-License-Identifier: Apache-2.0
#include "server/connection.h"

#include <array>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>

// GCC 12 takes the coroutine frames' own pair of operators for a mismatch.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace strata::s3 {
namespace {

using boost::system::error_code;

constexpr std::chrono::milliseconds kLingerTimeout{2'000};
// Parts of an upload are of 5 to 8 MiB with most clients.
constexpr size_t kMaxLingerBytes = 16 << 20;

auto Token(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, std::shared_ptr<asio::ssl::context> tls)
    : tls_context_(std::move(tls)), plain_(std::move(socket)) {
  error_code ignored;
  plain_.set_option(asio::ip::tcp::no_delay(true), ignored);
  plain_.non_blocking(true, ignored);
  if (tls_context_ != nullptr) {
    tls_ = std::make_unique<TlsStream>(std::move(plain_), *tls_context_);
  }
}

Connection::~Connection() = default;

void Connection::Begin(Timeout timeout) {
  timed_out_ = false;
  deadline_ = Clock::now() + timeout;
}

void Connection::End() { deadline_ = Clock::time_point::max(); }

void Connection::CheckDeadline(Clock::time_point now) {
  if (now < deadline_) return;
  timed_out_ = true;
  error_code ignored;
  socket().cancel(ignored);
}

void Connection::Cancel() {
  cancelled_ = true;
  error_code ignored;
  socket().cancel(ignored);
}

asio::awaitable<bool> Connection::Handshake(Timeout timeout) {
  if (tls_ == nullptr) co_return true;
  error_code error;
  Begin(timeout);
  co_await tls_->async_handshake(asio::ssl::stream_base::server, Token(error));
  End();
  co_return !error && !cancelled_;
}

asio::awaitable<bool> Connection::WaitReadable(Timeout timeout) {
  // TLS may hold decrypted bytes that the socket knows nothing of.
  if (tls_ != nullptr) co_return !cancelled_;
  if (cancelled_) co_return false;
  error_code error;
  Begin(timeout);
  co_await plain_.async_wait(asio::ip::tcp::socket::wait_read, Token(error));
  End();
  co_return !error && !cancelled_;
}

asio::awaitable<size_t> Connection::ReadSome(std::span<std::byte> out, Timeout timeout) {
  if (cancelled_) co_return 0;
  const asio::mutable_buffer buffer(out.data(), out.size());
  error_code error;
  size_t size = 0;
  Begin(timeout);
  if (tls_ != nullptr) {
    size = co_await tls_->async_read_some(buffer, Token(error));
  } else {
    size = co_await plain_.async_read_some(buffer, Token(error));
  }
  End();
  co_return error ? 0 : size;
}

asio::awaitable<bool> Connection::Write(std::string_view head, std::span<const std::byte> body,
                                        Timeout timeout) {
  if (cancelled_) co_return false;
  const std::array<asio::const_buffer, 2> buffers = {asio::const_buffer(head.data(), head.size()),
                                                     asio::const_buffer(body.data(), body.size())};
  error_code error;
  Begin(timeout);
  if (tls_ != nullptr) {
    co_await asio::async_write(*tls_, buffers, Token(error));
  } else {
    co_await asio::async_write(plain_, buffers, Token(error));
  }
  End();
  co_return !error && !cancelled_;
}

asio::awaitable<void> Connection::CloseGently() {
  error_code error;
  if (tls_ != nullptr && !cancelled_) {
    Begin(kLingerTimeout);
    co_await tls_->async_shutdown(Token(error));
    End();
  }
  socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
  std::array<std::byte, 4096> discarded;
  size_t total = 0;
  Begin(kLingerTimeout);
  while (!error && !cancelled_ && total < kMaxLingerBytes) {
    total += co_await socket().async_read_some(
        asio::mutable_buffer(discarded.data(), discarded.size()), Token(error));
  }
  End();
  socket().close(error);
}

void Connection::Reset() {
  error_code ignored;
  socket().set_option(asio::socket_base::linger(true, 0), ignored);
  socket().close(ignored);
}

}  // namespace strata::s3

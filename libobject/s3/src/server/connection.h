// SPDX-License-Identifier: Apache-2.0
//
// A client's connection, plain or TLS, with a time limit on everything that waits for the client.
// Limits are enforced by the thread that calls CheckDeadline() now and then: that costs nothing per
// read, where a timer would.
//
// Used in its executor's one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

namespace strata::s3 {

namespace asio = boost::asio;

class Connection final {
 public:
  using Clock = std::chrono::steady_clock;
  using Timeout = std::chrono::milliseconds;

  // `tls`: nullptr for plain connections.
  Connection(asio::ip::tcp::socket socket, std::shared_ptr<asio::ssl::context> tls);
  ~Connection();

  // TLS's, if any. False, from here on down: the client went, failed, or was too slow.
  asio::awaitable<bool> Handshake(Timeout timeout);

  // Waits without a buffer until there is something to read, where that can be known.
  asio::awaitable<bool> WaitReadable(Timeout timeout);

  // Some bytes, at least one. 0 instead of false.
  asio::awaitable<size_t> ReadSome(std::span<std::byte> out, Timeout timeout);

  // Both, in one system call where the socket has room.
  asio::awaitable<bool> Write(std::string_view head, std::span<const std::byte> body,
                              Timeout timeout);

  // Says that nothing more will come and waits a moment for the client to see it: closing at once
  // with unread input would make the system throw away what was sent.
  asio::awaitable<void> CloseGently();

  // So that the client sees a failure and not an end.
  void Reset();

  // Ends the operation in progress if its time is over.
  void CheckDeadline(Clock::time_point now);

  // Ends the operation in progress now.
  void Cancel();

  // The last operation ended because of its time.
  bool timed_out() const { return timed_out_; }

  asio::any_io_executor executor() { return socket().get_executor(); }

 private:
  using TlsStream = asio::ssl::stream<asio::ip::tcp::socket>;

  asio::ip::tcp::socket& socket() { return tls_ != nullptr ? tls_->next_layer() : plain_; }
  void Begin(Timeout timeout);
  void End();

  const std::shared_ptr<asio::ssl::context> tls_context_;
  asio::ip::tcp::socket plain_;
  std::unique_ptr<TlsStream> tls_;
  Clock::time_point deadline_ = Clock::time_point::max();
  bool timed_out_ = false;
  bool cancelled_ = false;
};

}  // namespace strata::s3

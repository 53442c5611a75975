// SPDX-License-Identifier: Apache-2.0
//
// A connected socket as a blocking stream with time limits, in the shape that Boost.Beast's
// blocking calls ask for (SyncReadStream and SyncWriteStream). Used by one thread.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <chrono>
#include <utility>

namespace strata::appliance {

class StreamSocket final {
 public:
  using Millis = std::chrono::milliseconds;

  // Takes `fd`, which must not block, over. A read ends early when `stop_fd` is readable; -1:
  // never.
  StreamSocket(int fd, int stop_fd) : fd_(fd), stop_fd_(stop_fd) {}
  StreamSocket(StreamSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        stop_fd_(other.stop_fd_),
        read_deadline_(other.read_deadline_),
        write_timeout_(other.write_timeout_) {}
  StreamSocket& operator=(StreamSocket&&) = delete;
  ~StreamSocket() {
    if (fd_ >= 0) close(fd_);
  }

  // Gives the descriptor up to the caller.
  int Release() { return std::exchange(fd_, -1); }

  // All reads together end by then; without it they have no limit.
  void set_read_deadline(std::chrono::steady_clock::time_point deadline) {
    read_deadline_ = deadline;
  }

  // The peer closed the connection, or its sending half.
  bool peer_is_gone() const {
    pollfd waited{fd_, POLLRDHUP, 0};
    return poll(&waited, 1, 0) > 0 && (waited.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }

  template <typename Buffers>
  size_t read_some(const Buffers& buffers, boost::system::error_code& error) {
    const boost::asio::mutable_buffer buffer = First<boost::asio::mutable_buffer>(buffers);
    while (true) {
      const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
      if (got > 0 || (got == 0 && buffer.size() == 0)) return Succeed(got, error);
      if (got == 0) return Fail(boost::asio::error::eof, error);
      if (errno != EAGAIN && errno != EINTR) return FailErrno(error);
      if (!Wait(POLLIN, error)) return 0;
    }
  }

  template <typename Buffers>
  size_t write_some(const Buffers& buffers, boost::system::error_code& error) {
    const boost::asio::const_buffer buffer = First<boost::asio::const_buffer>(buffers);
    while (true) {
      const ssize_t sent = send(fd_, buffer.data(), buffer.size(), MSG_NOSIGNAL);
      if (sent >= 0) return Succeed(sent, error);
      if (errno != EAGAIN && errno != EINTR) return FailErrno(error);
      if (!Wait(POLLOUT, error)) return 0;
    }
  }

  // As the concepts demand them; nothing here calls them.
  template <typename Buffers>
  size_t read_some(const Buffers& buffers) {
    boost::system::error_code error;
    const size_t count = read_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return count;
  }
  template <typename Buffers>
  size_t write_some(const Buffers& buffers) {
    boost::system::error_code error;
    const size_t count = write_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return count;
  }

 private:
  // The first buffer that is not empty: "some" is all that is asked for.
  template <typename Buffer, typename Buffers>
  static Buffer First(const Buffers& buffers) {
    for (auto it = boost::asio::buffer_sequence_begin(buffers);
         it != boost::asio::buffer_sequence_end(buffers); ++it) {
      if (Buffer(*it).size() > 0) return Buffer(*it);
    }
    return Buffer();
  }

  static size_t Succeed(ssize_t count, boost::system::error_code& error) {
    error = {};
    return static_cast<size_t>(count);
  }
  static size_t Fail(boost::system::error_code why, boost::system::error_code& error) {
    error = why;
    return 0;
  }
  static size_t FailErrno(boost::system::error_code& error) {
    return Fail(boost::system::error_code(errno, boost::system::system_category()), error);
  }

  // False, with the reason: not ready in time, or stopped.
  bool Wait(short events, boost::system::error_code& error) {
    const bool reading = events == POLLIN;
    Millis left = write_timeout_;
    if (reading && read_deadline_ == std::chrono::steady_clock::time_point::max()) {
      left = Millis(-1);
    } else if (reading) {
      left = std::max(Millis(0), std::chrono::duration_cast<Millis>(
                                     read_deadline_ - std::chrono::steady_clock::now()));
    }
    pollfd waited[2] = {{fd_, events, 0}, {reading ? stop_fd_ : -1, POLLIN, 0}};
    const int ready = poll(waited, 2, static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) return FailErrno(error) != 0;
    if (ready == 0) return Fail(boost::asio::error::timed_out, error) != 0;
    if (waited[1].revents != 0) return Fail(boost::asio::error::operation_aborted, error) != 0;
    return true;
  }

  int fd_;
  int stop_fd_;
  std::chrono::steady_clock::time_point read_deadline_ =
      std::chrono::steady_clock::time_point::max();
  Millis write_timeout_{10'000};
};

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// TCP byte streams with back-pressure, without a thread: the owner calls Poll(). Two engines carry
// the same contract, epoll and io_uring.
//
//   STRATA_ASSIGN_OR_RETURN(auto link, OpenLink({.engine = LinkEngine::kEpoll}));
//   STRATA_ASSIGN_OR_RETURN(Stream * stream, link->Connect(endpoint, deadline_ns, &handler));
//   stream->Send(&request);      // The caller's own object; `done` runs once, from Poll().
//   while (running) link->Poll(timeout_ns);
//
// Handlers live until their OnClosed(), or until the link is gone.
// Thread safety: none, but for Wake(). All callbacks run inside Poll() and may call anything of the
// link except Poll() and the link's destructor.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "link/socket.h"
#include "strata/base/clock.h"
#include "strata/nvmeof/endpoint.h"
#include "strata/nvmeof/link_engine.h"

namespace strata::nvmeof {

// Bytes to send. The caller owns it, its vectors and their memory until `done` has run.
struct SendRequest {
  std::span<const iovec> vectors;
  // is_sent: the kernel took every byte. False: the stream ended before that.
  void (*done)(SendRequest* request, bool is_sent) = nullptr;
  void* context = nullptr;  // The caller's.

  SendRequest* next = nullptr;  // From here on the link's.
  size_t vector_index = 0;
  size_t vector_offset = 0;
};

class StreamHandler {
 public:
  virtual ~StreamHandler() = default;

  // A Connect() succeeded.
  virtual void OnConnected() {}
  // Bytes can be received: the handler lists where they go and returns how many places it listed.
  // 0: it takes nothing now, and is not asked again before ResumeReceive().
  virtual size_t PlaceReceived(std::span<iovec> places) = 0;
  // So many bytes (at least 1) lie in the places. The link does not touch them any more.
  virtual void OnReceived(size_t size_bytes) = 0;
  // The peer has ended its half. Sending continues.
  virtual void OnEnd() = 0;
  // The last call; the stream does not exist any more. OK: after Close() or Reset(). Unavailable:
  // the peer or the network ended it. DeadlineExceeded: it was not connected in time.
  virtual void OnClosed(const absl::Status& status) = 0;
};

// One connection. It belongs to its link.
class Stream {
 public:
  // Queues bytes. The link sends what a round has queued with one system call at the end of the
  // round, and the rest as the peer takes it. On a stream that ends, `done` says so.
  // REQUIRES: ShutdownSend() was not called.
  virtual void Send(SendRequest* request) = 0;
  // Ends our half once everything queued is sent.
  virtual void ShutdownSend() = 0;
  // Asks PlaceReceived() again when there are bytes.
  virtual void ResumeReceive() = 0;
  // Ends the stream; what is queued is not sent. OnClosed() follows from a Poll().
  virtual void Close() = 0;
  // As Close(), and the peer sees a reset.
  virtual void Reset() = 0;

  virtual const Endpoint& peer() const = 0;

 protected:
  ~Stream() = default;
};

class AcceptHandler {
 public:
  virtual ~AcceptHandler() = default;
  // A connection has come; any link may Adopt() it.
  virtual void OnAccept(Socket socket, const Endpoint& peer) = 0;
};

class WatchHandler {
 public:
  virtual ~WatchHandler() = default;
  // The descriptor is readable. It is reported every round until it is not.
  virtual void OnReadable() = 0;
};

// Socket calls that moved bytes, or tried to.
struct LinkCounters {
  uint64_t sends = 0;
  uint64_t receives = 0;
};

class Listener;  // Handles of the link's.
class Watch;

struct LinkOptions {
  LinkEngine engine = LinkEngine::kEpoll;
  const Clock* clock = &SystemClock();
  size_t max_streams = 16384;
};

class Link {
 public:
  // Streams that still exist end with OnClosed(OK); unsent requests with is_sent false.
  virtual ~Link() = default;

  // AlreadyExists: the address is in use. Unavailable: the kernel refuses for another reason.
  virtual absl::StatusOr<Listener*> Listen(const Endpoint& endpoint, AcceptHandler* handler) = 0;
  // Accepts from a socket that listens already (ListenOn()).
  virtual Listener* Listen(Socket socket, AcceptHandler* handler) = 0;
  virtual Endpoint LocalEndpoint(const Listener* listener) const = 0;
  virtual void StopListening(Listener* listener) = 0;

  // deadline_ns: of the clock's MonotonicNanos(). A failure that the kernel reports at once comes
  // through OnClosed() too. ResourceExhausted: max_streams, or no descriptor is left.
  virtual absl::StatusOr<Stream*> Connect(const Endpoint& endpoint, int64_t deadline_ns,
                                          StreamHandler* handler) = 0;
  // Makes a stream of a connected socket. ResourceExhausted: max_streams.
  virtual absl::StatusOr<Stream*> Adopt(Socket socket, StreamHandler* handler) = 0;

  // Sleeps on a descriptor of the owner's too, such as a block channel's eventfd.
  virtual absl::StatusOr<Watch*> AddWatch(int fd, WatchHandler* handler) = 0;
  virtual void RemoveWatch(Watch* watch) = 0;

  // One round: receives, accepts, expires, sends. Sleeps at most timeout_ns (negative: for ever)
  // when there is nothing to do; a connect deadline and Wake() end the sleep early.
  virtual void Poll(int64_t timeout_ns) = 0;

  // Ends the current or the next sleep. Any thread may call it while the link exists.
  virtual void Wake() = 0;

  virtual size_t stream_count() const = 0;
  virtual const LinkCounters& counters() const = 0;
};

// Unimplemented: this kernel lacks the engine. ResourceExhausted: no descriptor is left.
absl::StatusOr<std::unique_ptr<Link>> OpenLink(const LinkOptions& options);

}  // namespace strata::nvmeof

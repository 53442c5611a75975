// SPDX-License-Identifier: Apache-2.0
#include "link/link_rounds.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"

namespace strata::nvmeof {
namespace {

// Of one send: 128 answers of 4 KiB. A longer one would keep the thread from receiving, and the
// bytes would have left the processor's caches before the peer reads them.
constexpr size_t kEnoughBytes = 544 << 10;
constexpr int kMaxAcceptsPerRound = 32;
constexpr int64_t kLetGoNanos = 1'000'000;   // Between looks at what the engine still names.
constexpr int64_t kRestNanos = 100'000'000;  // A listener rests so long without descriptors.

}  // namespace

class Listener final : public Pollable {
 public:
  Listener(Socket a_socket, AcceptHandler* a_handler)
      : Pollable(Kind::kListener, a_socket.fd()), socket(std::move(a_socket)), handler(a_handler) {}

  Socket socket;
  AcceptHandler* const handler;
};

class Watch final : public Pollable {
 public:
  Watch(int fd, WatchHandler* a_handler) : Pollable(Kind::kWatch, fd), handler(a_handler) {}

  WatchHandler* const handler;
};

struct LinkRounds::WakeWatch final : WatchHandler {
  explicit WakeWatch(int a_fd) : fd(a_fd) {}

  void OnReadable() override {
    uint64_t count;
    (void)!read(fd, &count, sizeof(count));
  }

  const int fd;
};

void TcpStream::Send(SendRequest* request) {
  STRATA_CHECK(!is_shutdown_wanted, "Send() after ShutdownSend()");
  request->next = nullptr;
  request->vector_index = 0;
  request->vector_offset = 0;
  (first == nullptr ? first : last->next) = request;
  last = request;
  link->MarkDirty(this);
}

void TcpStream::ShutdownSend() {
  is_shutdown_wanted = true;
  link->MarkDirty(this);
}

void TcpStream::ResumeReceive() {
  if (is_connecting || is_peer_ended || is_closing) return;
  is_quiet = false;
  wants_in = true;
  link->Renew(this);
}

void TcpStream::Close() { link->BeginClose(this); }

void TcpStream::Reset() {
  ResetOnClose(fd);
  link->BeginClose(this);
}

size_t TcpStream::Gather(std::span<iovec> vectors) {
  size_t count = 0;
  offered_bytes = 0;
  for (const SendRequest* request = first; request != nullptr; request = request->next) {
    size_t offset = request->vector_offset;
    for (size_t i = request->vector_index; i < request->vectors.size(); ++i) {
      const iovec& vector = request->vectors[i];
      if (vector.iov_len > offset) {
        if (count == vectors.size() || offered_bytes >= kEnoughBytes) return count;
        vectors[count++] = {static_cast<std::byte*>(vector.iov_base) + offset,
                            vector.iov_len - offset};
        offered_bytes += vector.iov_len - offset;
      }
      offset = 0;
    }
  }
  return count;
}

void TcpStream::Consume(size_t size_bytes, std::vector<SendRequest*>* done) {
  while (first != nullptr) {
    SendRequest* request = first;
    while (request->vector_index < request->vectors.size()) {
      const size_t left = request->vectors[request->vector_index].iov_len - request->vector_offset;
      if (left > size_bytes) {
        request->vector_offset += size_bytes;
        return;
      }
      size_bytes -= left;
      ++request->vector_index;
      request->vector_offset = 0;
    }
    first = request->next;
    done->push_back(request);
  }
  STRATA_CHECK(size_bytes == 0, "more bytes sent than were queued");
}

absl::Status LinkRounds::OpenWakeup() {
  wakeup_ = Socket(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wakeup_.fd() < 0) return ErrnoStatus(errno, "eventfd of a link");
  wake_handler_ = std::make_unique<WakeWatch>(wakeup_.fd());
  return AddWatch(wakeup_.fd(), wake_handler_.get()).status();
}

void LinkRounds::CloseEverything() {
  while (!pollables_.empty()) {
    for (const auto& pollable : pollables_) BeginClose(pollable.get());
    BuryClosed();
    if (!pollables_.empty()) Sleep(kLetGoNanos);
  }
}

absl::StatusOr<Listener*> LinkRounds::Listen(const Endpoint& endpoint, AcceptHandler* handler) {
  absl::StatusOr<Socket> socket = ListenOn(endpoint);
  if (!socket.ok()) return socket.status();
  return Listen(*std::move(socket), handler);
}

Listener* LinkRounds::Listen(Socket socket, AcceptHandler* handler) {
  auto listener = std::make_unique<Listener>(std::move(socket), handler);
  Listener* result = listener.get();
  result->wants_in = true;
  Add(std::move(listener));
  return result;
}

Endpoint LinkRounds::LocalEndpoint(const Listener* listener) const {
  return LocalAddress(listener->fd);
}

void LinkRounds::StopListening(Listener* listener) { BeginClose(listener); }

absl::StatusOr<Stream*> LinkRounds::Connect(const Endpoint& endpoint, int64_t deadline_ns,
                                            StreamHandler* handler) {
  if (stream_count_ == options_.max_streams) {
    return absl::ResourceExhaustedError("the link has max_streams streams");
  }
  int error = 0;
  absl::StatusOr<Socket> socket = StartConnect(endpoint, &error);
  if (!socket.ok()) return socket.status();
  TcpStream* stream = AddStream(*std::move(socket), handler);
  stream->peer_endpoint = endpoint;
  stream->is_connecting = true;
  stream->connect_deadline_ns = deadline_ns;
  stream->wants_out = true;
  connecting_.push_back(stream);
  if (error != 0 && error != EINPROGRESS) {
    Fail(stream, ErrnoStatus(error, absl::StrCat("connect to ", ToString(endpoint))));
  } else {
    Renew(stream);
  }
  return stream;
}

absl::StatusOr<Stream*> LinkRounds::Adopt(Socket socket, StreamHandler* handler) {
  if (stream_count_ == options_.max_streams) {
    return absl::ResourceExhaustedError("the link has max_streams streams");
  }
  TcpStream* stream = AddStream(std::move(socket), handler);
  stream->peer_endpoint = PeerAddress(stream->fd);
  stream->wants_in = true;
  Renew(stream);
  return stream;
}

absl::StatusOr<Watch*> LinkRounds::AddWatch(int fd, WatchHandler* handler) {
  auto watch = std::make_unique<Watch>(fd, handler);
  Watch* result = watch.get();
  result->wants_in = true;
  Add(std::move(watch));
  return result;
}

void LinkRounds::RemoveWatch(Watch* watch) { BeginClose(watch); }

void LinkRounds::Poll(int64_t timeout_ns) {
  SendDirty();
  BuryClosed();
  Sleep(SleepNanos(timeout_ns));
  Finish();
  ExpireConnects();
  ResumeListeners();
  SendDirty();
  BuryClosed();
}

void LinkRounds::Wake() {
  const uint64_t one = 1;
  // EAGAIN: the count stands at its maximum, so the descriptor is readable already.
  (void)!write(wakeup_.fd(), &one, sizeof(one));
}

void LinkRounds::OnReady(Pollable* pollable, bool is_in, bool is_out, bool is_error) {
  if (pollable->is_closing) return;
  switch (pollable->kind) {
    case Pollable::Kind::kListener:
      Accept(static_cast<Listener*>(pollable));
      return;
    case Pollable::Kind::kWatch:
      static_cast<Watch*>(pollable)->handler->OnReadable();
      return;
    case Pollable::Kind::kStream:
      break;
  }
  TcpStream* stream = static_cast<TcpStream*>(pollable);
  if (stream->is_connecting) {
    if (is_out || is_error) Connected(stream);
    return;
  }
  if ((is_out || is_error) && stream->wants_out) {
    stream->wants_out = false;
    MarkDirty(stream);
    Renew(stream);
  }
  if (stream->wants_in) {
    if (is_in || is_error) StartReceive(stream);
    return;
  }
  if (!is_error || stream->is_dirty) return;
  // Nobody reads: a hang-up would be reported for ever.
  if (const int error = TakeError(stream->fd); error != 0) {
    Fail(stream, ErrnoStatus(error, absl::StrCat("connection with ", ToString(stream->peer()))));
    return;
  }
  stream->is_quiet = true;
  Renew(stream);
}

size_t LinkRounds::Place(TcpStream* stream, std::span<iovec> places) {
  const size_t count = stream->handler->PlaceReceived(places);
  STRATA_CHECK(count <= places.size(), "places that were not there");
  if (stream->is_closing) return 0;
  if (count == 0) {
    stream->wants_in = false;
    Renew(stream);
  }
  return count;
}

void LinkRounds::BeginFail(Pollable* pollable, absl::Status status) {
  STRATA_CHECK(pollable->kind == Pollable::Kind::kStream, "no memory to poll a descriptor");
  Fail(static_cast<TcpStream*>(pollable), std::move(status));
}

void LinkRounds::OnReceived(TcpStream* stream, int64_t result) {
  ++counters_.receives;
  if (stream->is_closing) return;
  if (result > 0) {
    stream->handler->OnReceived(static_cast<size_t>(result));
  } else if (result == 0) {
    stream->is_peer_ended = true;
    stream->wants_in = false;
    Renew(stream);
    stream->handler->OnEnd();
  } else if (result != -EAGAIN && result != -EINTR) {
    Fail(stream, ErrnoStatus(static_cast<int>(-result),
                             absl::StrCat("receive from ", ToString(stream->peer()))));
  }
}

void LinkRounds::OnSent(TcpStream* stream, int64_t result) {
  ++counters_.sends;
  if (stream->is_closing) return;
  if (result < 0 && result != -EAGAIN && result != -EINTR) {
    Fail(stream, ErrnoStatus(static_cast<int>(-result),
                             absl::StrCat("send to ", ToString(stream->peer()))));
    return;
  }
  if (result >= 0) stream->Consume(static_cast<size_t>(result), &done_);
  const bool took_all = result >= 0 && static_cast<size_t>(result) == stream->offered_bytes;
  if (stream->first != nullptr && took_all) {
    MarkDirty(stream);  // There may be room for the rest.
  } else if (stream->first != nullptr) {
    stream->wants_out = true;
    Renew(stream);
  } else if (stream->is_shutdown_wanted) {
    MarkDirty(stream);
  }
}

TcpStream* LinkRounds::AddStream(Socket socket, StreamHandler* handler) {
  auto stream = std::make_unique<TcpStream>(this, std::move(socket), handler);
  TcpStream* result = stream.get();
  ++stream_count_;
  stream->index = pollables_.size();
  pollables_.push_back(std::move(stream));
  return result;
}

void LinkRounds::Add(std::unique_ptr<Pollable> pollable) {
  pollable->index = pollables_.size();
  pollables_.push_back(std::move(pollable));
  Renew(pollables_.back().get());
}

void LinkRounds::BeginClose(Pollable* pollable) {
  if (pollable->is_closing) return;
  pollable->is_closing = true;
  closing_.push_back(pollable);
  Renew(pollable);
}

void LinkRounds::Fail(TcpStream* stream, absl::Status status) {
  if (stream->is_closing) return;
  stream->close_status = std::move(status);
  BeginClose(stream);
}

void LinkRounds::MarkDirty(TcpStream* stream) {
  if (stream->is_dirty || stream->is_closing) return;
  stream->is_dirty = true;
  dirty_.push_back(stream);
}

void LinkRounds::Connected(TcpStream* stream) {
  if (const int error = TakeError(stream->fd); error != 0) {
    Fail(stream, ErrnoStatus(error, absl::StrCat("connect to ", ToString(stream->peer()))));
    return;
  }
  std::erase(connecting_, stream);
  stream->is_connecting = false;
  stream->wants_out = false;
  stream->wants_in = true;
  Renew(stream);
  if (stream->first != nullptr || stream->is_shutdown_wanted) MarkDirty(stream);
  stream->handler->OnConnected();
}

void LinkRounds::Accept(Listener* listener) {
  for (int i = 0; i < kMaxAcceptsPerRound && !listener->is_closing; ++i) {
    Endpoint peer;
    absl::StatusOr<Socket> socket = AcceptFrom(listener->fd, &peer);
    if (socket.ok()) {
      listener->handler->OnAccept(*std::move(socket), peer);
      continue;
    }
    if (absl::IsResourceExhausted(socket.status())) {
      // The connection stays in the backlog, and the listener would be ready for ever.
      listener->wants_in = false;
      Renew(listener);
      resting_.push_back(listener);
      rest_until_ns_ = options_.clock->MonotonicNanos() + kRestNanos;
    }
    return;
  }
}

void LinkRounds::SendDirty() {
  for (int pass = 0; !dirty_.empty() && pass < 2; ++pass) {
    sending_.swap(dirty_);
    for (TcpStream* stream : sending_) {
      stream->is_dirty = false;
      // A stream that waits for room sends when it has some.
      if (stream->is_closing || stream->is_connecting || stream->wants_out) continue;
      if (stream->first != nullptr) {
        StartSend(stream);
      } else if (stream->is_shutdown_wanted && !stream->is_shutdown_done && !stream->is_sending) {
        stream->is_shutdown_done = true;
        (void)shutdown(stream->fd, SHUT_WR);
      }
    }
    sending_.clear();
    Finish();
  }
  // What `done` queues is for the next round; the list may grow while it is walked.
  for (size_t i = 0; i < done_.size(); ++i) done_[i]->done(done_[i], true);
  done_.clear();
}

void LinkRounds::ExpireConnects() {
  if (connecting_.empty()) return;
  const int64_t now_ns = options_.clock->MonotonicNanos();
  for (TcpStream* stream : connecting_) {
    if (now_ns >= stream->connect_deadline_ns) {
      Fail(stream,
           absl::DeadlineExceededError(absl::StrCat("connect to ", ToString(stream->peer()))));
    }
  }
}

void LinkRounds::ResumeListeners() {
  if (resting_.empty() || options_.clock->MonotonicNanos() < rest_until_ns_) return;
  for (Listener* listener : std::exchange(resting_, {})) {
    listener->wants_in = true;
    Renew(listener);
  }
}

// Ends what is closing and no longer named by the kernel.
void LinkRounds::BuryClosed() {
  for (size_t i = 0; i < closing_.size();) {
    Pollable* pollable = closing_[i];
    if (pollable->ops_in_flight > 0) {
      ++i;
      continue;
    }
    closing_[i] = closing_.back();
    closing_.pop_back();
    pollables_.back()->index = pollable->index;
    std::swap(pollables_[pollable->index], pollables_.back());
    const std::unique_ptr<Pollable> owned = std::move(pollables_.back());
    pollables_.pop_back();
    if (pollable->kind == Pollable::Kind::kListener) {
      std::erase(resting_, static_cast<Listener*>(pollable));
    }
    if (pollable->kind != Pollable::Kind::kStream) continue;
    TcpStream* stream = static_cast<TcpStream*>(pollable);
    std::erase(connecting_, stream);
    std::erase(dirty_, stream);
    --stream_count_;
    stream->socket.Close();
    while (stream->first != nullptr) {
      SendRequest* request = stream->first;
      stream->first = request->next;
      request->done(request, false);
    }
    stream->handler->OnClosed(stream->close_status);
  }
}

int64_t LinkRounds::SleepNanos(int64_t timeout_ns) const {
  if (!dirty_.empty() || !closing_.empty()) return 0;
  int64_t until_ns = resting_.empty() ? INT64_MAX : rest_until_ns_;
  for (const TcpStream* stream : connecting_) {
    until_ns = std::min(until_ns, stream->connect_deadline_ns);
  }
  if (until_ns == INT64_MAX) return timeout_ns;
  const int64_t left_ns = std::max<int64_t>(0, until_ns - options_.clock->MonotonicNanos());
  return timeout_ns < 0 ? left_ns : std::min(timeout_ns, left_ns);
}

absl::StatusOr<std::unique_ptr<Link>> OpenLink(const LinkOptions& options) {
  return options.engine == LinkEngine::kEpoll ? OpenEpollLink(options) : OpenUringLink(options);
}

}  // namespace strata::nvmeof

// SPDX-License-Identifier: Apache-2.0
//
// The epoll engine: level-triggered readiness, then recvmsg and sendmsg, which never block.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "link/link_rounds.h"
#include "strata/base/check.h"

namespace strata::nvmeof {
namespace {

constexpr int kMaxEvents = 256;

class EpollLink final : public LinkRounds {
 public:
  explicit EpollLink(const LinkOptions& options) : LinkRounds(options) {}
  ~EpollLink() override { CloseEverything(); }

  absl::Status Open() {
    epoll_ = Socket(epoll_create1(EPOLL_CLOEXEC));
    if (epoll_.fd() < 0) return ErrnoStatus(errno, "epoll");
    return OpenWakeup();
  }

 protected:
  void Renew(Pollable* pollable) override;
  void Sleep(int64_t timeout_ns) override;
  void StartSend(TcpStream* stream) override;
  void StartReceive(TcpStream* stream) override;
  void Finish() override {}

 private:
  Socket epoll_;
  std::array<epoll_event, kMaxEvents> events_;
};

void EpollLink::Renew(Pollable* pollable) {
  const bool is_wanted = !pollable->is_closing && !pollable->is_quiet;
  const uint32_t events =
      (pollable->wants_in ? uint32_t{EPOLLIN} : 0) | (pollable->wants_out ? uint32_t{EPOLLOUT} : 0);
  if (is_wanted == pollable->is_registered && (!is_wanted || events == pollable->armed_events)) {
    return;
  }
  const int operation = !is_wanted                ? EPOLL_CTL_DEL
                        : pollable->is_registered ? EPOLL_CTL_MOD
                                                  : EPOLL_CTL_ADD;
  epoll_event event{.events = events, .data = {.ptr = pollable}};
  const int result = epoll_ctl(epoll_.fd(), operation, pollable->fd, &event);
  STRATA_CHECK(result == 0 || errno == ENOMEM || errno == ENOSPC, "epoll refused a descriptor");
  if (result != 0) {
    BeginFail(pollable, ErrnoStatus(errno, "epoll"));
    return;
  }
  pollable->is_registered = is_wanted;
  pollable->armed_events = events;
}

void EpollLink::Sleep(int64_t timeout_ns) {
  int count = 0;
  if (timeout_ns == 0) {
    // Cheaper: the kernel copies neither a time nor a signal mask.
    count = epoll_wait(epoll_.fd(), events_.data(), kMaxEvents, 0);
  } else {
    const timespec timeout = {.tv_sec = timeout_ns / 1'000'000'000,
                              .tv_nsec = timeout_ns % 1'000'000'000};
    count = epoll_pwait2(epoll_.fd(), events_.data(), kMaxEvents,
                         timeout_ns < 0 ? nullptr : &timeout, nullptr);
  }
  STRATA_CHECK(count >= 0 || errno == EINTR, "epoll_wait");
  for (int i = 0; i < count; ++i) {
    const uint32_t events = events_[static_cast<size_t>(i)].events;
    OnReady(static_cast<Pollable*>(events_[static_cast<size_t>(i)].data.ptr),
            (events & EPOLLIN) != 0, (events & EPOLLOUT) != 0,
            (events & (EPOLLERR | EPOLLHUP)) != 0);
  }
}

void EpollLink::StartSend(TcpStream* stream) {
  std::array<iovec, kMaxSendVectors> vectors;
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = stream->Gather(vectors);
  const ssize_t result =
      message.msg_iovlen == 0 ? 0 : sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  OnSent(stream, result < 0 ? -errno : result);
}

void EpollLink::StartReceive(TcpStream* stream) {
  std::array<iovec, kMaxReceiveVectors> places;
  msghdr message{};
  message.msg_iov = places.data();
  message.msg_iovlen = Place(stream, places);
  if (message.msg_iovlen == 0) return;
  const ssize_t result = recvmsg(stream->fd, &message, MSG_DONTWAIT);
  OnReceived(stream, result < 0 ? -errno : result);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Link>> OpenEpollLink(const LinkOptions& options) {
  auto link = std::make_unique<EpollLink>(options);
  const absl::Status status = link->Open();
  if (!status.ok()) return status;
  return link;
}

}  // namespace strata::nvmeof

// SPDX-License-Identifier: Apache-2.0
//
// The io_uring engine, and the only file here that knows liburing. Readiness comes from one-shot
// poll operations; the sends and the receives of a round each go to the kernel in one system call.
// Sends and receives never wait in the kernel (MSG_DONTWAIT), so that only polls outlive a round
// and no memory of an owner is in the kernel's hands between rounds.
#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "link/link_rounds.h"
#include "strata/base/check.h"

namespace strata::nvmeof {
namespace {

constexpr unsigned kEntries = 1024;
constexpr unsigned kCompletions = 32768;
constexpr size_t kMaxTransfers = 128;  // Sends and receives handed over at once.

// The low bits of the user data say what completed.
enum class Tag : uint64_t { kPoll = 0, kTransfer = 1, kCancel = 2 };
constexpr uint64_t kTagMask = 3;

int SetUp(io_uring* ring) {
  io_uring_params params{};
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  params.cq_entries = kCompletions;
  const int result = io_uring_queue_init_params(kEntries, ring, &params);
  if (result != -EINVAL) return result;
  params = {};
  params.flags = IORING_SETUP_CQSIZE;
  params.cq_entries = kCompletions;
  return io_uring_queue_init_params(kEntries, ring, &params);
}

struct Transfer {
  TcpStream* stream = nullptr;
  bool is_send = false;
  msghdr message{};
  std::array<iovec, LinkRounds::kMaxSendVectors> vectors;
};

class UringLink final : public LinkRounds, WatchHandler {
 public:
  explicit UringLink(const LinkOptions& options) : LinkRounds(options), transfers_(kMaxTransfers) {
    for (Transfer& transfer : transfers_) free_.push_back(&transfer);
  }

  ~UringLink() override {
    if (!is_open_) return;
    CloseEverything();
    io_uring_queue_exit(&ring_);
  }

  absl::Status Open() {
    const int result = SetUp(&ring_);
    if (result == -ENOSYS || result == -EPERM || result == -EINVAL) {
      return absl::UnimplementedError("io_uring is not available");
    }
    if (result < 0) return ErrnoStatus(-result, "io_uring of a link");
    is_open_ = true;
    aside_ = Socket(epoll_create1(EPOLL_CLOEXEC));
    if (aside_.fd() < 0) return ErrnoStatus(errno, "epoll");
    const absl::Status status = AddWatch(aside_.fd(), this).status();
    return status.ok() ? OpenWakeup() : status;
  }

 protected:
  void Renew(Pollable* pollable) override;
  void Sleep(int64_t timeout_ns) override;
  void StartSend(TcpStream* stream) override;
  void StartReceive(TcpStream* stream) override;
  void Finish() override;

 private:
  io_uring_sqe* NextEntry();
  void Submit(unsigned wait_count);
  void ArmListed();
  void Arm(Pollable* pollable);
  void SetAside(Pollable* pollable);
  void OnReadable() override;
  size_t Reap();
  void Complete(uint64_t user_data, int result);
  void Begin(Transfer* transfer);

  io_uring ring_{};
  Socket aside_;
  bool is_open_ = false;
  std::vector<Transfer> transfers_;
  std::vector<Transfer*> free_;
  size_t transfers_in_flight_ = 0;
  std::vector<Pollable*> listed_;  // Their polls are to be renewed.
};

io_uring_sqe* UringLink::NextEntry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) {
    Submit(0);
    entry = io_uring_get_sqe(&ring_);
  }
  STRATA_CHECK(entry != nullptr, "the kernel takes no submissions");
  return entry;
}

void UringLink::Submit(unsigned wait_count) {
  int result;
  do {
    result = io_uring_submit_and_wait(&ring_, wait_count);
  } while (result == -EINTR || result == -EAGAIN || result == -EBUSY);
  STRATA_CHECK(result >= 0, "io_uring_enter refused our ring");
}

void UringLink::Renew(Pollable* pollable) {
  if (pollable->is_listed) return;
  pollable->is_listed = true;
  ++pollable->ops_in_flight;  // The list names it.
  listed_.push_back(pollable);
}

// Makes the kernel poll for what the pollable wants now. A poll in flight is cancelled first, and
// its completion comes here again.
void UringLink::Arm(Pollable* pollable) {
  SetAside(pollable);
  const bool wants_out = pollable->wants_out && !pollable->is_aside;
  // Even with no events a poll reports errors, and the peer's end, which is not heard twice.
  const bool hears_errors = pollable->kind == Pollable::Kind::kStream && !pollable->is_hung_up;
  const bool is_wanted = !pollable->is_closing && !pollable->is_quiet &&
                         (pollable->wants_in || wants_out || hears_errors);
  const uint32_t events =
      (pollable->wants_in ? uint32_t{POLLIN} : 0) | (wants_out ? uint32_t{POLLOUT} : 0);
  if (pollable->is_registered) {
    if ((is_wanted && events == pollable->armed_events) || pollable->is_cancelled) return;
    pollable->is_cancelled = true;
    io_uring_sqe* entry = NextEntry();
    io_uring_prep_poll_remove(entry, reinterpret_cast<uint64_t>(pollable));
    io_uring_sqe_set_data64(entry, static_cast<uint64_t>(Tag::kCancel));
    return;
  }
  if (!is_wanted) return;
  io_uring_sqe* entry = NextEntry();
  io_uring_prep_poll_add(entry, pollable->fd, events);
  io_uring_sqe_set_data64(entry, reinterpret_cast<uint64_t>(pollable));
  pollable->is_registered = true;
  pollable->armed_events = events;
  ++pollable->ops_in_flight;
}

// io_uring's polls complete at once when the peer has ended its half, wanted or not. A stream that
// then waits for room to send would spin; an epoll descriptor, which the ring polls, waits for it.
void UringLink::SetAside(Pollable* pollable) {
  const bool is_wanted = pollable->wants_out && pollable->is_hung_up && !pollable->is_closing;
  if (is_wanted == pollable->is_aside) return;
  epoll_event event{.events = EPOLLOUT, .data = {.ptr = pollable}};
  const int result =
      epoll_ctl(aside_.fd(), is_wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, pollable->fd, &event);
  if (result != 0) {
    BeginFail(pollable, ErrnoStatus(errno, "epoll"));
    return;
  }
  pollable->is_aside = is_wanted;
}

void UringLink::OnReadable() {
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(aside_.fd(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    OnReady(static_cast<Pollable*>(events[static_cast<size_t>(i)].data.ptr), false, true, false);
  }
}

void UringLink::ArmListed() {
  for (size_t i = 0; i < listed_.size(); ++i) {  // A failure lists a pollable again.
    Pollable* pollable = listed_[i];
    pollable->is_listed = false;
    --pollable->ops_in_flight;
    Arm(pollable);
  }
  listed_.clear();
}

void UringLink::Sleep(int64_t timeout_ns) {
  ArmListed();
  if (io_uring_cq_ready(&ring_) == 0 && timeout_ns != 0) {
    __kernel_timespec timeout = {.tv_sec = timeout_ns / 1'000'000'000,
                                 .tv_nsec = timeout_ns % 1'000'000'000};
    io_uring_cqe* completion = nullptr;
    const int result = io_uring_submit_and_wait_timeout(
        &ring_, &completion, 1, timeout_ns < 0 ? nullptr : &timeout, nullptr);
    STRATA_CHECK(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN ||
                     result == -EBUSY,
                 "io_uring_enter refused our ring");
  } else {
    Submit(0);
    io_uring_cqe* completion = nullptr;
    (void)io_uring_peek_cqe(&ring_, &completion);  // Lets the kernel finish what is ready.
  }
  Reap();
}

size_t UringLink::Reap() {
  std::array<io_uring_cqe*, 256> completions;
  size_t total = 0;
  // What was ready at the beginning; handlers may cause more.
  for (unsigned left = io_uring_cq_ready(&ring_); left > 0;) {
    const unsigned count = io_uring_peek_batch_cqe(&ring_, completions.data(),
                                                   std::min<unsigned>(left, completions.size()));
    if (count == 0) break;
    for (unsigned i = 0; i < count; ++i) {
      const uint64_t user_data = completions[i]->user_data;
      const int result = completions[i]->res;
      io_uring_cqe_seen(&ring_, completions[i]);
      Complete(user_data, result);
    }
    left -= count;
    total += count;
  }
  return total;
}

void UringLink::Complete(uint64_t user_data, int result) {
  const Tag tag = static_cast<Tag>(user_data & kTagMask);
  if (tag == Tag::kCancel) return;
  if (tag == Tag::kTransfer) {
    Transfer* transfer = reinterpret_cast<Transfer*>(user_data & ~kTagMask);
    TcpStream* stream = transfer->stream;
    const bool is_send = transfer->is_send;
    free_.push_back(transfer);
    --transfers_in_flight_;
    --stream->ops_in_flight;
    (is_send ? stream->is_sending : stream->is_receiving) = false;
    is_send ? OnSent(stream, result) : OnReceived(stream, result);
    return;
  }
  Pollable* pollable = reinterpret_cast<Pollable*>(user_data);
  pollable->is_registered = false;
  pollable->is_cancelled = false;
  Renew(pollable);
  --pollable->ops_in_flight;
  if (result < 0) return;  // It was cancelled.
  const uint32_t events = static_cast<uint32_t>(result);
  if ((events & POLLRDHUP) != 0) pollable->is_hung_up = true;
  OnReady(pollable, (events & POLLIN) != 0, (events & POLLOUT) != 0,
          (events & (POLLERR | POLLHUP)) != 0);
}

void UringLink::Begin(Transfer* transfer) {
  io_uring_sqe* entry = NextEntry();
  if (transfer->is_send) {
    io_uring_prep_sendmsg(entry, transfer->stream->fd, &transfer->message,
                          MSG_NOSIGNAL | MSG_DONTWAIT);
  } else {
    io_uring_prep_recvmsg(entry, transfer->stream->fd, &transfer->message, MSG_DONTWAIT);
  }
  io_uring_sqe_set_data64(
      entry, reinterpret_cast<uint64_t>(transfer) | static_cast<uint64_t>(Tag::kTransfer));
  ++transfer->stream->ops_in_flight;
  ++transfers_in_flight_;
}

void UringLink::StartSend(TcpStream* stream) {
  if (stream->is_sending) return;
  if (free_.empty()) Finish();
  Transfer* transfer = free_.back();
  free_.pop_back();
  transfer->stream = stream;
  transfer->is_send = true;
  transfer->message = {};
  transfer->message.msg_iov = transfer->vectors.data();
  transfer->message.msg_iovlen = stream->Gather(transfer->vectors);
  stream->is_sending = true;
  Begin(transfer);
}

void UringLink::StartReceive(TcpStream* stream) {
  // Without a free transfer the next round reports the stream again.
  if (stream->is_receiving || free_.empty()) return;
  Transfer* transfer = free_.back();
  free_.pop_back();
  const size_t count = Place(stream, std::span(transfer->vectors).first(kMaxReceiveVectors));
  if (count == 0) {
    free_.push_back(transfer);
    return;
  }
  transfer->stream = stream;
  transfer->is_send = false;
  transfer->message = {};
  transfer->message.msg_iov = transfer->vectors.data();
  transfer->message.msg_iovlen = count;
  stream->is_receiving = true;
  Begin(transfer);
}

void UringLink::Finish() {
  while (transfers_in_flight_ > 0) {
    Submit(1);
    Reap();
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Link>> OpenUringLink(const LinkOptions& options) {
  auto link = std::make_unique<UringLink>(options);
  const absl::Status status = link->Open();
  if (!status.ok()) return status;
  return link;
}

}  // namespace strata::nvmeof

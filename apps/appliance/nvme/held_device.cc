// SPDX-License-Identifier: Apache-2.0
//
// A request waits in its channel's list, and is then submitted to the new device as it is.
#include "appliance/nvme/held_device.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "strata/base/check.h"
#include "strata/base/errno_status.h"
#include "strata/base/file_descriptor.h"
#include "strata/base/fork.h"
#include "strata/base/mutex.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

using block::Channel;
using block::Device;
using block::Geometry;
using block::Request;
using Successor = absl::StatusOr<std::shared_ptr<Device>>;

// Requests in order, linked through their driver state.
class WaitingList {
 public:
  bool empty() const { return first_ == nullptr; }
  uint32_t size() const { return size_; }

  void Push(Request* request) {
    request->driver.next = nullptr;
    (first_ == nullptr ? first_ : last_->driver.next) = request;
    last_ = request;
    ++size_;
  }

  Request* Pop() {
    Request* const request = first_;
    first_ = request->driver.next;
    --size_;
    return request;
  }

 private:
  Request* first_ = nullptr;
  Request* last_ = nullptr;
  uint32_t size_ = 0;
};

// What the device and its channels share.
class Holding {
 public:
  void Continue(Successor successor) {
    MutexLock lock(&mutex_);
    STRATA_CHECK(!successor_.has_value(), "a held device continues twice");
    successor_ = std::move(successor);
    for (const int fd : wakeups_) eventfd_write(fd, 1);
  }

  std::optional<Successor> successor() const {
    MutexLock lock(&mutex_);
    return successor_;
  }

  // `fd` is written to when there is a successor, at once where there is one.
  void Announce(int fd) {
    MutexLock lock(&mutex_);
    wakeups_.push_back(fd);
    if (successor_.has_value()) eventfd_write(fd, 1);
  }
  void Forget(int fd) {
    MutexLock lock(&mutex_);
    std::erase(wakeups_, fd);
  }

 private:
  mutable Mutex mutex_;
  std::optional<Successor> successor_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> wakeups_ ABSL_GUARDED_BY(mutex_);
};

class HeldChannel final : public Channel {
 public:
  HeldChannel(std::shared_ptr<Holding> holding, const Geometry& geometry, uint32_t queue_depth)
      : holding_(std::move(holding)), geometry_(geometry), queue_depth_(queue_depth) {}

  ~HeldChannel() override {
    STRATA_CHECK(in_flight() == 0, "channel destroyed with I/O in flight");
    if (wakeup_.is_open()) holding_->Forget(wakeup_.get());
  }

  int Poll(int max_completions) override {
    if (opener_.InForkedChild()) return 0;
    if (!successor_.has_value()) TakeSuccessor();
    if (!successor_.has_value()) return 0;
    if (std::exchange(wakeup_is_set_, false)) {
      eventfd_t count;
      eventfd_read(wakeup_.get(), &count);
    }
    int completions = 0;
    while (!waiting_.empty() && completions < max_completions) {
      Request* const request = waiting_.Pop();
      const absl::Status status =
          channel_ == nullptr ? successor_->status() : channel_->Submit(request);
      if (status.ok()) continue;
      request->status = status;
      ++completions;
      request->done(request);
    }
    if (channel_ != nullptr) completions += channel_->Poll(max_completions);
    return completions;
  }

  absl::StatusOr<int> EventFd() override {
    STRATA_RETURN_IF_ERROR(opener_.Check());
    if (any_.is_open()) return any_.get();
    if (!successor_.has_value()) TakeSuccessor();
    FileDescriptor wakeup(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    FileDescriptor any(epoll_create1(EPOLL_CLOEXEC));
    if (!wakeup.is_open() || !any.is_open()) return ErrnoStatus(errno, "eventfd or epoll");
    wakeup_ = std::move(wakeup);
    any_ = std::move(any);
    STRATA_RETURN_IF_ERROR(Watch(wakeup_.get()));
    if (!successor_.has_value()) holding_->Announce(wakeup_.get());
    if (channel_ != nullptr) STRATA_RETURN_IF_ERROR(WatchChannel());
    return any_.get();
  }

  absl::Status RegisterMemory(std::span<std::byte>) override {
    return absl::UnimplementedError("a held device maps no memory");
  }

  uint32_t in_flight() const override {
    if (opener_.InForkedChild()) return 0;
    return waiting_.size() + (channel_ == nullptr ? 0 : channel_->in_flight());
  }
  const Geometry& geometry() const override { return geometry_; }

 protected:
  absl::Status DoSubmit(Request* request) override {
    STRATA_RETURN_IF_ERROR(opener_.Check());
    if (!successor_.has_value()) TakeSuccessor();
    if (in_flight() >= queue_depth_) return absl::ResourceExhaustedError("queue full");
    if (channel_ != nullptr && waiting_.empty()) return channel_->Submit(request);
    waiting_.Push(request);
    if (successor_.has_value()) WakeUp();
    return absl::OkStatus();
  }

 private:
  void TakeSuccessor() {
    successor_ = holding_->successor();
    if (!successor_.has_value()) return;
    if (successor_->ok()) {
      absl::StatusOr<std::unique_ptr<Channel>> channel =
          (**successor_)->OpenChannel({.queue_depth = queue_depth_});
      if (channel.ok()) {
        channel_ = *std::move(channel);
      } else {
        successor_ = channel.status();
      }
    }
    if (!any_.is_open()) return;
    // Where it cannot be watched, those who sleep look again and again: the wake-up stays set.
    wakeup_is_set_ = channel_ == nullptr || WatchChannel().ok();
  }

  void WakeUp() {
    if (!wakeup_.is_open()) return;
    eventfd_write(wakeup_.get(), 1);
    wakeup_is_set_ = true;
  }

  absl::Status WatchChannel() {
    STRATA_ASSIGN_OR_RETURN(const int fd, channel_->EventFd());
    return Watch(fd);
  }

  absl::Status Watch(int fd) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    if (epoll_ctl(any_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return ErrnoStatus(errno, "epoll_ctl");
    }
    return absl::OkStatus();
  }

  const ProcessMark opener_;
  const std::shared_ptr<Holding> holding_;
  const Geometry geometry_;
  const uint32_t queue_depth_;
  WaitingList waiting_;
  std::optional<Successor> successor_;
  std::unique_ptr<Channel> channel_;
  FileDescriptor wakeup_;
  bool wakeup_is_set_ = false;  // With a successor: Poll() is to clear it.
  FileDescriptor any_;          // Readable when the wake-up or the new channel is.
};

class Held final : public HeldDevice {
 public:
  Held(const Geometry& geometry, std::string name) : geometry_(geometry), name_(std::move(name)) {}

  const Geometry& geometry() const override { return geometry_; }
  std::string name() const override { return name_; }
  absl::StatusOr<std::unique_ptr<Channel>> OpenChannel(
      const block::ChannelOptions& options) override {
    if (options.queue_depth == 0) return absl::InvalidArgumentError("a queue depth of 0");
    return std::make_unique<HeldChannel>(holding_, geometry_, options.queue_depth);
  }
  void Continue(Successor device) override { holding_->Continue(std::move(device)); }

 private:
  const Geometry geometry_;
  const std::string name_;
  const std::shared_ptr<Holding> holding_ = std::make_shared<Holding>();
};

}  // namespace

std::shared_ptr<HeldDevice> HeldDevice::Create(const Geometry& geometry, std::string name) {
  return std::make_shared<Held>(geometry, std::move(name));
}

}  // namespace strata::appliance

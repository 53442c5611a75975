// SPDX-License-Identifier: Apache-2.0
#include "device/lane_model.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <utility>

#include "device/queue_model.h"
#include "device/subsystem_model.h"
#include "strata/base/check.h"

namespace strata::nvme {
namespace {

constexpr int64_t kReopenNs = 1'000'000'000;
// What io_uring takes; a command beyond it waits in the lane.
constexpr uint32_t kMostChannelDepth = 32768;

void SignalEvent(int fd) {
  const uint64_t one = 1;
  ssize_t written;
  do {
    written = write(fd, &one, sizeof(one));
  } while (written < 0 && errno == EINTR);
}

void ClearEvent(int fd) {
  uint64_t count;
  ssize_t got;
  do {
    got = read(fd, &count, sizeof(count));
  } while (got < 0 && errno == EINTR);
}

void CloseIfOpen(int fd) {
  if (fd >= 0) close(fd);
}

}  // namespace

LaneModel::LaneModel(SubsystemModel& subsystem, const LaneOptions& options)
    : subsystem_(subsystem),
      options_{.channel_depth = std::min(options.channel_depth, kMostChannelDepth)},
      clock_(subsystem.clock()),
      channels_(subsystem.options().max_namespaces) {
  Adopt(subsystem_.table());
}

LaneModel::~LaneModel() {
  STRATA_CHECK(queues_.empty(), "a lane is destroyed under its queues");
  STRATA_CHECK(in_flight_ == 0, "a lane is destroyed with commands in flight");
  subsystem_.RemoveLane(this);
  CloseIfOpen(epoll_);
  CloseIfOpen(timer_);
  CloseIfOpen(ready_event_);
  CloseIfOpen(wake_event_.load());
}

void LaneModel::Refresh() {
  if (subsystem_.generation() == table_->generation) return;
  // The subsystem signals before it counts, so that what was signalled is cleared here: again where
  // a change came between, which would leave the signal of a table that is taken already.
  std::shared_ptr<const NamespaceTable> table;
  uint64_t seen;
  do {
    seen = subsystem_.generation();
    if (const int wake_event = wake_event_.load(); wake_event >= 0) ClearEvent(wake_event);
    table = subsystem_.table();
  } while (table->generation != seen);
  Adopt(std::move(table));
  for (QueueModel* queue : queues_) {
    if (queue->id() == 0) queue->DeliverEvents();
  }
}

void LaneModel::Adopt(std::shared_ptr<const NamespaceTable> table) {
  table_ = std::move(table);
  std::vector<std::unique_ptr<NamespaceChannel>> replaced;
  std::vector<NamespaceChannel*> changed;
  for (size_t i = 0; i < channels_.size(); ++i) {
    const std::shared_ptr<const NamespaceEntry>& entry = table_->entries[i];
    std::unique_ptr<NamespaceChannel>& channel = channels_[i];
    if (channel != nullptr && (entry == nullptr || entry->device != channel->entry->device ||
                               !entry->IsSameNamespace(*channel->entry))) {
      replaced.push_back(std::move(channel));
    }
    if (entry == nullptr) continue;
    if (channel == nullptr) {
      if (!opens_channels_) continue;
      channel = std::make_unique<NamespaceChannel>(entry);
    }
    const bool rights_changed =
        channel->entry->hosts != entry->hosts || channel->entry->read_only != entry->read_only;
    channel->entry = entry;
    channel->retry_at_ns = 0;
    if (channel->channel == nullptr) Open(channel.get());
    if (rights_changed) changed.push_back(channel.get());
  }
  for (std::unique_ptr<NamespaceChannel>& channel : replaced) Retire(std::move(channel));
  // What waits was examined under other rights.
  for (NamespaceChannel* channel : changed) {
    CommandList waiting = std::exchange(channel->waiting, {});
    while (!waiting.empty()) {
      Command* command = waiting.Pop();
      command->driver.queue->Restart(command);
    }
  }
  if (retired_.empty()) {
    settled_generation_.store(table_->generation, std::memory_order_release);
  }
}

// Where it fails, the channel's commands end with kNamespaceNotReady. The host tries them again,
// and so does the lane with the next table and, after a while, with the next command.
void LaneModel::Open(NamespaceChannel* channel) {
  channel->open_again_ns = clock_.MonotonicNanos() + kReopenNs;
  auto opened = channel->entry->device->OpenChannel({.queue_depth = options_.channel_depth});
  if (!opened.ok()) return;
  channel->channel = *std::move(opened);
  if (epoll_ >= 0) {
    const absl::StatusOr<int> fd = channel->channel->EventFd();
    if (!fd.ok() || !Watch(*fd, channel)) channel->channel.reset();
  }
}

// The commands that wait follow their namespace to another device. They do not follow its NSID to
// another namespace: a write would change what its host never named.
void LaneModel::Retire(std::unique_ptr<NamespaceChannel> channel) {
  CommandList waiting = std::exchange(channel->waiting, {});
  const NamespaceEntry* now = table_->Find(channel->entry->nsid);
  const bool is_other = now != nullptr && !now->IsSameNamespace(*channel->entry);
  retired_.push_back(std::move(channel));
  while (!waiting.empty()) {
    Command* command = waiting.Pop();
    if (is_other && command->entry.namespace_id() != kAllNamespaces) {
      EndLater(command, Status(StatusCode::kInvalidNamespace).DoNotRetry());
      continue;
    }
    command->driver.queue->Restart(command);
  }
}

// A channel may be polling right now, in a frame further up: it is destroyed by Poll() itself.
void LaneModel::DropRetired() {
  if (retired_.empty()) return;
  std::erase_if(retired_, [](const std::unique_ptr<NamespaceChannel>& channel) {
    return channel->busy_count == 0 && !channel->is_active;
  });
  if (retired_.empty()) {
    settled_generation_.store(table_->generation, std::memory_order_release);
  }
}

void LaneModel::Activate(NamespaceChannel* channel) {
  if (channel->is_active) return;
  channel->is_active = true;
  active_.push_back(channel);
}

bool LaneModel::TryBegin(Command* command, NamespaceChannel* channel) {
  if (!HasRoom(*channel)) return false;
  const QosLimits& qos = channel->entry->qos;
  if (QosGate::Limits(qos)) {
    const int64_t now_ns = clock_.MonotonicNanos();
    channel->retry_at_ns = channel->entry->gate->TryPass(qos, command->driver.bytes, now_ns);
    if (channel->retry_at_ns > now_ns) return false;
  }
  ++channel->busy_count;
  channel->holds_back = true;
  command->driver.begin_ns = RoundNanos();
  ContinueIo(*this, command);
  return true;
}

void LaneModel::Dispatch(Command* command, NamespaceChannel* channel) {
  command->driver.channel = channel;
  if (channel->channel == nullptr && clock_.MonotonicNanos() >= channel->open_again_ns) {
    Open(channel);
  }
  if (channel->channel == nullptr) {
    const Status not_ready = StatusCode::kNamespaceNotReady;
    channel->counters.NoteUnserved(KindOf(command->entry), not_ready);
    EndLater(command, not_ready);
    return;
  }
  if (!channel->waiting.empty() || !TryBegin(command, channel)) channel->waiting.Push(command);
  Activate(channel);
}

void LaneModel::PumpWaiting(NamespaceChannel* channel) {
  while (!channel->waiting.empty()) {
    Command* command = channel->waiting.front();
    if (!HasRoom(*channel)) return;
    channel->waiting.Pop();
    if (TryBegin(command, channel)) continue;
    // Back to the front: nothing overtakes within a namespace.
    channel->waiting.PushFront(command);
    return;
  }
}

void LaneModel::TimeRound() {
  round_is_timed_ = true;
  round_ns_ = clock_.MonotonicNanos();
}

void LaneModel::EndLater(Command* command, Status status) {
  command->status = status;
  ready_.Push(command);
  if (ready_event_ >= 0 && !ready_is_signalled_) {
    ready_is_signalled_ = true;
    SignalEvent(ready_event_);
  }
}

void LaneModel::End(Command* command) {
  ++completions_;
  --in_flight_;
  command->driver.queue->NoteEnd(command);
  command->done(command);
}

void LaneModel::RunReady(int max_completions) {
  while (completions_ < max_completions && !ready_.empty()) End(ready_.Pop());
  if (ready_.empty() && ready_is_signalled_) {
    ready_is_signalled_ = false;
    ClearEvent(ready_event_);
  }
}

void LaneModel::PollActive(int max_completions) {
  const NamespaceChannel* first_missed = nullptr;
  for (size_t i = 0; i < active_.size();) {
    NamespaceChannel* channel = active_[i];
    const int left = max_completions - completions_;
    if (left <= 0 && first_missed == nullptr) first_missed = channel;
    channel->holds_back = channel->holds_back && left <= 0;
    round_is_timed_ = false;  // The device works while it is polled.
    const int ran = left > 0 ? channel->channel->Poll(left) : 1;
    PumpWaiting(channel);
    // A channel whose descriptor is watched is polled until it has nothing: that clears it.
    if (channel->busy_count > 0 || !channel->waiting.empty() || (epoll_ >= 0 && ran > 0)) {
      ++i;
      continue;
    }
    channel->is_active = false;
    active_[i] = active_.back();
    active_.pop_back();
  }
  // Channels for which nothing was left have the first turn next time.
  std::rotate(active_.begin(), std::find(active_.begin(), active_.end(), first_missed),
              active_.end());
}

bool LaneModel::HoldsBack() const {
  return std::any_of(active_.begin(), active_.end(),
                     [](const NamespaceChannel* channel) { return channel->holds_back; });
}

// The kernel may signal a channel after its last completion was taken. Whatever is still readable
// is polled once more, so that a sleeper is not woken for it for ever.
void LaneModel::PollReadable() {
  std::array<epoll_event, 16> events;
  const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    auto* channel = static_cast<NamespaceChannel*>(events[i].data.ptr);
    if (channel != nullptr && !channel->is_active) channel->channel->Poll(1);
  }
}

int LaneModel::Poll(int max_completions) {
  completions_ = 0;
  Refresh();
  // Half for what needs no device, so that one host's refused commands starve no device. Of a
  // single completion each has every other one.
  is_odd_poll_ = !is_odd_poll_;
  RunReady((max_completions + (is_odd_poll_ ? 1 : 0)) / 2);
  PollActive(max_completions);
  // A channel starts what it holds back when it is polled, and signals nothing before. The caller
  // may sleep when nothing has completed, so that no channel may be left holding a request.
  while (completions_ == 0 && max_completions > 0 && HoldsBack()) PollActive(max_completions);
  RunReady(max_completions);
  DropRetired();
  if (epoll_ >= 0) {
    if (completions_ == 0 && max_completions > 0) PollReadable();
    SetTimer();
  }
  round_is_timed_ = false;
  return completions_;
}

void LaneModel::SetTimer() {
  constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  int64_t next_ns = kNever;
  for (const NamespaceChannel* channel : active_) {
    if (!channel->waiting.empty() && channel->retry_at_ns != 0) {
      next_ns = std::min(next_ns, channel->retry_at_ns);
    }
  }
  if (next_ns == kNever && !timer_is_set_) return;
  timer_is_set_ = next_ns != kNever;
  // Zero stops the timer; a moment that has passed is the next nanosecond.
  const int64_t wait_ns =
      timer_is_set_ ? std::max<int64_t>(next_ns - clock_.MonotonicNanos(), 1) : 0;
  const itimerspec when{
      .it_interval = {},
      .it_value = {.tv_sec = wait_ns / 1'000'000'000, .tv_nsec = wait_ns % 1'000'000'000}};
  STRATA_CHECK(timerfd_settime(timer_, 0, &when, nullptr) == 0, "timerfd_settime of a valid time");
}

bool LaneModel::Watch(int fd, NamespaceChannel* channel) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = channel;
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
}

absl::StatusOr<int> LaneModel::EventFd() {
  if (epoll_ >= 0) return epoll_;
  const absl::Status none_left = absl::UnavailableError("lane: no file descriptor left");
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  ready_event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  const int wake_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  bool is_complete = timer_ >= 0 && ready_event_ >= 0 && wake_event >= 0 && epoll_ >= 0 &&
                     Watch(timer_, nullptr) && Watch(ready_event_, nullptr) &&
                     Watch(wake_event, nullptr);
  for (const std::unique_ptr<NamespaceChannel>& channel : channels_) {
    if (!is_complete) break;
    if (channel == nullptr || channel->channel == nullptr) continue;
    const absl::StatusOr<int> fd = channel->channel->EventFd();
    is_complete = fd.ok() && Watch(*fd, channel.get());
  }
  for (const std::unique_ptr<NamespaceChannel>& channel : retired_) {
    if (!is_complete) break;
    if (channel->channel == nullptr) continue;
    const absl::StatusOr<int> fd = channel->channel->EventFd();
    is_complete = fd.ok() && Watch(*fd, channel.get());
  }
  if (!is_complete) {
    CloseIfOpen(std::exchange(epoll_, -1));
    CloseIfOpen(std::exchange(timer_, -1));
    CloseIfOpen(std::exchange(ready_event_, -1));
    CloseIfOpen(wake_event);
    return none_left;
  }
  // A change from now on signals. table() waits for one that is under way and saw no descriptor.
  wake_event_.store(wake_event);
  if (subsystem_.table() != table_) SignalEvent(wake_event);
  if (!ready_.empty()) {
    ready_is_signalled_ = true;
    SignalEvent(ready_event_);
  }
  SetTimer();
  return epoll_;
}

void LaneModel::Wake() const {
  if (const int wake_event = wake_event_.load(); wake_event >= 0) SignalEvent(wake_event);
}

void LaneModel::EndWaiting(QueueModel* queue, Status status) {
  for (NamespaceChannel* channel : active_) {
    channel->waiting.TakeOut([queue](Command* c) { return c->driver.queue == queue; },
                             [this, status](Command* c) { EndLater(c, status); });
  }
}

bool LaneModel::AbortWaiting(const QueueModel* queue, uint16_t command_id) {
  bool found = false;
  for (NamespaceChannel* channel : active_) {
    channel->waiting.TakeOut(
        [&](Command* c) {
          return !found && c->driver.queue == queue && c->entry.command_id() == command_id;
        },
        [&](Command* c) {
          found = true;
          EndLater(c, StatusCode::kAbortRequested);
        });
  }
  return found;
}

void LaneModel::AddQueue(QueueModel* queue) {
  queues_.push_back(queue);
  if (queue->id() == 0 || opens_channels_) return;
  opens_channels_ = true;
  Adopt(table_);
}
void LaneModel::RemoveQueue(QueueModel* queue) { std::erase(queues_, queue); }

QueueModel* LaneModel::FindQueue(uint16_t controller_id, uint16_t queue_id) const {
  for (QueueModel* queue : queues_) {
    if (queue->controller_id() == controller_id && queue->id() == queue_id) return queue;
  }
  return nullptr;
}

}  // namespace strata::nvme

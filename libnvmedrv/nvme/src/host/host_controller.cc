// SPDX-License-Identifier: Apache-2.0
#include "host/host_controller.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "host/namespace_geometry.h"
#include "strata/base/check.h"
#include "strata/base/range_check.h"
#include "strata/base/status_macros.h"
#include "strata/block/buffer.h"
#include "strata/nvme/wire/log_pages.h"

namespace strata::nvme {
namespace {

constexpr int64_t kMillisecondNs = 1'000'000;
constexpr int64_t kShutdownNs = 3'000 * kMillisecondNs;
constexpr int64_t kDisableNs = 1'000 * kMillisecondNs;
constexpr int64_t kEventRetryNs = 10'000 * kMillisecondNs;
constexpr uint32_t kMostBackOff = 8;
constexpr uint32_t kMostOddEvents = 10;
constexpr size_t kMostAborts = 1024;
constexpr uint32_t kCommandEntryBytes = 64;
constexpr uint64_t kMostCapsuleDataBytes = 1u << 20;
// Of the driver itself: events, aborts, Keep Alive, and one of bring-up, review or reset.
constexpr uint32_t kOwnCommands = 6;

absl::string_view ToAbslView(std::string_view text) { return {text.data(), text.size()}; }

void SleepMilliseconds(int ms) { poll(nullptr, 0, ms); }

absl::Status CheckOptions(const ControllerOptions& options) {
  constexpr uint64_t kDayMs = 86'400'000;
  STRATA_RETURN_IF_ERROR(CheckRange("admin_queue_entries", options.admin_queue_entries, 8, 4096));
  STRATA_RETURN_IF_ERROR(CheckRange("max_io_queues", options.max_io_queues, 1, 0xfffe));
  STRATA_RETURN_IF_ERROR(CheckRange("io_queue_entries", options.io_queue_entries, 2, 65536));
  STRATA_RETURN_IF_ERROR(CheckRange("command_timeout_ms", options.command_timeout_ms, 1, kDayMs));
  STRATA_RETURN_IF_ERROR(CheckRange("admin_timeout_ms", options.admin_timeout_ms, 1, kDayMs));
  STRATA_RETURN_IF_ERROR(CheckRange("keep_alive_ms", options.keep_alive_ms, 0, 3'600'000));
  STRATA_RETURN_IF_ERROR(CheckRange("reconnect_ms", options.reconnect_ms, 1, 60'000));
  STRATA_RETURN_IF_ERROR(CheckRange("open_timeout_ms", options.open_timeout_ms, 0, kDayMs));
  STRATA_RETURN_IF_ERROR(CheckRange("loss_timeout_ms", options.loss_timeout_ms, 0, kDayMs));
  return CheckRange("thread_poll_ms", options.thread_poll_ms, 1, 60'000);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Controller>> Controller::Open(std::unique_ptr<Transport> transport,
                                                             const ControllerOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckOptions(options));
  if (transport == nullptr) return absl::InvalidArgumentError("a controller without a transport");
  auto controller = std::make_unique<HostController>(std::move(transport), options);
  STRATA_RETURN_IF_ERROR(controller->Start());
  return controller;
}

HostController::HostController(std::unique_ptr<Transport> transport,
                               const ControllerOptions& options)
    : transport_(std::move(transport)),
      options_(options),
      clock_(options.clock != nullptr ? *options.clock : SystemClock()),
      bring_up_(*transport_, options_, clock_) {}

HostController::~HostController() {
  if (opener().InForkedChild()) {
    // The thread is the parent's, and so are the lock that it may hold and the queue.
    fork_internal::Keep(thread_.release());
    fork_internal::Keep(admin_.release());
    return;
  }
  if (thread_ != nullptr) {
    const uint64_t one = 1;
    STRATA_CHECK(write(stop_event_, &one, sizeof(one)) == sizeof(one), "stopping a thread");
    thread_->join();
  }
  if (stop_event_ >= 0) close(stop_event_);
  MutexLock lock(&mutex_);
  STRATA_CHECK(used_queue_ids_.empty(), "a controller is destroyed under its channels");
  if (admin_ == nullptr) return;
  if (is_ready() && admin_->health().ok()) ShutDown();
  DropAdmin(absl::UnavailableError("the controller is closed"));
}

void HostController::ShutDown() {
  const int64_t deadline_ns = clock_.MonotonicNanos() + kShutdownNs;
  const auto now = AskProperty(Property::kConfiguration, std::nullopt, deadline_ns);
  if (!now.ok()) return;
  const uint64_t configuration = *now | cc::kShutdown.At(1);
  if (!AskProperty(Property::kConfiguration, configuration, deadline_ns).ok()) return;
  for (;;) {
    const auto status = AskProperty(Property::kStatus, std::nullopt, deadline_ns);
    if (!status.ok() || csts::kShutdown.Of(*status) == 2) return;
    if (clock_.MonotonicNanos() >= deadline_ns) return;
    SleepMilliseconds(1);
  }
}

absl::StatusOr<uint64_t> HostController::AskProperty(Property property,
                                                     std::optional<uint64_t> value,
                                                     int64_t deadline_ns) {
  if (transport_->has_registers()) {
    if (!value.has_value()) return transport_->ReadProperty(property);
    STRATA_RETURN_IF_ERROR(transport_->WriteProperty(property, *value));
    return *value;
  }
  if (admin_->in_flight() == admin_->capacity()) {
    return absl::ResourceExhaustedError("the admin queue is full");
  }
  AdminWait wait;
  wait.Prepare(PropertyEntry(property, value));
  STRATA_RETURN_IF_ERROR(admin_->Submit(&wait.command));
  for (int idle_rounds = 0; !wait.is_done;) {
    if (admin_->Poll(16) > 0) continue;
    if (clock_.MonotonicNanos() >= deadline_ns) {
      admin_->Break(absl::UnavailableError("a property was not answered in time"));
    } else if (++idle_rounds > 100) {
      SleepMilliseconds(1);
    }
  }
  STRATA_RETURN_IF_ERROR(wait.command.status.ToAbsl("a property", true));
  return wait.command.result;
}

absl::Status HostController::TryToOpen() {
  absl::Status status;
  for (int idle_rounds = 0;; ++idle_rounds) {
    MutexLock lock(&mutex_);
    if (idle_rounds == 0) status = BeginBringUp();
    if (!status.ok()) return status;
    const absl::StatusOr<bool> is_finished = bring_up_.Advance();
    if (!is_finished.ok()) return is_finished.status();
    if (*is_finished) return AdoptFacts();
    if (idle_rounds > 100) SleepMilliseconds(1);
  }
}

absl::Status HostController::Start() {
  const int64_t deadline_ns =
      clock_.MonotonicNanos() + static_cast<int64_t>(options_.open_timeout_ms) * kMillisecondNs;
  for (bool is_last = false;;) {
    const absl::Status status = TryToOpen();
    if (status.ok()) break;
    int64_t next_ns = 0;
    {
      MutexLock lock(&mutex_);
      FailBringUp(status);
      next_ns = next_try_ns_;
    }
    // Other errors are the controller's answer, and stay what they are.
    if (is_last || !absl::IsUnavailable(status) || clock_.MonotonicNanos() >= deadline_ns) {
      return absl::Status(status.code(), absl::StrCat(name(), ": ", status.message()));
    }
    is_last = next_ns >= deadline_ns;
    Log(options_.log, LogLevel::kWarning,
        absl::StrCat(name(), ": tried again: ", status.message()));
    while (clock_.MonotonicNanos() < std::min(next_ns, deadline_ns)) SleepMilliseconds(1);
  }
  if (!options_.has_thread) return absl::OkStatus();
  stop_event_ = eventfd(0, EFD_CLOEXEC);
  if (stop_event_ < 0) return absl::UnavailableError("no file descriptor left for a thread");
  thread_ = std::make_unique<std::thread>([this] {
    pollfd waiter{.fd = stop_event_, .events = POLLIN, .revents = 0};
    // Each step of a bring-up is an answer to be taken.
    const auto pause_ms = [this] { return is_busy_.load() ? 1u : options_.thread_poll_ms; };
    while (poll(&waiter, 1, static_cast<int>(pause_ms())) <= 0) Poll();
  });
  return absl::OkStatus();
}

absl::Status HostController::BeginBringUp() {
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<HostQueue> queue,
                          transport_->OpenAdminQueue({.entries = options_.admin_queue_entries,
                                                      .keep_alive_ms = options_.keep_alive_ms}));
  admin_ = std::make_unique<QueuePair>(
      std::move(queue), 0, options_.admin_queue_entries,
      static_cast<int64_t>(options_.admin_timeout_ms) * kMillisecondNs, clock_);
  state_ = State::kBringingUp;
  bring_up_.Start(admin_.get(), Opened(), old_ids_);
  return absl::OkStatus();
}

// Takes over what a bring-up found, and makes the controller ready.
absl::Status HostController::AdoptFacts() {
  using C = IdentifyController;
  const IdentifyController& identify = bring_up_.facts().identify;
  const auto text = [](std::string_view value) { return absl::CHexEscape(ToAbslView(value)); };
  SubsystemIdentity identity{.nqn = text(identify.GetText(C::kSubsystemNqn)),
                             .serial_number = text(identify.GetText(C::kSerialNumber))};
  if (!identity_.has_value()) {
    identity_ = std::move(identity);
  } else if (const std::string difference = DifferenceOf(identity, *identity_);
             !difference.empty()) {
    return absl::UnavailableError(absl::StrCat("another subsystem answers: ", difference));
  }
  facts_ = bring_up_.facts();
  may_replay_writes_.store(facts_.old_controllers_are_gone, std::memory_order_release);
  if (facts_.old_controllers_are_gone) {
    old_ids_.clear();
  } else {
    Log(options_.log, LogLevel::kWarning,
        absl::StrCat(name(),
                     ": a lost controller may still be at work: writes that it was sent "
                     "fail"));
  }
  max_queue_entries_ = facts_.max_queue_entries;
  const uint64_t capsule_bytes = uint64_t{identify.Get(C::kCommandCapsuleUnits)} * 16;
  // Data that begins elsewhere than right after the entry is not worth a case of its own.
  capsule_data_bytes_ = capsule_bytes > kCommandEntryBytes && identify.Get(C::kInCapsuleOffset) == 0
                            ? static_cast<uint32_t>(std::min<uint64_t>(
                                  capsule_bytes - kCommandEntryBytes, kMostCapsuleDataBytes))
                            : 0;
  namespace_generation_.fetch_add(1);
  keep_alive_.is_done = true;
  keep_alive_sent_ns_ = clock_.MonotonicNanos();
  odd_events_ = 0;
  review_wanted_ = false;
  state_ = State::kReady;
  health_ = absl::OkStatus();
  failed_tries_ = 0;
  has_failed_.store(false, std::memory_order_release);
  if (!options_.admin_only) AskForEvents();
  is_ready_.store(true, std::memory_order_release);
  TellChannels();
  return absl::OkStatus();
}

std::vector<std::shared_ptr<OpenedNamespace>> HostController::Opened() {
  std::vector<std::shared_ptr<OpenedNamespace>> opened;
  std::erase_if(opened_, [](const auto& candidate) { return candidate.expired(); });
  for (const auto& candidate : opened_) {
    if (auto space = candidate.lock()) opened.push_back(std::move(space));
  }
  return opened;
}

void HostController::AskForEvents() {
  const size_t allowed =
      facts_.identify.Get(IdentifyController::kAsyncEventLimit0based) + size_t{1};
  for (size_t i = 0; i < events_.size(); ++i) {
    events_[i] = AdminWait{};
    if (i < allowed) SubmitEvent(&events_[i]);
  }
  next_event_try_ns_ = 0;
}

void HostController::SubmitEvent(AdminWait* event) {
  event->Prepare(AdminEntry(AdminOpcode::kAsyncEventRequest, 0, 0));
  event->command.has_deadline = false;
  // The next Poll() sees a broken queue.
  if (!admin_->Submit(&event->command).ok()) *event = AdminWait{};
}

void HostController::HandleEvents(int64_t now_ns) {
  bool is_any_open = false;
  for (AdminWait& event : events_) {
    if (event.is_done && event.command.context != nullptr) HandleEvent(&event, now_ns);
    is_any_open = is_any_open || !event.is_done;
  }
  if (!is_any_open && now_ns >= next_event_try_ns_) SubmitEvent(&events_[0]);
}

void HostController::HandleEvent(AdminWait* event, int64_t now_ns) {
  const uint32_t result = static_cast<uint32_t>(event->command.result);
  const bool is_ok = event->command.status.ok();
  *event = AdminWait{};
  if (!is_ok) {
    // The controller takes fewer of them than it said. One that takes none is asked now and then.
    next_event_try_ns_ = now_ns + kEventRetryNs;
    return;
  }
  SubmitEvent(event);
  if ((result & 7) == kEventNotice && (result >> 8 & 0xff) == kNoticeNamespaces) {
    review_wanted_ = true;
    return;
  }
  if (++odd_events_ > kMostOddEvents) return;
  Log(options_.log, LogLevel::kWarning,
      absl::StrFormat("%s: event %#08x, which is not understood%s", name(), result,
                      odd_events_ == kMostOddEvents ? "; no more of them are logged" : ""));
}

void HostController::AdvanceReview() {
  if (review_wanted_ && !bring_up_.is_running()) {
    review_wanted_ = false;
    bring_up_.StartReview(admin_.get(), Opened());
  }
  if (!bring_up_.is_running()) return;
  const absl::StatusOr<bool> is_finished = bring_up_.Advance();
  if (!is_finished.ok()) {
    Log(options_.log, LogLevel::kWarning,
        absl::StrCat(name(), ": ", is_finished.status().message()));
  } else if (*is_finished) {
    facts_.namespaces = bring_up_.facts().namespaces;
    namespace_generation_.fetch_add(1);
  }
}

absl::StatusOr<PassthroughResult> HostController::RunAdmin(SubmissionEntry entry,
                                                           DataDirection direction,
                                                           std::span<std::byte> data) {
  // A device may want aligned memory, and must not touch the caller's after a timeout.
  block::Buffer buffer(std::max<size_t>(data.size(), 4096));
  if (direction == DataDirection::kToDevice) std::copy(data.begin(), data.end(), buffer.data());
  block::Segment segment{buffer.data(), data.size()};
  AdminWait wait;
  wait.Prepare(entry);
  wait.command.direction = direction;
  if (!data.empty()) wait.command.data = {&segment, 1};
  uint64_t epoch = 0;
  absl::Status broken = absl::UnavailableError("the controller was reset under the admin command");
  for (int idle_rounds = 0;; ++idle_rounds) {
    if (idle_rounds > 100) SleepMilliseconds(1);
    MutexLock lock(&mutex_);
    if (idle_rounds == 0) {
      if (!is_ready()) return absl::UnavailableError("the controller is being reset");
      if (passed_through_ + kOwnCommands >= admin_->capacity()) {
        return absl::ResourceExhaustedError("the admin queue is full");
      }
      epoch = this->epoch();
      STRATA_RETURN_IF_ERROR(admin_->Submit(&wait.command));
      ++passed_through_;
    }
    if (!wait.is_done) {
      // A reset ends the command, so that the queue is the one it was submitted to.
      STRATA_CHECK(admin_ != nullptr, "an admin command without its queue");
      admin_->Poll(16);
      if (!wait.is_done && admin_->Overdue(clock_.MonotonicNanos()) != nullptr) {
        if (!reset_reason_.has_value()) {
          reset_reason_ = "an admin command was not answered in time";
        }
        admin_->Break(absl::UnavailableError(*reset_reason_));
      }
    }
    if (!wait.is_done) continue;
    --passed_through_;
    if (epoch == this->epoch() && admin_ != nullptr && !admin_->health().ok()) {
      broken = admin_->health();
    }
    break;
  }
  if (wait.command.status.code() == StatusCode::kHostPathError) return broken;
  if (direction == DataDirection::kToHost && wait.command.status.ok()) {
    std::copy_n(buffer.data(), data.size(), data.begin());
  }
  return PassthroughResult{wait.command.status, wait.command.result};
}

absl::Status HostController::RunAdminOk(std::string_view what, const SubmissionEntry& entry,
                                        DataDirection direction, std::span<std::byte> data) {
  STRATA_ASSIGN_OR_RETURN(const PassthroughResult outcome, RunAdmin(entry, direction, data));
  return outcome.status.ToAbsl(what);
}

absl::StatusOr<PassthroughResult> HostController::Admin(SubmissionEntry entry,
                                                        DataDirection direction,
                                                        std::span<std::byte> data) {
  if ((direction == DataDirection::kNone) != data.empty()) {
    return absl::InvalidArgumentError("data without a direction, or a direction without data");
  }
  if (entry.opcode() == static_cast<uint8_t>(AdminOpcode::kAsyncEventRequest)) {
    return absl::InvalidArgumentError("the controller asks for events itself");
  }
  STRATA_RETURN_IF_ERROR(opener().Check());
  return RunAdmin(entry, direction, data);
}

IdentifyController HostController::identify() const {
  if (opener().InForkedChild()) return {};
  MutexLock lock(&mutex_);
  return facts_.identify;
}

std::vector<uint32_t> HostController::Namespaces() const {
  if (opener().InForkedChild()) return {};
  MutexLock lock(&mutex_);
  return facts_.namespaces;
}

absl::StatusOr<std::unique_ptr<block::Device>> HostController::OpenNamespace(uint32_t nsid) {
  STRATA_RETURN_IF_ERROR(opener().Check());
  uint64_t generation = 0;
  uint64_t epoch = 0;
  ControllerFacts facts;
  {
    MutexLock lock(&mutex_);
    if (!is_ready()) return absl::UnavailableError(absl::StrCat(name(), ": being reset"));
    generation = namespace_generation();
    epoch = this->epoch();
    facts = facts_;
  }
  const std::string what = absl::StrFormat("%s: namespace %d", name(), nsid);
  if (nsid == 0 || nsid > facts.identify.Get(IdentifyController::kNamespaceCount)) {
    return absl::NotFoundError(absl::StrCat(what, " does not exist"));
  }
  IdentifyNamespace space;
  STRATA_RETURN_IF_ERROR(
      RunAdminOk(what + ": Identify Namespace",
                 AdminEntry(AdminOpcode::kIdentify, nsid, static_cast<uint32_t>(Cns::kNamespace)),
                 DataDirection::kToHost, space.bytes));
  NamespaceTraits traits;
  STRATA_ASSIGN_OR_RETURN(traits.geometry,
                          GeometryOf(what, space, facts.identify, transport_->limits()));
  NamespaceIds ids = IdsOf(space);
  std::array<std::byte, kIdentifyBytes> descriptors{};
  STRATA_ASSIGN_OR_RETURN(const PassthroughResult listed,
                          RunAdmin(AdminEntry(AdminOpcode::kIdentify, nsid,
                                              static_cast<uint32_t>(Cns::kNamespaceDescriptors)),
                                   DataDirection::kToHost, descriptors));
  if (listed.status.ok()) TakeDescriptors(descriptors, &ids);
  auto opened = std::make_shared<OpenedNamespace>(nsid, ids);
  traits.opened = opened;
  traits.io_commands = facts.identify.Get(IdentifyController::kIoCommands);
  traits.most_zeroed_blocks =
      MostZeroedBlocks(facts.write_zeroes_limit, traits.geometry.block_size_bytes);
  traits.name = absl::StrFormat("%s?nsid=%d", name(), nsid);
  {
    MutexLock lock(&mutex_);
    // What was read may be of two controllers, or of two namespaces.
    if (epoch != this->epoch() || generation != namespace_generation() || review_wanted_) {
      return absl::UnavailableError(absl::StrCat(what, " changed while it was opened"));
    }
    opened_.push_back(opened);
  }
  return MakeNamespaceDevice(*this, std::move(traits));
}

uint32_t HostController::QueueEntries(uint32_t asked_depth) const {
  // A ring of n entries holds n - 1 commands.
  const uint64_t wanted = uint64_t{asked_depth} + 1;
  return static_cast<uint32_t>(std::clamp<uint64_t>(
      wanted, 2, std::min(options_.io_queue_entries, max_queue_entries_.load())));
}

absl::StatusOr<uint16_t> HostController::Attach(ResetListener* listener,
                                                const ChannelCounters* counters) {
  MutexLock lock(&mutex_);
  for (uint32_t id = 1; id <= facts_.granted_queues; ++id) {
    if (used_queue_ids_.insert(static_cast<uint16_t>(id)).second) {
      listeners_.push_back(listener);
      counters_.push_back(counters);
      return static_cast<uint16_t>(id);
    }
  }
  return absl::ResourceExhaustedError(
      absl::StrFormat("%s: all %d queues are in use", name(), facts_.granted_queues));
}

void HostController::Detach(uint16_t queue_id, ResetListener* listener,
                            const ChannelCounters* counters) {
  MutexLock lock(&mutex_);
  used_queue_ids_.erase(queue_id);
  std::erase(listeners_, listener);
  std::erase_if(abort_requests_, [&](const auto& request) { return request.listener == listener; });
  for (AbortWait& abort : aborts_) {
    if (abort.listener == listener) abort.listener = nullptr;
  }
  std::erase(counters_, counters);
  counters->AddTo(ended_channels_);
}

absl::StatusOr<std::unique_ptr<QueuePair>> HostController::OpenQueuePair(uint16_t queue_id,
                                                                         uint32_t entries) {
  MutexLock lock(&mutex_);
  if (!is_ready()) return absl::UnavailableError("the controller is being reset");
  STRATA_ASSIGN_OR_RETURN(
      std::unique_ptr<HostQueue> queue,
      transport_->OpenQueue(
          {.queue_id = queue_id, .entries = entries, .capsule_data_bytes = capsule_data_bytes_}));
  return std::make_unique<QueuePair>(
      std::move(queue), queue_id, entries,
      static_cast<int64_t>(options_.command_timeout_ms) * kMillisecondNs, clock_);
}

bool HostController::RequestAbort(ResetListener* listener, uint64_t epoch, uint16_t queue_id,
                                  uint16_t command_id) {
  MutexLock lock(&mutex_);
  if (epoch != this->epoch() || !is_ready()) return false;
  if (abort_requests_.size() >= kMostAborts) return false;
  abort_requests_.push_back({listener, queue_id, command_id});
  return true;
}

void HostController::SendAborts() {
  for (AbortWait& abort : aborts_) {
    if (abort.is_used && abort.wait.is_done) {
      abort.is_used = false;
      if (abort.listener != nullptr) std::exchange(abort.listener, nullptr)->OnAbortEnded();
    }
    if (abort.is_used || abort_requests_.empty()) continue;
    const AbortRequest request = abort_requests_.back();
    abort_requests_.pop_back();
    abort.wait.Prepare(
        AdminEntry(AdminOpcode::kAbort, 0, request.queue_id | uint32_t{request.command_id} << 16));
    abort.is_used = true;
    abort.listener = request.listener;
    if (!admin_->Submit(&abort.wait.command).ok()) abort.wait.is_done = true;
  }
}

// Nothing that was asked for will be sent any more. Channels release ids with their queues.
void HostController::DropAborts() {
  for (AbortWait& abort : aborts_) abort = AbortWait{};
  abort_requests_.clear();
}

void HostController::RequestReset(std::string_view reason) {
  if (opener().InForkedChild()) return;
  MutexLock lock(&mutex_);
  if (!reset_reason_.has_value()) reset_reason_ = std::string(reason);
}

void HostController::RequestResetOf(uint64_t epoch, std::string_view reason) {
  MutexLock lock(&mutex_);
  if (epoch != this->epoch()) return;
  if (!reset_reason_.has_value()) reset_reason_ = std::string(reason);
}

void HostController::TellChannels() {
  for (ResetListener* listener : listeners_) listener->OnResetStep();
}

void HostController::KeepAlive(int64_t now_ns) {
  const int64_t timeout_ns = int64_t{options_.keep_alive_ms} * kMillisecondNs;
  if (timeout_ns == 0 || facts_.identify.Get(IdentifyController::kKeepAliveUnits) == 0) return;
  if (!keep_alive_.is_done) {
    if (now_ns - keep_alive_sent_ns_ >= timeout_ns && !reset_reason_.has_value()) {
      reset_reason_ =
          absl::StrFormat("no answer to Keep Alive within %d ms", options_.keep_alive_ms);
    }
    return;
  }
  if (!keep_alive_.command.status.ok() && !reset_reason_.has_value()) {
    reset_reason_ = absl::StrCat("Keep Alive: ", keep_alive_.command.status.ToString());
    return;
  }
  if (now_ns - keep_alive_sent_ns_ < timeout_ns / 3) return;
  keep_alive_.Prepare(AdminEntry(AdminOpcode::kKeepAlive, 0, 0));
  keep_alive_sent_ns_ = now_ns;
  if (!admin_->Submit(&keep_alive_.command).ok()) keep_alive_ = AdminWait{};
}

void HostController::PollReady(int64_t now_ns) {
  (void)admin_->Poll(16);
  if (admin_->health().ok()) {
    if (!options_.admin_only) HandleEvents(now_ns);
    AdvanceReview();
    KeepAlive(now_ns);
    SendAborts();
    // What was sent just now leaves now: the next Poll() may be long to come.
    (void)admin_->Poll(16);
  }
  if (reset_reason_.has_value()) return;
  if (!admin_->health().ok()) {
    reset_reason_ = std::string(admin_->health().message());
  } else if (admin_->Overdue(now_ns) != nullptr) {
    reset_reason_ = "an admin command was not answered in time";
  }
}

void HostController::BeginReset() {
  Log(options_.log, LogLevel::kWarning,
      absl::StrCat(name(), ": the controller is reset: ", *reset_reason_));
  is_ready_.store(false, std::memory_order_release);
  has_failed_.store(false, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_acq_rel);
  ++reset_count_;
  lost_ns_ = clock_.MonotonicNanos();
  failed_tries_ = 0;
  health_ = absl::UnavailableError(absl::StrCat("the controller is being reset: ", *reset_reason_));
  // Registers end everything under way when the controller is disabled.
  if (!transport_->has_registers()) {
    old_ids_.insert(facts_.identify.Get(IdentifyController::kControllerId));
  }
  state_ = State::kDisabling;
  disable_ = AdminWait{};
  disable_deadline_ns_ = lost_ns_ + kDisableNs;
  TellChannels();
  // Politely first, where it still listens: what it has begun ends, and no write of the old
  // controller can follow one of the new.
  if (!admin_->health().ok()) return;
  if (transport_->has_registers()) {
    (void)transport_->WriteProperty(Property::kConfiguration, 0);
  } else if (admin_->in_flight() < admin_->capacity()) {
    disable_.Prepare(PropertyEntry(Property::kConfiguration, 0));
    if (!admin_->Submit(&disable_.command).ok()) disable_ = AdminWait{};
  }
}

void HostController::DropAdmin(absl::Status reason) {
  if (admin_ != nullptr) admin_->Break(std::move(reason));
  admin_.reset();
  DropAborts();
  for (AdminWait& event : events_) event = AdminWait{};
  keep_alive_ = AdminWait{};
}

void HostController::FailBringUp(absl::Status status) {
  DropAdmin(status);
  health_ = std::move(status);
  state_ = State::kDown;
  const uint32_t factor = 1u << std::min(failed_tries_, 3u);
  static_assert(kMostBackOff == 1u << 3);
  ++failed_tries_;
  next_try_ns_ = clock_.MonotonicNanos() +
                 static_cast<int64_t>(options_.reconnect_ms) * factor * kMillisecondNs;
}

bool HostController::AdvanceState() {
  switch (state_) {
    case State::kReady:
      if (!reset_reason_.has_value()) return false;
      BeginReset();
      return true;
    case State::kDisabling:
      if (!disable_.is_done && clock_.MonotonicNanos() < disable_deadline_ns_) {
        (void)admin_->Poll(16);
        if (!disable_.is_done) return false;
      }
      DropAdmin(absl::UnavailableError(*reset_reason_));
      state_ = State::kDown;
      next_try_ns_ = 0;
      return true;
    case State::kDown: {
      if (clock_.MonotonicNanos() < next_try_ns_) return false;
      if (absl::Status status = BeginBringUp(); !status.ok()) {
        FailBringUp(std::move(status));
        return false;
      }
      return true;
    }
    case State::kBringingUp: {
      const absl::StatusOr<bool> is_finished = bring_up_.Advance();
      if (is_finished.ok() && !*is_finished) return false;
      // A reset that was asked for since it began is this one.
      if (is_finished.ok()) reset_reason_.reset();
      absl::Status status = is_finished.ok() ? AdoptFacts() : is_finished.status();
      if (!status.ok()) FailBringUp(std::move(status));
      return false;
    }
  }
  return false;
}

// Requests wait for a controller until it counts as lost.
void HostController::NoteLoss(int64_t now_ns) {
  if (state_ == State::kReady || has_failed()) return;
  const int64_t patience_ns = static_cast<int64_t>(options_.loss_timeout_ms) * kMillisecondNs;
  const bool is_lost = patience_ns == 0 ? failed_tries_ > 0 : now_ns - lost_ns_ >= patience_ns;
  if (!is_lost) return;
  has_failed_.store(true, std::memory_order_release);
  Log(options_.log, LogLevel::kWarning,
      absl::StrCat(name(), ": requests fail until the controller is back: ", health_.message()));
  TellChannels();
}

void HostController::Poll() {
  if (opener().InForkedChild()) return;
  MutexLock lock(&mutex_);
  const int64_t now_ns = clock_.MonotonicNanos();
  for (ResetListener* listener : listeners_) listener->OnTick(now_ns);
  if (state_ == State::kReady) PollReady(now_ns);
  while (AdvanceState()) {
  }
  NoteLoss(now_ns);
  is_busy_.store(bring_up_.is_running() || state_ == State::kDisabling);
}

absl::Status HostController::health() const {
  STRATA_RETURN_IF_ERROR(opener().Check());
  MutexLock lock(&mutex_);
  return health_;
}

ControllerStatistics HostController::statistics() const {
  if (opener().InForkedChild()) return {};
  MutexLock lock(&mutex_);
  ControllerStatistics sum = ended_channels_;
  for (const ChannelCounters* counters : counters_) counters->AddTo(sum);
  sum.resets = reset_count_;
  return sum;
}

}  // namespace strata::nvme

// SPDX-License-Identifier: Apache-2.0
#include "host/host_controller.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"
#include "strata/block/buffer.h"
#include "strata/nvme/wire/log_pages.h"

namespace strata::nvme {
namespace {

constexpr int64_t kMillisecondNs = 1'000'000;
constexpr int64_t kRetryNs = 1000 * kMillisecondNs;
constexpr int64_t kShutdownNs = 10'000 * kMillisecondNs;
constexpr uint32_t kMostTransferBytes = 16u << 20;
constexpr size_t kMostNamespaces = 1u << 20;
constexpr size_t kMostAborts = 1024;

void SleepMilliseconds(int ms) { poll(nullptr, 0, ms); }

SubmissionEntry AdminEntry(AdminOpcode opcode, uint32_t nsid, uint32_t dword10,
                           uint32_t dword11 = 0) {
  SubmissionEntry entry;
  entry.Set(SubmissionEntry::kOpcode, static_cast<uint8_t>(opcode));
  entry.Set(SubmissionEntry::kNamespaceId, nsid);
  entry.Set(SubmissionEntry::kDword10, dword10);
  entry.Set(SubmissionEntry::kDword11, dword11);
  return entry;
}

absl::Status CheckOptions(const ControllerOptions& options) {
  const auto check = [](const char* what, uint64_t value, uint64_t least, uint64_t most) {
    if (value >= least && value <= most) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrFormat("%s %d is not in %d..%d", what, value, least, most));
  };
  constexpr uint64_t kDayMs = 86'400'000;
  STRATA_RETURN_IF_ERROR(check("admin_queue_entries", options.admin_queue_entries, 8, 4096));
  STRATA_RETURN_IF_ERROR(check("max_io_queues", options.max_io_queues, 1, 0xfffe));
  STRATA_RETURN_IF_ERROR(check("io_queue_entries", options.io_queue_entries, 2, 65536));
  STRATA_RETURN_IF_ERROR(check("command_timeout_ms", options.command_timeout_ms, 1, kDayMs));
  STRATA_RETURN_IF_ERROR(check("admin_timeout_ms", options.admin_timeout_ms, 1, kDayMs));
  return check("thread_poll_ms", options.thread_poll_ms, 1, 60'000);
}

}  // namespace

uint64_t LatencyHistogram::PercentileNs(double share) const {
  const double wanted = std::ceil(share * static_cast<double>(count));
  uint64_t below = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    below += buckets[i];
    if (count > 0 && static_cast<double>(below) >= wanted) return uint64_t{2} << i;
  }
  return 0;
}

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
      clock_(options.clock != nullptr ? *options.clock : SystemClock()) {}

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
  if (is_ready() && admin_->health().ok()) {
    const absl::StatusOr<uint64_t> now = transport_->ReadProperty(Property::kConfiguration);
    if (now.ok() &&
        transport_->WriteProperty(Property::kConfiguration, *now | cc::kShutdown.At(1)).ok()) {
      (void)WaitForStatus(csts::kShutdown, 2, kShutdownNs);
    }
  }
  admin_->Break(absl::UnavailableError("the controller is closed"));
}

absl::Status HostController::Start() {
  {
    MutexLock lock(&mutex_);
    absl::Status status = BringUp();
    if (!status.ok()) {
      if (admin_ != nullptr) admin_->Break(status);
      admin_.reset();
      return absl::Status(status.code(), absl::StrCat(name(), ": ", status.message()));
    }
    is_ready_.store(true, std::memory_order_release);
  }
  if (!options_.has_thread) return absl::OkStatus();
  stop_event_ = eventfd(0, EFD_CLOEXEC);
  if (stop_event_ < 0) return absl::UnavailableError("no file descriptor left for a thread");
  thread_ = std::make_unique<std::thread>([this] {
    pollfd waiter{.fd = stop_event_, .events = POLLIN, .revents = 0};
    while (poll(&waiter, 1, static_cast<int>(options_.thread_poll_ms)) <= 0) Poll();
  });
  return absl::OkStatus();
}

absl::Status HostController::WaitForStatus(BitRange part, uint64_t value, int64_t timeout_ns) {
  const int64_t deadline_ns = clock_.MonotonicNanos() + timeout_ns;
  for (;;) {
    STRATA_ASSIGN_OR_RETURN(const uint64_t status, transport_->ReadProperty(Property::kStatus));
    if (status >= 0xffffffff) return absl::UnavailableError("the controller does not answer");
    if (part.Of(status) == value) return absl::OkStatus();
    if (csts::kFatal.Of(status) != 0) {
      return absl::UnavailableError("the controller reports a fatal error (CSTS.CFS)");
    }
    if (clock_.MonotonicNanos() >= deadline_ns) {
      return absl::UnavailableError(absl::StrFormat(
          "the controller's status is %#x after the time that it asked for", status));
    }
    SleepMilliseconds(1);
  }
}

absl::Status HostController::Enable() {
  STRATA_ASSIGN_OR_RETURN(capabilities_, transport_->ReadProperty(Property::kCapabilities));
  const uint64_t sets = cap::kCommandSets.Of(capabilities_);
  if ((sets & 0x41) == 0) {
    return absl::UnimplementedError("the controller has no NVM command set (CAP.CSS)");
  }
  if (cap::kPageSizeMin.Of(capabilities_) != 0) {
    return absl::UnimplementedError("the controller has no memory pages of 4096 bytes");
  }
  max_queue_entries_ = static_cast<uint32_t>(cap::kMaxQueueEntries0based.Of(capabilities_)) + 1;
  if (max_queue_entries_ < 2) return absl::DataLossError("queues of a single entry (CAP.MQES)");
  const int64_t timeout_ns =
      std::max<int64_t>(static_cast<int64_t>(cap::kTimeout500ms.Of(capabilities_)), 1) * 500 *
      kMillisecondNs;
  STRATA_ASSIGN_OR_RETURN(const uint64_t before,
                          transport_->ReadProperty(Property::kConfiguration));
  if (cc::kEnable.Of(before) != 0) {
    STRATA_RETURN_IF_ERROR(
        transport_->WriteProperty(Property::kConfiguration, before & ~cc::kEnable.mask()));
  }
  STRATA_RETURN_IF_ERROR(WaitForStatus(csts::kReady, 0, timeout_ns));
  const uint64_t configuration = cc::kEnable.At(1) |
                                 cc::kCommandSet.At((sets & 0x40) != 0 ? 6 : 0) |
                                 cc::kSubmissionEntrySize.At(6) | cc::kCompletionEntrySize.At(4);
  STRATA_RETURN_IF_ERROR(transport_->WriteProperty(Property::kConfiguration, configuration));
  return WaitForStatus(csts::kReady, 1, timeout_ns);
}

absl::Status HostController::BringUp() {
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<HostQueue> queue,
                          transport_->OpenAdminQueue(options_.admin_queue_entries));
  admin_ = std::make_unique<QueuePair>(
      std::move(queue), 0, options_.admin_queue_entries,
      static_cast<int64_t>(options_.admin_timeout_ms) * kMillisecondNs, clock_);
  STRATA_RETURN_IF_ERROR(Enable());
  STRATA_RETURN_IF_ERROR(ReadIdentify());
  STRATA_RETURN_IF_ERROR(NegotiateQueues());
  STRATA_RETURN_IF_ERROR(ReadNamespaces());
  const uint32_t notices = identify_.Get(IdentifyController::kAsyncEvents) & kNamespaceNotices;
  STRATA_RETURN_IF_ERROR(
      RunAdminOk("asking for events",
                 AdminEntry(AdminOpcode::kSetFeatures, 0,
                            static_cast<uint32_t>(Feature::kAsyncEvents), notices),
                 DataDirection::kNone, {}));
  AskForEvents();
  return absl::OkStatus();
}

absl::Status HostController::ReadIdentify() {
  STRATA_RETURN_IF_ERROR(
      RunAdminOk("Identify Controller",
                 AdminEntry(AdminOpcode::kIdentify, 0, static_cast<uint32_t>(Cns::kController)),
                 DataDirection::kToHost, identify_.bytes));
  using C = IdentifyController;
  const auto holds = [](uint8_t sizes, uint8_t size) {
    return (sizes & 0xf) <= size && size <= sizes >> 4;
  };
  if (!holds(identify_.Get(C::kSubmissionEntrySizes), 6) ||
      !holds(identify_.Get(C::kCompletionEntrySizes), 4)) {
    return absl::DataLossError("Identify Controller: entry sizes that no controller has");
  }
  if (identify_.Get(C::kNamespaceCount) == 0) {
    return absl::DataLossError("Identify Controller: no namespace can exist (NN is 0)");
  }
  return absl::OkStatus();
}

absl::Status HostController::NegotiateQueues() {
  const uint32_t asked_0based = options_.max_io_queues - 1;
  uint64_t result = 0;
  STRATA_RETURN_IF_ERROR(RunAdminOk(
      "asking for queues",
      AdminEntry(AdminOpcode::kSetFeatures, 0, static_cast<uint32_t>(Feature::kQueueCount),
                 asked_0based | asked_0based << 16),
      DataDirection::kNone, {}, &result));
  // It may grant more than was asked for.
  const uint32_t granted_0based = static_cast<uint32_t>(
      std::min({result & 0xffff, result >> 16 & 0xffff, uint64_t{asked_0based}}));
  granted_queues_ = granted_0based + 1;
  return absl::OkStatus();
}

absl::Status HostController::ReadNamespaces() {
  std::vector<uint32_t> found;
  uint32_t last = 0;
  for (bool is_full = true; is_full;) {
    std::array<std::byte, kIdentifyBytes> page{};
    STRATA_RETURN_IF_ERROR(RunAdminOk(
        "Identify active namespaces",
        AdminEntry(AdminOpcode::kIdentify, last, static_cast<uint32_t>(Cns::kActiveNamespaces)),
        DataDirection::kToHost, page));
    for (size_t at = 0; at < page.size() && is_full; at += 4) {
      const uint32_t nsid = LoadLe32(&page[at]);
      if (nsid == 0) {
        is_full = false;
        break;
      }
      if (nsid <= last || nsid >= 0xfffffffe || found.size() == kMostNamespaces) {
        return absl::DataLossError(
            absl::StrFormat("Identify active namespaces: %d follows %d", nsid, last));
      }
      found.push_back(nsid);
      last = nsid;
    }
  }
  namespaces_ = std::move(found);
  namespace_generation_.fetch_add(1);
  return absl::OkStatus();
}

void HostController::AskForEvents() {
  const size_t allowed = identify_.Get(IdentifyController::kAsyncEventLimit0based) + size_t{1};
  for (size_t i = 0; i < std::min(events_.size(), allowed); ++i) {
    AdminWait& event = events_[i];
    event.is_done = false;
    event.command = HostCommand{
        .entry = AdminEntry(AdminOpcode::kAsyncEventRequest, 0, 0),
        .has_deadline = false,
        .done =
            [](HostCommand* command) { static_cast<AdminWait*>(command->context)->is_done = true; },
        .context = &event};
    if (!admin_->Submit(&event.command).ok()) return;  // The next Poll() sees the broken queue.
  }
}

void HostController::HandleEvents() {
  for (AdminWait& event : events_) {
    if (!event.is_done) continue;
    event.is_done = false;
    if (!event.command.status.ok()) continue;  // No more of this one.
    const uint32_t result = static_cast<uint32_t>(event.command.result);
    const bool is_namespace_notice =
        (result & 7) == kEventNotice && (result >> 8 & 0xff) == kNoticeNamespaces;
    if (!admin_->Submit(&event.command).ok()) return;
    if (is_namespace_notice) {
      // Reading the log lets the next event come.
      std::array<std::byte, 4096> changed{};
      absl::Status status =
          RunAdminOk("reading changed namespaces",
                     AdminEntry(AdminOpcode::kGetLogPage, kAllNamespaces,
                                static_cast<uint32_t>(LogPage::kChangedNamespaces) | 1023u << 16),
                     DataDirection::kToHost, changed);
      if (status.ok()) status = ReadNamespaces();
      if (!status.ok()) {
        Log(options_.log, LogLevel::kWarning, absl::StrCat(name(), ": ", status.message()));
      }
      continue;
    }
    Log(options_.log, LogLevel::kWarning,
        absl::StrFormat("%s: event %#08x, which is not understood", name(), result));
  }
}

absl::StatusOr<PassthroughResult> HostController::RunAdmin(SubmissionEntry entry,
                                                           DataDirection direction,
                                                           std::span<std::byte> data) {
  if (admin_ == nullptr) return absl::UnavailableError("the controller is not connected");
  if (admin_->in_flight() == admin_->capacity()) {
    return absl::ResourceExhaustedError("the admin queue is full");
  }
  // A device may want aligned memory, and must not touch the caller's after a timeout.
  block::Buffer buffer(std::max<size_t>(data.size(), 4096));
  if (direction == DataDirection::kToDevice) std::copy(data.begin(), data.end(), buffer.data());
  block::Segment segment{buffer.data(), data.size()};
  AdminWait wait;
  wait.command.entry = entry;
  wait.command.direction = direction;
  if (!data.empty()) wait.command.data = {&segment, 1};
  wait.command.context = &wait;
  wait.command.done = [](HostCommand* command) {
    static_cast<AdminWait*>(command->context)->is_done = true;
  };
  STRATA_RETURN_IF_ERROR(admin_->Submit(&wait.command));
  int idle_rounds = 0;
  while (!wait.is_done) {
    if (admin_->Poll(16) > 0) continue;
    if (admin_->Overdue(clock_.MonotonicNanos()) != nullptr) {
      reset_reason_ = "an admin command was not answered in time";
      admin_->Break(absl::UnavailableError(*reset_reason_));
      break;
    }
    if (++idle_rounds > 100) SleepMilliseconds(1);
  }
  if (wait.command.status.code() == StatusCode::kHostPathError) {
    const absl::Status broken = admin_->health();
    return broken.ok() ? absl::UnavailableError("the admin command got lost") : broken;
  }
  if (direction == DataDirection::kToHost && wait.command.status.ok()) {
    std::copy_n(buffer.data(), data.size(), data.begin());
  }
  return PassthroughResult{wait.command.status, wait.command.result};
}

absl::Status HostController::RunAdminOk(std::string_view what, const SubmissionEntry& entry,
                                        DataDirection direction, std::span<std::byte> data,
                                        uint64_t* result) {
  STRATA_ASSIGN_OR_RETURN(const PassthroughResult outcome, RunAdmin(entry, direction, data));
  if (result != nullptr) *result = outcome.result;
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
  MutexLock lock(&mutex_);
  if (!is_ready()) return absl::UnavailableError("the controller is being reset");
  return RunAdmin(entry, direction, data);
}

IdentifyController HostController::identify() const {
  if (opener().InForkedChild()) return {};
  MutexLock lock(&mutex_);
  return identify_;
}

std::vector<uint32_t> HostController::Namespaces() const {
  if (opener().InForkedChild()) return {};
  MutexLock lock(&mutex_);
  return namespaces_;
}

absl::StatusOr<block::Geometry> HostController::ReadGeometry(uint32_t nsid) {
  IdentifyNamespace space;
  using N = IdentifyNamespace;
  STRATA_RETURN_IF_ERROR(
      RunAdminOk("Identify Namespace",
                 AdminEntry(AdminOpcode::kIdentify, nsid, static_cast<uint32_t>(Cns::kNamespace)),
                 DataDirection::kToHost, space.bytes));
  const uint64_t block_count = space.Get(N::kSize);
  if (block_count == 0) {
    return absl::NotFoundError(absl::StrFormat("%s: no namespace %d", name(), nsid));
  }
  const uint8_t flbas = space.Get(N::kFormat);
  const size_t format_index = (flbas & 0xfu) | (flbas >> 5 & 3u) << 4;
  const uint32_t format = LoadLe32(&space.bytes[N::kFormat0.offset + 4 * format_index]);
  const uint32_t log2_bytes = format >> 16 & 0xff;
  if ((format & 0xffff) != 0 || log2_bytes < 9 || log2_bytes > 16) {
    return absl::UnimplementedError(
        absl::StrFormat("%s: namespace %d has blocks of 2^%d bytes and %d of metadata", name(),
                        nsid, log2_bytes, format & 0xffff));
  }
  const uint32_t block_bytes = 1u << log2_bytes;
  if (block_count > (uint64_t{1} << 62) / block_bytes) {
    return absl::DataLossError(
        absl::StrFormat("%s: namespace %d claims %d blocks", name(), nsid, block_count));
  }
  const TransportLimits limits = transport_->limits();
  uint64_t most_bytes = std::min(limits.max_transfer_bytes, kMostTransferBytes);
  if (const uint8_t mdts = identify_.Get(IdentifyController::kMaxTransfer); mdts != 0) {
    most_bytes = std::min(most_bytes, uint64_t{4096} << std::min<uint8_t>(mdts, 40));
  }
  most_bytes = std::min(most_bytes, uint64_t{65536} * block_bytes) / block_bytes * block_bytes;
  if (most_bytes == 0) {
    return absl::UnimplementedError(
        absl::StrFormat("%s: a block of namespace %d is larger than a transfer", name(), nsid));
  }
  const uint16_t oncs = identify_.Get(IdentifyController::kIoCommands);
  const uint8_t features = space.Get(N::kFeatures);
  const uint16_t atomic_0based =
      (features & 0x02) != 0 ? space.Get(N::kAtomicWritePowerFail0based)
                             : identify_.Get(IdentifyController::kAtomicWritePowerFail0based);
  return block::Geometry{
      .block_size_bytes = block_bytes,
      .block_count = block_count,
      .max_transfer_bytes = static_cast<uint32_t>(most_bytes),
      .max_segments = limits.max_segments,
      .buffer_alignment_bytes = limits.buffer_alignment_bytes,
      .volatile_write_cache = (identify_.Get(IdentifyController::kVolatileWriteCache) & 0x01) != 0,
      .atomic_write_blocks = atomic_0based + 1u,
      .thin = (features & 0x01) != 0,
      // A discarded block of ours reads as zeroes, which Write Zeroes alone promises: where it may
      // not deallocate, or deallocated blocks read as something else, there is no discard.
      .supports_discard =
          (oncs & kOncsWriteZeroes) != 0 && (space.Get(N::kDeallocate) & 0x0f) == 0x09,
      .read_only = (space.Get(N::kAttributes) & 0x01) != 0};
}

absl::StatusOr<std::unique_ptr<block::Device>> HostController::OpenNamespace(uint32_t nsid) {
  STRATA_RETURN_IF_ERROR(opener().Check());
  MutexLock lock(&mutex_);
  if (!is_ready()) return absl::UnavailableError(absl::StrCat(name(), ": being reset"));
  if (nsid == 0 || nsid > identify_.Get(IdentifyController::kNamespaceCount)) {
    return absl::NotFoundError(absl::StrFormat("%s: no namespace %d", name(), nsid));
  }
  STRATA_ASSIGN_OR_RETURN(const block::Geometry geometry, ReadGeometry(nsid));
  return MakeNamespaceDevice(*this, nsid, geometry, identify_.Get(IdentifyController::kIoCommands));
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
  for (uint32_t id = 1; id <= granted_queues_; ++id) {
    if (used_queue_ids_.insert(static_cast<uint16_t>(id)).second) {
      listeners_.push_back(listener);
      counters_.push_back(counters);
      return static_cast<uint16_t>(id);
    }
  }
  return absl::ResourceExhaustedError(
      absl::StrFormat("%s: all %d queues are in use", name(), granted_queues_));
}

void HostController::Detach(uint16_t queue_id, ResetListener* listener,
                            const ChannelCounters* counters) {
  MutexLock lock(&mutex_);
  used_queue_ids_.erase(queue_id);
  std::erase(listeners_, listener);
  std::erase(counters_, counters);
  counters->AddTo(ended_channels_);
}

absl::StatusOr<std::unique_ptr<QueuePair>> HostController::OpenQueuePair(uint16_t queue_id,
                                                                         uint32_t entries) {
  MutexLock lock(&mutex_);
  if (!is_ready()) return absl::UnavailableError("the controller is being reset");
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<HostQueue> queue,
                          transport_->OpenQueue(queue_id, entries));
  return std::make_unique<QueuePair>(
      std::move(queue), queue_id, entries,
      static_cast<int64_t>(options_.command_timeout_ms) * kMillisecondNs, clock_);
}

void HostController::RequestAbort(uint64_t epoch, uint16_t queue_id, uint16_t command_id) {
  MutexLock lock(&mutex_);
  if (epoch != this->epoch()) return;
  if (abort_requests_.size() < kMostAborts) abort_requests_.push_back({queue_id, command_id});
}

void HostController::SendAborts() {
  for (AdminWait& abort : aborts_) {
    if (abort_requests_.empty()) return;
    if (abort.command.context != nullptr && !abort.is_done) continue;
    const AbortRequest request = abort_requests_.back();
    abort_requests_.pop_back();
    abort.is_done = false;
    abort.command = HostCommand{
        .entry = AdminEntry(AdminOpcode::kAbort, 0,
                            request.queue_id | uint32_t{request.command_id} << 16),
        .done = [](HostCommand* c) { static_cast<AdminWait*>(c->context)->is_done = true; },
        .context = &abort};
    if (!admin_->Submit(&abort.command).ok()) {
      abort.is_done = true;
      return;
    }
  }
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

void HostController::Reset() {
  if (is_ready()) {
    Log(options_.log, LogLevel::kWarning,
        absl::StrCat(name(), ": the controller is reset: ", *reset_reason_));
    is_ready_.store(false, std::memory_order_release);
    has_failed_.store(false, std::memory_order_release);
    epoch_.fetch_add(1, std::memory_order_acq_rel);
    ++reset_count_;
    TellChannels();
  } else if (clock_.MonotonicNanos() < next_try_ns_) {
    return;
  }
  if (admin_ != nullptr) {
    // Politely first, where it still listens: what it has begun ends.
    if (admin_->health().ok()) (void)transport_->WriteProperty(Property::kConfiguration, 0);
    admin_->Break(absl::UnavailableError(*reset_reason_));
    admin_.reset();
  }
  for (AdminWait& abort : aborts_) abort.is_done = true;
  for (AdminWait& event : events_) event.is_done = false;
  abort_requests_.clear();
  health_ = BringUp();
  if (!health_.ok()) {
    if (admin_ != nullptr) admin_->Break(health_);
    admin_.reset();
    next_try_ns_ = clock_.MonotonicNanos() + kRetryNs;
    has_failed_.store(true, std::memory_order_release);
    TellChannels();
    return;
  }
  reset_reason_.reset();
  has_failed_.store(false, std::memory_order_release);
  is_ready_.store(true, std::memory_order_release);
  TellChannels();
}

void HostController::Poll() {
  if (opener().InForkedChild()) return;
  MutexLock lock(&mutex_);
  const int64_t now_ns = clock_.MonotonicNanos();
  for (ResetListener* listener : listeners_) listener->OnTick(now_ns);
  if (admin_ != nullptr && is_ready()) {
    (void)admin_->Poll(16);
    HandleEvents();
    SendAborts();
    if (!reset_reason_.has_value() && !admin_->health().ok()) {
      reset_reason_ = std::string(admin_->health().message());
    }
    if (!reset_reason_.has_value() && admin_->Overdue(now_ns) != nullptr) {
      reset_reason_ = "an admin command was not answered in time";
    }
  }
  if (reset_reason_.has_value()) Reset();
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

// SPDX-License-Identifier: Apache-2.0
#include "host/bring_up.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"
#include "strata/nvme/wire/log_pages.h"

namespace strata::nvme {
namespace {

constexpr int64_t kMillisecondNs = 1'000'000;
constexpr int64_t kLookNs = kMillisecondNs;  // Between looks at CSTS.
constexpr int64_t kOldLookNs = 10 * kMillisecondNs;
constexpr int64_t kOldPatienceNs = 2000 * kMillisecondNs;
constexpr size_t kMostNamespaces = 1u << 20;

std::string_view NameOf(uint32_t step) {
  static constexpr std::string_view kNames[] = {
      "connecting",
      "reading CAP",
      "reading CC",
      "writing CC",
      "reading CSTS",
      "writing CC",
      "reading CSTS",
      "Identify Controller",
      "Identify controller list",
      "Identify NVM Controller",
      "asking for queues",
      "reading changed namespaces",
      "Identify active namespaces",
      "Identify Namespace",
      "Identify namespace descriptors",
      "asking for events",
      "the end",
  };
  return kNames[step];
}

}  // namespace

BringUp::BringUp(Transport& transport, const ControllerOptions& options, const Clock& clock)
    : transport_(transport), options_(options), clock_(clock), page_(kIdentifyBytes) {
  segment_ = {page_.data(), page_.size()};
}

void BringUp::Reset(Step step, QueuePair* admin,
                    std::vector<std::shared_ptr<OpenedNamespace>> opened) {
  admin_ = admin;
  step_ = step;
  is_sent_ = false;
  wait_ = AdminWait{};
  next_look_ns_ = 0;
  found_.clear();
  opened_ = std::move(opened);
  opened_index_ = 0;
}

void BringUp::Start(QueuePair* admin, std::vector<std::shared_ptr<OpenedNamespace>> opened,
                    std::set<uint16_t> old_ids) {
  facts_ = {};
  old_ids_ = std::move(old_ids);
  is_review_ = false;
  Reset(Step::kOpen, admin, std::move(opened));
}

void BringUp::StartReview(QueuePair* admin, std::vector<std::shared_ptr<OpenedNamespace>> opened) {
  is_review_ = true;
  Reset(Step::kChangedLog, admin, std::move(opened));
}

absl::StatusOr<bool> BringUp::Advance() {
  const auto fail = [&](const absl::Status& status) {
    step_ = Step::kFinished;
    return status;
  };
  while (step_ != Step::kFinished) {
    if (!is_sent_) {
      const absl::StatusOr<bool> sent = Send();
      if (!sent.ok()) return fail(sent.status());
      if (!*sent) return false;
      is_sent_ = true;
    }
    if (!is_answered()) admin_->Poll(16);
    if (!is_answered()) {
      if (admin_->Overdue(clock_.MonotonicNanos()) == nullptr) return false;
      return fail(absl::UnavailableError("an admin command was not answered in time"));
    }
    is_sent_ = false;
    if (absl::Status status = Take(); !status.ok()) return fail(status);
  }
  return true;
}

absl::StatusOr<bool> BringUp::SendProperty(Property property, std::optional<uint64_t> value) {
  if (!transport_.has_registers()) return SendAdmin(PropertyEntry(property, value), false);
  wait_.is_done = true;
  wait_.command.status = {};
  if (value.has_value()) {
    STRATA_RETURN_IF_ERROR(transport_.WriteProperty(property, *value));
  } else {
    STRATA_ASSIGN_OR_RETURN(wait_.command.result, transport_.ReadProperty(property));
  }
  return true;
}

absl::StatusOr<bool> BringUp::SendAdmin(const SubmissionEntry& entry, bool has_data) {
  wait_.Prepare(entry);
  if (has_data) {
    std::ranges::fill(page_.span(), std::byte{0});
    wait_.command.direction = DataDirection::kToHost;
    wait_.command.data = {&segment_, 1};
  }
  const absl::Status status = admin_->Submit(&wait_.command);
  if (!status.ok()) wait_.is_done = true;
  STRATA_RETURN_IF_ERROR(status);
  return true;
}

absl::StatusOr<bool> BringUp::SendIdentify(Cns cns, uint32_t nsid) {
  return SendAdmin(AdminEntry(AdminOpcode::kIdentify, nsid, static_cast<uint32_t>(cns)), true);
}

uint64_t BringUp::Configuration() const {
  const uint64_t sets = cap::kCommandSets.Of(facts_.capabilities);
  return cc::kEnable.At(1) | cc::kCommandSet.At((sets & 0x40) != 0 ? 6 : 0) |
         cc::kSubmissionEntrySize.At(6) | cc::kCompletionEntrySize.At(4);
}

// False: there is nothing to send yet.
absl::StatusOr<bool> BringUp::Send() {
  switch (step_) {
    case Step::kOpen:
      STRATA_RETURN_IF_ERROR(admin_->health());
      if (!admin_->is_open()) {
        admin_->Poll(16);
        STRATA_RETURN_IF_ERROR(admin_->health());
      }
      return admin_->is_open();
    case Step::kCapabilities:
      return SendProperty(Property::kCapabilities, std::nullopt);
    case Step::kConfiguration:
      return SendProperty(Property::kConfiguration, std::nullopt);
    case Step::kDisable:
      return SendProperty(Property::kConfiguration, configuration_ & ~cc::kEnable.mask());
    case Step::kEnable:
      return SendProperty(Property::kConfiguration, Configuration());
    case Step::kDisabled:
    case Step::kEnabled:
      if (clock_.MonotonicNanos() < next_look_ns_) return false;
      return SendProperty(Property::kStatus, std::nullopt);
    case Step::kIdentify:
      return SendIdentify(Cns::kController, 0);
    case Step::kOldControllers:
      if (clock_.MonotonicNanos() < next_look_ns_) return false;
      return SendAdmin(
          AdminEntry(AdminOpcode::kIdentify, 0,
                     static_cast<uint32_t>(Cns::kControllers) | uint32_t{*old_ids_.begin()} << 16),
          true);
    case Step::kIdentifyNvm:
      return SendIdentify(Cns::kCommandSetController, 0);
    case Step::kQueues: {
      const uint32_t asked_0based = options_.max_io_queues - 1;
      return SendAdmin(
          AdminEntry(AdminOpcode::kSetFeatures, 0, static_cast<uint32_t>(Feature::kQueueCount),
                     asked_0based | asked_0based << 16),
          false);
    }
    case Step::kChangedLog:
      // Reading the log lets the next event come.
      return SendAdmin(AdminEntry(AdminOpcode::kGetLogPage, kAllNamespaces,
                                  static_cast<uint32_t>(LogPage::kChangedNamespaces) | 1023u << 16),
                       true);
    case Step::kNamespaces:
      return SendIdentify(Cns::kActiveNamespaces, found_.empty() ? 0 : found_.back());
    case Step::kNamespace:
      return SendIdentify(Cns::kNamespace, opened_[opened_index_]->nsid);
    case Step::kDescriptors:
      return SendIdentify(Cns::kNamespaceDescriptors, opened_[opened_index_]->nsid);
    case Step::kEvents:
      return SendAdmin(
          AdminEntry(AdminOpcode::kSetFeatures, 0, static_cast<uint32_t>(Feature::kAsyncEvents),
                     facts_.identify.Get(IdentifyController::kAsyncEvents) & kNamespaceNotices),
          false);
    case Step::kFinished:
      break;
  }
  return false;
}

absl::Status BringUp::Take() {
  const Status status = wait_.command.status;
  result_ = wait_.command.result;
  if (status.code() == StatusCode::kHostPathError && !admin_->health().ok()) {
    return admin_->health();
  }
  // Not every controller has these.
  const bool is_optional =
      step_ == Step::kOldControllers || step_ == Step::kIdentifyNvm || step_ == Step::kDescriptors;
  // A namespace that went away answers its commands itself.
  const bool is_gone = step_ == Step::kNamespace && !status.ok();
  if (!status.ok() && !is_optional && !is_gone) {
    return status.ToAbsl(NameOf(static_cast<uint32_t>(step_)));
  }
  switch (step_) {
    case Step::kOpen:
      step_ = Step::kCapabilities;
      return absl::OkStatus();
    case Step::kCapabilities:
      return TakeCapabilities();
    case Step::kConfiguration:
      configuration_ = result_;
      step_ = cc::kEnable.Of(configuration_) != 0 ? Step::kDisable : Step::kDisabled;
      return absl::OkStatus();
    case Step::kDisable:
      step_ = Step::kDisabled;
      return absl::OkStatus();
    case Step::kDisabled:
      return TakeStatus(0, Step::kEnable);
    case Step::kEnable:
      step_ = Step::kEnabled;
      return absl::OkStatus();
    case Step::kEnabled:
      return TakeStatus(1, Step::kIdentify);
    case Step::kIdentify:
      return TakeIdentify();
    case Step::kOldControllers:
      TakeOldControllers(status.ok());
      return absl::OkStatus();
    case Step::kIdentifyNvm:
      if (status.ok()) {
        facts_.write_zeroes_limit =
            static_cast<uint8_t>(page_.data()[IdentifyNvmController::kWriteZeroesLimit.offset]);
      }
      step_ = Step::kQueues;
      return absl::OkStatus();
    case Step::kQueues: {
      // It may grant more than was asked for.
      const uint64_t asked_0based = options_.max_io_queues - 1;
      facts_.granted_queues = static_cast<uint32_t>(std::min(
                                  {result_ & 0xffff, result_ >> 16 & 0xffff, asked_0based})) +
                              1;
      step_ = Step::kNamespaces;
      return absl::OkStatus();
    }
    case Step::kChangedLog:
      step_ = Step::kNamespaces;
      return absl::OkStatus();
    case Step::kNamespaces:
      return TakeNamespaces();
    case Step::kNamespace: {
      IdentifyNamespace space;
      std::memcpy(space.bytes.data(), page_.data(), space.bytes.size());
      if (is_gone || space.Get(IdentifyNamespace::kSize) == 0) {
        ++opened_index_;
        AfterNamespaces();
        return absl::OkStatus();
      }
      ids_ = IdsOf(space);
      step_ = Step::kDescriptors;
      return absl::OkStatus();
    }
    case Step::kDescriptors:
      if (status.ok()) TakeDescriptors(page_.span(), &ids_);
      CompareIds();
      ++opened_index_;
      AfterNamespaces();
      return absl::OkStatus();
    case Step::kEvents:
      step_ = Step::kFinished;
      return absl::OkStatus();
    case Step::kFinished:
      break;
  }
  return absl::OkStatus();
}

absl::Status BringUp::TakeCapabilities() {
  facts_.capabilities = result_;
  if ((cap::kCommandSets.Of(result_) & 0x41) == 0 && !options_.admin_only) {
    return absl::UnimplementedError("the controller has no NVM command set (CAP.CSS)");
  }
  if (cap::kPageSizeMin.Of(result_) != 0) {
    return absl::UnimplementedError("the controller has no memory pages of 4096 bytes");
  }
  facts_.max_queue_entries = static_cast<uint32_t>(cap::kMaxQueueEntries0based.Of(result_)) + 1;
  if (facts_.max_queue_entries < 2) {
    return absl::DataLossError("queues of a single entry (CAP.MQES)");
  }
  const int64_t timeout_500ms =
      std::max<int64_t>(static_cast<int64_t>(cap::kTimeout500ms.Of(result_)), 1);
  ready_deadline_ns_ = clock_.MonotonicNanos() + timeout_500ms * 500 * kMillisecondNs;
  step_ = Step::kConfiguration;
  return absl::OkStatus();
}

absl::Status BringUp::TakeStatus(uint64_t wanted, Step next) {
  const int64_t now_ns = clock_.MonotonicNanos();
  if (result_ >= 0xffffffff) return absl::UnavailableError("the controller does not answer");
  if (csts::kReady.Of(result_) == wanted) {
    const int64_t timeout_500ms =
        std::max<int64_t>(static_cast<int64_t>(cap::kTimeout500ms.Of(facts_.capabilities)), 1);
    ready_deadline_ns_ = now_ns + timeout_500ms * 500 * kMillisecondNs;
    next_look_ns_ = 0;
    step_ = next;
    return absl::OkStatus();
  }
  if (csts::kFatal.Of(result_) != 0) {
    return absl::UnavailableError("the controller reports a fatal error (CSTS.CFS)");
  }
  if (now_ns >= ready_deadline_ns_) {
    return absl::UnavailableError(absl::StrFormat(
        "the controller's status is %#x after the time that it asked for", result_));
  }
  next_look_ns_ = now_ns + kLookNs;
  return absl::OkStatus();
}

absl::Status BringUp::TakeIdentify() {
  using C = IdentifyController;
  std::memcpy(facts_.identify.bytes.data(), page_.data(), facts_.identify.bytes.size());
  if (options_.admin_only) {
    step_ = Step::kFinished;
    return absl::OkStatus();
  }
  const auto holds = [](uint8_t sizes, uint8_t size) {
    return (sizes & 0xf) <= size && size <= sizes >> 4;
  };
  if (!holds(facts_.identify.Get(C::kSubmissionEntrySizes), 6) ||
      !holds(facts_.identify.Get(C::kCompletionEntrySizes), 4)) {
    return absl::DataLossError("Identify Controller: entry sizes that no controller has");
  }
  if (facts_.identify.Get(C::kNamespaceCount) == 0) {
    return absl::DataLossError("Identify Controller: no namespace can exist (NN is 0)");
  }
  if (!transport_.has_registers() && (facts_.identify.Get(C::kCommandCapsuleUnits) < 4 ||
                                      facts_.identify.Get(C::kResponseCapsuleUnits) < 1)) {
    return absl::DataLossError("Identify Controller: capsules that hold no entry (IOCCSZ, IORCSZ)");
  }
  // An id that is given again is free.
  old_ids_.erase(facts_.identify.Get(C::kControllerId));
  old_deadline_ns_ =
      clock_.MonotonicNanos() + kOldPatienceNs + int64_t{options_.keep_alive_ms} * kMillisecondNs;
  step_ = old_ids_.empty() ? Step::kIdentifyNvm : Step::kOldControllers;
  return absl::OkStatus();
}

// A target keeps a controller's id until the last command of it has ended. An old controller whose
// host is silent goes when its Keep Alive time is over.
void BringUp::TakeOldControllers(bool is_answered) {
  const size_t count = std::min<size_t>(LoadLe16(page_.data()), page_.size() / 2 - 1);
  bool is_there = !is_answered;
  for (size_t i = 1; i <= count; ++i) {
    is_there = is_there || LoadLe16(page_.data() + 2 * i) == *old_ids_.begin();
  }
  const int64_t now_ns = clock_.MonotonicNanos();
  if (is_there && is_answered && now_ns < old_deadline_ns_) {
    next_look_ns_ = now_ns + kOldLookNs;
    return;
  }
  next_look_ns_ = 0;
  if (is_there) {
    facts_.old_controllers_are_gone = false;
  } else {
    old_ids_.erase(old_ids_.begin());
  }
  step_ = is_there || old_ids_.empty() ? Step::kIdentifyNvm : Step::kOldControllers;
}

absl::Status BringUp::TakeNamespaces() {
  uint32_t last = found_.empty() ? 0 : found_.back();
  for (size_t at = 0; at < page_.size(); at += 4) {
    const uint32_t nsid = LoadLe32(page_.data() + at);
    if (nsid == 0) {
      facts_.namespaces = std::exchange(found_, {});
      AfterNamespaces();
      return absl::OkStatus();
    }
    if (nsid <= last || nsid >= 0xfffffffe || found_.size() == kMostNamespaces) {
      return absl::DataLossError(
          absl::StrFormat("Identify active namespaces: %d follows %d", nsid, last));
    }
    found_.push_back(nsid);
    last = nsid;
  }
  return absl::OkStatus();  // The page was full: there may be another.
}

void BringUp::AfterNamespaces() {
  step_ = opened_index_ < opened_.size() ? Step::kNamespace
          : is_review_                   ? Step::kFinished
                                         : Step::kEvents;
}

void BringUp::CompareIds() {
  OpenedNamespace& opened = *opened_[opened_index_];
  const std::string difference = opened.Compare(ids_);
  if (difference.empty()) return;
  Log(options_.log, LogLevel::kError,
      absl::StrFormat("%s: namespace %d is another one now: %s", transport_.name(), opened.nsid,
                      difference));
}

}  // namespace strata::nvme

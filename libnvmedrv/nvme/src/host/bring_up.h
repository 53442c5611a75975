// SPDX-License-Identifier: Apache-2.0
//
// What the driver asks a controller before it uses it: properties, Identify, queues, namespaces,
// events. After a notice it asks for the namespaces again. One command is under way at a time, and
// Advance() never waits for an answer: several controllers of one thread do not wait for each
// other.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "host/admin_command.h"
#include "host/namespace_ids.h"
#include "host/queue_pair.h"
#include "strata/base/clock.h"
#include "strata/block/buffer.h"
#include "strata/nvme/controller.h"
#include "strata/nvme/transport.h"

namespace strata::nvme {

// What the controller said of itself.
struct ControllerFacts {
  uint64_t capabilities = 0;
  uint32_t max_queue_entries = 0;
  IdentifyController identify;
  uint8_t write_zeroes_limit = 0;  // WZSL; 0: none.
  uint32_t granted_queues = 0;
  std::vector<uint32_t> namespaces;
  // None of the controllers that this host lost can change a block any more.
  bool old_controllers_are_gone = true;
};

class BringUp {
 public:
  BringUp(Transport& transport, const ControllerOptions& options, const Clock& clock);

  // Brings up the controller of *admin. `opened`: namespaces to look at again. `old_ids`:
  // controllers that this host lost and that may still carry out what it sent to them.
  // REQUIRES: *admin outlives what was begun, or is broken first.
  void Start(QueuePair* admin, std::vector<std::shared_ptr<OpenedNamespace>> opened,
             std::set<uint16_t> old_ids);
  // Asks a controller that is up which namespaces it has now.
  void StartReview(QueuePair* admin, std::vector<std::shared_ptr<OpenedNamespace>> opened);
  bool is_running() const { return step_ != Step::kFinished; }

  // Goes on as far as answers have come. True: finished, and facts() are new. Unavailable: the
  // controller does not answer or does not become ready; DataLoss: what it says makes no sense;
  // Unimplemented: it lacks what the driver needs. After an error nothing is running.
  // REQUIRES: the admin queue was polled.
  absl::StatusOr<bool> Advance();
  const ControllerFacts& facts() const { return facts_; }

 private:
  enum class Step {
    kOpen,
    kCapabilities,
    kConfiguration,
    kDisable,
    kDisabled,
    kEnable,
    kEnabled,
    kIdentify,
    kOldControllers,
    kIdentifyNvm,
    kQueues,
    kChangedLog,
    kNamespaces,
    kNamespace,
    kDescriptors,
    kEvents,
    kFinished,
  };

  void Reset(Step step, QueuePair* admin, std::vector<std::shared_ptr<OpenedNamespace>> opened);
  absl::StatusOr<bool> Send();
  absl::Status Take();
  bool is_answered() const { return wait_.is_done; }
  absl::StatusOr<bool> SendProperty(Property property, std::optional<uint64_t> value);
  absl::StatusOr<bool> SendAdmin(const SubmissionEntry& entry, bool has_data);
  absl::StatusOr<bool> SendIdentify(Cns cns, uint32_t nsid);
  uint64_t Configuration() const;
  absl::Status TakeCapabilities();
  absl::Status TakeStatus(uint64_t wanted, Step next);
  absl::Status TakeIdentify();
  void TakeOldControllers(bool is_answered);
  absl::Status TakeNamespaces();
  void AfterNamespaces();
  void CompareIds();

  Transport& transport_;
  const ControllerOptions& options_;
  const Clock& clock_;

  QueuePair* admin_ = nullptr;
  Step step_ = Step::kFinished;
  bool is_review_ = false;
  bool is_sent_ = false;
  AdminWait wait_;
  uint64_t result_ = 0;  // Of the last answer.
  block::Buffer page_;
  block::Segment segment_{};

  ControllerFacts facts_;
  uint64_t configuration_ = 0;
  int64_t ready_deadline_ns_ = 0;
  int64_t next_look_ns_ = 0;
  std::set<uint16_t> old_ids_;
  int64_t old_deadline_ns_ = 0;
  std::vector<uint32_t> found_;
  std::vector<std::shared_ptr<OpenedNamespace>> opened_;
  size_t opened_index_ = 0;
  NamespaceIds ids_;
};

}  // namespace strata::nvme

// SPDX-License-Identifier: Apache-2.0
//
// Controller::Open() where the controller cannot be reached at first.
#include <catch2/catch.hpp>
#include <utility>

#include "strata/block/devices.h"
#include "strata/nvme/controller.h"
#include "strata/nvme/loop.h"

namespace strata::nvme {
namespace {

// The loop, whose admin queue fails to open as often as it is told to.
class RefusingTransport final : public Transport {
 public:
  RefusingTransport(absl::Status refusal, int refusals, int* tries)
      : refusal_(std::move(refusal)), refusals_(refusals), tries_(tries) {
    auto subsystem =
        *CreateSubsystem({.nqn = "nqn.2026-11.org.example:open", .allow_any_host = true});
    REQUIRE(subsystem->AddNamespace(*block::CreateMemoryDevice({.block_count = 64}), {}).ok());
    base_ = *OpenLoop(std::move(subsystem), {});
  }

  std::string name() const override { return "refusing"; }
  TransportLimits limits() const override { return base_->limits(); }
  bool has_registers() const override { return true; }
  absl::StatusOr<uint64_t> ReadProperty(Property property) override {
    return base_->ReadProperty(property);
  }
  absl::Status WriteProperty(Property property, uint64_t value) override {
    return base_->WriteProperty(property, value);
  }
  absl::StatusOr<std::unique_ptr<HostQueue>> OpenAdminQueue(const QueueOptions& options) override {
    if ((*tries_)++ < refusals_) return refusal_;
    return base_->OpenAdminQueue(options);
  }
  absl::StatusOr<std::unique_ptr<HostQueue>> OpenQueue(const QueueOptions& options) override {
    return base_->OpenQueue(options);
  }

 private:
  const absl::Status refusal_;
  const int refusals_;
  int* const tries_;
  std::unique_ptr<Transport> base_;
};

struct Outcome {
  absl::Status status;
  int tries = 0;
};

Outcome Open(const absl::Status& refusal, int refusals, uint64_t open_timeout_ms) {
  Outcome outcome;
  auto transport = std::make_unique<RefusingTransport>(refusal, refusals, &outcome.tries);
  const auto controller = Controller::Open(std::move(transport),
                                           {.reconnect_ms = 1, .open_timeout_ms = open_timeout_ms});
  outcome.status = controller.status();
  if (controller.ok()) CHECK((*controller)->OpenNamespace(1).ok());
  return outcome;
}

TEST_CASE("a controller that is not there yet is tried again") {
  const Outcome late = Open(absl::UnavailableError("refused"), 3, 60'000);
  CHECK(late.status == absl::OkStatus());
  CHECK(late.tries == 4);
}

TEST_CASE("one try is all that is made without a time") {
  const Outcome once = Open(absl::UnavailableError("refused"), 1, 0);
  CHECK(once.status == absl::UnavailableError("refusing: refused"));
  CHECK(once.tries == 1);
}

TEST_CASE("a controller that never comes fails with the last error") {
  const Outcome never = Open(absl::UnavailableError("refused"), 1'000'000, 20);
  CHECK(never.status == absl::UnavailableError("refusing: refused"));
  CHECK(never.tries >= 2);
}

TEST_CASE("an answer that will not change is not asked for again") {
  for (const absl::Status& refusal :
       {absl::PermissionDeniedError("who?"), absl::InvalidArgumentError("no such subsystem"),
        absl::FailedPreconditionError("no digests"), absl::DataLossError("nonsense"),
        absl::UnimplementedError("authentication")}) {
    const Outcome outcome = Open(refusal, 1, 60'000);
    CHECK(outcome.status.code() == refusal.code());
    CHECK(outcome.tries == 1);
  }
}

}  // namespace
}  // namespace strata::nvme

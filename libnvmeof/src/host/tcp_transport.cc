// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "host/tcp_queue.h"
#include "host/uuid.h"
#include "strata/base/random.h"
#include "strata/base/range_check.h"
#include "strata/base/status_macros.h"
#include "strata/nvmeof/initiator.h"

namespace strata::nvmeof {
namespace {

constexpr uint32_t kLeastTransferBytes = 4096;
constexpr uint32_t kMostTransferBytes = 16u << 20;
constexpr uint64_t kMostConnectMs = 60'000;

absl::Status CheckNqn(std::string_view what, const std::string& nqn) {
  const bool is_plain =
      std::ranges::all_of(nqn, [](char c) { return c > 0x20 && static_cast<uint8_t>(c) != 0x7f; });
  if (!nqn.empty() && nqn.size() <= nvme::kMostNqnBytes && is_plain) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(absl::string_view(what.data(), what.size()), " '", absl::CHexEscape(nqn),
                   "' is not an NQN: 1 to 223 characters without spaces or control characters"));
}

class TcpTransport final : public nvme::Transport {
 public:
  explicit TcpTransport(std::shared_ptr<HostAssociation> association)
      : association_(std::move(association)) {}

  std::string name() const override { return association_->name; }
  nvme::TransportLimits limits() const override {
    return {.max_transfer_bytes = association_->options.max_transfer_bytes};
  }

  bool has_registers() const override { return false; }
  absl::StatusOr<uint64_t> ReadProperty(nvme::Property) override {
    return absl::UnimplementedError("NVMe/TCP has no registers");
  }
  absl::Status WriteProperty(nvme::Property, uint64_t) override {
    return absl::UnimplementedError("NVMe/TCP has no registers");
  }

  absl::StatusOr<std::unique_ptr<nvme::HostQueue>> OpenAdminQueue(
      const nvme::QueueOptions& options) override {
    association_->controller_id.store(nvme::kDynamicController);
    return OpenQueue(options);
  }

  absl::StatusOr<std::unique_ptr<nvme::HostQueue>> OpenQueue(
      const nvme::QueueOptions& options) override {
    auto queue = std::make_unique<TcpQueue>(association_, options);
    STRATA_RETURN_IF_ERROR(queue->Start());
    return queue;
  }

 private:
  const std::shared_ptr<HostAssociation> association_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<nvme::Transport>> ConnectTcp(const TcpOptions& options) {
  auto association = std::make_shared<HostAssociation>();
  TcpOptions& own = association->options;
  own = options;
  STRATA_RETURN_IF_ERROR(CheckNqn("subsystem_nqn", own.subsystem_nqn));
  if (own.host_id == std::array<std::byte, 16>{}) {
    STRATA_ASSIGN_OR_RETURN(own.host_id, RandomUuid());
  }
  if (own.host_nqn.empty()) {
    own.host_nqn = absl::StrCat("nqn.2014-08.org.nvmexpress:uuid:", FormatUuid(own.host_id));
  }
  STRATA_RETURN_IF_ERROR(CheckNqn("host_nqn", own.host_nqn));
  if (own.endpoint.port == 0) return absl::InvalidArgumentError("endpoint: the port is 0");
  STRATA_RETURN_IF_ERROR(
      CheckRange("connect_timeout_ms", own.connect_timeout_ms, 1, kMostConnectMs));
  STRATA_RETURN_IF_ERROR(CheckRange("max_transfer_bytes", own.max_transfer_bytes,
                                    kLeastTransferBytes, kMostTransferBytes));
  if (own.socket_buffer_bytes != 0) {
    STRATA_RETURN_IF_ERROR(
        CheckRange("socket_buffer_bytes", own.socket_buffer_bytes, 64u << 10, 1u << 30));
  }
  association->clock = own.clock != nullptr ? own.clock : &SystemClock();
  association->name = absl::StrCat("nvme-tcp:", ToString(own.endpoint), "/", own.subsystem_nqn);
  return std::make_unique<TcpTransport>(std::move(association));
}

}  // namespace strata::nvmeof

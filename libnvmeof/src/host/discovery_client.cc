// SPDX-License-Identifier: Apache-2.0
//
// The discovery log, page by page. Its generation counter before and after says whether the pages
// belong together.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "strata/base/status_macros.h"
#include "strata/nvme/wire/fabrics.h"
#include "strata/nvme/wire/log_pages.h"
#include "strata/nvmeof/initiator.h"

namespace strata::nvmeof {
namespace {

using nvme::DiscoveryLogEntry;
using nvme::DiscoveryLogHeader;

constexpr int kMostTries = 10;
constexpr uint64_t kMostEntries = 16384;
constexpr size_t kEntriesPerRead = 4;

// Reads `into.size()` bytes of the log from `offset` on.
absl::Status ReadLog(nvme::Controller& controller, uint64_t offset, std::span<std::byte> into) {
  using E = nvme::SubmissionEntry;
  const uint32_t dwords_0based = static_cast<uint32_t>(into.size() / 4) - 1;
  E entry = nvme::AdminEntry(
      nvme::AdminOpcode::kGetLogPage, 0,
      static_cast<uint32_t>(nvme::LogPage::kDiscovery) | (dwords_0based & 0xffff) << 16,
      dwords_0based >> 16);
  entry.Set(E::kDword12, static_cast<uint32_t>(offset));
  entry.Set(E::kDword13, static_cast<uint32_t>(offset >> 32));
  STRATA_ASSIGN_OR_RETURN(const nvme::PassthroughResult result,
                          controller.Admin(entry, nvme::DataDirection::kToHost, into));
  return result.status.ToAbsl(controller.name() + ": reading the discovery log");
}

DiscoveryEntry FromBytes(const DiscoveryLogEntry& from) {
  using L = DiscoveryLogEntry;
  return {.transport_type = from.Get(L::kTransportType),
          .address_family = from.Get(L::kAddressFamily),
          .subsystem_type = from.Get(L::kSubsystemType),
          .requirements = from.Get(L::kTransportRequirements),
          .port_id = from.Get(L::kPortId),
          .controller_id = from.Get(L::kControllerId),
          .admin_queue_size = from.Get(L::kAdminQueueSize),
          .flags = from.Get(L::kFlags),
          .service_id = std::string(from.GetText(L::kServiceId)),
          .address = std::string(from.GetText(L::kAddress)),
          .subsystem_nqn = std::string(from.GetText(L::kSubsystemNqn)),
          .security = static_cast<uint8_t>(from.Get(L::kTransportSpecific)[0])};
}

// One pass over the log. Null: it changed on the way.
absl::StatusOr<std::unique_ptr<std::vector<DiscoveryEntry>>> ReadOnce(
    nvme::Controller& controller) {
  using H = DiscoveryLogHeader;
  DiscoveryLogHeader before;
  STRATA_RETURN_IF_ERROR(ReadLog(controller, 0, before.bytes));
  if (before.Get(H::kRecordFormat) != 0) {
    return absl::DataLossError(absl::StrFormat("%s: discovery records of format %d",
                                               controller.name(), before.Get(H::kRecordFormat)));
  }
  const uint64_t count = before.Get(H::kRecordCount);
  if (count > kMostEntries) {
    return absl::DataLossError(
        absl::StrFormat("%s: %d discovery records", controller.name(), count));
  }
  auto entries = std::make_unique<std::vector<DiscoveryEntry>>();
  for (uint64_t at = 0; at < count;) {
    std::array<std::byte, kEntriesPerRead * DiscoveryLogEntry::kSizeBytes> page{};
    const size_t taken = std::min<uint64_t>(kEntriesPerRead, count - at);
    STRATA_RETURN_IF_ERROR(ReadLog(controller, H::kSizeBytes + at * DiscoveryLogEntry::kSizeBytes,
                                   std::span(page).first(taken * DiscoveryLogEntry::kSizeBytes)));
    for (size_t i = 0; i < taken; ++i) {
      DiscoveryLogEntry entry;
      std::memcpy(entry.bytes.data(), page.data() + i * entry.bytes.size(), entry.bytes.size());
      entries->push_back(FromBytes(entry));
    }
    at += taken;
  }
  DiscoveryLogHeader after;
  STRATA_RETURN_IF_ERROR(ReadLog(controller, 0, after.bytes));
  if (after.Get(H::kGeneration) != before.Get(H::kGeneration)) return nullptr;
  return entries;
}

}  // namespace

absl::StatusOr<std::vector<DiscoveryEntry>> Discover(const TcpOptions& options) {
  TcpOptions own = options;
  if (own.subsystem_nqn.empty()) own.subsystem_nqn = nvme::kDiscoveryNqn;
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<nvme::Transport> transport, ConnectTcp(own));
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<nvme::Controller> controller,
                          nvme::Controller::Open(std::move(transport), {.admin_timeout_ms = 10'000,
                                                                        .admin_only = true,
                                                                        .clock = options.clock}));
  for (int i = 0; i < kMostTries; ++i) {
    STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<std::vector<DiscoveryEntry>> entries,
                            ReadOnce(*controller));
    if (entries != nullptr) return *entries;
  }
  return absl::UnavailableError(
      absl::StrCat(controller->name(), ": the discovery log keeps changing"));
}

}  // namespace strata::nvmeof

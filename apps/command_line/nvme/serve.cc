// SPDX-License-Identifier: Apache-2.0
#include "command_line/nvme/serve.h"

#include <poll.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "appliance/nvme/device_uris.h"
#include "appliance/nvme/export_records.h"
#include "appliance/nvme/exports.h"
#include "appliance/nvme/target_threads.h"
#include "appliance/storage_devices.h"
#include "command_line/nvme/derived_names.h"
#include "strata/base/log.h"
#include "strata/base/status_macros.h"
#include "strata/block/registry.h"
#include "strata/nvme/subsystem.h"

namespace strata::appliance {
namespace {

constexpr std::chrono::seconds kDrainLimit{5};
constexpr int kProgressMs = 100;

void LogToStderr(LogLevel level, std::string_view line) {
  if (level < LogLevel::kWarning) return;
  std::fprintf(stderr, "strata: %.*s\n", static_cast<int>(line.size()), line.data());
}

class NvmeServer {
 public:
  explicit NvmeServer(const NvmeServeRequest& request) : request_(request) {}

  absl::Status Start() {
    STRATA_RETURN_IF_ERROR(CheckHosts());
    STRATA_RETURN_IF_ERROR(MakeSubsystem());
    for (const std::string& uri : request_.uris) {
      const absl::Status status = AddNamespace(uri);
      if (!status.ok()) {
        return absl::Status(status.code(), absl::StrCat("'", uri, "': ", status.message()));
      }
    }
    TargetThreadsOptions options;
    options.workers = request_.workers;
    options.busy_poll = request_.busy_poll;
    options.target.log = LogToStderr;
    STRATA_ASSIGN_OR_RETURN(threads_, TargetThreads::Start(options));
    STRATA_RETURN_IF_ERROR(threads_->target().AddSubsystem(subsystem_));
    STRATA_RETURN_IF_ERROR(Listen(request_.listen, /*is_discovery_only=*/false));
    if (request_.discovery.empty()) return absl::OkStatus();
    return Listen(request_.discovery, /*is_discovery_only=*/true);
  }

  Json Listening() const {
    Json namespaces = Json::array();
    for (const nvme::NamespaceState& space : subsystem_->Namespaces()) {
      namespaces.push_back({{"nsid", space.nsid},
                            {"uri", request_.uris[space.nsid - 1]},
                            {"uuid", PrintUuid(space.identity.uuid)},
                            {"block_size_bytes", space.block_size_bytes},
                            {"size_bytes", space.block_count * space.block_size_bytes},
                            {"read_only", space.read_only}});
    }
    return {{"nqn", subsystem_->options().nqn},
            {"serial_number", subsystem_->options().serial_number},
            {"addresses", addresses_},
            {"allow_any_host", subsystem_->options().allow_any_host},
            {"hosts", request_.hosts},
            {"namespaces", std::move(namespaces)}};
  }

  uint64_t commands() const { return threads_->target().statistics().commands; }

  // Ends what runs, and makes durable what hosts wrote.
  absl::StatusOr<Json> Stop() {
    const size_t cut = threads_->Drain(kDrainLimit);
    const nvmeof::TargetStatistics totals = threads_->target().statistics();
    threads_.reset();
    for (const std::shared_ptr<block::Device>& device : devices_) {
      STRATA_RETURN_IF_ERROR(FlushDevice(*device));
    }
    return Json{{"nqn", subsystem_->options().nqn},
                {"connections", totals.connections_accepted},
                {"commands", totals.commands},
                {"bytes_to_host", totals.bytes_to_host},
                {"bytes_from_host", totals.bytes_from_host},
                {"socket_sends", totals.sends},
                {"socket_receives", totals.receives},
                {"cut_connections", cut}};
  }

 private:
  // Without a list of hosts, anybody who reaches the port reads and writes the devices.
  absl::Status CheckHosts() {
    STRATA_ASSIGN_OR_RETURN(const nvmeof::Endpoint endpoint,
                            ParseTargetEndpoint(request_.listen, nvmeof::kDefaultPort));
    for (const std::string& host : request_.hosts) STRATA_RETURN_IF_ERROR(CheckNqn("host", host));
    any_host_ = request_.allow_any_host || (request_.hosts.empty() && nvmeof::IsLoopback(endpoint));
    if (any_host_ || !request_.hosts.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(request_.listen,
                     " can be reached from other machines, and no --host says who may connect; "
                     "name the hosts, or open it to all of them with --allow-any-host"));
  }

  absl::Status MakeSubsystem() {
    SubsystemRecord record;
    record.nqn = request_.nqn.empty() ? DerivedNqn(request_.listen, request_.uris) : request_.nqn;
    record.serial_number = DerivedSerialNumber(record.nqn);
    record.model_number = "Strata";
    STRATA_RETURN_IF_ERROR(CheckSubsystem(record));
    nvme::SubsystemOptions options;
    options.nqn = record.nqn;
    options.serial_number = record.serial_number;
    options.model_number = record.model_number;
    options.allow_any_host = any_host_;
    STRATA_ASSIGN_OR_RETURN(subsystem_, nvme::CreateSubsystem(options));
    for (const std::string& host : request_.hosts) {
      STRATA_RETURN_IF_ERROR(subsystem_->AllowHost(host));
    }
    return absl::OkStatus();
  }

  absl::Status AddNamespace(const std::string& uri) {
    STRATA_ASSIGN_OR_RETURN(std::shared_ptr<block::Device> device, registry_.Open(uri));
    devices_.push_back(device);
    nvme::NamespaceOptions options;
    options.nsid = static_cast<uint32_t>(devices_.size());
    options.read_only = request_.read_only;
    // Where the content dies with this process, the next one has another namespace.
    if (IsFleeting(uri)) {
      STRATA_ASSIGN_OR_RETURN(options.identity.uuid, RandomUuid());
    } else {
      options.identity.uuid = DerivedNamespaceUuid(subsystem_->options().nqn, options.nsid, uri);
    }
    return subsystem_->AddNamespace(std::move(device), options).status();
  }

  absl::Status Listen(const std::string& address, bool is_discovery_only) {
    const uint16_t port = is_discovery_only ? nvmeof::kDiscoveryPort : nvmeof::kDefaultPort;
    STRATA_ASSIGN_OR_RETURN(const nvmeof::Endpoint endpoint, ParseTargetEndpoint(address, port));
    STRATA_ASSIGN_OR_RETURN(const nvmeof::Endpoint bound,
                            threads_->target().AddListener(
                                {.endpoint = endpoint, .is_discovery_only = is_discovery_only}));
    addresses_.push_back(nvmeof::ToString(bound));
    return absl::OkStatus();
  }

  const NvmeServeRequest& request_;
  const block::Registry registry_ = StorageDevices(LogToStderr);
  bool any_host_ = false;
  std::vector<std::shared_ptr<block::Device>> devices_;
  std::shared_ptr<nvme::Subsystem> subsystem_;
  std::vector<std::string> addresses_;
  std::unique_ptr<TargetThreads> threads_;  // Last: it uses the others.
};

}  // namespace

absl::StatusOr<Json> ServeNvme(const NvmeServeRequest& request,
                               const std::function<void(const Json&)>& listening,
                               const dedup::ProgressCallback& progress) {
  NvmeServer server(request);
  STRATA_RETURN_IF_ERROR(server.Start());
  listening(server.Listening());
  while (progress({"commands served", server.commands(), 0})) poll(nullptr, 0, kProgressMs);
  return server.Stop();
}

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
#include "appliance/nvme/nvme_commands.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "appliance/nvme/exports.h"
#include "appliance/time_text.h"
#include "strata/base/status_macros.h"
#include "strata/block/registry.h"

namespace strata::appliance {
namespace {

constexpr uint64_t kAnyNumber = std::numeric_limits<int64_t>::max();
constexpr uint64_t kMostNsid = 0xfffffffe;
constexpr uint64_t kMostControllerId = 0xffef;
constexpr uint64_t kMostBurstMs = 3'600'000;
// The console names so many connections; `connections` names all.
constexpr size_t kShownConnections = 100;

// `latency`: how many commands took less than so long and not less than half of it.
Json ToJson(const nvme::IoStatistics& statistics) {
  Json latency = Json::array();
  for (size_t i = 0; i < statistics.latency.buckets.size(); ++i) {
    const uint64_t count = statistics.latency.buckets[i];
    if (count > 0) latency.push_back({{"below_ns", uint64_t{2} << i}, {"operations", count}});
  }
  return {{"operations", statistics.commands},
          {"bytes", statistics.bytes},
          {"errors", statistics.errors},
          {"seconds", static_cast<double>(statistics.latency_ns) / 1e9},
          {"p50_ns", statistics.latency.PercentileNs(0.5)},
          {"p99_ns", statistics.latency.PercentileNs(0.99)},
          {"latency", std::move(latency)}};
}

Json ToJson(const nvme::NamespaceStatistics& statistics) {
  Json json = Json::object();
  for (size_t i = 0; i < nvme::kIoKinds; ++i) {
    const auto kind = static_cast<nvme::IoKind>(i);
    json[nvme::NameOf(kind)] = ToJson(statistics[kind]);
  }
  return json;
}

Json ToJson(const NamespaceRecord& record) {
  Json json = {{"nsid", record.nsid},
               {"uri", record.uri},
               {"uuid", PrintUuid(record.uuid)},
               {"nguid", PrintNguid(record.nguid)},
               {"read_only", record.read_only},
               {"hosts", record.hosts},
               {"iops", record.qos.iops},
               {"bytes_per_second", record.qos.bytes_per_second},
               {"burst_ms", record.qos.burst_ms},
               {"created", FormatTime(record.created_ns)}};
  return json;
}

Json ToJson(const std::string& nqn, const NamespaceView& view) {
  Json json = {{"subsystem", nqn}};
  json.update(ToJson(view.record));
  json["read_only"] = view.read_only;
  json["served"] = view.error.empty();
  json["error"] = view.error;
  json["block_size_bytes"] = view.block_size_bytes;
  json["size_bytes"] = view.block_count * view.block_size_bytes;
  json["since_start"] = ToJson(view.statistics);
  return json;
}

Json ToJson(const SubsystemView& view) {
  Json hosts = Json::array();
  for (const HostRecord& host : view.hosts) hosts.push_back(host.nqn);
  return {{"nqn", view.record.nqn},
          {"serial_number", view.record.serial_number},
          {"model_number", view.record.model_number},
          {"allow_any_host", view.record.allow_any_host},
          {"first_controller_id", view.record.first_controller_id},
          {"last_controller_id", view.record.last_controller_id},
          {"hosts", std::move(hosts)},
          {"namespaces", view.namespaces.size()},
          {"controllers", view.controllers.size()},
          {"served", view.error.empty()},
          {"error", view.error},
          {"created", FormatTime(view.record.created_ns)},
          {"since_start", ToJson(view.statistics)}};
}

Json ToJson(const nvmeof::ConnectionInfo& connection) {
  return {{"subsystem", connection.subsystem_nqn},
          {"host", connection.host_nqn},
          {"controller", connection.controller_id},
          {"queue", connection.queue_id},
          {"peer", nvmeof::ToString(connection.peer)},
          {"local", nvmeof::ToString(connection.local)},
          {"header_digest", connection.has_header_digest},
          {"data_digest", connection.has_data_digest},
          {"connected", FormatTime(static_cast<uint64_t>(connection.connected_wall_ns))},
          {"commands", connection.commands},
          {"bytes_to_host", connection.bytes_to_host},
          {"bytes_from_host", connection.bytes_from_host}};
}

absl::StatusOr<Json> SubsystemJson(Exports& exports, const std::string& nqn) {
  STRATA_ASSIGN_OR_RETURN(const SubsystemView view, exports.Subsystem(nqn));
  return ToJson(view);
}

absl::StatusOr<Json> CreateSubsystem(Exports& exports, Arguments& arguments) {
  SubsystemRecord record;
  STRATA_ASSIGN_OR_RETURN(record.nqn, arguments.RequiredText("nqn"));
  record.allow_any_host = arguments.Flag("allow_any_host", false);
  record.serial_number = arguments.Text("serial_number", "");
  record.model_number = arguments.Text("model_number", "");
  record.first_controller_id =
      static_cast<uint16_t>(arguments.Number("first_controller_id", kMostControllerId, 1));
  record.last_controller_id = static_cast<uint16_t>(
      arguments.Number("last_controller_id", kMostControllerId, kMostControllerId));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_RETURN_IF_ERROR(exports.CreateSubsystem(record));
  return SubsystemJson(exports, record.nqn);
}

absl::StatusOr<Json> ListSubsystems(Exports& exports, Arguments& arguments) {
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  Json list = Json::array();
  for (const SubsystemView& view : exports.Subsystems()) list.push_back(ToJson(view));
  return Json{{"subsystems", std::move(list)}};
}

absl::StatusOr<Json> SetSubsystem(Exports& exports, Arguments& arguments) {
  STRATA_ASSIGN_OR_RETURN(const std::string nqn, arguments.RequiredText("nqn"));
  const bool has_change = arguments.Has("allow_any_host");
  const bool allow = arguments.Flag("allow_any_host", false);
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  if (!has_change) return absl::InvalidArgumentError("nothing is to be changed");
  STRATA_RETURN_IF_ERROR(exports.AllowAnyHost(nqn, allow));
  return SubsystemJson(exports, nqn);
}

absl::StatusOr<Json> DeleteSubsystem(Exports& exports, Arguments& arguments) {
  STRATA_ASSIGN_OR_RETURN(const std::string nqn, arguments.RequiredText("nqn"));
  const bool force = arguments.Flag("force", false);
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_RETURN_IF_ERROR(exports.DeleteSubsystem(nqn, force));
  return Json::object();
}

absl::StatusOr<Json> AddHost(Exports& exports, Arguments& arguments) {
  STRATA_ASSIGN_OR_RETURN(const std::string nqn, arguments.RequiredText("nqn"));
  STRATA_ASSIGN_OR_RETURN(const std::string host, arguments.RequiredText("host"));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_RETURN_IF_ERROR(exports.AddHost(nqn, host));
  return Json::object();
}

absl::StatusOr<Json> ListHosts(Exports& exports, Arguments& arguments) {
  STRATA_ASSIGN_OR_RETURN(const std::string nqn, arguments.RequiredText("nqn"));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const SubsystemView view, exports.Subsystem(nqn));
  Json list = Json::array();
  for (const HostRecord& host : view.hosts) {
    list.push_back({{"host", host.nqn}, {"created", FormatTime(host.created_ns)}});
  }
  return Json{{"allow_any_host", view.record.allow_any_host}, {"hosts", std::move(list)}};
}

absl::StatusOr<Json> RemoveHost(Exports& exports, Arguments& arguments) {
  STRATA_ASSIGN_OR_RETURN(const std::string nqn, arguments.RequiredText("nqn"));
  STRATA_ASSIGN_OR_RETURN(const std::string host, arguments.RequiredText("host"));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_RETURN_IF_ERROR(exports.RemoveHost(nqn, host));
  return Json::object();
}

nvme::QosLimits TakeQos(Arguments& arguments, const nvme::QosLimits& otherwise) {
  return {.iops = arguments.Number("iops", kAnyNumber, otherwise.iops),
          .bytes_per_second =
              arguments.Number("bytes_per_second", kAnyNumber, otherwise.bytes_per_second),
          .burst_ms = arguments.Number("burst_ms", kMostBurstMs, otherwise.burst_ms)};
}

absl::StatusOr<Json> NamespaceJson(Exports& exports, const std::string& nqn, uint32_t nsid) {
  STRATA_ASSIGN_OR_RETURN(const SubsystemView view, exports.Subsystem(nqn));
  for (const NamespaceView& space : view.namespaces) {
    if (space.record.nsid == nsid) return ToJson(nqn, space);
  }
  return absl::NotFoundError(absl::StrCat("subsystem '", nqn, "' has no namespace ", nsid));
}

absl::StatusOr<Json> AddNamespace(Exports& exports, Arguments& arguments) {
  NamespaceRecord record;
  STRATA_ASSIGN_OR_RETURN(const std::string nqn, arguments.RequiredText("nqn"));
  STRATA_ASSIGN_OR_RETURN(record.uri, arguments.RequiredText("uri"));
  record.nsid = static_cast<uint32_t>(arguments.Number("nsid", kMostNsid, 0));
  const std::string uuid = arguments.Text("uuid", "");
  const std::string nguid = arguments.Text("nguid", "");
  record.read_only = arguments.Flag("read_only", false);
  record.hosts = arguments.Texts("hosts");
  record.qos = TakeQos(arguments, {});
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  if (!uuid.empty()) {
    STRATA_ASSIGN_OR_RETURN(record.uuid, ParseUuid(uuid));
  }
  if (!nguid.empty()) {
    STRATA_ASSIGN_OR_RETURN(record.nguid, ParseNguid(nguid));
  }
  STRATA_ASSIGN_OR_RETURN(const NamespaceRecord made, exports.AddNamespace(nqn, std::move(record)));
  return NamespaceJson(exports, nqn, made.nsid);
}

absl::StatusOr<Json> ListNamespaces(Exports& exports, Arguments& arguments) {
  const std::string only = arguments.Text("nqn", "");
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  if (!only.empty()) STRATA_RETURN_IF_ERROR(exports.Subsystem(only).status());
  Json list = Json::array();
  for (const SubsystemView& view : exports.Subsystems()) {
    if (!only.empty() && view.record.nqn != only) continue;
    for (const NamespaceView& space : view.namespaces) {
      list.push_back(ToJson(view.record.nqn, space));
    }
  }
  return Json{{"namespaces", std::move(list)}};
}

absl::StatusOr<Json> ShowNamespace(Exports& exports, Arguments& arguments) {
  STRATA_ASSIGN_OR_RETURN(const std::string nqn, arguments.RequiredText("nqn"));
  const auto nsid = static_cast<uint32_t>(arguments.Number("nsid", kMostNsid, 0));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  return NamespaceJson(exports, nqn, nsid);
}

absl::StatusOr<NamespaceRecord> FindNamespace(Exports& exports, const std::string& nqn,
                                              uint32_t nsid) {
  STRATA_ASSIGN_OR_RETURN(const SubsystemView view, exports.Subsystem(nqn));
  for (const NamespaceView& space : view.namespaces) {
    if (space.record.nsid == nsid) return space.record;
  }
  return absl::NotFoundError(absl::StrCat("subsystem '", nqn, "' has no namespace ", nsid));
}

// The URI of the same file, with another option `size`.
absl::StatusOr<std::string> WithSize(const std::string& text, uint64_t size_bytes) {
  STRATA_ASSIGN_OR_RETURN(block::Uri uri, block::ParseUri(text));
  if (uri.scheme != "file") {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is no file: give its new URI with --uri"));
  }
  uri.options["size"] = absl::StrCat(size_bytes);
  std::string made = absl::StrCat(uri.scheme, ":", uri.target);
  char separator = '?';
  for (const auto& [key, value] : uri.options) {
    absl::StrAppend(&made, std::string(1, std::exchange(separator, '&')), key, "=", value);
  }
  return made;
}

absl::StatusOr<Json> SetNamespace(Exports& exports, Arguments& arguments) {
  STRATA_ASSIGN_OR_RETURN(const std::string nqn, arguments.RequiredText("nqn"));
  const auto nsid = static_cast<uint32_t>(arguments.Number("nsid", kMostNsid, 0));
  STRATA_RETURN_IF_ERROR(arguments.status());
  STRATA_ASSIGN_OR_RETURN(const NamespaceRecord now, FindNamespace(exports, nqn, nsid));
  NamespaceChange change;
  const bool has_qos =
      arguments.Has("iops") || arguments.Has("bytes_per_second") || arguments.Has("burst_ms");
  const nvme::QosLimits qos = TakeQos(arguments, now.qos);
  if (has_qos) change.qos = qos;
  if (arguments.Has("hosts")) change.hosts = arguments.Texts("hosts");
  const bool reopen = arguments.Flag("reopen", false);
  const std::string uri = arguments.Text("uri", reopen ? now.uri : "");
  const uint64_t size_bytes = arguments.Bytes("size", 0);
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  if (!uri.empty()) change.uri = uri;
  if (size_bytes > 0) {
    STRATA_ASSIGN_OR_RETURN(change.uri, WithSize(uri.empty() ? now.uri : uri, size_bytes));
  }
  if (!change.qos && !change.hosts && !change.uri) {
    return absl::InvalidArgumentError("nothing is to be changed");
  }
  STRATA_RETURN_IF_ERROR(exports.SetNamespace(nqn, nsid, change).status());
  return NamespaceJson(exports, nqn, nsid);
}

absl::StatusOr<Json> RemoveNamespace(Exports& exports, Arguments& arguments) {
  STRATA_ASSIGN_OR_RETURN(const std::string nqn, arguments.RequiredText("nqn"));
  const auto nsid = static_cast<uint32_t>(arguments.Number("nsid", kMostNsid, 0));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_RETURN_IF_ERROR(exports.RemoveNamespace(nqn, nsid));
  return Json::object();
}

absl::StatusOr<Json> AddListener(Exports& exports, Arguments& arguments) {
  STRATA_ASSIGN_OR_RETURN(const std::string address, arguments.RequiredText("address"));
  const bool is_discovery_only = arguments.Flag("discovery_only", false);
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const std::string added, exports.AddListener(address, is_discovery_only));
  return Json{{"address", added}};
}

absl::StatusOr<Json> ListListeners(Exports& exports, Arguments& arguments) {
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  Json list = Json::array();
  for (const ListenerView& view : exports.Listeners()) {
    list.push_back({{"address", view.record.address},
                    {"discovery_only", view.record.is_discovery_only},
                    {"configured", view.is_configured},
                    {"listening", view.error.empty()},
                    {"error", view.error}});
  }
  return Json{{"listeners", std::move(list)}};
}

absl::StatusOr<Json> RemoveListener(Exports& exports, Arguments& arguments) {
  STRATA_ASSIGN_OR_RETURN(const std::string address, arguments.RequiredText("address"));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_RETURN_IF_ERROR(exports.RemoveListener(address));
  return Json::object();
}

absl::StatusOr<Json> ListConnections(Exports& exports, Arguments& arguments) {
  const std::string only = arguments.Text("nqn", "");
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  if (!exports.is_serving()) {
    return absl::FailedPreconditionError(
        "no target runs: it does in a stratad, from the first subsystem on");
  }
  Json list = Json::array();
  for (const nvmeof::ConnectionInfo& connection : exports.Connections()) {
    if (only.empty() || connection.subsystem_nqn == only) list.push_back(ToJson(connection));
  }
  return Json{{"connections", std::move(list)}};
}

struct NamedCommand {
  const char* name;
  NvmeCommand run;
};

constexpr NamedCommand kCommands[] = {
    {"nvme.subsystem.create", CreateSubsystem},
    {"nvme.subsystem.list", ListSubsystems},
    {"nvme.subsystem.set", SetSubsystem},
    {"nvme.subsystem.delete", DeleteSubsystem},
    {"nvme.host.add", AddHost},
    {"nvme.host.list", ListHosts},
    {"nvme.host.remove", RemoveHost},
    {"nvme.namespace.add", AddNamespace},
    {"nvme.namespace.list", ListNamespaces},
    {"nvme.namespace.show", ShowNamespace},
    {"nvme.namespace.set", SetNamespace},
    {"nvme.namespace.remove", RemoveNamespace},
    {"nvme.listener.add", AddListener},
    {"nvme.listener.list", ListListeners},
    {"nvme.listener.remove", RemoveListener},
    {"nvme.connections", ListConnections},
};

}  // namespace

NvmeCommand FindNvmeCommand(std::string_view name) {
  for (const NamedCommand& command : kCommands) {
    if (name == command.name) return command.run;
  }
  return nullptr;
}

Json NvmeStatusJson(const Exports& exports) {
  Json json = {
      {"subsystems", Json::array()}, {"namespaces", Json::array()}, {"connections", Json::array()}};
  for (const SubsystemView& view : exports.Subsystems()) {
    json["subsystems"].push_back(ToJson(view));
    for (const NamespaceView& space : view.namespaces) {
      json["namespaces"].push_back(ToJson(view.record.nqn, space));
    }
  }
  const std::vector<nvmeof::ConnectionInfo> connections = exports.Connections();
  json["connection_count"] = connections.size();
  for (const nvmeof::ConnectionInfo& connection : connections) {
    if (json["connections"].size() == kShownConnections) break;
    json["connections"].push_back(ToJson(connection));
  }
  return json;
}

}  // namespace strata::appliance

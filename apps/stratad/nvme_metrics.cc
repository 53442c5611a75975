// SPDX-License-Identifier: Apache-2.0
#include "stratad/nvme_metrics.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "strata/base/log.h"

namespace strata::appliance {
namespace {

using Bucket = prometheus::ClientMetric::Bucket;
using Labels = MetricFamilies::Labels;

// A scrape stays readable: of more connections the first are named.
constexpr size_t kNamedConnections = 1024;

Labels With(Labels labels, const char* name, std::string value) {
  labels.push_back({name, std::move(value)});
  return labels;
}

// From about a microsecond to some 17 seconds: what is faster or slower is in the first or the
// last.
std::vector<Bucket> BucketsOf(const nvme::LatencyHistogram& latency) {
  constexpr size_t kFirst = 9;
  constexpr size_t kLast = 33;
  std::vector<Bucket> buckets;
  uint64_t count = 0;
  for (size_t i = 0; i <= kLast; ++i) {
    count += latency.buckets[i];
    if (i < kFirst) continue;
    Bucket bucket;
    bucket.cumulative_count = count;
    bucket.upper_bound = static_cast<double>(uint64_t{2} << i) / 1e9;
    buckets.push_back(bucket);
  }
  Bucket all;
  all.cumulative_count = latency.count;
  all.upper_bound = std::numeric_limits<double>::infinity();
  buckets.push_back(all);
  return buckets;
}

void AddTarget(MetricFamilies& out, const Exports& exports, size_t connections) {
  const nvmeof::TargetStatistics totals = exports.Statistics();
  out.Gauge("strata_nvme_connections", "NVMe/TCP connections open.",
            static_cast<double>(connections));
  out.Counter("strata_nvme_connections_accepted_total", "Connections accepted.",
              static_cast<double>(totals.connections_accepted));
  out.Counter("strata_nvme_connections_refused_total", "Connections over the limit.",
              static_cast<double>(totals.connections_refused));
  out.Counter("strata_nvme_connections_terminated_total",
              "Connections ended for what the host did or failed to do.",
              static_cast<double>(totals.connections_terminated));
  out.Counter("strata_nvme_commands_total", "Commands that ended, all queues together.",
              static_cast<double>(totals.commands));
  out.Counter("strata_nvme_sent_bytes_total", "Bytes of data sent to hosts.",
              static_cast<double>(totals.bytes_to_host));
  out.Counter("strata_nvme_received_bytes_total", "Bytes of data received from hosts.",
              static_cast<double>(totals.bytes_from_host));
}

void AddSubsystem(MetricFamilies& out, const SubsystemView& view, const Labels& labels) {
  out.Gauge("strata_nvme_subsystem_served", "1 where hosts can connect to the subsystem.",
            view.error.empty() ? 1 : 0, labels);
  out.Gauge("strata_nvme_subsystem_controllers", "Hosts connected, once for each controller.",
            static_cast<double>(view.controllers.size()), labels);
  for (size_t i = 0; i < nvme::kIoKinds; ++i) {
    const auto kind = static_cast<nvme::IoKind>(i);
    const nvme::IoStatistics& statistics = view.statistics[kind];
    const Labels by_kind = With(labels, "operation", nvme::NameOf(kind));
    out.Counter("strata_nvme_subsystem_operations_total",
                "Commands to the namespaces of the subsystem, its former ones included.",
                static_cast<double>(statistics.commands), by_kind);
    out.Counter("strata_nvme_subsystem_bytes_total", "Bytes of these that succeeded.",
                static_cast<double>(statistics.bytes), by_kind);
    out.Counter("strata_nvme_subsystem_errors_total", "Of these, those that failed.",
                static_cast<double>(statistics.errors), by_kind);
  }
  for (const nvme::ControllerState& controller : view.controllers) {
    const Labels by_controller = With(With(labels, "host", LogLine(controller.host_nqn)),
                                      "controller", absl::StrCat(controller.id));
    out.Counter("strata_nvme_controller_errors_total",
                "Commands of a connected host that ended with an error.",
                static_cast<double>(controller.errors), by_controller);
  }
}

void AddNamespace(MetricFamilies& out, const NamespaceView& view, const Labels& labels) {
  out.Gauge("strata_nvme_namespace_served", "0 where the device cannot be used.",
            view.error.empty() ? 1 : 0, labels);
  out.Gauge("strata_nvme_namespace_size_bytes", "Size of the namespace.",
            static_cast<double>(view.block_count * view.block_size_bytes), labels);
  for (size_t i = 0; i < nvme::kIoKinds; ++i) {
    const auto kind = static_cast<nvme::IoKind>(i);
    const nvme::IoStatistics& statistics = view.statistics[kind];
    const Labels by_kind = With(labels, "operation", nvme::NameOf(kind));
    out.Counter("strata_nvme_namespace_operations_total", "Commands to the namespace's device.",
                static_cast<double>(statistics.commands), by_kind);
    out.Counter("strata_nvme_namespace_bytes_total", "Bytes of these that succeeded.",
                static_cast<double>(statistics.bytes), by_kind);
    out.Counter("strata_nvme_namespace_errors_total", "Of these, those that failed.",
                static_cast<double>(statistics.errors), by_kind);
    out.Histogram(
        "strata_nvme_namespace_seconds", "How long the namespace's device took for a command.",
        static_cast<double>(statistics.latency_ns) / 1e9, BucketsOf(statistics.latency), by_kind);
  }
}

void AddConnection(MetricFamilies& out, const nvmeof::ConnectionInfo& connection) {
  const Labels labels = {{"subsystem", LogLine(connection.subsystem_nqn)},
                         {"host", LogLine(connection.host_nqn)},
                         {"controller", absl::StrCat(connection.controller_id)},
                         {"queue", absl::StrCat(connection.queue_id)},
                         {"peer", nvmeof::ToString(connection.peer)}};
  out.Counter("strata_nvme_connection_commands_total", "Commands that ended on a connection.",
              static_cast<double>(connection.commands), labels);
  out.Counter("strata_nvme_connection_sent_bytes_total", "Bytes of data sent to the host.",
              static_cast<double>(connection.bytes_to_host), labels);
  out.Counter("strata_nvme_connection_received_bytes_total", "Bytes of data received from it.",
              static_cast<double>(connection.bytes_from_host), labels);
}

}  // namespace

void AddExports(MetricFamilies& out, const Exports& exports) {
  const std::vector<nvmeof::ConnectionInfo> connections = exports.Connections();
  AddTarget(out, exports, connections.size());
  for (const SubsystemView& view : exports.Subsystems()) {
    const Labels labels = {{"subsystem", LogLine(view.record.nqn)}};
    AddSubsystem(out, view, labels);
    for (const NamespaceView& space : view.namespaces) {
      AddNamespace(out, space, With(labels, "nsid", absl::StrCat(space.record.nsid)));
    }
  }
  size_t named = 0;
  for (const nvmeof::ConnectionInfo& connection : connections) {
    if (named++ == kNamedConnections) break;
    AddConnection(out, connection);
  }
}

}  // namespace strata::appliance

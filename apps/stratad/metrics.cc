// SPDX-License-Identifier: Apache-2.0
#include "stratad/metrics.h"

#include <prometheus/text_serializer.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strata/dedup/report_fields.h"
#include "stratad/metric_families.h"
#include "stratad/nvme_metrics.h"
#include "stratad/process_figures.h"

namespace strata::appliance {
namespace {

using Labels = MetricFamilies::Labels;

void AddStore(MetricFamilies& out, const dedup::Stats& stats) {
  using Kind = dedup::StatsField::Kind;
  const std::span<const dedup::StatsField> fields = dedup::StatsFields();
  for (size_t i = 0; i < fields.size(); ++i) {
    const dedup::StatsField& field = fields[i];
    if (*field.metric == '\0') continue;
    const uint64_t value = stats.*field.member;
    const std::string name = std::string("strata_dedup_") + field.metric;
    if (field.kind == Kind::kStored) out.Gauge(name, field.help, value);
    if (field.kind == Kind::kTotal) out.Counter(name + "_total", field.help, value);
    if (field.kind == Kind::kCalls) {
      out.Summary(
          "strata_dedup_operation_seconds",
          "Calls of the deduplicating store, and the time that their callers spent in them.", value,
          static_cast<double>(stats.*fields[i + 1].member) / 1e9, {{"operation", field.metric}});
    }
  }
  out.Gauge("strata_dedup_average_chunk_bytes", "Of the distinct chunks, before compression.",
            stats.average_chunk_bytes());
}

void AddAppliance(MetricFamilies& out, Appliance& appliance) {
  const dedup::Stats stats = appliance.dedup().Stats();
  AddStore(out, stats);
  out.Gauge("strata_device_allocated_bytes",
            "Bytes that the containers' file takes on its filesystem; 0 for other devices.",
            appliance.device_allocated_bytes());
  out.Gauge("strata_metadata_allocated_bytes", "Bytes that the metadata takes on its filesystem.",
            appliance.metadata_allocated_bytes());
  const GarbageHistory history = appliance.garbage_history();
  out.Counter("strata_gc_runs_total", "Garbage collections completed.", history.runs);
  out.Counter("strata_gc_failed_runs_total", "Garbage collections that failed or were cancelled.",
              history.failed_runs);
  out.Counter("strata_gc_freed_bytes_total", "Device space freed by garbage collections.",
              history.freed_bytes);
  out.Counter("strata_gc_reaped_streams_total", "Streams of aborted uploads deleted afterwards.",
              history.reaped_streams);
  out.Gauge("strata_gc_running", "1 while a garbage collection runs.", history.running ? 1 : 0);
  out.Gauge("strata_gc_last_end_timestamp_seconds",
            "When the last garbage collection ended; 0: none since the start.",
            static_cast<double>(history.last_end_ns) / 1e9);
}

void AddServer(MetricFamilies& out, const s3::ServerStats& stats) {
  for (const s3::OperationStats& operation : stats.operations) {
    const std::string name(operation.operation);
    const Labels labels = {{"operation", name}};
    out.Counter("strata_s3_requests_total", "Requests that ended.", operation.requests, labels);
    out.Counter("strata_s3_aborted_total", "Of these, those whose client went before the end.",
                operation.aborted, labels);
    out.Counter("strata_s3_errors_total", "Requests answered with an error, by class of status.",
                operation.client_errors, {{"operation", name}, {"class", "4xx"}});
    out.Counter("strata_s3_errors_total", "", operation.server_errors,
                {{"operation", name}, {"class", "5xx"}});
    out.Counter("strata_s3_received_bytes_total", "Bytes of request bodies.", operation.bytes_in,
                labels);
    out.Counter("strata_s3_sent_bytes_total", "Bytes of response bodies.", operation.bytes_out,
                labels);
    out.Gauge("strata_s3_in_flight", "Requests in progress.", operation.in_flight, labels);
    out.Summary("strata_s3_request_seconds", "From the end of the head to the end of the answer.",
                operation.requests, static_cast<double>(operation.latency_sum_ns) / 1e9, labels);
  }
  out.Gauge("strata_s3_connections", "Connections open.", stats.connections);
  out.Counter("strata_s3_connections_accepted_total", "Connections accepted.",
              stats.connections_accepted);
  out.Counter("strata_s3_connections_refused_total", "Connections over the limit.",
              stats.connections_refused);
  out.Counter("strata_s3_connections_dismissed_total",
              "Unauthenticated connections closed to make room for others.",
              stats.connections_dismissed);
  out.Gauge("strata_s3_body_memory_bytes", "Memory of content and documents on their way.",
            stats.body_memory_bytes);
  out.Gauge("strata_s3_worker_threads", "Threads that call the store.", stats.worker_threads);
  out.Gauge("strata_s3_queued_jobs", "Work that waits for such a thread.", stats.queued_jobs);
}

void AddProcess(MetricFamilies& out) {
  const ProcessFigures process = ReadProcessFigures();
  out.Gauge("process_resident_memory_bytes", "Resident memory.", process.resident_bytes);
  out.Gauge("process_virtual_memory_bytes", "Virtual memory.", process.virtual_bytes);
  out.Gauge("process_open_fds", "Open file descriptors.", process.open_files);
  out.Gauge("process_max_fds", "The limit of open file descriptors.", process.max_files);
  out.Gauge("process_threads", "Threads.", process.threads);
  out.Counter("process_cpu_seconds_total", "Processor time, user and system.", process.cpu_seconds);
  out.Gauge("process_start_time_seconds", "When the process started, since the Unix epoch.",
            process.start_seconds);
  out.Gauge("strata_build_info", "1; the version is in the label.", 1,
            {{"version", STRATA_VERSION}});
}

}  // namespace

std::string MetricsText(Appliance* appliance, const s3::Server* server) {
  MetricFamilies families;
  if (appliance != nullptr) AddAppliance(families, *appliance);
  if (appliance != nullptr) AddExports(families, appliance->exports());
  if (server != nullptr) AddServer(families, server->Stats());
  AddProcess(families);
  return prometheus::TextSerializer().Serialize(families.all());
}

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
#include "stratad/metrics.h"

#include <prometheus/text_serializer.h>

#include <string_view>
#include <utility>
#include <vector>

#include "stratad/metric_families.h"
#include "stratad/nvme_metrics.h"
#include "stratad/process_figures.h"

namespace strata::appliance {
namespace {

using Labels = MetricFamilies::Labels;

void AddStored(MetricFamilies& out, const dedup::Stats& stats) {
  out.Gauge("strata_dedup_streams", "Streams stored.", stats.stream_count);
  out.Gauge("strata_dedup_logical_bytes", "Sum of the sizes of all streams.", stats.logical_bytes);
  out.Gauge(
      "strata_dedup_unique_bytes",
      "Sizes of the distinct chunks stored, before compression; uncollected garbage included.",
      stats.unique_bytes);
  out.Gauge("strata_dedup_compressed_bytes", "The same after compression.", stats.compressed_bytes);
  out.Gauge("strata_dedup_deferred_bytes",
            "Of these, in containers that await their compression by a garbage collection.",
            stats.deferred_bytes);
  out.Gauge("strata_dedup_recipe_bytes",
            "Sizes of the recipe nodes stored, which the two above leave out.", stats.recipe_bytes);
  out.Gauge("strata_dedup_container_bytes",
            "Device space that the containers take, headers and padding included.",
            stats.container_bytes);
  out.Gauge("strata_dedup_chunks", "Distinct chunks stored.", stats.chunk_count);
  out.Gauge("strata_dedup_average_chunk_bytes", "Of the distinct chunks, before compression.",
            stats.average_chunk_bytes());
  out.Gauge("strata_dedup_containers", "Containers on the device.", stats.container_count);
  out.Gauge("strata_dedup_device_bytes", "Size of the device.", stats.device_bytes);
  out.Gauge("strata_dedup_metadata_memory_bytes", "Memory of the index filter and the caches.",
            stats.metadata_memory_bytes);
}

void AddOperations(MetricFamilies& out, const dedup::Stats& stats) {
  const auto add = [&out](const char* operation, uint64_t count, uint64_t time_ns) {
    out.Summary("strata_dedup_operation_seconds",
                "Calls of the deduplicating store, and the time that their callers spent in them.",
                count, static_cast<double>(time_ns) / 1e9, {{"operation", operation}});
  };
  add("ingest", stats.ingests, stats.ingest_ns);
  add("read", stats.reads, stats.read_ns);
  add("commit", stats.commits, stats.commit_ns);
  add("collect", stats.collections, stats.collection_ns);
  add("verify", stats.verifications, stats.verification_ns);
}

void AddActivity(MetricFamilies& out, const dedup::Stats& stats) {
  out.Counter("strata_dedup_ingested_bytes_total", "Bytes written to streams.",
              stats.ingested_bytes);
  out.Counter("strata_dedup_ingested_chunks_total", "Chunks written to streams.",
              stats.ingested_chunks);
  out.Counter("strata_dedup_duplicate_bytes_total", "Of the ingested bytes, those stored before.",
              stats.duplicate_bytes);
  out.Counter("strata_dedup_rewritten_bytes_total",
              "Duplicates stored again so that long streams stay in few places.",
              stats.rewritten_bytes);
  out.Counter("strata_dedup_device_read_bytes_total", "Read from the device of the containers.",
              stats.device_read_bytes);
  out.Counter("strata_dedup_duplicate_chunks_total", "Of the ingested chunks, those stored before.",
              stats.duplicate_chunks);
  out.Counter("strata_dedup_read_bytes_total", "Bytes read from streams.", stats.read_bytes);
  out.Counter("strata_dedup_index_reads_total", "Lookups that went to the index on disk.",
              stats.index_reads);
  out.Counter("strata_dedup_device_flushes_total", "Flushes of the device.", stats.device_flushes);
  out.Counter("strata_dedup_corruptions_total", "Damaged places met while reading.",
              stats.corruptions_found);
}

void AddAppliance(MetricFamilies& out, Appliance& appliance) {
  const dedup::Stats stats = appliance.dedup().Stats();
  AddStored(out, stats);
  out.Gauge("strata_device_allocated_bytes",
            "Bytes that the containers' file takes on its filesystem; 0 for other devices.",
            appliance.device_allocated_bytes());
  out.Gauge("strata_metadata_allocated_bytes", "Bytes that the metadata takes on its filesystem.",
            appliance.metadata_allocated_bytes());
  AddActivity(out, stats);
  AddOperations(out, stats);
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

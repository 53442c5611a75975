// SPDX-License-Identifier: Apache-2.0
#include "appliance/upkeep_commands.h"

#include <string>
#include <utility>
#include <vector>

#include "appliance/damaged_objects.h"
#include "appliance/json.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

// What is absent cannot be divided by: an empty store reduces nothing.
double Ratio(uint64_t before, uint64_t after) {
  return after == 0 ? 1.0 : static_cast<double>(before) / static_cast<double>(after);
}

Json ToJson(const dedup::Damage& damage) {
  return {{"stream", damage.stream.ToHex()},
          {"offset_bytes", damage.offset_bytes},
          {"size_bytes", damage.size_bytes},
          {"detail", damage.detail}};
}

Json ToJson(const DamagedObject& object) {
  return {{"bucket", object.bucket},
          {"key", object.key},
          {"version_id", object.version_id},
          {"size_bytes", object.size_bytes},
          {"detail", object.detail}};
}

double Seconds(uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

}  // namespace

Json StatJson(Appliance& appliance) {
  const dedup::Stats stats = appliance.dedup().Stats();
  const GarbageHistory history = appliance.garbage_history();
  return {
      {"data", appliance.data()},
      {"device", appliance.device_name()},
      {"streams", stats.stream_count},
      {"chunks", stats.chunk_count},
      {"average_chunk_bytes", stats.average_chunk_bytes()},
      {"containers", stats.container_count},
      {"logical_bytes", stats.logical_bytes},
      {"unique_bytes", stats.unique_bytes},
      {"compressed_bytes", stats.compressed_bytes},
      {"deferred_bytes", stats.deferred_bytes},
      {"recipe_bytes", stats.recipe_bytes},
      {"container_bytes", stats.container_bytes},
      {"device_bytes", stats.device_bytes},
      {"device_allocated_bytes", appliance.device_allocated_bytes()},
      {"metadata_bytes", appliance.metadata_allocated_bytes()},
      {"memory_bytes", stats.metadata_memory_bytes},
      {"dedup_ratio", Ratio(stats.logical_bytes, stats.unique_bytes)},
      {"compression_ratio", Ratio(stats.unique_bytes, stats.compressed_bytes)},
      {"reduction_ratio", Ratio(stats.logical_bytes, stats.container_bytes)},
      {"since_open",
       {{"ingested_bytes", stats.ingested_bytes},
        {"ingested_chunks", stats.ingested_chunks},
        {"duplicate_bytes", stats.duplicate_bytes},
        {"duplicate_chunks", stats.duplicate_chunks},
        {"rewritten_bytes", stats.rewritten_bytes},
        {"device_read_bytes", stats.device_read_bytes},
        {"read_bytes", stats.read_bytes},
        {"device_flushes", stats.device_flushes},
        {"index_reads", stats.index_reads},
        {"corruptions_found", stats.corruptions_found},
        {"ingests", stats.ingests},
        {"ingest_seconds", Seconds(stats.ingest_ns)},
        {"reads", stats.reads},
        {"read_seconds", Seconds(stats.read_ns)},
        {"commits", stats.commits},
        {"commit_seconds", Seconds(stats.commit_ns)},
        {"verifications", stats.verifications},
        {"verification_seconds", Seconds(stats.verification_ns)},
        {"collection_seconds", Seconds(stats.collection_ns)},
        {"collections", history.runs},
        {"collected_bytes", history.freed_bytes},
        {"collecting", history.running}}},
  };
}

absl::StatusOr<Json> Stat(Appliance& appliance, Arguments& arguments,
                          const dedup::ProgressCallback&) {
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  return StatJson(appliance);
}

absl::StatusOr<Json> CollectGarbage(Appliance& appliance, Arguments& arguments,
                                    const dedup::ProgressCallback& progress) {
  const Config::Maintenance& config = appliance.config().maintenance;
  dedup::GarbageOptions options;
  const bool fold = arguments.Flag("fold", appliance.folds());
  options.rewrite_below_live_ratio =
      arguments.Ratio("rewrite_below", fold ? config.fold_rewrite_below_live_ratio
                                            : config.gc_rewrite_below_live_ratio);
  options.max_bytes_per_second = arguments.Bytes("max_rate", 0);
  options.progress = progress;
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const dedup::GarbageReport report,
                          appliance.CollectGarbage(std::move(options), fold));
  return Json{{"streams_marked", report.streams_marked},
              {"containers_examined", report.containers_examined},
              {"containers_freed", report.containers_freed},
              {"duplicate_chunks", report.duplicate_chunks},
              {"deferred_bytes", report.deferred_bytes},
              {"live_bytes_copied", report.live_bytes_copied},
              {"freed_bytes", report.freed_bytes}};
}

Json VerifyJson(const dedup::VerifyReport& report, Json streams, Json objects) {
  return Json{{"damaged", !streams.empty() || !report.container_damage.empty() ||
                              !report.index_damage.empty()},
              {"containers_checked", report.containers_checked},
              {"chunks_checked", report.chunks_checked},
              {"streams_checked", report.streams_checked},
              {"bytes_read", report.bytes_read},
              {"container_damage", report.container_damage},
              {"index_entries_checked", report.index_entries_checked},
              {"index_damage", report.index_damage},
              {"streams", std::move(streams)},
              {"objects", std::move(objects)}};
}

absl::StatusOr<Json> Verify(Appliance& appliance, Arguments& arguments,
                            const dedup::ProgressCallback& progress) {
  dedup::VerifyOptions options;
  options.read_data = !arguments.Flag("quick", false);
  options.progress = progress;
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const dedup::VerifyReport report, appliance.dedup().Verify(options));
  STRATA_ASSIGN_OR_RETURN(const std::vector<DamagedObject> objects,
                          FindDamagedObjects(appliance, report.streams, progress));
  Json damaged_streams = Json::array();
  for (const dedup::Damage& damage : report.streams) damaged_streams.push_back(ToJson(damage));
  Json damaged_objects = Json::array();
  for (const DamagedObject& object : objects) damaged_objects.push_back(ToJson(object));
  return VerifyJson(report, std::move(damaged_streams), std::move(damaged_objects));
}

absl::StatusOr<Json> RebuildIndex(Appliance& appliance, Arguments& arguments,
                                  const dedup::ProgressCallback& progress) {
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_RETURN_IF_ERROR(appliance.dedup().RebuildIndex(progress));
  return Json::object();
}

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
#include "appliance/upkeep_commands.h"

#include <string>
#include <utility>
#include <vector>

#include "appliance/damaged_objects.h"
#include "appliance/json.h"
#include "appliance/report_json.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

Json ToJson(const DamagedObject& object) {
  return {{"bucket", object.bucket},
          {"key", object.key},
          {"version_id", object.version_id},
          {"size_bytes", object.size_bytes},
          {"detail", object.detail}};
}

}  // namespace

Json StatJson(Appliance& appliance) {
  const dedup::Stats stats = appliance.dedup().Stats();
  const GarbageHistory history = appliance.garbage_history();
  Json json = StoredJson(stats);
  json["data"] = appliance.data();
  json["device"] = appliance.device_name();
  json["device_allocated_bytes"] = appliance.device_allocated_bytes();
  json["metadata_bytes"] = appliance.metadata_allocated_bytes();
  json["reduction_ratio"] = Ratio(stats.logical_bytes, stats.container_bytes);
  Json& activity = json["since_open"] = ActivityJson(stats);
  activity["collections"] = history.runs;
  activity["collected_bytes"] = history.freed_bytes;
  activity["collecting"] = history.running;
  return json;
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
  return GarbageJson(report);
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
  for (const dedup::Damage& damage : report.streams) damaged_streams.push_back(DamageJson(damage));
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

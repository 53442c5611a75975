// SPDX-License-Identifier: Apache-2.0
#include "appliance/report_json.h"

#include <span>
#include <utility>

#include "appliance/json.h"
#include "strata/dedup/report_fields.h"

namespace strata::appliance {
namespace {

using Kind = dedup::StatsField::Kind;

template <typename Report>
Json NumbersJson(const Report& report, std::span<const dedup::ReportField<Report>> fields) {
  Json json = Json::object();
  for (const auto& field : fields) json[field.name] = report.*field.member;
  return json;
}

}  // namespace

double Ratio(uint64_t before, uint64_t after) {
  return after == 0 ? 1.0 : static_cast<double>(before) / static_cast<double>(after);
}

Json StoredJson(const dedup::Stats& stats) {
  Json json = {{"average_chunk_bytes", stats.average_chunk_bytes()},
               {"dedup_ratio", Ratio(stats.logical_bytes, stats.unique_bytes)},
               {"compression_ratio", Ratio(stats.unique_bytes, stats.compressed_bytes)}};
  for (const dedup::StatsField& field : dedup::StatsFields()) {
    if (field.kind == Kind::kStored && *field.label != '\0') {
      json[field.label] = stats.*field.member;
    }
  }
  return json;
}

Json ActivityJson(const dedup::Stats& stats) {
  Json json = Json::object();
  for (const dedup::StatsField& field : dedup::StatsFields()) {
    if (field.kind == Kind::kStored || *field.label == '\0') continue;
    const uint64_t value = stats.*field.member;
    if (field.kind == Kind::kTimeNs) {
      json[field.label] = static_cast<double>(value) / 1e9;
    } else {
      json[field.label] = value;
    }
  }
  return json;
}

Json GarbageJson(const dedup::GarbageReport& report) {
  return NumbersJson(report, dedup::GarbageReportFields());
}

Json DamageJson(const dedup::Damage& damage) {
  return {{"stream", damage.stream.ToHex()},
          {"offset_bytes", damage.offset_bytes},
          {"size_bytes", damage.size_bytes},
          {"detail", damage.detail}};
}

Json VerifyJson(const dedup::VerifyReport& report, Json streams, Json objects) {
  Json json = NumbersJson(report, dedup::VerifyReportFields());
  json["damaged"] =
      !streams.empty() || !report.container_damage.empty() || !report.index_damage.empty();
  json["container_damage"] = report.container_damage;
  json["index_damage"] = report.index_damage;
  json["streams"] = std::move(streams);
  json["objects"] = std::move(objects);
  return json;
}

}  // namespace strata::appliance

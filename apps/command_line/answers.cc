// SPDX-License-Identifier: Apache-2.0
#include "command_line/answers.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "appliance/json.h"
#include "command_line/nvme/nvme_answers.h"
#include "command_line/text_table.h"

namespace strata::appliance {
namespace {

uint64_t NumberOf(const Json& json, const char* key) { return json.value(key, uint64_t{0}); }
std::string CountOf(const Json& json, const char* key) { return absl::StrCat(NumberOf(json, key)); }
std::string SizeOf(const Json& json, const char* key) { return FormatSize(NumberOf(json, key)); }
std::string TextOf(const Json& json, const char* key) { return json.value(key, std::string()); }

std::string RatioOf(const Json& json, const char* key) {
  return absl::StrFormat("%.2f : 1", json.value(key, 1.0));
}

std::string FormatStat(const Json& stat) {
  const Json& now = stat.at("since_open");
  std::string text =
      absl::StrFormat("%s, containers on %s\n\n", TextOf(stat, "data"), TextOf(stat, "device"));
  const auto line = [&](const char* name, const std::string& value, absl::string_view what) {
    absl::StrAppendFormat(&text, "%-13s %12s%s%s\n", name, value, what.empty() ? "" : "   ", what);
  };
  line("logical", SizeOf(stat, "logical_bytes"),
       absl::StrCat("in ", CountOf(stat, "streams"), " streams"));
  line("unique", SizeOf(stat, "unique_bytes"),
       absl::StrCat("in ", CountOf(stat, "chunks"), " chunks, ",
                    FormatSize(static_cast<uint64_t>(stat.value("average_chunk_bytes", 0.0))),
                    " on average, uncollected garbage included"));
  line("compressed", SizeOf(stat, "compressed_bytes"),
       stat.value("deferred_bytes", uint64_t{0}) == 0
           ? ""
           : absl::StrCat(SizeOf(stat, "deferred_bytes"), " of it not yet"));
  line("containers", SizeOf(stat, "container_bytes"),
       absl::StrCat("in ", CountOf(stat, "containers"), " containers"));
  line("on disk", SizeOf(stat, "device_allocated_bytes"),
       absl::StrCat("of ", SizeOf(stat, "device_bytes"), " at most"));
  line("metadata", SizeOf(stat, "metadata_bytes"), "on disk");
  text += "\n";
  line("deduplication", RatioOf(stat, "dedup_ratio"), "logical to unique");
  line("compression", RatioOf(stat, "compression_ratio"), "unique to compressed");
  line("reduction", RatioOf(stat, "reduction_ratio"), "logical to containers");
  text += "\nsince the store was opened\n";
  const auto took = [&now](const char* count, const char* what, const char* seconds) {
    return absl::StrFormat("%s %s in %.1f s", CountOf(now, count), what, now.value(seconds, 0.0));
  };
  line("ingested", SizeOf(now, "ingested_bytes"),
       absl::StrCat(SizeOf(now, "duplicate_bytes"), " of it duplicate, ",
                    took("ingests", "streams", "ingest_seconds")));
  line("read", SizeOf(now, "read_bytes"), took("reads", "reads", "read_seconds"));
  line("collections", CountOf(now, "collections"),
       absl::StrCat(absl::StrFormat("%.1f s, ", now.value("collection_seconds", 0.0)),
                    SizeOf(now, "collected_bytes"), " freed",
                    now.value("collecting", false) ? "; one is running" : ""));
  line("damage met", CountOf(now, "corruptions_found"), "");
  return text;
}

std::string FormatGarbage(const Json& report) {
  const uint64_t folded = report.value("duplicate_chunks", uint64_t{0});
  const uint64_t deferred = report.value("deferred_bytes", uint64_t{0});
  return absl::StrFormat(
      "freed %s: %s of %s containers, %s copied, %s%s%s streams looked at\n",
      SizeOf(report, "freed_bytes"), CountOf(report, "containers_freed"),
      CountOf(report, "containers_examined"), SizeOf(report, "live_bytes_copied"),
      folded == 0 ? "" : absl::StrCat(CountOf(report, "duplicate_chunks"), " chunks folded, "),
      deferred == 0 ? "" : absl::StrCat(SizeOf(report, "deferred_bytes"), " compressed now, "),
      CountOf(report, "streams_marked"));
}

std::string FormatVerify(const Json& report) {
  std::string text =
      absl::StrFormat("checked %s streams, %s chunks in %s containers, read %s\n",
                      CountOf(report, "streams_checked"), CountOf(report, "chunks_checked"),
                      CountOf(report, "containers_checked"), SizeOf(report, "bytes_read"));
  if (!report.value("damaged", false)) return text + "no damage\n";
  for (const Json& place : report.at("container_damage")) {
    absl::StrAppend(&text, "DAMAGED  ", place.get<std::string>(), "\n");
  }
  for (const Json& entry : report.value("index_damage", Json::array())) {
    absl::StrAppend(&text, "INDEX    ", entry.get<std::string>(), "\n");
  }
  for (const Json& stream : report.at("streams")) {
    const std::string name = TextOf(stream, "name");  // Streams of strata dedup have one.
    absl::StrAppendFormat(&text, "LOST     %s, %s bytes at %s: %s\n",
                          name.empty() ? absl::StrCat("stream ", TextOf(stream, "stream")) : name,
                          CountOf(stream, "size_bytes"), CountOf(stream, "offset_bytes"),
                          TextOf(stream, "detail"));
  }
  for (const Json& object : report.at("objects")) {
    absl::StrAppendFormat(&text, "OBJECT   %s/%s, version %s, %s\n", TextOf(object, "bucket"),
                          TextOf(object, "key"), TextOf(object, "version_id"),
                          SizeOf(object, "size_bytes"));
  }
  return text;
}

std::string FormatRebuilt(const Json& answer) {
  std::string text =
      absl::StrFormat("made again from %s containers: %s streams\n",
                      CountOf(answer, "containers_found"), CountOf(answer, "streams_found"));
  for (const Json& lost : answer.at("lost")) {
    absl::StrAppend(&text, "MISSING  ", lost.get<std::string>(), "\n");
  }
  return text + FormatVerify(answer);
}

std::string FormatUsers(const Json& answer) {
  TextTable table({"USER", "NAME", "RIGHTS", "CREATED"}, 4);
  for (const Json& user : answer.at("users")) {
    table.Add({TextOf(user, "id"), TextOf(user, "display_name"),
               user.value("admin", false) ? "admin" : "own buckets", TextOf(user, "created")});
  }
  return table.Print();
}

std::string FormatKeys(const Json& answer) {
  TextTable table({"ACCESS KEY", "CREATED"}, 2);
  for (const Json& key : answer.at("keys")) {
    table.Add({TextOf(key, "access_key"), TextOf(key, "created")});
  }
  return table.Print();
}

std::string FormatNewKey(const Json& key) {
  return absl::StrFormat("user        %s\naccess key  %s\nsecret key  %s\n", TextOf(key, "user"),
                         TextOf(key, "access_key"), TextOf(key, "secret_key"));
}

std::string FormatBuckets(const Json& answer) {
  TextTable table({"BUCKET", "OWNER", "VERSIONING", "CREATED"}, 4);
  for (const Json& bucket : answer.at("buckets")) {
    table.Add({TextOf(bucket, "name"), TextOf(bucket, "owner"), TextOf(bucket, "versioning"),
               TextOf(bucket, "created")});
  }
  return table.Print();
}

std::string FormatUsage(const Json& answer) {
  TextTable table({"BUCKET", "OBJECTS", "VERSIONS", "LOGICAL", "NEW", "STORED"});
  for (const Json& bucket : answer.at("buckets")) {
    table.Add({TextOf(bucket, "name"), CountOf(bucket, "objects"), CountOf(bucket, "versions"),
               SizeOf(bucket, "logical_bytes"), SizeOf(bucket, "new_bytes"),
               SizeOf(bucket, "stored_bytes")});
  }
  return table.Print();
}

struct Formatter {
  const char* command;
  std::string (*format)(const Json&);
};

constexpr Formatter kFormatters[] = {
    {"stat", FormatStat},           {"gc", FormatGarbage},
    {"verify", FormatVerify},       {"rebuild-metadata", FormatRebuilt},
    {"user.list", FormatUsers},     {"user.add", FormatNewKey},
    {"user.key.add", FormatNewKey}, {"user.key.list", FormatKeys},
    {"bucket.list", FormatBuckets}, {"bucket.usage", FormatUsage},
};

}  // namespace

std::string FormatAnswer(std::string_view command, const Json& answer) {
  for (const Formatter& formatter : kFormatters) {
    if (command == formatter.command) return formatter.format(answer);
  }
  if (command.starts_with("nvme")) return FormatNvmeAnswer(command, answer);
  return "done\n";
}

std::string FormatSize(uint64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  const char* const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double size = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (size >= 1024 && unit + 1 < std::size(units)) {
    size /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", size, units[unit]);
}

}  // namespace strata::appliance

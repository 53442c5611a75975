// SPDX-License-Identifier: Apache-2.0
#include "command_line/dedup/dedup_commands.h"

#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "appliance/key_file.h"
#include "appliance/report_json.h"
#include "appliance/storage_devices.h"
#include "command_line/dedup/dedup_catalogue.h"
#include "command_line/dedup/dedup_scan.h"
#include "command_line/quoted_text.h"
#include "command_line/store/store_access.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

using dedup::StreamId;
using dedup::StreamInfo;

constexpr size_t kNamesPerCommit = 1000;

// What lies in a store of files is read whole, and seldom; a collection has time.
constexpr int kRecompressLevel = 12;
constexpr uint32_t kRecompressBytes = 2u << 20;
// Of metadata, at once: little work, and of a small store most of what a collection leaves behind.
constexpr uint64_t kCompactedBytes = 64u << 20;
constexpr uint64_t kMinFreeForCompaction = 8 * kCompactedBytes;

absl::StatusOr<Json> Scan(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  std::vector<dedup::ChunkerOptions> chunkers;
  for (const std::string& name : request.algorithms) {
    dedup::ChunkerOptions options = request.sizes;
    STRATA_ASSIGN_OR_RETURN(options.algorithm, dedup::ParseChunkAlgorithm(name));
    chunkers.push_back(options);
  }
  if (chunkers.empty()) {
    for (const dedup::ChunkAlgorithm algorithm : dedup::AllChunkAlgorithms()) {
      chunkers.push_back(request.sizes);
      chunkers.back().algorithm = algorithm;
    }
  }
  return ScanFiles(request.operands, chunkers, progress);
}

// A stream that was deleted past the catalogue is said, and hides nothing.
absl::StatusOr<Json> ListedEntry(OpenedStore& store, const dedup::NamedEntry& named) {
  Json json = EntryJson(named);
  if (!named.entry.stream) return json;
  const absl::StatusOr<StreamInfo> info = store.store().Stat(*named.entry.stream);
  json["missing"] = !info.ok();
  if (absl::IsNotFound(info.status())) return json;
  if (!info.ok()) return store.Of(named.name, info.status());
  if (named.entry.size_bytes == 0) json["size_bytes"] = info->size_bytes;  // An older entry.
  json["chunks"] = info->chunk_count;
  json["new_bytes"] = info->new_chunk_bytes;
  json["stored_bytes"] = info->new_stored_bytes;
  json["created_ns"] = info->created_ns;
  return json;
}

absl::StatusOr<Json> List(const DedupRequest& request, const dedup::ProgressCallback&) {
  STRATA_ASSIGN_OR_RETURN(const auto store, OpenedStore::Open(request, Access::kRead));
  std::vector<std::string> damaged;
  STRATA_ASSIGN_OR_RETURN(
      const auto found,
      store->Find(request.operands.empty() ? "" : request.operands.front(), &damaged));
  Failures failures;
  for (const std::string& name : damaged) {
    failures.Add(name, store->Of(name, absl::DataLossError("its record is damaged")));
  }
  Json streams = Json::array();
  for (const dedup::NamedEntry& named : found) {
    absl::StatusOr<Json> entry = ListedEntry(*store, named);
    if (entry.ok()) {
      streams.push_back(*std::move(entry));
    } else {
      failures.Add(named.name, entry.status());
    }
  }
  return failures.Finish(Json{{"streams", std::move(streams)}}, /*nothing_done=*/false);
}

absl::StatusOr<Json> Delete(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const auto store, OpenedStore::Open(request, Access::kChange));
  std::set<std::string> names;
  Failures failures;
  for (const std::string& operand : request.operands) {
    std::vector<std::string> damaged;
    const auto found = store->Find(operand, &damaged);
    if (!found.ok()) {
      failures.Add(operand, found.status());
      continue;
    }
    names.insert(damaged.begin(), damaged.end());
    for (const dedup::NamedEntry& named : *found) names.insert(named.name);
  }
  dedup::Progress state{.phase = "deleting", .done = 0, .total = names.size()};
  Json deleted = Json::array();
  for (auto name = names.begin(); name != names.end();) {
    dedup::CatalogueChange change;
    for (; name != names.end() && change.remove.size() < kNamesPerCommit; ++name) {
      change.remove.push_back(*name);
    }
    const absl::Status status = store->catalogue().Commit(change, kv::Durability::kSync);
    if (!status.ok()) return store->Of("", status);
    for (const std::string& removed : change.remove) deleted.push_back(JsonName(removed));
    state.done += change.remove.size();
    STRATA_RETURN_IF_ERROR(Report(progress, state));
  }
  const bool nothing_done = deleted.empty();
  return failures.Finish(Json{{"deleted", std::move(deleted)}}, nothing_done);
}

// A compaction needs room for what it writes, and a full disk is no time for it.
absl::Status CompactMetadata(OpenedStore& store) {
  std::error_code error;
  const auto space = std::filesystem::space(store.directory().path(), error);
  if (error || space.available < kMinFreeForCompaction) return absl::OkStatus();
  return store.directory().kv().Compact(kCompactedBytes);
}

absl::StatusOr<Json> Collect(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const auto store, OpenedStore::Open(request, Access::kChange));
  const auto collect = [&](auto options, auto method) {
    options.rewrite_below_live_ratio =
        request.rewrite_below_live_ratio.value_or(options.rewrite_below_live_ratio);
    options.max_bytes_per_second = request.max_bytes_per_second;
    const int level =
        request.recompress.value_or(request.compression_chosen ? 0 : kRecompressLevel);
    if (level > 0) {
      options.recompress = dedup::CompressionSettings{
          .method = dedup::Compression::kZstd, .level = level, .region_bytes = kRecompressBytes};
    }
    options.progress = progress;
    const dedup::StoreOptions& chosen = request.directory.store;
    if (request.compression_chosen) {
      options.compress_as = {chosen.compression, chosen.compression_level, chosen.region_bytes};
    }
    return (store->store().*method)(options);
  };
  const absl::StatusOr<dedup::GarbageReport> report =
      request.fold ? collect(dedup::FoldOptions{}, &dedup::Store::FoldDuplicates)
                   : collect(dedup::GarbageOptions{}, &dedup::Store::CollectGarbage);
  if (!report.ok()) return store->Of("", report.status());
  if (report->containers_freed > 0) STRATA_RETURN_IF_ERROR(CompactMetadata(*store));
  return GarbageJson(*report);
}

Json LostName(const std::string& name, const std::string& stream, const char* detail) {
  return {{"name", JsonName(name)},
          {"stream", stream},
          {"offset_bytes", 0},
          {"size_bytes", 0},
          {"detail", detail}};
}

absl::StatusOr<Json> Verify(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const auto store, OpenedStore::Open(request, Access::kRead));
  STRATA_ASSIGN_OR_RETURN(
      const dedup::VerifyReport report,
      store->store().Verify({.read_data = !request.quick, .progress = progress}));
  std::map<StreamId, std::string> names;
  std::vector<std::string> lost;
  STRATA_ASSIGN_OR_RETURN(const auto all, store->Find("", &lost));
  Json streams = Json::array();
  for (const std::string& name : lost) {
    streams.push_back(LostName(name, "", "the record of the name is damaged"));
  }
  for (const dedup::NamedEntry& named : all) {
    if (!named.entry.stream) continue;
    names[*named.entry.stream] = named.name;
    if (!absl::IsNotFound(store->store().Stat(*named.entry.stream).status())) continue;
    streams.push_back(LostName(named.name, named.entry.stream->ToHex(),
                               "the stream was deleted, and its name was not"));
  }
  for (const dedup::Damage& damage : report.streams) {
    streams.push_back(DamageJson(damage));
    streams.back()["name"] = JsonName(names[damage.stream]);
  }
  return VerifyJson(report, std::move(streams), Json::array());
}

// What the files of a folder take, which is less than their sizes where they are sparse.
uint64_t BytesOnDisk(const std::string& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator item(folder, error), end;
       !error && item != end; item.increment(error)) {
    struct stat info {};
    if (lstat(item->path().c_str(), &info) == 0)
      bytes += static_cast<uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

absl::StatusOr<Json> RebuildMetadata(const DedupRequest& request,
                                     const dedup::ProgressCallback& progress) {
  dedup::DirectoryOptions options = request.directory;
  const block::Registry devices = StorageDevices(options.log);
  options.devices = &devices;
  STRATA_ASSIGN_OR_RETURN(options.store.encryption_key, ReadKeyFile(request.key_file));
  STRATA_ASSIGN_OR_RETURN(const dedup::MetadataReport report,
                          dedup::Directory::RebuildMetadata(options, progress));
  // Opening makes the chunk index; a look at all recipes names the streams that miss content.
  DedupRequest quick = request;
  quick.quick = true;
  STRATA_ASSIGN_OR_RETURN(const Json verified, Verify(quick, progress));
  return RebuiltJson(report, verified);
}

absl::StatusOr<Json> Stat(const DedupRequest& request, const dedup::ProgressCallback&) {
  // While the store is open its kv store takes room ahead.
  const uint64_t disk_bytes = BytesOnDisk(request.directory.path);
  STRATA_ASSIGN_OR_RETURN(const auto store, OpenedStore::Open(request, Access::kRead));
  const dedup::Stats stats = store->store().Stats();
  const dedup::StoreSettings settings = store->store().Settings();
  Json json = StoredJson(stats);
  json["store"] = store->directory().path();
  json["disk_bytes"] = disk_bytes;
  json["chunker"] = {
      {"algorithm", std::string(dedup::ChunkAlgorithmName(settings.chunker.algorithm))},
      {"min_bytes", settings.chunker.min_bytes},
      {"avg_bytes", settings.chunker.avg_bytes},
      {"max_bytes", settings.chunker.max_bytes}};
  json["last_ingest"] = store->settings();
  json["encrypted"] = settings.encrypted;
  json["reduction_ratio"] = Ratio(stats.logical_bytes, stats.compressed_bytes);
  return json;
}

absl::StatusOr<Json> RebuildIndex(const DedupRequest& request,
                                  const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const auto store, OpenedStore::Open(request, Access::kChange));
  STRATA_RETURN_IF_ERROR(store->store().RebuildIndex(progress));
  return Json::object();
}

struct Command {
  const char* name;
  absl::StatusOr<Json> (*run)(const DedupRequest&, const dedup::ProgressCallback&);
};

constexpr Command kCommands[] = {
    {"dedup.scan", Scan},
    {"dedup.ingest", Ingest},
    {"dedup.restore", Restore},
    {"dedup.list", List},
    {"dedup.delete", Delete},
    {"dedup.gc", Collect},
    {"dedup.verify", Verify},
    {"dedup.stat", Stat},
    {"dedup.rebuild-index", RebuildIndex},
    {"dedup.rebuild-metadata", RebuildMetadata},
};

}  // namespace

absl::StatusOr<Json> RunDedupCommand(const std::string& command, const DedupRequest& request,
                                     const dedup::ProgressCallback& progress) {
  for (const Command& known : kCommands) {
    if (command == known.name) return known.run(request, progress);
  }
  return absl::UnimplementedError(absl::StrCat("no command '", command, "'"));
}

}  // namespace strata::appliance

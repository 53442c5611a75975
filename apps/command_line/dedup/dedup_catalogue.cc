// SPDX-License-Identifier: Apache-2.0
#include "command_line/dedup/dedup_catalogue.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "appliance/key_file.h"
#include "command_line/quoted_text.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr char kSettingsSpace[] = "dedup-command";
constexpr char kSettingsKey[] = "ingest";

// Options that count when a store is made must be those it was made with.
absl::Status CheckChosen(const DedupRequest& request, const dedup::StoreSettings& settings) {
  const dedup::ChunkerOptions& made = settings.chunker;
  const auto refuse = [&](const char* option, const auto& asked, const auto& has) {
    return absl::InvalidArgumentError(absl::StrCat(request.directory.path, " was made with ",
                                                   option, " ", has, ", which ", option, " ", asked,
                                                   " cannot change"));
  };
  const auto& chosen = request.chosen;
  if (chosen.algorithm && *chosen.algorithm != made.algorithm) {
    return refuse("--algo", std::string(dedup::ChunkAlgorithmName(*chosen.algorithm)),
                  std::string(dedup::ChunkAlgorithmName(made.algorithm)));
  }
  if (chosen.min_bytes && *chosen.min_bytes != made.min_bytes) {
    return refuse("--min", *chosen.min_bytes, made.min_bytes);
  }
  if (chosen.avg_bytes && *chosen.avg_bytes != made.avg_bytes) {
    return refuse("--avg", *chosen.avg_bytes, made.avg_bytes);
  }
  if (chosen.max_bytes && *chosen.max_bytes != made.max_bytes) {
    return refuse("--max", *chosen.max_bytes, made.max_bytes);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<OpenedStore>> OpenedStore::Open(const DedupRequest& request,
                                                               Access access) {
  dedup::DirectoryOptions options = request.directory;
  const auto choose = [](auto* option, const auto& chosen) {
    if (chosen) *option = *chosen;
  };
  choose(&options.store.chunker.algorithm, request.chosen.algorithm);
  choose(&options.store.chunker.min_bytes, request.chosen.min_bytes);
  choose(&options.store.chunker.avg_bytes, request.chosen.avg_bytes);
  choose(&options.store.chunker.max_bytes, request.chosen.max_bytes);
  STRATA_ASSIGN_OR_RETURN(options.store.encryption_key, ReadKeyFile(request.key_file));
  STRATA_ASSIGN_OR_RETURN(auto directory, OpenDirectory(options, access));
  STRATA_RETURN_IF_ERROR(CheckChosen(request, directory->store().Settings()));
  STRATA_ASSIGN_OR_RETURN(auto catalogue,
                          dedup::Catalogue::Open(&directory->store(), &directory->kv()));
  return std::unique_ptr<OpenedStore>(new OpenedStore(std::move(directory), std::move(catalogue)));
}

absl::StatusOr<std::vector<dedup::NamedEntry>> OpenedStore::Find(
    const std::string& name, std::vector<std::string>* damaged) {
  STRATA_ASSIGN_OR_RETURN(auto found, catalogue_->ListBelow(name, damaged));
  // A file of that name hides what lies below it.
  if (!found.empty() && found.front().name == name &&
      found.front().entry.kind != dedup::EntryKind::kFolder) {
    found.resize(1);
  }
  if (found.empty() && damaged->empty() && !name.empty()) {
    return absl::NotFoundError(absl::StrCat(directory_->path(), ": no stream '", name, "'"));
  }
  return found;
}

absl::Status OpenedStore::RememberSettings(const Json& value) {
  if (settings() == value) return absl::OkStatus();
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space, directory_->kv().OpenSpace(kSettingsSpace, {}));
  kv::WriteBatch batch;
  STRATA_ASSIGN_OR_RETURN(const std::string text, EncodeJson(value));
  batch.Put(space, kSettingsKey, text);
  return directory_->kv().Write(batch, kv::Durability::kAsync);
}

Json OpenedStore::settings() {
  const auto space = directory_->kv().OpenSpace(kSettingsSpace, {});
  if (!space.ok()) return Json::object();
  const auto value = directory_->kv().NewSnapshot()->Get(*space, kSettingsKey);
  if (!value.ok() || !value->has_value()) return Json::object();
  const std::optional<Json> settings = ParseJson(**value);
  return settings && settings->is_object() ? *settings : Json::object();
}

absl::Status OpenedStore::Of(std::string_view name, const absl::Status& status) const {
  const std::string what = name.empty() ? "" : absl::StrCat(" '", std::string(name), "':");
  return absl::Status(status.code(),
                      absl::StrCat(directory_->path(), ":", what, " ", status.message()));
}

bool Failures::Add(const std::string& name, const absl::Status& status) {
  if (absl::IsCancelled(status)) return false;
  names_.push_back(name);
  statuses_.push_back(status);
  return true;
}

absl::StatusOr<Json> Failures::Finish(Json answer, bool nothing_done) const {
  if (nothing_done && statuses_.size() == 1) return statuses_.front();
  Json failed = Json::array();
  for (size_t i = 0; i < statuses_.size(); ++i) {
    failed.push_back({{"name", JsonName(names_[i])},
                      {"code", absl::StatusCodeToString(statuses_[i].code())},
                      {"message", JsonName(std::string(statuses_[i].message()))}});
  }
  answer["failed"] = std::move(failed);
  return answer;
}

std::string CompressionName(dedup::Compression compression) {
  constexpr const char* kNames[] = {"none", "lz4", "zstd", "gzip"};
  return kNames[static_cast<size_t>(compression)];
}

Json EntryJson(const dedup::NamedEntry& named) {
  const dedup::CatalogueEntry& entry = named.entry;
  Json json = {{"name", JsonName(named.name)},
               {"kind", std::string(dedup::EntryKindName(entry.kind))},
               {"size_bytes", entry.size_bytes}};
  if (entry.stream) json["id"] = entry.stream->ToHex();
  if (entry.mode) json["mode"] = *entry.mode;
  if (entry.owner) {
    json["user"] = entry.owner->user;
    json["group"] = entry.owner->group;
  }
  if (entry.modified) {
    json["modified"] = {{"seconds", entry.modified->seconds},
                        {"nanoseconds", entry.modified->nanoseconds}};
  }
  if (!entry.link_target.empty()) json["link_target"] = JsonName(entry.link_target);
  if (!entry.holes.empty()) {
    uint64_t bytes = 0;
    for (const dedup::Hole& hole : entry.holes) bytes += hole.size_bytes;
    json["hole_bytes"] = bytes;
  }
  return json;
}

absl::Status Report(const dedup::ProgressCallback& progress, const dedup::Progress& state) {
  return progress(state) ? absl::OkStatus() : absl::CancelledError("interrupted");
}

}  // namespace strata::appliance

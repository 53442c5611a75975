// SPDX-License-Identifier: Apache-2.0
#include "command_line/store/store_access.h"

#include <sys/stat.h>

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/admin_client.h"
#include "appliance/json.h"
#include "command_line/store/directory_access.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

bool OnlyReads(const std::string& command) {
  return command == "stat" || command == "verify" || command == "bucket.usage" ||
         command == "nvme.connections" || command.ends_with(".list");
}

}  // namespace

Json RebuiltJson(const dedup::MetadataReport& report, const Json& verified) {
  Json answer = verified;
  answer["damaged"] = !report.lost.empty() || verified.value("damaged", false);
  answer["containers_found"] = report.containers_found;
  answer["commits_replayed"] = report.commits_replayed;
  answer["streams_found"] = report.streams;
  answer["lost"] = report.lost;
  return answer;
}

absl::StatusOr<Json> StoreAccess::Run(const std::string& command, const Json& arguments,
                                      const dedup::ProgressCallback& progress) {
  if (command == "rebuild-metadata") return RebuildMetadata(progress);
  if (appliance_ == nullptr) {
    if (DaemonListens(data_)) return SendCommand(data_, command, arguments, progress);
    STRATA_RETURN_IF_ERROR(OpenHere(OnlyReads(command)));
  }
  return RunCommand(*appliance_, command, arguments, progress);
}

absl::StatusOr<ApplianceOptions> StoreAccess::Options() const {
  umask(077);  // What this process makes from here on lies in the data directory.
  STRATA_ASSIGN_OR_RETURN(const Config config, LoadConfig(sources_));
  return ApplianceOptions{
      .data = data_, .create = false, .config = config, .log = [](LogLevel level, auto line) {
        if (level < LogLevel::kWarning) return;
        std::fprintf(stderr, "strata: %.*s\n", static_cast<int>(line.size()), line.data());
      }};
}

absl::StatusOr<Json> StoreAccess::RebuildMetadata(const dedup::ProgressCallback& progress) {
  if (DaemonListens(data_)) {
    return absl::FailedPreconditionError(
        absl::StrCat("a stratad serves ", data_, "; its metadata is rebuilt while it is stopped"));
  }
  STRATA_ASSIGN_OR_RETURN(const ApplianceOptions options, Options());
  STRATA_ASSIGN_OR_RETURN(const dedup::MetadataReport report,
                          Appliance::RebuildMetadata(options, progress));
  // Opening makes the chunk index; a look at all recipes names the objects that miss content.
  STRATA_RETURN_IF_ERROR(OpenHere(/*only_reads=*/false));
  STRATA_ASSIGN_OR_RETURN(const Json verified,
                          RunCommand(*appliance_, "verify", Json{{"quick", true}}, progress));
  return RebuiltJson(report, verified);
}

absl::Status StoreAccess::OpenHere(bool only_reads) {
  STRATA_ASSIGN_OR_RETURN(ApplianceOptions options, Options());
  absl::StatusOr<std::unique_ptr<Appliance>> appliance = Appliance::Open(options);
  if (only_reads && MayBeReadable(appliance.status())) {
    options.read_only = true;
    appliance = Appliance::Open(options);
  }
  if (!appliance.ok()) return appliance.status();
  appliance_ = *std::move(appliance);
  return absl::OkStatus();
}

}  // namespace strata::appliance

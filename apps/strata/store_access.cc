// SPDX-License-Identifier: Apache-2.0
#include "store_access.h"

#include <sys/stat.h>

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/admin_client.h"
#include "directory_access.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

bool OnlyReads(const std::string& command) {
  return command == "stat" || command == "verify" || command == "bucket.usage" ||
         command.ends_with(".list");
}

}  // namespace

absl::StatusOr<Json> StoreAccess::Run(const std::string& command, const Json& arguments,
                                      const dedup::ProgressCallback& progress) {
  if (appliance_ == nullptr) {
    if (DaemonListens(data_)) return SendCommand(data_, command, arguments, progress);
    STRATA_RETURN_IF_ERROR(OpenHere(OnlyReads(command)));
  }
  return RunCommand(*appliance_, command, arguments, progress);
}

absl::Status StoreAccess::OpenHere(bool only_reads) {
  umask(077);  // What this process makes from here on lies in the data directory.
  STRATA_ASSIGN_OR_RETURN(const Config config, LoadConfig(sources_));
  ApplianceOptions options{
      .data = data_, .create = false, .config = config, .log = [](LogLevel level, auto line) {
        if (level < LogLevel::kWarning) return;
        std::fprintf(stderr, "strata: %.*s\n", static_cast<int>(line.size()), line.data());
      }};
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

// SPDX-License-Identifier: Apache-2.0
//
// The way to a store: through the stratad that holds its directory, else by opening it here. Used
// by one thread.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "appliance/appliance.h"
#include "appliance/commands.h"
#include "appliance/config.h"

namespace strata::appliance {

// What rebuild-metadata answers, of its report and the answer of the verification after it.
Json RebuiltJson(const dedup::MetadataReport& report, const Json& verified);

class StoreAccess final {
 public:
  StoreAccess(std::string data, ConfigSources sources)
      : data_(std::move(data)), sources_(std::move(sources)) {}

  // Runs a command (commands.h). The first one decides which way all go.
  absl::StatusOr<Json> Run(const std::string& command, const Json& arguments,
                           const dedup::ProgressCallback& progress);

  // Through a stratad?
  bool remote() const { return appliance_ == nullptr; }

 private:
  absl::StatusOr<ApplianceOptions> Options() const;
  // For a command that only reads, read-only where it cannot be had otherwise.
  absl::Status OpenHere(bool only_reads);
  // Without a daemon only: the store cannot be opened before.
  absl::StatusOr<Json> RebuildMetadata(const dedup::ProgressCallback& progress);

  const std::string data_;
  const ConfigSources sources_;
  std::unique_ptr<Appliance> appliance_;
};

}  // namespace strata::appliance

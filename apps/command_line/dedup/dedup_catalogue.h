// SPDX-License-Identifier: Apache-2.0
//
// What the commands of strata dedup share: the store of a request, opened with its catalogue, and
// the failures of single files, which end nothing but themselves. Used by one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "command_line/dedup/dedup_commands.h"
#include "command_line/store/directory_access.h"
#include "strata/dedup/catalogue.h"
#include "strata/dedup/directory.h"

namespace strata::appliance {

class OpenedStore final {
 public:
  static absl::StatusOr<std::unique_ptr<OpenedStore>> Open(const DedupRequest& request,
                                                           Access access);

  dedup::Directory& directory() { return *directory_; }
  dedup::Store& store() { return directory_->store(); }
  dedup::Catalogue& catalogue() { return *catalogue_; }

  // The entry of that name and those below it; empty: all. Records that cannot be decoded go to
  // *damaged. NotFound: neither the one nor the other.
  absl::StatusOr<std::vector<dedup::NamedEntry>> Find(const std::string& name,
                                                      std::vector<std::string>* damaged);

  // How the last ingest compressed, for people to see. An empty object: no ingest said.
  absl::Status RememberSettings(const Json& settings);
  Json settings();

  // `status`, saying of which store, and of which of its names.
  absl::Status Of(std::string_view name, const absl::Status& status) const;

 private:
  OpenedStore(std::unique_ptr<dedup::Directory> directory,
              std::unique_ptr<dedup::Catalogue> catalogue)
      : directory_(std::move(directory)), catalogue_(std::move(catalogue)) {}

  const std::unique_ptr<dedup::Directory> directory_;
  const std::unique_ptr<dedup::Catalogue> catalogue_;
};

// Files that failed while the others went on.
class Failures final {
 public:
  // False: the command was interrupted, or the like, and must end with `status`.
  bool Add(const std::string& name, const absl::Status& status);
  bool empty() const { return statuses_.empty(); }

  // `answer` with "failed": [{name, code, message}]; or, where `nothing_done` and there is one
  // failure alone, that.
  absl::StatusOr<Json> Finish(Json answer, bool nothing_done) const;

 private:
  std::vector<std::string> names_;
  std::vector<absl::Status> statuses_;
};

std::string CompressionName(dedup::Compression compression);

Json EntryJson(const dedup::NamedEntry& named);

absl::Status Report(const dedup::ProgressCallback& progress, const dedup::Progress& state);

// dedup_ingest.cc, dedup_restore.cc
absl::StatusOr<Json> Ingest(const DedupRequest& request, const dedup::ProgressCallback& progress);
absl::StatusOr<Json> Restore(const DedupRequest& request, const dedup::ProgressCallback& progress);

}  // namespace strata::appliance

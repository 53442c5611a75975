// SPDX-License-Identifier: Apache-2.0
//
// The example of the project's README, word for word between the marks.
#include <cstdio>
#include <memory>
#include <span>
#include <string_view>

#include "strata/base/status_macros.h"
#include "strata/dedup/directory.h"
#include "strata/object/store.h"

namespace {

absl::Status Backup(std::string_view content) {
  // README begins.
  namespace dedup = strata::dedup;
  namespace object = strata::object;

  dedup::DirectoryOptions where;
  where.path = "store";
  STRATA_ASSIGN_OR_RETURN(auto directory, dedup::Directory::Open(where));
  object::StoreOptions options;
  options.dedup = &directory->store();
  options.kv = &directory->kv();
  STRATA_ASSIGN_OR_RETURN(auto store, object::Store::Open(options));
  STRATA_RETURN_IF_ERROR(store->CreateBucket("backups", "operator"));

  STRATA_ASSIGN_OR_RETURN(auto writer, store->NewWriter("backups", "monday/db.dump", {}));
  STRATA_RETURN_IF_ERROR(writer->Write(std::as_bytes(std::span(content))));
  STRATA_ASSIGN_OR_RETURN(object::ObjectInfo info, writer->Finish({}));  // Durable from here on.
  std::printf("%s has the ETag %s\n", info.key.c_str(), info.etag.c_str());
  // README ends.
  return absl::OkStatus();
}

}  // namespace

int main() {
  const absl::Status status = Backup("what was written today");
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

// SPDX-License-Identifier: Apache-2.0
//
// The folder that holds a filesystem's metadata and names the filesystem:
//
//   DIR/meta/   the kv store (RocksDB)
//   DIR/lock    held by the process that uses the filesystem; it says which one, and, where the
//               filesystem is mounted, on what
//
// Used by one thread.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/file_descriptor.h"
#include "strata/base/log.h"
#include "strata/kv/store.h"

namespace strata::appliance {

// Who holds a lock, for people and other commands.
struct FolderHolder {
  int64_t process = 0;        // 0: not known.
  std::string mount_point{};  // Empty: the filesystem is not mounted.
  bool is_closing = false;    // It is unmounted, and the process is about to end.
};

class MetadataFolder final {
 public:
  enum class Access {
    kCreate,  // Makes the folder when it is absent.
    kUse,     // NotFound: it holds no filesystem.
  };

  // FailedPrecondition: another process uses it; names the process and the mount point. One that is
  // closing is waited for, up to a minute.
  static absl::StatusOr<std::unique_ptr<MetadataFolder>> Open(const std::string& path,
                                                              Access access, const LogSink& log);

  // Who uses it; NotFound: nobody does, or there is no such folder.
  static absl::StatusOr<FolderHolder> Holder(const std::string& path);

  const std::string& path() const { return path_; }
  kv::Store& store() { return *store_; }

  absl::Status SayMounted(const std::string& mount_point);
  absl::Status SayClosing();

 private:
  MetadataFolder() = default;

  absl::Status Lock();
  absl::Status Say(const FolderHolder& holder);

  std::string path_;
  FileDescriptor lock_;
  std::unique_ptr<kv::Store> store_;  // Last: it is closed while the lock is held.
};

}  // namespace strata::appliance

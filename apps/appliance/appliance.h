// SPDX-License-Identifier: Apache-2.0
//
// The stores of one data directory, opened from one configuration, in one place: stratad and the
// offline strata use the same.
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Appliance> appliance,
//                           Appliance::Open({.data = "/srv/strata", .config = config}));
//   appliance->objects().CreateBucket(...)
//
// Thread safety: all methods may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "appliance/config.h"
#include "strata/base/log.h"
#include "strata/base/mutex.h"
#include "strata/dedup/directory.h"
#include "strata/object/store.h"

namespace strata::appliance {

class Exports;

struct ApplianceOptions {
  std::string data;        // The data directory.
  bool create = true;      // Make it, and the store in it, when absent.
  bool read_only = false;  // As dedup::DirectoryOptions says.
  Config config;
  LogSink log;
};

// Since the appliance was opened.
struct GarbageHistory {
  uint64_t runs = 0;         // Completed.
  uint64_t failed_runs = 0;  // Cancelled ones included.
  uint64_t freed_bytes = 0;
  uint64_t reaped_streams = 0;
  int64_t last_end_ns = 0;  // Since the Unix epoch; 0: none yet.
  bool running = false;
};

class Appliance final {
 public:
  // Errors name the data directory: FailedPrecondition: another process, named, has it open;
  // NotFound: absent and not to be made; PermissionDenied; and what ReadKeyFile(),
  // GuardDataDirectory() and the stores say.
  static absl::StatusOr<std::unique_ptr<Appliance>> Open(const ApplianceOptions& options);

  // Makes DATA/meta again from the containers: dedup::Directory::RebuildMetadata(). Nobody has the
  // data directory open.
  static absl::StatusOr<dedup::MetadataReport> RebuildMetadata(
      const ApplianceOptions& options, const dedup::ProgressCallback& progress);

  ~Appliance();  // REQUIRES: no call is in progress and nothing that uses the stores is left.

  const std::string& data() const { return directory_->path(); }
  const Config& config() const { return config_; }
  dedup::Store& dedup() { return directory_->store(); }
  object::Store& objects() { return *objects_; }
  Exports& exports() { return *exports_; }  // Over NVMe/TCP: nvme/exports.h.

  // The device's URI, and the bytes that its file takes on its filesystem; 0: not a file.
  std::string device_name() const { return directory_->device().name(); }
  uint64_t device_allocated_bytes() const;
  uint64_t metadata_allocated_bytes() const;  // DATA/meta.

  // Deletes what aborted uploads left, until nothing is left or Stop(). Returns how many streams.
  absl::StatusOr<uint64_t> Reap();

  // True where the store's mode leaves equal chunks for later.
  bool folds() const { return config_.storage.store.mode != dedup::Mode::kInline; }

  // Reap(), then a collection; with `fold` one that keeps a single copy of each chunk
  // (dedup::Store::FoldDuplicates). FailedPrecondition: one is running. Cancelled: by `progress` or
  // Stop().
  absl::StatusOr<dedup::GarbageReport> CollectGarbage(dedup::GarbageOptions options, bool fold);

  // Ends long calls early, now and from now on: they return Cancelled.
  void Stop() { stopping_.store(true, std::memory_order_relaxed); }
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }

  // `progress`, and also an end when Stop() was called.
  dedup::ProgressCallback WithStopCheck(dedup::ProgressCallback progress) const;

  GarbageHistory garbage_history() const;

 private:
  Appliance() = default;

  absl::StatusOr<dedup::GarbageReport> ReapAndCollect(const dedup::GarbageOptions& options,
                                                      bool fold);

  Config config_;
  std::unique_ptr<dedup::Directory> directory_;
  std::unique_ptr<object::Store> objects_;
  std::unique_ptr<Exports> exports_;
  std::atomic<bool> stopping_{false};
  mutable Mutex mutex_;
  GarbageHistory history_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::appliance

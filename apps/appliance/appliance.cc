// SPDX-License-Identifier: Apache-2.0
//
// Opening, and the long calls that the daemon's scheduler and the operator share.
#include "appliance/appliance.h"

#include <sys/stat.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/data_guard.h"
#include "appliance/key_file.h"
#include "appliance/nvme/exports.h"
#include "appliance/storage_devices.h"
#include "strata/base/clock.h"
#include "strata/base/status_macros.h"
#include "strata/block/registry.h"

namespace strata::appliance {
namespace {

// Few at a time, so that a stop is heard soon.
constexpr size_t kReapBatch = 256;

// The file behind a device, empty when there is none.
std::string DeviceFile(const std::string& device_name) {
  const absl::StatusOr<block::Uri> uri = block::ParseUri(device_name);
  return uri.ok() && uri->scheme == "file" ? uri->target : "";
}

uint64_t AllocatedBytes(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return 0;
  return static_cast<uint64_t>(info.st_blocks) * 512;
}

absl::StatusOr<dedup::DirectoryOptions> DirectoryOptionsFor(const ApplianceOptions& options,
                                                            const block::Registry& devices) {
  const Config::Storage& storage = options.config.storage;
  dedup::DirectoryOptions directory;
  directory.path = options.data;
  directory.create = options.create;
  directory.read_only = options.read_only;
  directory.device_uri = storage.device;
  directory.devices = &devices;
  directory.max_size_bytes = storage.max_size_bytes;
  directory.kv_cache_bytes = storage.kv_cache_bytes;
  directory.store = storage.store;
  STRATA_ASSIGN_OR_RETURN(directory.store.encryption_key, ReadKeyFile(storage.encryption_key_file));
  directory.log = options.log;
  return directory;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Appliance>> Appliance::Open(const ApplianceOptions& options) {
  std::unique_ptr<Appliance> appliance(new Appliance());
  appliance->config_ = options.config;
  if (!options.read_only) {
    STRATA_RETURN_IF_ERROR(GuardDataDirectory(options.data, options.log));
  }
  const block::Registry devices = StorageDevices(options.log);
  STRATA_ASSIGN_OR_RETURN(const dedup::DirectoryOptions directory,
                          DirectoryOptionsFor(options, devices));
  STRATA_ASSIGN_OR_RETURN(appliance->directory_, dedup::Directory::Open(directory));
  object::StoreOptions object_options;
  object_options.dedup = &appliance->directory_->store();
  object_options.kv = &appliance->directory_->kv();
  object_options.log = options.log;
  object_options.encryption_key = directory.store.encryption_key;
  STRATA_ASSIGN_OR_RETURN(appliance->objects_, object::Store::Open(object_options));
  STRATA_ASSIGN_OR_RETURN(
      appliance->exports_,
      Exports::Open({.kv = &appliance->directory_->kv(),
                     .own = {.data = appliance->data(), .device = options.config.storage.device},
                     .config = options.config.nvme,
                     .log = options.log}));
  return appliance;
}

absl::StatusOr<dedup::MetadataReport> Appliance::RebuildMetadata(
    const ApplianceOptions& options, const dedup::ProgressCallback& progress) {
  STRATA_RETURN_IF_ERROR(GuardDataDirectory(options.data, options.log));
  const block::Registry devices = StorageDevices(options.log);
  STRATA_ASSIGN_OR_RETURN(const dedup::DirectoryOptions directory,
                          DirectoryOptionsFor(options, devices));
  return dedup::Directory::RebuildMetadata(directory, progress);
}

Appliance::~Appliance() = default;

uint64_t Appliance::device_allocated_bytes() const {
  const std::string file = DeviceFile(device_name());
  return file.empty() ? 0 : AllocatedBytes(file);
}

uint64_t Appliance::metadata_allocated_bytes() const {
  uint64_t bytes = 0;
  std::error_code error;  // Files come and go while we look.
  for (std::filesystem::recursive_directory_iterator it(directory_->path() + "/meta", error), end;
       !error && it != end; it.increment(error)) {
    bytes += AllocatedBytes(it->path().string());
  }
  return bytes;
}

absl::StatusOr<uint64_t> Appliance::Reap() {
  uint64_t reaped = 0;
  while (!stopping()) {
    STRATA_ASSIGN_OR_RETURN(const size_t count, objects_->ReapStreams(kReapBatch));
    if (count == 0) return reaped;
    reaped += count;
    MutexLock lock(&mutex_);
    history_.reaped_streams += count;
  }
  return absl::CancelledError("stopping");
}

absl::StatusOr<dedup::GarbageReport> Appliance::CollectGarbage(dedup::GarbageOptions options,
                                                               bool fold) {
  {
    MutexLock lock(&mutex_);
    if (history_.running) {
      return absl::FailedPreconditionError("a garbage collection is running already");
    }
    history_.running = true;
  }
  options.progress = WithStopCheck(std::move(options.progress));
  absl::StatusOr<dedup::GarbageReport> report = ReapAndCollect(options, fold);

  MutexLock lock(&mutex_);
  history_.running = false;
  history_.last_end_ns = SystemClock().WallNanos();
  if (report.ok()) {
    ++history_.runs;
    history_.freed_bytes += report->freed_bytes;
  } else {
    ++history_.failed_runs;
  }
  return report;
}

absl::StatusOr<dedup::GarbageReport> Appliance::ReapAndCollect(const dedup::GarbageOptions& options,
                                                               bool fold) {
  STRATA_RETURN_IF_ERROR(Reap().status());
  if (!fold) return directory_->store().CollectGarbage(options);
  return directory_->store().FoldDuplicates(
      {.rewrite_below_live_ratio = options.rewrite_below_live_ratio,
       .max_bytes_per_second = options.max_bytes_per_second,
       .progress = options.progress});
}

dedup::ProgressCallback Appliance::WithStopCheck(dedup::ProgressCallback progress) const {
  return [this, progress = std::move(progress)](const dedup::Progress& state) {
    return !stopping() && (!progress || progress(state));
  };
}

GarbageHistory Appliance::garbage_history() const {
  MutexLock lock(&mutex_);
  return history_;
}

}  // namespace strata::appliance

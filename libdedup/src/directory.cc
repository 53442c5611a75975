// SPDX-License-Identifier: Apache-2.0
//
// Opens lock, kv store, device and dedup store of one directory, in this order, and closes them in
// the opposite one.
#include "strata/dedup/directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "disk_reserve.h"
#include "format/index_records.h"
#include "format/layout.h"
#include "strata/base/errno_status.h"
#include "strata/base/file_lock.h"
#include "strata/base/fork.h"
#include "strata/base/status_macros.h"
#include "strata/kv/engines.h"

namespace strata::dedup {
namespace {

// Nothing: there is none.
absl::StatusOr<std::optional<struct stat>> Look(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0) return info;
  if (errno == ENOENT) return std::nullopt;
  return ErrnoStatus(errno, absl::StrCat("cannot look at ", path));
}

// Holds PATH/lock; the file's text is the holder's process id.
class LockFile {
 public:
  ~LockFile() {
    if (fd_ < 0 || opener_.InForkedChild()) return;
    closed_in_child_.reset();
    close(fd_);
  }

  absl::Status Acquire(const std::string& directory) {
    const std::string path = directory + "/lock";
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
    closed_in_child_.emplace(fd_);
    if (absl::Status locked = strata::LockFile(fd_); !locked.ok()) {
      if (absl::IsFailedPrecondition(locked)) return InUse(directory);
      return Annotate(locked, path);
    }
    char before = 0;
    if (pread(fd_, &before, 1, 0) == 1 && (before < '0' || before > '9')) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is somebody else's: it holds no process id"));
    }
    // Written before what is too long is cut off, so that a full disk has the room that it had. Who
    // holds the lock is for people to read: where there is no room, it is not said.
    const std::string pid = absl::StrCat(getpid());
    if (pwrite(fd_, pid.data(), pid.size(), 0) < 0 && errno != ENOSPC && errno != EDQUOT) {
      return ErrnoStatus(errno, absl::StrCat("cannot write ", path));
    }
    (void)!ftruncate(fd_, static_cast<off_t>(pid.size()));
    return absl::OkStatus();
  }

  // For those who only read: FailedPrecondition when somebody holds it, or when that cannot be
  // told.
  absl::Status Look(const std::string& directory) {
    const std::string path = directory + "/lock";
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0 && errno == ENOENT) return absl::OkStatus();  // Whoever writes has made one.
    if (fd_ < 0) return Unknown(path, std::strerror(errno));
    closed_in_child_.emplace(fd_);
    const absl::StatusOr<bool> locked = IsFileLocked(fd_);
    if (!locked.ok()) return Unknown(path, locked.status().message());
    return *locked ? InUse(directory) : absl::OkStatus();
  }

 private:
  absl::Status InUse(const std::string& directory) const {
    char holder[32] = {};
    const bool known = pread(fd_, holder, sizeof(holder) - 1, 0) > 0;
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " is in use by process ", known ? holder : "unknown"));
  }

  static absl::Status Unknown(const std::string& path, absl::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": whether somebody writes to the store cannot be told: ", why,
                     "; assume_unlocked (--unlocked) takes that risk"));
  }

  const ProcessMark opener_;
  int fd_ = -1;
  std::optional<CloseInChild> closed_in_child_;
};

absl::Status EnsureDirectory(const DirectoryOptions& options) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<struct stat> found, Look(options.path));
  if (found.has_value()) {
    if (S_ISDIR(found->st_mode)) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(options.path, " is not a directory"));
  }
  if (!options.create) return absl::NotFoundError(absl::StrCat(options.path, " does not exist"));
  if (mkdir(options.path.c_str(), 0700) != 0)
    return ErrnoStatus(errno, absl::StrCat("cannot make ", options.path));
  return absl::OkStatus();
}

// Refuses what cannot be this store's, before anything is put into it.
absl::Status CheckOwn(const DirectoryOptions& options) {
  const std::string meta = options.path + "/meta";
  const std::string containers = options.path + "/containers";
  STRATA_ASSIGN_OR_RETURN(const std::optional<struct stat> found, Look(meta));
  if (found.has_value()) {
    if (!S_ISDIR(found->st_mode)) {
      return absl::InvalidArgumentError(absl::StrCat(meta, " is not a directory"));
    }
    STRATA_ASSIGN_OR_RETURN(const std::optional<struct stat> current, Look(meta + "/CURRENT"));
    if (options.create || current.has_value()) return absl::OkStatus();
    return absl::NotFoundError(
        absl::StrCat(options.path, " holds no store: ", meta, " is not its"));
  }
  if (options.device_uri.empty()) {
    STRATA_ASSIGN_OR_RETURN(const std::optional<struct stat> data, Look(containers));
    if (data.has_value()) {
      return absl::FailedPreconditionError(
          absl::StrCat(meta, " is missing, which knows what ", containers,
                       " holds; rebuild-metadata makes it again from there"));
    }
  }
  if (options.create) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(options.path, " holds no store: there is no ", meta));
}

// Where the containers were lost, new ones would only hide it. A crash while the store was made
// leaves `kv` without containers too, but then it knows of no store yet.
absl::Status CheckContainers(const DirectoryOptions& options, kv::Store& kv) {
  if (!options.device_uri.empty()) return absl::OkStatus();
  const std::string containers = options.path + "/containers";
  STRATA_ASSIGN_OR_RETURN(const std::optional<struct stat> found, Look(containers));
  if (found.has_value()) return absl::OkStatus();
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space,
                          kv.OpenSpace(options.store.name + ".containers",
                                       {.access = kv::SpaceOptions::Access::kOrdered}));
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> record,
                          kv.NewSnapshot()->Get(space, kStoreKey));
  if (!record.has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      containers, " is missing: it held the data of the store that ", options.path, "/meta knows"));
}

// A device of another scheme is opened as its URI says.
std::string ReadOnlyUri(const std::string& uri) {
  const absl::StatusOr<block::Uri> parsed = block::ParseUri(uri);
  if (!parsed.ok() || parsed->scheme != "file") return uri;
  return absl::StrCat(uri, parsed->options.empty() ? "?" : "&", "read_only=1&lock=0");
}

// Where the containers' file ends, on whatever filesystem it lies now, and more than an open
// container is long.
uint64_t ReadOnlySize(const std::string& containers) {
  struct stat info;
  const uint64_t present_bytes =
      stat(containers.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
  return present_bytes + kMaxContainerBytes;
}

absl::StatusOr<std::string> DeviceUri(const DirectoryOptions& options) {
  if (!options.device_uri.empty()) {
    return options.read_only ? ReadOnlyUri(options.device_uri) : options.device_uri;
  }
  uint64_t size_bytes = options.max_size_bytes;
  if (size_bytes == 0) {
    struct statvfs filesystem;
    if (statvfs(options.path.c_str(), &filesystem) != 0) {
      return ErrnoStatus(errno, absl::StrCat("cannot measure the filesystem of ", options.path));
    }
    size_bytes = uint64_t{filesystem.f_blocks} * filesystem.f_frsize;
  }
  if (options.read_only) {
    size_bytes = std::max(size_bytes, ReadOnlySize(options.path + "/containers"));
  }
  constexpr uint64_t kMiB = 1u << 20;
  size_bytes = (size_bytes + kMiB - 1) / kMiB * kMiB;
  return absl::StrCat("file:", options.path, "/containers?size=", size_bytes,
                      "&create=", options.create ? 1 : 0,
                      options.read_only ? "&read_only=1&lock=0" : "");
}

// What writers leave of the filesystem to the kv store beside the containers, so that deleting
// works when nothing else does, and to garbage collection for its copies.
constexpr uint64_t kKeepFreeBytes = 32u << 20;
constexpr uint64_t kKeepFreeContainers = 2;
// What the copies leave to the kv store: without it nothing can be freed.
constexpr uint64_t kLeftByCopiesBytes = kReserveBytes / 2;

absl::Status AdmitSpace(const std::string& path, uint64_t bytes, uint64_t kept_bytes) {
  STRATA_ASSIGN_OR_RETURN(const uint64_t free_bytes, FreeBytes(path));
  if (free_bytes >= bytes + kept_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the filesystem of ", path, " is full: ", free_bytes, " bytes are free, ",
                   kept_bytes, " are kept for metadata and collecting garbage"));
}

absl::StatusOr<std::unique_ptr<block::Device>> OpenDevice(const DirectoryOptions& options) {
  STRATA_ASSIGN_OR_RETURN(const std::string uri, DeviceUri(options));
  if (options.devices != nullptr) return options.devices->Open(uri);
  return block::Registry::WithDefaults(options.log).Open(uri);
}

absl::StatusOr<std::unique_ptr<kv::Store>> OpenKv(const DirectoryOptions& options,
                                                  const std::string& name, bool disk_is_full) {
  kv::RocksDbOptions kv_options;
  kv_options.directory = options.path + name;
  // Its files are as open as the process's umask has it; the folder never is.
  if (options.create && mkdir(kv_options.directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("cannot make ", kv_options.directory));
  }
  kv_options.create_if_missing = options.create;
  kv_options.read_only = options.read_only;
  kv_options.assume_unlocked = options.assume_unlocked;
  kv_options.disk_is_full = disk_is_full;
  kv_options.block_cache_bytes = options.kv_cache_bytes;
  kv_options.log = options.log;
  return kv::OpenRocksDbStore(kv_options);
}

absl::Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, absl::StrCat("cannot open ", path));
  const bool synced = fsync(fd) == 0;
  const absl::Status status =
      synced ? absl::OkStatus() : ErrnoStatus(errno, absl::StrCat("cannot sync ", path));
  close(fd);
  return status;
}

// Puts PATH/meta.new in the place of PATH/meta.
absl::Status Exchange(const std::string& path) {
  const std::string meta = path + "/meta";
  STRATA_ASSIGN_OR_RETURN(const std::optional<struct stat> found, Look(meta));
  if (found.has_value()) {
    std::string old = meta + ".old";
    for (int number = 1;; ++number) {
      STRATA_ASSIGN_OR_RETURN(const std::optional<struct stat> taken, Look(old));
      if (!taken.has_value()) break;
      old = absl::StrCat(meta, ".old.", number);
    }
    if (rename(meta.c_str(), old.c_str()) != 0)
      return ErrnoStatus(errno, absl::StrCat("cannot rename ", meta));
  }
  const std::string made = meta + ".new";
  if (rename(made.c_str(), meta.c_str()) != 0)
    return ErrnoStatus(errno, absl::StrCat("cannot rename ", made));
  return SyncDirectory(path);
}

class DirectoryStore final : public Directory {
 public:
  absl::Status Init(DirectoryOptions options) {
    path_ = options.path;
    if (options.read_only) options.create = false;
    STRATA_RETURN_IF_ERROR(EnsureDirectory(options));
    STRATA_RETURN_IF_ERROR(CheckOwn(options));
    if (!options.read_only) {
      STRATA_RETURN_IF_ERROR(lock_.Acquire(path_));
    } else if (!options.assume_unlocked) {
      STRATA_RETURN_IF_ERROR(lock_.Look(path_));
    }

    bool disk_is_full = false;
    if (!options.read_only) {
      STRATA_ASSIGN_OR_RETURN(const uint64_t free_bytes, FreeBytes(path_));
      disk_is_full = free_bytes < kKeepFreeBytes;
      if (disk_is_full) ReleaseReserve(path_);
    }
    STRATA_ASSIGN_OR_RETURN(kv_, OpenKv(options, "/meta", disk_is_full));

    STRATA_RETURN_IF_ERROR(CheckContainers(options, *kv_));
    STRATA_ASSIGN_OR_RETURN(device_, OpenDevice(options));

    StoreOptions store_options = options.store;
    store_options.device = device_.get();
    store_options.kv = kv_.get();
    store_options.log = options.log;
    store_options.read_only = options.read_only;
    store_options.journal = store_options.journal || options.journal;
    if (options.device_uri.empty()) {
      const uint64_t left_by_writers =
          kKeepFreeBytes + kKeepFreeContainers * uint64_t{store_options.container_bytes};
      store_options.admit_space = [path = path_, left_by_writers](uint64_t bytes, SpaceUse use) {
        return AdmitSpace(path, bytes,
                          use == SpaceUse::kWriter ? left_by_writers : kLeftByCopiesBytes);
      };
    }
    STRATA_ASSIGN_OR_RETURN(store_, Store::Open(store_options));
    if (!options.read_only && !disk_is_full) KeepReserve(path_);
    return absl::OkStatus();
  }

  const std::string& path() const override { return path_; }
  kv::Store& kv() override { return *kv_; }
  block::Device& device() override { return *device_; }
  Store& store() override { return *store_; }

 private:
  std::string path_;
  LockFile lock_;
  std::unique_ptr<kv::Store> kv_;
  std::unique_ptr<block::Device> device_;
  std::unique_ptr<Store> store_;
};

}  // namespace

absl::StatusOr<MetadataReport> Directory::RebuildMetadata(const DirectoryOptions& given,
                                                          const ProgressCallback& progress) {
  if (given.read_only) {
    return absl::InvalidArgumentError(
        absl::StrCat(given.path, ": metadata is not rebuilt where nothing may be written"));
  }
  DirectoryOptions options = given;
  options.create = false;
  STRATA_RETURN_IF_ERROR(EnsureDirectory(options));
  if (options.device_uri.empty()) {
    const std::string containers = options.path + "/containers";
    STRATA_ASSIGN_OR_RETURN(const std::optional<struct stat> found, Look(containers));
    if (!found.has_value()) {
      return absl::NotFoundError(
          absl::StrCat(options.path, " holds no store: there is no ", containers));
    }
  }
  LockFile lock;
  STRATA_RETURN_IF_ERROR(lock.Acquire(options.path));
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<block::Device> device, OpenDevice(options));

  const std::string made = options.path + "/meta.new";
  std::error_code error;
  std::filesystem::remove_all(made, error);
  if (error)
    return absl::UnavailableError(absl::StrCat("cannot remove ", made, ": ", error.message()));
  options.create = true;
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<kv::Store> kv,
                          OpenKv(options, "/meta.new", /*disk_is_full=*/false));
  StoreOptions store_options = options.store;
  store_options.device = device.get();
  store_options.kv = kv.get();
  store_options.log = options.log;
  absl::StatusOr<MetadataReport> report = dedup::RebuildMetadata(store_options, progress);
  kv.reset();
  if (!report.ok()) {
    std::filesystem::remove_all(made, error);
    return report.status();
  }
  STRATA_RETURN_IF_ERROR(Exchange(options.path));
  return report;
}

absl::StatusOr<std::unique_ptr<Directory>> Directory::Open(const DirectoryOptions& options) {
  auto directory = std::make_unique<DirectoryStore>();
  STRATA_RETURN_IF_ERROR(directory->Init(options));
  return directory;
}

}  // namespace strata::dedup

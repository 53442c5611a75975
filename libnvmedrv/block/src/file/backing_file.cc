// SPDX-License-Identifier: Apache-2.0
#include "file/backing_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/block/buffer.h"

namespace strata::block {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// A file grows by an eighth of its size, within these bounds: large enough that growing is rare,
// small enough that what a crash leaves unused is small beside the file.
constexpr uint64_t kMinStepBytes = 1 * kMiB;
constexpr uint64_t kMaxStepBytes = 64 * kMiB;
// Reserving takes a step ahead where that is no more than this part of the free room.
constexpr uint64_t kPlenty = 16;

// What an error means of a device. Of a path, errno_status.h says it.
absl::StatusCode CodeFor(int error) {
  switch (error) {
    case EFBIG:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    case EIO:
    case EILSEQ:
    case EBADMSG:
    case ENODATA:
    case EREMOTEIO:
    case EUCLEAN:
      return absl::StatusCode::kDataLoss;
    case EBUSY:
    case ETXTBSY:
      return absl::StatusCode::kFailedPrecondition;
    case EFAULT:
    case EINVAL:
      return absl::StatusCode::kInvalidArgument;
    default:
      return ErrnoStatus(error, {}).code();
  }
}

absl::Status DeviceError(int error, const std::string& what) {
  return absl::Status(CodeFor(error), ErrnoStatus(error, what).message());
}

absl::Status OpenError(const std::string& path, int error, absl::string_view what) {
  return DeviceError(error, absl::StrCat(path, ": ", what));
}

absl::Status BadOption(const FileDeviceOptions& options, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(options.path, ": ", what));
}

absl::Status CheckOptions(const FileDeviceOptions& options) {
  if (options.path.empty()) return absl::InvalidArgumentError("file: no path given");
  if (options.path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("file: the path holds a zero byte");
  }
  if (!std::has_single_bit(options.block_size_bytes) || options.block_size_bytes < 512 ||
      options.block_size_bytes > kMiB) {
    return BadOption(options, absl::StrCat("block size ", options.block_size_bytes,
                                           " is not a power of two from 512 to 1048576"));
  }
  if (options.size_bytes % options.block_size_bytes != 0 ||
      options.size_bytes > (uint64_t{1} << 62)) {
    return BadOption(options, absl::StrCat("size ", options.size_bytes,
                                           " is not a whole number of blocks, or too large"));
  }
  if (options.create && options.read_only) {
    return BadOption(options, "create and read_only exclude each other");
  }
  if (!options.lock && !options.read_only) {
    return BadOption(options, "what is written to must be locked");
  }
  if (options.shared && !options.lock) {
    return BadOption(options, "shared is a kind of lock, so it needs one");
  }
  return absl::OkStatus();
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

int OpenRetrying(const std::string& path, int flags) {
  int fd;
  do {
    fd = open(path.c_str(), flags, 0600);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

// The last I/O of a killed process keeps its file open, and so locked, until it is done: a moment,
// which is waited for here. Calls attempt() until it returns neither EBUSY nor EWOULDBLOCK, or time
// is up; returns its errno.
template <typename Attempt>
int RetryWhileHeld(Attempt attempt) {
  constexpr int kMaxAttempts = 200;
  int error = attempt();
  for (int i = 1; i < kMaxAttempts && (error == EBUSY || error == EWOULDBLOCK || error == EINTR);
       ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    error = attempt();
  }
  return error;
}

struct Opened {
  int fd;
  bool direct;
  bool is_new;
};

absl::StatusOr<Opened> OpenPath(const FileDeviceOptions& options) {
  struct stat info;
  const bool exists = stat(options.path.c_str(), &info) == 0;
  if (!exists && !(options.create && errno == ENOENT)) {
    return OpenError(options.path, errno, "cannot open");
  }
  if (!exists && options.size_bytes == 0) {
    return BadOption(options, "a file to be created needs a size to grow to");
  }
  if (exists && !S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode)) {
    return BadOption(options, "neither a regular file nor a block device");
  }
  int flags = O_CLOEXEC | (options.read_only ? O_RDONLY : O_RDWR);
  if (!exists) flags |= O_CREAT;
  // On a block device O_EXCL refuses one that is mounted or otherwise claimed.
  if (exists && S_ISBLK(info.st_mode) && options.lock && !options.shared) flags |= O_EXCL;
  int fd = -1;
  const auto open_with = [&](int more_flags) {
    return RetryWhileHeld([&] {
      fd = OpenRetrying(options.path, flags | more_flags);
      return fd >= 0 ? 0 : errno;
    });
  };
  bool direct = options.direct;
  int error = open_with(direct ? O_DIRECT : 0);
  if (direct && error == EINVAL) {
    direct = false;
    error = open_with(0);
  }
  if (error == 0) return Opened{fd, direct, !exists};
  if (error == EBUSY) {
    return absl::FailedPreconditionError(absl::StrCat(options.path, ": in use (mounted, or open)"));
  }
  return OpenError(options.path, error, "cannot open");
}

}  // namespace

absl::StatusOr<std::unique_ptr<BackingFile>> BackingFile::Open(const FileDeviceOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckOptions(options));
  STRATA_ASSIGN_OR_RETURN(const Opened opened, OpenPath(options));
  std::unique_ptr<BackingFile> file(new BackingFile(options, opened.fd, opened.direct));
  if (options.lock) STRATA_RETURN_IF_ERROR(file->Lock(options.shared));
  struct stat info;
  if (fstat(file->fd_, &info) != 0) return OpenError(options.path, errno, "cannot stat");
  file->is_regular_ = S_ISREG(info.st_mode);
  if (options.direct && !opened.direct) {
    STRATA_RETURN_IF_ERROR(file->FallBackToPageCache("the filesystem refuses it", options.log));
  } else if (options.direct && !file->ProbeDirect()) {
    STRATA_RETURN_IF_ERROR(
        file->FallBackToPageCache("it does not work for this block size", options.log));
  }
  if (file->is_regular_) {
    STRATA_RETURN_IF_ERROR(file->MeasureFile(options));
    if (opened.is_new) STRATA_RETURN_IF_ERROR(file->MakeCreationDurable());
  } else {
    STRATA_RETURN_IF_ERROR(file->MeasureBlockDevice(options));
  }
  return file;
}

BackingFile::BackingFile(const FileDeviceOptions& options, int fd, bool direct)
    : path_(options.path),
      fd_(fd),
      closed_in_child_(fd),
      read_only_(options.read_only),
      direct_(direct) {
  geometry_.block_size_bytes = options.block_size_bytes;
  geometry_.read_only = options.read_only;
}

BackingFile::~BackingFile() {
  if (opener_.InForkedChild()) return;  // The file is its parent's.
  const uint64_t used = used_bytes();
  if (is_regular_ && !read_only_ && size_bytes() > used) {
    // A failure leaves a tail that reads as zeroes, as the blocks beyond the end do.
    [[maybe_unused]] const int ignored = ftruncate(fd_, static_cast<off_t>(used));
  }
  // A child that no handler ran in may have kept the descriptor: the lock must not live as long.
  flock(fd_, LOCK_UN);
  closed_in_child_.reset();
  close(fd_);
}

absl::Status BackingFile::Lock(bool shared) {
  const int kind = shared ? LOCK_SH : LOCK_EX;
  const int error = RetryWhileHeld([&] { return flock(fd_, kind | LOCK_NB) == 0 ? 0 : errno; });
  if (error == 0) return absl::OkStatus();
  if (error == EWOULDBLOCK) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ": already open, here or in another process"));
  }
  return OpenError(path_, error, "cannot lock");
}

// The name of a new file must survive a power cut as well as the data flushed into it.
absl::Status BackingFile::MakeCreationDurable() {
  if (fsync(fd_) != 0) return OpenError(path_, errno, "cannot sync");
  const std::string parent = ParentOf(path_);
  const int folder = OpenRetrying(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return OpenError(parent, errno, "cannot open");
  const int result = fsync(folder);
  const int error = errno;
  close(folder);
  if (result != 0) return OpenError(parent, error, "cannot sync");
  return absl::OkStatus();
}

absl::Status BackingFile::FallBackToPageCache(std::string_view why, const LogSink& log) {
  const int flags = fcntl(fd_, F_GETFL);
  if (flags < 0 || fcntl(fd_, F_SETFL, flags & ~O_DIRECT) != 0) {
    return OpenError(path_, errno, "cannot leave O_DIRECT");
  }
  direct_ = false;
  Log(log, LogLevel::kWarning,
      absl::StrCat("block: ", path_, ": using the page cache instead of O_DIRECT: ",
                   absl::string_view(why.data(), why.size())));
  return absl::OkStatus();
}

// True when O_DIRECT works for whole blocks. Learns the alignments where the kernel tells them.
bool BackingFile::ProbeDirect() {
#ifdef STATX_DIOALIGN
  struct statx info;
  if (statx(fd_, "", AT_EMPTY_PATH, STATX_DIOALIGN, &info) == 0 &&
      (info.stx_mask & STATX_DIOALIGN) != 0) {
    memory_alignment_bytes_ = info.stx_dio_mem_align;
    offset_alignment_bytes_ = info.stx_dio_offset_align;
    if (offset_alignment_bytes_ == 0) return false;
    if (is_regular_ && offset_alignment_bytes_ > geometry_.block_size_bytes) return false;
  }
#endif
  if (!is_regular_) return true;
  Buffer block(geometry_.block_size_bytes);
  return pread(fd_, block.data(), block.size(), 0) >= 0 || errno != EINVAL;
}

absl::Status BackingFile::MeasureFile(const FileDeviceOptions& options) {
  struct stat info;
  if (fstat(fd_, &info) != 0) return OpenError(path_, errno, "cannot stat");
  uint64_t present_bytes = static_cast<uint64_t>(info.st_size);
  if (options.size_bytes != 0 && present_bytes > options.size_bytes) {
    return BadOption(options,
                     absl::StrCat("holds ", present_bytes, " bytes, more than the size of ",
                                  options.size_bytes, " asked for"));
  }
  const uint64_t limit_bytes = options.size_bytes != 0 ? options.size_bytes : present_bytes;
  if (limit_bytes < options.block_size_bytes) {
    return BadOption(options, "the file is empty and no size to grow to was given");
  }
  // Those who share a file do not see each other's growth, and must not cut off what another wrote.
  if (options.shared && !options.read_only && present_bytes < limit_bytes) {
    if (ftruncate(fd_, static_cast<off_t>(limit_bytes)) != 0) {
      return OpenError(path_, errno, "cannot grow the file");
    }
    present_bytes = limit_bytes;
  }
  first_size_bytes_ = present_bytes;
  size_bytes_ = present_bytes;
  geometry_.block_count = limit_bytes / options.block_size_bytes;
  geometry_.buffer_alignment_bytes = 1;
  if (direct_) {
    geometry_.buffer_alignment_bytes =
        memory_alignment_bytes_ != 0 ? memory_alignment_bytes_ : options.block_size_bytes;
  }
  geometry_.volatile_write_cache = true;
  // A filesystem promises only its disk's sectors, and those may be smaller than our blocks.
  geometry_.atomic_write_blocks = options.block_size_bytes == 512 ? 1 : 0;
  geometry_.supports_discard = true;
  geometry_.thin = true;
  geometry_.absent_bytes = limit_bytes - present_bytes;
  return absl::OkStatus();
}

absl::Status BackingFile::MeasureBlockDevice(const FileDeviceOptions& options) {
  if (options.size_bytes != 0) {
    return BadOption(options, "a block device has its own size; do not give one");
  }
  uint64_t size_bytes = 0;
  int logical_block_bytes = 0;
  if (ioctl(fd_, BLKGETSIZE64, &size_bytes) != 0) return OpenError(path_, errno, "BLKGETSIZE64");
  if (ioctl(fd_, BLKSSZGET, &logical_block_bytes) != 0) return OpenError(path_, errno, "BLKSSZGET");
  const uint32_t block_bytes = static_cast<uint32_t>(logical_block_bytes);
  if (!std::has_single_bit(block_bytes) || block_bytes < 512 || size_bytes < block_bytes) {
    return BadOption(options, absl::StrCat("unusable block device: ", size_bytes,
                                           " bytes in blocks of ", block_bytes));
  }
  size_bytes_ = size_bytes;
  first_size_bytes_ = size_bytes;
  geometry_.block_size_bytes = block_bytes;
  geometry_.block_count = size_bytes / block_bytes;
  geometry_.buffer_alignment_bytes = 1;
  if (direct_) {
    geometry_.buffer_alignment_bytes =
        memory_alignment_bytes_ != 0 ? memory_alignment_bytes_ : block_bytes;
  }
  geometry_.volatile_write_cache = true;
  geometry_.atomic_write_blocks = 1;
  geometry_.supports_discard = true;
  return absl::OkStatus();
}

uint64_t BackingFile::StepBytes() const {
  return std::clamp(size_bytes() / 8, kMinStepBytes, kMaxStepBytes);
}

bool BackingFile::LeavesPlenty(uint64_t taken_bytes) const {
  struct statvfs filesystem;
  if (fstatvfs(fd_, &filesystem) != 0) return false;
  return uint64_t{filesystem.f_bavail} * filesystem.f_frsize / kPlenty >= taken_bytes;
}

absl::Status BackingFile::Grow(uint64_t offset_bytes, uint64_t end_bytes) {
  MutexLock lock(&grow_mutex_);
  if (end_bytes <= size_bytes()) return absl::OkStatus();
  return GrowBySteps(offset_bytes, end_bytes, StepBytes());
}

absl::StatusOr<uint64_t> BackingFile::Reserve(uint64_t offset_bytes, uint64_t end_bytes) {
  MutexLock lock(&grow_mutex_);
  const uint64_t before_bytes = used_bytes();
  if (end_bytes > size_bytes()) {
    const uint64_t step_bytes = StepBytes();
    STRATA_RETURN_IF_ERROR(
        GrowBySteps(offset_bytes, end_bytes, LeavesPlenty(step_bytes) ? step_bytes : 0));
  }
  NoteWritten(end_bytes);
  return before_bytes;
}

absl::Status BackingFile::GrowBySteps(uint64_t offset_bytes, uint64_t end_bytes,
                                      uint64_t step_bytes) {
  const uint64_t limit_bytes = geometry_.block_count * geometry_.block_size_bytes;
  const uint64_t wanted_bytes = (end_bytes + step_bytes) / kMiB * kMiB;
  const uint64_t target_bytes = std::clamp(wanted_bytes, end_bytes, limit_bytes);
  absl::Status status = GrowLocked(offset_bytes, target_bytes);
  if (absl::IsResourceExhausted(status) && target_bytes > end_bytes) {
    status = GrowLocked(offset_bytes, end_bytes);
  }
  return status;
}

// Preallocates from where this write starts, or the file ends, whichever is later: a write far
// beyond the end leaves a hole behind it.
absl::Status BackingFile::GrowLocked(uint64_t offset_bytes, uint64_t target_bytes) {
  const uint64_t start_bytes = std::max(offset_bytes, size_bytes());
  int error = 0;
  if (can_preallocate) {
    do {
      const int result = fallocate(fd_, 0, static_cast<off_t>(start_bytes),
                                   static_cast<off_t>(target_bytes - start_bytes));
      error = result == 0 ? 0 : errno;
    } while (error == EINTR);
    if (error == EOPNOTSUPP || error == ENOSYS) can_preallocate = false;
    // What was got before the disk was full goes back.
    if (error == ENOSPC) (void)!ftruncate(fd_, static_cast<off_t>(size_bytes()));
  }
  if (!can_preallocate) {
    error = ftruncate(fd_, static_cast<off_t>(target_bytes)) == 0 ? 0 : errno;
  }
  if (error != 0) return Error(error, "growing the file", start_bytes, target_bytes - start_bytes);
  size_bytes_.store(target_bytes, std::memory_order_release);
  return absl::OkStatus();
}

absl::Status BackingFile::Error(int error, std::string_view what, uint64_t offset_bytes,
                                uint64_t size_bytes) const {
  return DeviceError(error, absl::StrCat(path_, ": ", absl::string_view(what.data(), what.size()),
                                         ", ", size_bytes, " bytes at offset ", offset_bytes));
}

}  // namespace strata::block

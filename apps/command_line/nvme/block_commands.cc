// SPDX-License-Identifier: Apache-2.0
#include "command_line/nvme/block_commands.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "appliance/storage_devices.h"
#include "command_line/nvme/transfer.h"
#include "command_line/part_file.h"
#include "strata/base/clock.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/block/device.h"

namespace strata::appliance {
namespace {

using block::Channel;
using block::Device;

void LogToStderr(LogLevel level, std::string_view line) {
  if (level < LogLevel::kWarning) return;
  std::fprintf(stderr, "strata: %.*s\n", static_cast<int>(line.size()), line.data());
}

struct OpenedDevice {
  std::unique_ptr<Device> device;
  std::unique_ptr<Channel> channel;

  uint64_t size_bytes() const {
    return device->geometry().block_count * device->geometry().block_size_bytes;
  }
};

absl::StatusOr<OpenedDevice> Open(const std::string& uri) {
  OpenedDevice opened;
  STRATA_ASSIGN_OR_RETURN(opened.device, StorageDevices(LogToStderr).Open(uri));
  STRATA_ASSIGN_OR_RETURN(opened.channel, opened.device->OpenChannel(kTransferChannel));
  return opened;
}

class Stopwatch {
 public:
  double seconds() const {
    return static_cast<double>(SystemClock().MonotonicNanos() - begin_ns_) / 1e9;
  }

 private:
  const int64_t begin_ns_ = SystemClock().MonotonicNanos();
};

absl::Status WriteAll(int fd, std::span<const std::byte> data) {
  while (!data.empty()) {
    const ssize_t written = write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoStatus(errno, "standard output");
    data = data.subspan(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// Fewer than asked for: the end.
absl::StatusOr<size_t> ReadAll(int fd, const std::string& path, std::span<std::byte> data) {
  size_t got = 0;
  while (got < data.size()) {
    const ssize_t size = read(fd, data.data() + got, data.size() - got);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
    if (size == 0) break;
    got += static_cast<size_t>(size);
  }
  return got;
}

absl::StatusOr<Json> Read(const NvmeHostRequest& request, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const OpenedDevice from, Open(request.uri));
  uint64_t bytes = request.length_bytes;
  if (bytes == 0 && request.offset_bytes <= from.size_bytes()) {
    bytes = from.size_bytes() - request.offset_bytes;
  }
  std::unique_ptr<PartFile> part;
  uint64_t place_bytes = 0;
  TransferSink sink;
  if (request.file == "-") {
    sink.take = [](std::span<const std::byte> data) { return WriteAll(STDOUT_FILENO, data); };
  } else {
    STRATA_ASSIGN_OR_RETURN(part, PartFile::Create(request.file, request.force));
    sink.take = [&part, &place_bytes](std::span<const std::byte> data) {
      const uint64_t at = std::exchange(place_bytes, place_bytes + data.size());
      return part->file().WriteAt(at, data);
    };
  }
  const Stopwatch watch;
  STRATA_ASSIGN_OR_RETURN(
      const uint64_t moved,
      Transfer({.channel = from.channel.get(), .offset_bytes = request.offset_bytes}, sink, bytes,
               {.phase = "reading", .total_bytes = bytes, .callback = progress}));
  if (part != nullptr) STRATA_RETURN_IF_ERROR(part->Commit());
  return Json{{"bytes", moved}, {"seconds", watch.seconds()}};
}

absl::StatusOr<Json> Write(const NvmeHostRequest& request,
                           const dedup::ProgressCallback& progress) {
  FileHandle file;
  int fd = STDIN_FILENO;
  uint64_t total_bytes = request.length_bytes;
  if (request.file != "-") {
    STRATA_ASSIGN_OR_RETURN(file, FileHandle::OpenToRead(request.file));
    fd = file.fd();
    struct stat info {};
    if (total_bytes == 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
      total_bytes = static_cast<uint64_t>(info.st_size);
    }
  }
  STRATA_ASSIGN_OR_RETURN(const OpenedDevice to, Open(request.uri));
  const uint64_t room = to.size_bytes() - std::min(to.size_bytes(), request.offset_bytes);
  if (total_bytes > room) {
    return absl::OutOfRangeError(absl::StrCat(request.file, " has ", total_bytes,
                                              " bytes, and the device takes ", room, " from ",
                                              request.offset_bytes, " on"));
  }
  TransferSource source;
  source.fill = [fd, &request](std::span<std::byte> data) {
    return ReadAll(fd, request.file, data);
  };
  const uint64_t most =
      request.length_bytes == 0 ? std::numeric_limits<uint64_t>::max() : request.length_bytes;
  const Stopwatch watch;
  STRATA_ASSIGN_OR_RETURN(
      const uint64_t moved,
      Transfer(source, {.channel = to.channel.get(), .offset_bytes = request.offset_bytes}, most,
               {.phase = "writing", .total_bytes = total_bytes, .callback = progress}));
  return Json{{"bytes", moved}, {"seconds", watch.seconds()}};
}

absl::StatusOr<Json> Copy(const NvmeHostRequest& request, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const OpenedDevice from, Open(request.uri));
  STRATA_ASSIGN_OR_RETURN(const OpenedDevice to, Open(request.to_uri));
  const uint64_t bytes = from.size_bytes();
  if (to.size_bytes() < bytes) {
    return absl::OutOfRangeError(absl::StrCat("'", request.to_uri, "' has ", to.size_bytes(),
                                              " bytes, fewer than the ", bytes, " of '",
                                              request.uri, "'"));
  }
  const Stopwatch watch;
  STRATA_ASSIGN_OR_RETURN(
      const uint64_t moved,
      Transfer({.channel = from.channel.get()}, {.channel = to.channel.get()}, bytes,
               {.phase = "copying", .total_bytes = bytes, .callback = progress}));
  return Json{{"bytes", moved}, {"seconds", watch.seconds()}};
}

absl::StatusOr<Json> Bench(const NvmeHostRequest& request,
                           const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<Device> device,
                          StorageDevices(LogToStderr).Open(request.bench.uri));
  return RunBench(request.bench, *device, progress);
}

}  // namespace

absl::StatusOr<Json> RunBlockCommand(const std::string& command, const NvmeHostRequest& request,
                                     const dedup::ProgressCallback& progress) {
  if (command == "nvme-read") return Read(request, progress);
  if (command == "nvme-write") return Write(request, progress);
  if (command == "nvme-copy") return Copy(request, progress);
  if (command == "nvme-bench") return Bench(request, progress);
  return absl::UnimplementedError(absl::StrCat("there is no command '", command, "'"));
}

}  // namespace strata::appliance

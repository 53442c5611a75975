// SPDX-License-Identifier: Apache-2.0
//
// The devices that need nothing but a kernel: memory, a file or kernel block device through
// io_uring, a device that moves no data, and the decorator that models latency. Each comes from a
// factory and keeps the contract in device.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/block/device.h"

namespace strata::block {

struct MemoryDeviceOptions {
  uint64_t block_count = 0;
  uint32_t block_size_bytes = 4096;
  uint32_t max_transfer_bytes = 1u << 20;
  std::string name = "mem:";
};

// Memory is taken as blocks are first written. Contents die with the Device.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<Device>> CreateMemoryDevice(
    const MemoryDeviceOptions& options);

struct NullDeviceOptions {
  uint64_t block_count = 0;
  uint32_t block_size_bytes = 4096;
  std::string name = "null:";
};

// Completes every request and touches no memory: a read leaves its buffer as it was, a compare
// finds no difference. It measures the path to a device.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<Device>> CreateNullDevice(
    const NullDeviceOptions& options);

struct FileDeviceOptions {
  std::string path{};  // A regular file, or a kernel block device.

  // File: most bytes it may grow to; 0: its present size. Block device: must be 0.
  uint64_t size_bytes = 0;

  bool create = false;  // File: make it when absent.
  bool read_only = false;
  // False, read-only alone: beside others who have it open, for those who know that none writes.
  bool lock = true;
  // Beside others who say so too, as the disks of a cluster have it: they agree among themselves
  // who writes where. A file has its whole size from the opening on, and never grows.
  bool shared = false;

  // O_DIRECT. Falls back to the page cache, and logs it, where that is refused.
  bool direct = true;

  // False: preadv and pwritev inside Poll(), as where the kernel refuses io_uring, and as on tmpfs,
  // where io_uring takes up to four times as long.
  bool use_io_uring = true;

  uint32_t block_size_bytes = 4096;  // File only; a block device has its own.
  LogSink log{};
};

// A file is exclusively locked (flock) while open, unless `lock` is false or `shared` is true: a
// second opener gets FailedPrecondition naming the path. The file grows as blocks are written, with
// some space reserved ahead that a clean close gives back; blocks past its end read as zeroes.
// Where the kernel refuses io_uring the device falls back to preadv/pwritev run inside Poll(), and
// logs it. A failed flush is final: every later one is DataLoss. Errors of requests name the path,
// the operation and the offset. InvalidArgument: an option, or the kind of file; NotFound,
// PermissionDenied: as the kernel says.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<Device>> OpenFileDevice(
    const FileDeviceOptions& options);

struct DelayDeviceOptions {
  uint64_t read_ns = 0;   // Added to each read.
  uint64_t write_ns = 0;  // Added to each write, write-zeroes, discard and zone append.
  uint64_t flush_ns = 0;
};

// Holds each completion of `base` back by the given time of the monotonic clock. Order is kept per
// delay.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<Device>> CreateDelayDevice(
    std::unique_ptr<Device> base, const DelayDeviceOptions& options);

}  // namespace strata::block

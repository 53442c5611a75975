// SPDX-License-Identifier: Apache-2.0
//
// The narrow interface between everything that stores and everything that holds: a block::Device is
// an array of equally sized blocks, a block::Channel is one path of requests to it.
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Device> device,
//                           CreateMemoryDevice({.block_count = 1024}));
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Channel> channel, device->OpenChannel({}));
//   Request read{.op = Op::kRead,
//                .lba = Lba{8},
//                .block_count = 1,
//                .segments = {&segment, 1},
//                .done = &OnRead,
//                .context = was_read};
//   STRATA_RETURN_IF_ERROR(channel->Submit(&read));
//   while (channel->in_flight() > 0) channel->Poll(32);
//
// A forked child has no use of the devices and channels of its parent: their calls fail there with
// FailedPrecondition, what was in flight never completes, and destroying them changes nothing.
//
// Thread safety: a Device may be called from any thread. A Channel is used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"

namespace strata::block {

// A logical block address: counts blocks, not bytes, from the start of the device.
struct Lba {
  uint64_t value = 0;
  friend constexpr auto operator<=>(Lba, Lba) = default;
  friend constexpr Lba operator+(Lba lba, uint64_t blocks) { return Lba{lba.value + blocks}; }
};

// What a device is. Constant for the life of the Device.
struct Geometry {
  uint32_t block_size_bytes = 4096;  // A power of two, at least 512.
  uint64_t block_count = 0;          // Blocks that can be addressed: [0, block_count).

  // Largest data transfer of one request; a multiple of the block size.
  uint32_t max_transfer_bytes = 1u << 20;
  uint32_t max_segments = 128;          // Most segments in one request.
  uint32_t buffer_alignment_bytes = 1;  // What every segment's address must be aligned to.

  // A completed write may be lost at a power cut until a flush completes.
  bool volatile_write_cache = false;
  // A write up to this size survives a power cut whole or not at all. 0: nothing is promised.
  uint32_t atomic_write_blocks = 1;

  // Blocks take space when they are first written (or zeroed), which may find none: a request then
  // completes with ResourceExhausted. kWriteZeroes takes the space ahead of writes that must not
  // fail.
  bool thin = false;
  // Of a thin device: what its end lacked when it was opened, all of which reads as zeroes.
  uint64_t absent_bytes = 0;

  bool supports_discard = false;  // Otherwise kDiscard is Unimplemented.
  bool read_only = false;         // What would change a block is refused by Submit().
  bool reads_nothing = false;     // Reads leave their memory as it is: null: alone.
  uint64_t zone_size_blocks = 0;  // 0: not zoned. Otherwise writes are sequential within each zone.
};

// A piece of memory of a scatter list. Its size is a multiple of the device's block size.
struct Segment {
  std::byte* data = nullptr;
  size_t size_bytes = 0;
};

enum class Op : uint8_t {
  kRead,  // Blocks never written, or discarded, read as zeroes.
  kWrite,
  kFlush,    // When it completes, every write that completed before it was submitted is durable.
  kDiscard,  // The blocks' content is given up; they read as zeroes afterwards.
  kWriteZeroes,
  kCompare,     // Completes with Aborted, the name of a lost comparison, when the content differs.
  kZoneAppend,  // `lba` names the zone's first block; result_lba says where the data went.
};

// One I/O. The caller owns it, its segments and their memory until `done` has run; the device
// allocates nothing for it. Requests in flight together may be executed in any order.
struct Request {
  Op op = Op::kRead;
  bool force_unit_access = false;  // kWrite, kWriteZeroes: durable on completion, without a flush.
  Lba lba{};
  uint32_t block_count = 0;  // 0 for kFlush.

  // kRead, kWrite, kCompare, kZoneAppend: exactly block_count blocks in all.
  std::span<const Segment> segments{};

  // Runs exactly once, from Channel::Poll(). It may submit, this request too; it may not Poll().
  void (*done)(Request*) = nullptr;
  void* context = nullptr;  // The caller's.

  // Set before `done` runs. OK; DataLoss: the medium failed or the data is wrong; Aborted: kCompare
  // differed; Unavailable: the device is gone; ResourceExhausted: no space left behind a thin
  // device.
  absl::Status status{};
  Lba result_lba{};  // kZoneAppend.

  // The device's while in flight.
  struct DriverState {
    Request* next = nullptr;
    uint64_t words[4] = {};
  } driver{};
};

struct ChannelOptions {
  uint32_t queue_depth = 256;  // Most requests in flight; one more is ResourceExhausted.
};

class STRATA_EXPORT Channel {
 public:
  virtual ~Channel() = default;  // REQUIRES: in_flight() == 0.

  // Starts *request. OK: request->done runs exactly once, later, from Poll(). Error: it never runs.
  // InvalidArgument: range, alignment or segments; OutOfRange: past the end of the device;
  // Unimplemented: the operation; FailedPrecondition: a write to a read-only device, or the channel
  // of a parent process;
  // ResourceExhausted: the queue is full, Poll() first.
  // A channel may hold requests back to start them together, at the latest in the next Poll().
  absl::Status Submit(Request* request);

  // Starts what Submit() held back, then runs up to `max_completions` callbacks. Never blocks.
  // Returns how many ran.
  virtual int Poll(int max_completions) = 0;

  // A file descriptor that is readable when Poll() may have something to do, for callers that sleep
  // rather than poll. Created by the first call, owned by the channel. The caller waits for it with
  // poll(2) or epoll and never reads it: Poll() clears it. A caller may sleep after Poll() has
  // returned 0; it may be woken without need.
  virtual absl::StatusOr<int> EventFd() = 0;

  // Announces memory that many requests will use, so that a device can pin or map it once.
  // Optional: requests from other memory work too. The memory must outlive the channel.
  // Unimplemented where it brings nothing.
  virtual absl::Status RegisterMemory(std::span<std::byte> memory) = 0;

  virtual uint32_t in_flight() const = 0;
  virtual const Geometry& geometry() const = 0;

 protected:
  // REQUIRES: *request is valid for geometry(). Same contract as Submit().
  virtual absl::Status DoSubmit(Request* request) = 0;
};

class STRATA_EXPORT Device {
 public:
  virtual ~Device() = default;  // REQUIRES: every Channel is destroyed.

  virtual const Geometry& geometry() const = 0;

  // What to call the device in messages: its URI where it has one.
  virtual std::string name() const = 0;

  virtual absl::StatusOr<std::unique_ptr<Channel>> OpenChannel(const ChannelOptions& options) = 0;
};

}  // namespace strata::block

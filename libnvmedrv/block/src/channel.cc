// SPDX-License-Identifier: Apache-2.0
//
// The checked half of Channel: every request is validated against the geometry here, once, so that
// no device has to.
#include "absl/strings/str_format.h"
#include "strata/block/device.h"

namespace strata::block {
namespace {

bool MovesData(Op op) {
  return op == Op::kRead || op == Op::kWrite || op == Op::kCompare || op == Op::kZoneAppend;
}

bool ChangesData(Op op) {
  return op == Op::kWrite || op == Op::kDiscard || op == Op::kWriteZeroes || op == Op::kZoneAppend;
}

absl::Status CheckSegments(const Request& request, const Geometry& geometry) {
  if (request.segments.size() > geometry.max_segments) {
    return absl::InvalidArgumentError(
        absl::StrFormat("request has %d segments, the device takes %d", request.segments.size(),
                        geometry.max_segments));
  }
  uint64_t size_bytes = 0;
  const uint64_t block_mask = geometry.block_size_bytes - 1;
  const uint64_t alignment_mask = geometry.buffer_alignment_bytes - 1;
  for (const Segment& segment : request.segments) {
    if (segment.size_bytes == 0 || (segment.size_bytes & block_mask) != 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("segment of %d bytes is not a whole number of %d-byte blocks",
                          segment.size_bytes, geometry.block_size_bytes));
    }
    if ((reinterpret_cast<uintptr_t>(segment.data) & alignment_mask) != 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("segment address %p is not aligned to %d bytes", segment.data,
                          geometry.buffer_alignment_bytes));
    }
    size_bytes += segment.size_bytes;
  }
  const uint64_t wanted_bytes = uint64_t{request.block_count} * geometry.block_size_bytes;
  if (size_bytes != wanted_bytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("segments hold %d bytes, %d blocks of %d bytes were asked for", size_bytes,
                        request.block_count, geometry.block_size_bytes));
  }
  if (size_bytes > geometry.max_transfer_bytes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "transfer of %d bytes exceeds the largest, %d", size_bytes, geometry.max_transfer_bytes));
  }
  return absl::OkStatus();
}

absl::Status CheckOperation(const Request& request, const Geometry& geometry) {
  if (request.op == Op::kDiscard && !geometry.supports_discard) {
    return absl::UnimplementedError("the device does not support discard");
  }
  if (request.op == Op::kZoneAppend) {
    if (geometry.zone_size_blocks == 0) {
      return absl::UnimplementedError("zone append: the device is not zoned");
    }
    if (request.lba.value % geometry.zone_size_blocks != 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("zone append: block %d is not the first of its zone", request.lba.value));
    }
  }
  if (request.op > Op::kZoneAppend) {
    return absl::InvalidArgumentError(
        absl::StrFormat("unknown operation %d", static_cast<int>(request.op)));
  }
  return absl::OkStatus();
}

absl::Status CheckRequest(const Request& request, const Geometry& geometry) {
  if (request.done == nullptr) return absl::InvalidArgumentError("request has no done callback");
  if (request.op != Op::kRead && request.op != Op::kWrite) {
    if (absl::Status status = CheckOperation(request, geometry); !status.ok()) return status;
  }
  if (geometry.read_only && ChangesData(request.op)) {
    return absl::FailedPreconditionError("the device is read-only");
  }
  if (request.op == Op::kFlush) {
    if (request.block_count != 0 || !request.segments.empty()) {
      return absl::InvalidArgumentError("a flush covers the whole device: no blocks, no segments");
    }
    return absl::OkStatus();
  }
  if (request.block_count == 0) return absl::InvalidArgumentError("request of no blocks");
  if (request.lba.value >= geometry.block_count ||
      request.block_count > geometry.block_count - request.lba.value) {
    return absl::OutOfRangeError(absl::StrFormat("%d blocks at block %d: the device has %d blocks",
                                                 request.block_count, request.lba.value,
                                                 geometry.block_count));
  }
  if (MovesData(request.op)) return CheckSegments(request, geometry);
  if (!request.segments.empty()) {
    return absl::InvalidArgumentError("request moves no data but has segments");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Channel::Submit(Request* request) {
  if (absl::Status status = CheckRequest(*request, geometry()); !status.ok()) return status;
  return DoSubmit(request);
}

}  // namespace strata::block

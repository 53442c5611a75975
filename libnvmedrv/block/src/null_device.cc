// SPDX-License-Identifier: Apache-2.0
//
// A device that completes every request and touches no memory: what remains is the cost of the
// path to it.
#include <bit>
#include <utility>

#include "absl/strings/str_format.h"
#include "queued_channel.h"
#include "strata/base/fork.h"
#include "strata/base/status_macros.h"
#include "strata/block/devices.h"

namespace strata::block {
namespace {

class NullChannel final : public QueuedChannel {
 public:
  using QueuedChannel::QueuedChannel;

 protected:
  void Execute(Request* request) override { request->status = absl::OkStatus(); }
};

class NullDevice final : public Device {
 public:
  NullDevice(const Geometry& geometry, std::string name)
      : geometry_(geometry), name_(std::move(name)) {}

  const Geometry& geometry() const override { return geometry_; }
  std::string name() const override { return name_; }

  absl::StatusOr<std::unique_ptr<Channel>> OpenChannel(const ChannelOptions& options) override {
    STRATA_RETURN_IF_ERROR(opener_.Check());
    if (options.queue_depth == 0) return absl::InvalidArgumentError("queue_depth is 0");
    return std::make_unique<NullChannel>(geometry_, opener_, options.queue_depth);
  }

 private:
  const Geometry geometry_;
  const std::string name_;
  const ProcessMark opener_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Device>> CreateNullDevice(const NullDeviceOptions& options) {
  if (!std::has_single_bit(options.block_size_bytes) || options.block_size_bytes < 512 ||
      options.block_size_bytes > 1u << 20) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: block size %d is not a power of two in 512..1048576", options.name,
                        options.block_size_bytes));
  }
  if (options.block_count == 0 ||
      options.block_count > (uint64_t{1} << 62) / options.block_size_bytes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: %d blocks of %d bytes", options.name, options.block_count, options.block_size_bytes));
  }
  const Geometry geometry{.block_size_bytes = options.block_size_bytes,
                          .block_count = options.block_count,
                          .supports_discard = true,
                          .reads_nothing = true};
  return std::make_unique<NullDevice>(geometry, options.name);
}

}  // namespace strata::block

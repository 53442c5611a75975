// SPDX-License-Identifier: Apache-2.0
//
// A device together with what it needs to live: the controller or the target behind it.
//
//   return std::make_unique<OwnedDevice>(std::make_shared<Target>(...), std::move(device));
//
// Thread safety: as block/device.h says.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "strata/block/device.h"

namespace strata::block {

class OwnedDevice final : public Device {
 public:
  // `owner` is released after `device`.
  OwnedDevice(std::shared_ptr<void> owner, std::shared_ptr<Device> device)
      : owner_(std::move(owner)), device_(std::move(device)) {}

  const Geometry& geometry() const override { return device_->geometry(); }
  std::string name() const override { return device_->name(); }
  absl::StatusOr<std::unique_ptr<Channel>> OpenChannel(const ChannelOptions& options) override {
    return device_->OpenChannel(options);
  }

 private:
  const std::shared_ptr<void> owner_;
  const std::shared_ptr<Device> device_;
};

}  // namespace strata::block

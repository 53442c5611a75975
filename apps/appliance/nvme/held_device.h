// SPDX-License-Identifier: Apache-2.0
//
// Stands in for a block device while it is closed and opened again: requests wait, and are carried
// out by the device that comes.
//
//   auto held = HeldDevice::Create(old->geometry(), old->name());
//   subsystem->ReplaceDevice(nsid, held);      // From now on commands wait.
//   ...                                        // The old device closes, the new one is opened.
//   subsystem->ReplaceDevice(nsid, fresh);
//   held->Continue(fresh);                     // Those that wait go there.
//
// Thread safety: as block/device.h says; Continue() from any thread, once.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/block/device.h"

namespace strata::appliance {

class HeldDevice : public block::Device {
 public:
  static std::shared_ptr<HeldDevice> Create(const block::Geometry& geometry, std::string name);

  // An error: requests that wait, and later ones, complete with it.
  virtual void Continue(absl::StatusOr<std::shared_ptr<block::Device>> device) = 0;
};

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// What stratad says about itself over HTTP: /metrics, /health, /ready, /status.json, and the
// console at the root. It answers while the stores are still being opened, and while they are
// closed.
//
// Thread safety: any thread.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "appliance/appliance.h"
#include "appliance/config.h"
#include "strata/s3/server.h"

namespace strata::appliance {

class StatusServer {
 public:
  // Unavailable: the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<StatusServer>> Start(const Endpoint& endpoint);
  virtual ~StatusServer() = default;
  virtual uint16_t port() const = 0;

  // From here on the appliance serves and /ready says so.
  virtual void SetReady(Appliance* appliance, const s3::Server* server) = 0;

  // From here on /ready says no; figures are still given.
  virtual void SetStopping() = 0;

  // Waits for answers in progress: from here on appliance and server are not used.
  virtual void Forget() = 0;
};

}  // namespace strata::appliance

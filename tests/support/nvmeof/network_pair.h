// SPDX-License-Identifier: Apache-2.0
//
// Two hosts that a link joins: a pair of network namespaces, made without privileges where the
// kernel lets a user do so. Nothing else on the machine sees them.
//
//   STRATA_ASSIGN_OR_RETURN(auto network, NetworkPair::Create());
//   {
//     NetworkPair::OnFarHost far(*network);
//     Listen("10.77.0.2");                      // Sockets belong to the host that makes them.
//   }
//   network->SetLink(false);                    // The cable is out.
//
// The thread that made it is on the near host, as are the threads that it starts, until the pair is
// destroyed.
//
// Thread safety: SetLink(): any thread that is on the near host.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "link/socket.h"

namespace strata::nvmeof {

class NetworkPair final {
 public:
  static constexpr char kNearAddress[] = "10.77.0.1";
  static constexpr char kFarAddress[] = "10.77.0.2";

  // Unavailable: why there can be none here.
  static absl::StatusOr<std::unique_ptr<NetworkPair>> Create();
  ~NetworkPair();

  // The calling thread is on the far host for as long as the object lives.
  class OnFarHost final {
   public:
    explicit OnFarHost(const NetworkPair& network);
    ~OnFarHost();
    OnFarHost(const OnFarHost&) = delete;
    OnFarHost& operator=(const OnFarHost&) = delete;

   private:
    const NetworkPair& network_;
  };

  // Limits both directions to so much, by a short queue that drops what is too much. Unavailable:
  // the kernel cannot.
  absl::Status SetRate(const std::string& rate);
  absl::Status SetLink(bool is_up);

 private:
  NetworkPair() = default;

  Socket before_;  // Descriptors of namespaces.
  Socket near_;
  Socket far_;
};

}  // namespace strata::nvmeof

// SPDX-License-Identifier: Apache-2.0
//
// A link between host and target that is slow, and that a test cuts: TCP connections to the proxy
// are carried on to the target by a thread, in pieces of random size.
//
//   CuttingProxy proxy(rig.endpoint, {.seed = seed, .is_slow = true});
//   Connect(proxy.endpoint());
//   proxy.Cut();                     // In the middle of a PDU as likely as not.
//
// Thread safety: Cut() and the counters: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "link/socket.h"
#include "strata/base/random.h"

namespace strata::nvmeof {

struct CuttingProxyOptions {
  uint64_t seed = 0;
  bool is_slow = false;  // Small pieces, and a pause between them now and then.
};

class CuttingProxy final {
 public:
  CuttingProxy(const Endpoint& target, const CuttingProxyOptions& options);
  ~CuttingProxy();

  Endpoint endpoint() const { return endpoint_; }
  // Ends all connections. What the proxy has not carried on is lost. Returns when it is done.
  void Cut();
  // While set, connections are accepted and closed at once.
  void SetRefusing(bool is_refusing) { is_refusing_.store(is_refusing); }
  uint64_t connection_count() const { return connection_count_.load(); }

 private:
  struct Pair;

  void Run();
  void Accept();
  bool Carry(const Socket& from, const Socket& to);

  const Endpoint target_;
  const CuttingProxyOptions options_;
  Socket listener_;
  Endpoint endpoint_;
  Random random_;
  std::vector<std::unique_ptr<Pair>> pairs_;
  std::atomic<bool> ends_{false};
  std::atomic<bool> is_refusing_{false};
  std::atomic<uint64_t> cuts_wanted_{0};
  std::atomic<uint64_t> cuts_done_{0};
  std::atomic<uint64_t> connection_count_{0};
  std::thread thread_;
};

}  // namespace strata::nvmeof

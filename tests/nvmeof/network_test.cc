// SPDX-License-Identifier: Apache-2.0
//
// Initiator and target on two hosts, on a link that is slow, drops packets, and is cut and restored
// at random moments. A cut that is short is TCP's affair; a long one costs the connections, while
// the old ones still have data to deliver when the link is back.
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "strata/block/devices.h"
#include "support/nvmeof/block_model.h"
#include "support/nvmeof/cutting_proxy.h"
#include "support/nvmeof/network_pair.h"
#include "support/nvmeof/restartable_target.h"
#include "support/seed.h"

namespace strata::nvmeof {
namespace {

using std::chrono::milliseconds;

constexpr int kRequests = 1500;
constexpr uint64_t kKeepAliveMs = 400;

struct Way {
  LinkEngine engine;
  const char* options;
  bool has_long_cuts;
};

void RunOver(NetworkPair& network, const Way& way, Random& random) {
  std::unique_ptr<RestartableTarget> target;
  {
    NetworkPair::OnFarHost far(network);
    target = std::make_unique<RestartableTarget>(
        *block::CreateMemoryDevice({.block_count = 48}), TargetOptions{.engine = way.engine},
        *ParseEndpoint(absl::StrCat(NetworkPair::kFarAddress, ":0")));
  }
  std::optional<CuttingProxy> proxy;
  if (const absl::Status shaped = network.SetRate("80mbit"); !shaped.ok()) {
    WARN("a proxy delays instead of the kernel: " << shaped);
    proxy.emplace(target->endpoint, CuttingProxyOptions{.seed = random.Next64(), .is_slow = true});
  }
  auto device = OpenRestartable(
      proxy ? proxy->endpoint() : target->endpoint,
      absl::StrCat("&loss_timeout_ms=60000&keep_alive_ms=", kKeepAliveMs, way.options));
  INFO(device.status());
  REQUIRE(device.ok());
  BlockModel model(**device, random.Next64());
  const int cuts = way.has_long_cuts ? 2 : 4;
  int next_cut = 0;
  std::thread restoring;
  const auto join = [&] {
    if (restoring.joinable()) restoring.join();
  };
  absl::Status restored;
  model.Run(kRequests, [&](int i) {
    if (i < next_cut || i < 20) return;
    next_cut = i + kRequests / cuts;
    join();
    const auto length = milliseconds(way.has_long_cuts ? 3 * kKeepAliveMs + random.Uniform(200)
                                                       : 1 + random.Uniform(150));
    REQUIRE(network.SetLink(false).ok());
    restoring = std::thread([&network, &restored, length] {
      std::this_thread::sleep_for(length);
      restored.Update(network.SetLink(true));
    });
  });
  join();
  REQUIRE(restored.ok());
  model.CheckAll();
  CHECK(model.written() > kRequests / 4);
  CHECK(model.read() > kRequests / 4);
  // More than the admin queue and one I/O queue: a long cut ended them.
  if (way.has_long_cuts) CHECK(target->statistics().connections_accepted > 2);
}

TEST_CASE("a link between two hosts that is slow and cut loses, doubles and misplaces nothing") {
  Random random(test::Seed());
  auto network = NetworkPair::Create();
  if (!network.ok()) {
    WARN("not run: " << network.status());
    return;
  }
  for (const Way& way :
       {Way{LinkEngine::kEpoll, "", false}, Way{LinkEngine::kUring, "&hdgst=1&ddgst=1", false},
        Way{LinkEngine::kEpoll, "&hdgst=1&ddgst=1", true}, Way{LinkEngine::kUring, "", true}}) {
    INFO("engine " << static_cast<int>(way.engine) << " options '" << way.options << "' long cuts "
                   << way.has_long_cuts);
    RunOver(**network, way, random);
  }
}

}  // namespace
}  // namespace strata::nvmeof

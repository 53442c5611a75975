// SPDX-License-Identifier: Apache-2.0
//
// A device by URI whose target comes up late, closes what it accepts, or refuses for good.
#include <sys/socket.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"
#include "strata/nvmeof/initiator.h"
#include "support/nvmeof/scripted_controller.h"
#include "support/nvmeof/target_rig.h"

namespace strata::nvmeof {
namespace {

constexpr char kNqn[] = "nqn.2026-11.org.example:test";

struct Opening {
  std::atomic<int> retries{0};

  absl::StatusOr<std::unique_ptr<block::Device>> Open(const Endpoint& endpoint,
                                                      const std::string& nqn,
                                                      const std::string& options) {
    block::Registry registry = block::Registry::WithDefaults();
    const LogSink count = [this](LogLevel, std::string_view line) {
      if (line.find("tried again") != std::string_view::npos) retries.fetch_add(1);
    };
    STRATA_CHECK(RegisterNvmeTcp(&registry, count).ok(), "a registry without nvme-tcp");
    return registry.Open(absl::StrCat("nvme-tcp:", ToString(endpoint), "/", nqn, "?nsid=1",
                                      "&reconnect_ms=1&connect_timeout_ms=60000", options));
  }
};

TEST_CASE("a device whose target comes up later is opened when it does") {
  TargetRig rig;
  REQUIRE(rig.target->RemoveListener(rig.endpoint).ok());
  Opening opening;
  absl::StatusOr<std::unique_ptr<block::Device>> device = absl::UnknownError("not opened");
  std::thread opener(
      [&] { device = opening.Open(rig.endpoint, kNqn, "&open_timeout_ms=3600000"); });
  CHECK(TargetRig::Soon([&] { return opening.retries.load() >= 2; }));
  CHECK(rig.target->AddListener({.endpoint = rig.endpoint}).status() == absl::OkStatus());
  opener.join();
  INFO(device.status());
  CHECK(device.ok());
}

TEST_CASE("a target that closes what it accepts is tried again until the time is over") {
  for (const bool resets : {false, true}) {
    CAPTURE(resets);
    Socket listener = *ListenOn(*ParseEndpoint("127.0.0.1:0"));
    const Endpoint endpoint = LocalAddress(listener.fd());
    std::atomic<bool> ends{false};
    std::thread closes([&] {
      while (!ends.load()) {
        Socket accepted(accept(listener.fd(), nullptr, nullptr));
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        if (resets && accepted.fd() >= 0) {
          setsockopt(accepted.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        }
      }
    });
    Opening opening;
    const auto device = opening.Open(endpoint, kNqn, "&open_timeout_ms=30");
    ends.store(true);
    (void)shutdown(listener.fd(), SHUT_RDWR);
    closes.join();
    INFO(device.status());
    CHECK(absl::IsUnavailable(device.status()));
    CHECK(opening.retries.load() >= 1);
  }
}

TEST_CASE("a target that refuses the host or knows no such subsystem is asked once") {
  TargetRig rig({}, 1, {.nqn = kNqn});
  Opening opening;
  CHECK(absl::IsPermissionDenied(
      opening.Open(rig.endpoint, kNqn, "&open_timeout_ms=3600000").status()));
  CHECK(absl::IsInvalidArgument(
      opening.Open(rig.endpoint, "nqn.none", "&open_timeout_ms=3600000").status()));
  CHECK(opening.retries.load() == 0);
  CHECK(rig.target->statistics().connections_accepted == 2);
}

TEST_CASE("the time to open is an option of the URI") {
  const std::string uri = absl::StrCat("nvme-tcp:127.0.0.1:4420/", kNqn, "?nsid=1");
  CHECK(ParseNvmeTcpUri(uri)->controller.open_timeout_ms == 0);
  CHECK(ParseNvmeTcpUri(uri + "&open_timeout_ms=5")->controller.open_timeout_ms == 5);
  CHECK(absl::IsInvalidArgument(ParseNvmeTcpUri(uri + "&open_timeout_ms=3600001").status()));
}

}  // namespace
}  // namespace strata::nvmeof

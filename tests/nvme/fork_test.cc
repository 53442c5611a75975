// SPDX-License-Identifier: Apache-2.0
//
// A forked child of a process that drives a controller, with requests under way.
#include <catch2/catch.hpp>
#include <cstring>

#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/block/devices.h"
#include "strata/nvme/controller.h"
#include "strata/nvme/loop.h"
#include "support/forked_child.h"

namespace strata::nvme {
namespace {

using block::Buffer;
using block::Lba;
using block::Request;
using test::ChildReport;
using test::RunInChild;

TEST_CASE("a forked child cannot use its parent's controller, and does not harm it") {
  const bool has_thread = GENERATE(false, true);
  const bool sleeps = GENERATE(false, true);
  auto subsystem =
      *CreateSubsystem({.nqn = "nqn.2026-11.org.example:fork", .allow_any_host = true});
  REQUIRE(subsystem->AddNamespace(*block::CreateMemoryDevice({.block_count = 64}), {}).ok());
  auto controller =
      *Controller::Open(*OpenLoop(subsystem, {}), {.has_thread = has_thread, .thread_poll_ms = 1});
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({});
  if (sleeps) REQUIRE(channel->EventFd().ok());
  Buffer written(4096);
  std::memset(written.data(), 0x5a, written.size());
  REQUIRE(WriteBlocking(*channel, Lba{7}, written.span()).ok());

  Buffer read(4096);
  const block::Segment segment{read.data(), read.size()};
  int completed = 0;
  Request request{.op = block::Op::kRead,
                  .lba = Lba{7},
                  .block_count = 1,
                  .segments = {&segment, 1},
                  .done = [](Request* r) { ++*static_cast<int*>(r->context); },
                  .context = &completed};
  REQUIRE(channel->Submit(&request).ok());
  CHECK(RunInChild([&](ChildReport& report) {
          Request flush{.op = block::Op::kFlush, .done = [](Request*) {}};
          report.Refused(channel->Submit(&flush), "Submit");
          report.Refused(channel->EventFd(), "EventFd");
          report.Expect(channel->Poll(32) == 0, "Poll ran a callback");
          report.Expect(channel->in_flight() == 0, "in_flight is the parent's");
          report.Refused(device->OpenChannel({}), "OpenChannel");
          report.Refused(controller->OpenNamespace(1), "OpenNamespace");
          report.Refused(controller->Admin({}, DataDirection::kNone, {}), "Admin");
          report.Refused(controller->health(), "health");
          report.Expect(controller->Namespaces().empty(), "Namespaces are the parent's");
          controller->RequestReset("a child");
          controller->Poll();
          channel.reset();
          device.reset();
          controller.reset();
          subsystem.reset();
        }) == 0);
  while (completed == 0) PollOrSleep(*channel);
  CHECK(request.status.ok());
  CHECK(std::memcmp(read.data(), written.data(), 4096) == 0);
  controller->Poll();
  CHECK(controller->health().ok());
  CHECK(controller->statistics().resets == 0);
  CHECK(subsystem->Controllers().size() == 1);
}

}  // namespace
}  // namespace strata::nvme

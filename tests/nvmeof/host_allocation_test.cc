// SPDX-License-Identifier: Apache-2.0
//
// The initiator's data path allocates nothing: every operator new of this process is counted, and
// the target is another process.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <deque>
#include <string>
#include <vector>

#include "strata/block/buffer.h"
#include "strata/block/devices.h"
#include "strata/nvmeof/initiator.h"
#include "strata/nvmeof/target.h"
#include "support/block/test_io.h"
#include "support/counted_allocations.h"

namespace strata::nvmeof {
namespace {

using block::Buffer;
using block::Lba;
using block::Op;
using block::TestIo;

constexpr char kNqn[] = "nqn.2026-11.org.example:test";

// Serves 16 MiB of memory from a child and reports its port.
struct TargetProcess {
  TargetProcess() {
    int pipe_fds[2];
    REQUIRE(pipe(pipe_fds) == 0);
    process = fork();
    if (process == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      auto target = *Target::Create({});
      auto subsystem = *nvme::CreateSubsystem({.nqn = kNqn, .allow_any_host = true});
      if (!subsystem->AddNamespace(*block::CreateMemoryDevice({.block_count = 4096}), {}).ok() ||
          !target->AddSubsystem(subsystem).ok()) {
        _exit(1);
      }
      const Endpoint endpoint = *target->AddListener({.endpoint = *ParseEndpoint("127.0.0.1:0")});
      auto worker = *target->OpenWorker();
      if (write(pipe_fds[1], &endpoint.port, sizeof(endpoint.port)) < 0) _exit(1);
      for (;;) worker->Poll(-1);
    }
    close(pipe_fds[1]);
    REQUIRE(read(pipe_fds[0], &endpoint.port, sizeof(endpoint.port)) == sizeof(endpoint.port));
    close(pipe_fds[0]);
  }
  ~TargetProcess() {
    kill(process, SIGKILL);
    waitpid(process, nullptr, 0);
  }

  pid_t process = -1;
  Endpoint endpoint = *ParseEndpoint("127.0.0.1:0");
};

TEST_CASE("requests over TCP allocate nothing at the host") {
  for (const bool has_digests : {false, true}) {
    TargetProcess target;
    const auto controller = *nvme::Controller::Open(*ConnectTcp({.endpoint = target.endpoint,
                                                                 .subsystem_nqn = kNqn,
                                                                 .header_digest = has_digests,
                                                                 .data_digest = has_digests}),
                                                    {.keep_alive_ms = 10'000});
    auto device = *controller->OpenNamespace(1);
    auto channel = *device->OpenChannel({.queue_depth = 32});
    REQUIRE(channel->EventFd().ok());
    Buffer buffer(64 << 20 >> 3);
    std::deque<TestIo> ios;
    for (uint32_t i = 0; i < 8; ++i) {
      ios.emplace_back(Op::kRead, Lba{i}, 1, std::vector{Piece(buffer, i * 4096, 4096)});
      ios.emplace_back(Op::kWrite, Lba{64 + i}, 1, std::vector{Piece(buffer, i * 4096, 4096)});
      ios.emplace_back(Op::kRead, Lba{i * 64}, 64, std::vector{Piece(buffer, 0, 64 * 4096)});
    }
    ios.emplace_back(Op::kWrite, Lba{1024}, 256, std::vector{Piece(buffer, 1 << 20, 1 << 20)});
    ios.emplace_back(Op::kFlush, Lba{0}, 0);
    ios.emplace_back(Op::kWriteZeroes, Lba{2048}, 64);
    int failed = 0;
    const auto run = [&](int rounds) {
      for (int round = 0; round < rounds; ++round) {
        for (TestIo& io : ios) failed += channel->Submit(&io.request).ok() ? 0 : 1;
        while (channel->in_flight() > 0) PollOrSleep(*channel);
        for (const TestIo& io : ios) failed += io.request.status.ok() ? 0 : 1;
        controller->Poll();
      }
    };
    run(2);
    const uint64_t before = allocation_count.load();
    run(100);
    CHECK(allocation_count.load() == before);
    CHECK(failed == 0);
  }
}

}  // namespace
}  // namespace strata::nvmeof

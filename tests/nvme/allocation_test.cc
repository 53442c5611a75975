// SPDX-License-Identifier: Apache-2.0
//
// The data path of the device model allocates nothing: every operator new of this process is
// counted.
#include <catch2/catch.hpp>
#include <deque>

#include "strata/nvme/controller.h"
#include "strata/nvme/loop.h"
#include "support/counted_allocations.h"
#include "support/nvme/device_rig.h"

namespace strata::nvme {
namespace {

TEST_CASE("commands allocate nothing") {
  DeviceRig rig(DeviceRig::Options(), 4);  // Some wait for room in the channel.
  rig.AddMemory(64);
  rig.AddMemory(64);
  REQUIRE(rig.lane->EventFd().ok());
  std::deque<TestCommand> commands;
  for (const IoOpcode opcode : {IoOpcode::kRead, IoOpcode::kWrite, IoOpcode::kCompare}) {
    for (uint32_t i = 0; i < 4; ++i) commands.emplace_back(BlocksEntry(opcode, 1, 8, 2), 8192);
  }
  commands.emplace_back(BlocksEntry(IoOpcode::kWriteZeroes, 2, 0, 64));
  SubmissionEntry flush;
  flush.Set(SubmissionEntry::kNamespaceId, kAllNamespaces);
  commands.emplace_back(flush);
  SubmissionEntry deallocate = BlocksEntry(IoOpcode::kDatasetManagement, 2, 0, 1);
  deallocate.Set(SubmissionEntry::kDword10, 1);
  deallocate.Set(SubmissionEntry::kDword11, kDsmDeallocate);
  commands.emplace_back(deallocate, 32);
  commands.emplace_back(BlocksEntry(IoOpcode::kRead, 1, 64, 1));  // Refused.
  int failed = 0;
  const auto run = [&](int rounds) {
    for (int round = 0; round < rounds; ++round) {
      for (TestCommand& command : commands) {
        (void)rig.io->Examine(command.command.entry);
        rig.io->Start(&command.command);
      }
      while (rig.io->in_flight() > 0) rig.lane->Poll(8);
      for (const TestCommand& command : commands) failed += command.command.status.ok() ? 0 : 1;
    }
  };
  run(2);  // The lists of active channels grow once.
  failed = 0;
  const uint64_t before = allocation_count.load();
  run(500);
  const uint64_t after = allocation_count.load();
  CHECK(after == before);
  CHECK(failed == 500);
}

TEST_CASE("requests allocate nothing at either end of the loop") {
  std::shared_ptr<Subsystem> subsystem =
      *CreateSubsystem({.nqn = kTestNqn, .allow_any_host = true});
  REQUIRE(subsystem->AddNamespace(*block::CreateMemoryDevice({.block_count = 1024}), {}).ok());
  const auto controller = *Controller::Open(*OpenLoop(subsystem, {}), {});
  auto device = *controller->OpenNamespace(1);
  auto channel = *device->OpenChannel({.queue_depth = 16});
  REQUIRE(channel->EventFd().ok());
  block::Buffer buffer(16 * 4096);
  block::Segment segments[16];
  block::Request requests[16];
  int failed = 0;
  const block::Op ops[] = {block::Op::kRead,    block::Op::kWrite,       block::Op::kFlush,
                           block::Op::kDiscard, block::Op::kWriteZeroes, block::Op::kCompare};
  const auto run = [&](int rounds) {
    for (int round = 0; round < rounds; ++round) {
      for (size_t i = 0; i < 16; ++i) {
        segments[i] = {buffer.data() + i * 4096, 4096};
        requests[i] = block::Request{.op = ops[i % std::size(ops)]};
        if (requests[i].op != block::Op::kFlush) {
          requests[i].lba = block::Lba{i};
          requests[i].block_count = 1;
        }
        if (i % 6 != 2 && i % 6 != 3 && i % 6 != 4) requests[i].segments = {&segments[i], 1};
        requests[i].context = &failed;
        requests[i].done = [](block::Request* r) {
          *static_cast<int*>(r->context) += r->status.ok() ? 0 : 1;
        };
        failed += channel->Submit(&requests[i]).ok() ? 0 : 1;
      }
      while (channel->in_flight() > 0) channel->Poll(8);
    }
  };
  run(2);
  const uint64_t before = allocation_count.load();
  run(500);
  CHECK(allocation_count.load() == before);
  CHECK(failed == 0);
}

}  // namespace
}  // namespace strata::nvme

// SPDX-License-Identifier: Apache-2.0
//
// The data path of the device model allocates nothing: every operator new of this process is
// counted.
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <new>

#include "support/nvme/device_rig.h"

namespace {

std::atomic<uint64_t> allocation_count{0};

void* CountedAllocate(size_t size_bytes) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(size_bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t size_bytes) { return CountedAllocate(size_bytes); }
void* operator new[](size_t size_bytes) { return CountedAllocate(size_bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

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

}  // namespace
}  // namespace strata::nvme

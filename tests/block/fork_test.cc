// SPDX-License-Identifier: Apache-2.0
//
// A forked child of a process with open devices, and requests under way on them.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/block/devices.h"
#include "support/forked_child.h"
#include "support/scratch_folder.h"

namespace strata::block {
namespace {

using test::ChildReport;
using test::RunInChild;

constexpr uint64_t kBlocks = 4096;

absl::StatusOr<std::unique_ptr<Device>> Open(const std::string& kind, const std::string& path) {
  if (kind == "memory") return CreateMemoryDevice({.block_count = kBlocks});
  if (kind == "delay") {
    return CreateDelayDevice(*CreateMemoryDevice({.block_count = kBlocks}), {.read_ns = 1000});
  }
  return OpenFileDevice({.path = path,
                         .size_bytes = kBlocks * 4096,
                         .create = true,
                         .use_io_uring = kind == "io_uring"});
}

TEST_CASE("a forked child cannot use its parent's channels, and does not harm them") {
  const std::string kind = GENERATE("memory", "delay", "io_uring", "system calls");
  CAPTURE(kind);
  const test::ScratchFolder scratch;
  const std::string path = scratch / "device";
  auto opened = Open(kind, path);
  INFO(opened.status());
  REQUIRE(opened.ok());
  std::unique_ptr<Device> device = *std::move(opened);
  std::unique_ptr<Channel> channel = *device->OpenChannel({});
  Buffer written(4096);
  std::memset(written.data(), 0x5a, written.size());
  REQUIRE(WriteBlocking(*channel, Lba{7}, written.span()).ok());
  REQUIRE(FlushBlocking(*channel).ok());

  // On its way as the process forks: one that the kernel has, one that waits in the channel.
  Buffer read(8192);
  const Segment segments[2] = {{read.data(), 4096}, {read.data() + 4096, 4096}};
  int completed = 0;
  Request requests[2];
  for (int i : {0, 1}) {
    requests[i] = {.op = Op::kRead,
                   .lba = Lba{7},
                   .block_count = 1,
                   .segments = {&segments[i], 1},
                   .done = [](Request* request) { ++*static_cast<int*>(request->context); },
                   .context = &completed};
    REQUIRE(channel->Submit(&requests[i]).ok());
    if (i == 0 && kind == "io_uring") channel->Poll(0);
  }
  CHECK(RunInChild([&](ChildReport& report) {
          Request request{.op = Op::kFlush, .done = [](Request*) {}};
          report.Refused(channel->Submit(&request), "Submit");
          report.Refused(WriteBlocking(*channel, Lba{8}, written.span()), "WriteBlocking");
          report.Refused(FlushBlocking(*channel), "FlushBlocking");
          report.Refused(channel->EventFd(), "EventFd");
          report.Expect(!channel->RegisterMemory(read.span()).ok(), "RegisterMemory");
          report.Expect(channel->Poll(32) == 0, "Poll ran a callback");
          report.Expect(channel->in_flight() == 0, "in_flight is the parent's");
          report.Refused(device->OpenChannel({}), "OpenChannel");
          channel.reset();
          device.reset();
        }) == 0);

  while (completed < 2) PollOrSleep(*channel);
  for (const Request& request : requests) CHECK(request.status.ok());
  CHECK(std::memcmp(read.data(), written.data(), 4096) == 0);
  CHECK(std::memcmp(read.data() + 4096, written.data(), 4096) == 0);
  REQUIRE(WriteBlocking(*channel, Lba{9}, written.span()).ok());
  if (kind == "memory" || kind == "delay") return;
  // The child's end neither released the lock nor gave back the room that was taken ahead.
  CHECK(std::filesystem::file_size(path) >= uint64_t{1} << 20);
  CHECK(absl::IsFailedPrecondition(Open(kind, path).status()));
  channel.reset();
  device.reset();
  CHECK(std::filesystem::file_size(path) == 10 * 4096);
  CHECK(Open(kind, path).ok());
}

}  // namespace
}  // namespace strata::block

// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "strata/block/devices.h"
#include "support/block/device_contract.h"
#include "support/block/fault_device.h"
#include "support/seed.h"

namespace strata::block {
namespace {

std::unique_ptr<Device> MakeMemory(uint32_t block_size_bytes) {
  auto device = CreateMemoryDevice({.block_count = 4096, .block_size_bytes = block_size_bytes});
  REQUIRE(device.ok());
  return *std::move(device);
}

// A new file of at most 16 MiB, which is gone once the device is closed.
std::unique_ptr<Device> MakeFile(FileDeviceOptions options, const char* folder = "/tmp") {
  std::string pattern = std::string(folder) + "/strata-contract-XXXXXX";
  const int fd = mkstemp(pattern.data());
  REQUIRE(fd >= 0);
  close(fd);
  options.path = pattern;
  options.size_bytes = 16 << 20;
  auto device = OpenFileDevice(options);
  unlink(pattern.c_str());
  INFO(device.status());
  REQUIRE(device.ok());
  return *std::move(device);
}

std::unique_ptr<Device> MakeReadOnlyFile(FileDeviceOptions options) {
  std::string pattern = "/tmp/strata-contract-XXXXXX";
  const int fd = mkstemp(pattern.data());
  REQUIRE(fd >= 0);
  REQUIRE(ftruncate(fd, 16 << 20) == 0);
  close(fd);
  options.path = pattern;
  options.read_only = true;
  auto device = OpenFileDevice(options);
  unlink(pattern.c_str());
  INFO(device.status());
  REQUIRE(device.ok());
  return *std::move(device);
}

std::unique_ptr<Device> MakeDelayed(std::unique_ptr<Device> base) {
  auto device = CreateDelayDevice(std::move(base),
                                  {.read_ns = 30'000, .write_ns = 20'000, .flush_ns = 50'000});
  REQUIRE(device.ok());
  return *std::move(device);
}

TEST_CASE("block device contract") {
  const ContractSubject subjects[] = {
      {"memory, 512-byte blocks", [] { return MakeMemory(512); }},
      {"memory, 4096-byte blocks", [] { return MakeMemory(4096); }},
      {"file, O_DIRECT", [] { return MakeFile({}); }, [] { return MakeReadOnlyFile({}); }},
      {"file, 512-byte blocks", [] { return MakeFile({.block_size_bytes = 512}); }},
      {"file, page cache", [] { return MakeFile({.direct = false}); }},
      {"file, no io_uring", [] { return MakeFile({.use_io_uring = false}); },
       [] { return MakeReadOnlyFile({.use_io_uring = false}); }},
      {"file, page cache, no io_uring",
       [] { return MakeFile({.direct = false, .use_io_uring = false}); }},
      {"file, tmpfs", [] { return MakeFile({}, "/dev/shm"); }},
      {"fault disk", [] { return FaultDisk({.block_count = 4096, .seed = test::Seed()}).Open(); }},
      {"delay over memory", [] { return MakeDelayed(MakeMemory(4096)); }},
      {"delay over a file", [] { return MakeDelayed(MakeFile({})); },
       [] { return MakeDelayed(MakeReadOnlyFile({})); }},
  };
  for (const ContractSubject& subject : subjects) {
    for (const ContractPart& part : DeviceContract()) {
      DYNAMIC_SECTION(subject.name << ": " << part.name) { part.run(subject); }
    }
  }
}

}  // namespace
}  // namespace strata::block

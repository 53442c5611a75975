// SPDX-License-Identifier: Apache-2.0
//
// The commands of `strata nvme` that move blocks: transfers arrive whole, and the bench finds what
// a device gives back wrong.
#include "command_line/nvme/bench.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <vector>

#include "appliance/json.h"
#include "command_line/nvme/latency_figures.h"
#include "command_line/nvme/transfer.h"
#include "strata/block/devices.h"
#include "support/block/fault_device.h"
#include "support/block/test_io.h"

namespace strata::appliance {
namespace {

using block::Channel;
using block::Device;

const dedup::ProgressCallback kGoOn = [](const dedup::Progress&) { return true; };

std::unique_ptr<Channel> Open(Device& device) {
  return device.OpenChannel(kTransferChannel).value();
}

std::vector<std::byte> RandomBytes(uint64_t seed, size_t size) {
  std::vector<std::byte> bytes(size);
  Random(seed).Fill(bytes);
  return bytes;
}

TransferSource From(const std::vector<std::byte>& bytes, size_t* place) {
  TransferSource source;
  source.fill = [&bytes, place](std::span<std::byte> out) -> absl::StatusOr<size_t> {
    const size_t size = std::min(out.size(), bytes.size() - *place);
    std::memcpy(out.data(), bytes.data() + *place, size);
    *place += size;
    return size;
  };
  return source;
}

TEST_CASE("a transfer of any length arrives whole and leaves the rest of the last block") {
  const uint64_t seed = 20261128;
  for (const size_t size : {size_t{1}, size_t{4096}, size_t{4097}, size_t{1} << 20,
                            (size_t{3} << 20) + 123, size_t{40} << 20}) {
    INFO(size);
    const std::unique_ptr<Device> device =
        block::CreateMemoryDevice({.block_count = 16384}).value();
    const std::unique_ptr<Channel> channel = Open(*device);
    block::Buffer old(4096);
    std::memset(old.data(), 'o', old.size());
    const uint64_t last_block = (8192 + size) / 4096;
    REQUIRE(block::WriteBlocking(*channel, block::Lba{last_block}, old.span()).ok());
    const std::vector<std::byte> bytes = RandomBytes(seed, size);
    size_t place = 0;
    CHECK(Transfer(From(bytes, &place), {.channel = channel.get(), .offset_bytes = 8192},
                   ~uint64_t{0}, {.callback = kGoOn})
              .value() == size);

    std::vector<std::byte> back;
    TransferSink sink;
    sink.take = [&back](std::span<const std::byte> data) {
      back.insert(back.end(), data.begin(), data.end());
      return absl::OkStatus();
    };
    CHECK(
        Transfer({.channel = channel.get(), .offset_bytes = 8192}, sink, size, {.callback = kGoOn})
            .value() == size);
    CHECK(back == bytes);
    block::Buffer last(4096);
    REQUIRE(block::ReadBlocking(*channel, block::Lba{last_block}, last.span()).ok());
    CHECK(last.data()[4095] == std::byte{'o'});
  }
}

TEST_CASE("a copy goes between devices of different block sizes") {
  const std::unique_ptr<Device> from =
      block::CreateMemoryDevice({.block_count = 8192, .block_size_bytes = 512}).value();
  const std::unique_ptr<Device> to = block::CreateMemoryDevice({.block_count = 1024}).value();
  const std::unique_ptr<Channel> source = Open(*from);
  const std::unique_ptr<Channel> target = Open(*to);
  std::vector<std::byte> bytes = RandomBytes(7, 4 << 20);
  REQUIRE(block::WriteBlocking(*source, block::Lba{0}, bytes).ok());
  CHECK(Transfer({.channel = source.get()}, {.channel = target.get()}, bytes.size(),
                 {.callback = kGoOn})
            .value() == bytes.size());
  std::vector<std::byte> back(bytes.size());
  REQUIRE(block::ReadBlocking(*target, block::Lba{0}, back).ok());
  CHECK(back == bytes);
}

TEST_CASE("a transfer ends with the first error, or when it is cancelled, and leaves nothing") {
  block::FaultDisk disk({.block_count = 16384});
  const std::unique_ptr<Device> device = disk.Open();
  const std::unique_ptr<Channel> channel = Open(*device);
  const std::unique_ptr<Device> memory = block::CreateMemoryDevice({.block_count = 16384}).value();
  const std::unique_ptr<Channel> other = Open(*memory);
  const auto copy = [&](const dedup::ProgressCallback& progress) {
    return Transfer({.channel = channel.get()}, {.channel = other.get()}, 64 << 20,
                    {.callback = progress})
        .status();
  };
  for (const uint64_t nth : {1, 30, 64}) {
    disk.ClearFaults();
    disk.Inject({.op = block::Op::kRead, .nth = nth});
    CHECK(absl::IsDataLoss(copy(kGoOn)));
    CHECK(channel->in_flight() + other->in_flight() == 0);
  }
  disk.ClearFaults();
  CHECK(absl::IsCancelled(
      copy([](const dedup::Progress& progress) { return progress.done < (8 << 20); })));
  CHECK(channel->in_flight() + other->in_flight() == 0);
  CHECK(copy(kGoOn) == absl::OkStatus());
  const auto too_much = Transfer({.channel = channel.get(), .offset_bytes = 4096},
                                 {.channel = other.get()}, 64 << 20, {.callback = kGoOn});
  CHECK(absl::IsInvalidArgument(too_much.status()));
  CHECK(absl::IsInvalidArgument(Transfer({.channel = channel.get(), .offset_bytes = 1},
                                         {.channel = other.get()}, 4096, {.callback = kGoOn})
                                    .status()));
}

TEST_CASE("the bench counts what it did, and every block is as it was written") {
  const std::unique_ptr<Device> device = block::CreateMemoryDevice({.block_count = 4096}).value();
  for (const auto& [pattern, reads, writes] : {std::tuple{BenchPattern::kRead, true, false},
                                               {BenchPattern::kRandomRead, true, false},
                                               {BenchPattern::kWrite, false, true},
                                               {BenchPattern::kRandomWrite, false, true},
                                               {BenchPattern::kRandomMixed, true, true}}) {
    const BenchRequest request{.pattern = pattern, .seconds = 0.05, .verify = writes, .seed = 1};
    const absl::StatusOr<Json> answer = RunBench(request, *device, kGoOn);
    REQUIRE(answer.status() == absl::OkStatus());
    INFO(ShowJson(*answer));
    CHECK(answer->at("operations").get<uint64_t>() > 0);
    CHECK(answer->contains("read") == reads);
    CHECK(answer->contains("write") == writes);
    CHECK(answer->value("damaged", false) == false);
    if (writes) CHECK(answer->at("verified_blocks").get<uint64_t>() > 0);
  }
}

TEST_CASE("the bench names what a device lost, tore or mixed up") {
  using Kind = block::Fault::Kind;
  for (const Kind kind : {Kind::kLose, Kind::kFlip}) {
    // So large that no place comes twice in this time.
    block::FaultDisk disk({.block_count = 1 << 20});
    disk.Inject({.kind = kind, .op = block::Op::kWrite, .nth = 40});
    const std::unique_ptr<Device> device = disk.Open();
    const absl::StatusOr<Json> answer = RunBench(
        {.pattern = BenchPattern::kWrite, .depth = 4, .seconds = 0.05, .verify = true, .seed = 3},
        *device, kGoOn);
    REQUIRE(answer.status() == absl::OkStatus());
    INFO(ShowJson(*answer));
    REQUIRE(answer->at("operations").get<uint64_t>() >= 40);
    CHECK(answer->at("damaged") == true);
    CHECK(answer->at("damage").size() == 1);
  }
  // A mixed load reads what it wrote before: nothing has to be lost for good.
  block::FaultDisk disk({.block_count = 1024});
  disk.Inject({.kind = Kind::kFlip, .op = block::Op::kRead});
  const std::unique_ptr<Device> device = disk.Open();
  const absl::StatusOr<Json> answer = RunBench({.pattern = BenchPattern::kRandomMixed,
                                                .depth = 4,
                                                .seconds = 0.02,
                                                .verify = true,
                                                .seed = 3},
                                               *device, kGoOn);
  REQUIRE(answer.status() == absl::OkStatus());
  CHECK(answer->at("damaged") == true);
}

TEST_CASE("what a bench cannot do is said") {
  const std::unique_ptr<Device> device = block::CreateMemoryDevice({.block_count = 256}).value();
  const auto error = [&](BenchRequest request) {
    return std::string(RunBench(request, *device, kGoOn).status().message());
  };
  CHECK_THAT(error({.block_bytes = 1000}), Catch::Contains("--block"));
  CHECK_THAT(error({.block_bytes = 8 << 20}), Catch::Contains("--block"));
  CHECK_THAT(error({.size_bytes = 2 << 20}), Catch::Contains("--size"));
  CHECK_THAT(error({.verify = true}), Catch::Contains("writes nothing"));
  CHECK_THAT(error({.pattern = BenchPattern::kWrite, .depth = 128, .verify = true}),
             Catch::Contains("512 to"));
  block::FaultDisk broken({.block_count = 256});
  broken.Inject({.nth = 5});
  const std::unique_ptr<Device> failing = broken.Open();
  CHECK(absl::IsDataLoss(RunBench({}, *failing, kGoOn).status()));
  const auto stop = [](const dedup::Progress&) { return false; };
  CHECK(absl::IsCancelled(RunBench({.seconds = 1000}, *device, stop).status()));
}

TEST_CASE("percentiles are right to a few percent") {
  LatencyFigures figures;
  CHECK(figures.PercentileNs(0.5) == 0);
  for (uint64_t i = 1; i <= 1000; ++i) figures.Add(i * 1000);
  CHECK(figures.count() == 1000);
  CHECK(figures.mean_ns() == 500'500);
  CHECK(figures.max_ns() == 1'000'000);
  for (const auto& [share, wanted] :
       {std::pair{0.5, 500'000.0}, {0.9, 900'000.0}, {0.99, 990'000.0}, {0.999, 999'000.0}}) {
    CHECK(static_cast<double>(figures.PercentileNs(share)) == Approx(wanted).epsilon(0.04));
  }
  figures.Add(~uint64_t{0} >> 1);
  CHECK(figures.PercentileNs(1) == ~uint64_t{0} >> 1);
}

}  // namespace
}  // namespace strata::appliance

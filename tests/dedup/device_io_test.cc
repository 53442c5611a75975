// SPDX-License-Identifier: Apache-2.0
#include "reading/device_io.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "strata/base/random.h"
#include "strata/block/devices.h"

namespace strata::dedup {
namespace {

// A channel that gives its place back.
class CountedChannel final : public block::Channel {
 public:
  CountedChannel(std::unique_ptr<block::Channel> channel, std::atomic<int>* left)
      : channel_(std::move(channel)), left_(left) {}
  ~CountedChannel() override {
    channel_.reset();
    ++*left_;
  }
  int Poll(int max_completions) override { return channel_->Poll(max_completions); }
  absl::StatusOr<int> EventFd() override { return channel_->EventFd(); }
  absl::Status RegisterMemory(std::span<std::byte> memory) override {
    return channel_->RegisterMemory(memory);
  }
  uint32_t in_flight() const override { return channel_->in_flight(); }
  const block::Geometry& geometry() const override { return channel_->geometry(); }

 protected:
  absl::Status DoSubmit(block::Request* request) override { return channel_->Submit(request); }

 private:
  std::unique_ptr<block::Channel> channel_;
  std::atomic<int>* const left_;
};

// A device of few channels, as a remote one is.
class ScarceDevice final : public block::Device {
 public:
  explicit ScarceDevice(int channels) : left_(channels) {
    base_ = *block::CreateMemoryDevice({.block_count = 1024});
  }
  const block::Geometry& geometry() const override { return base_->geometry(); }
  std::string name() const override { return "scarce"; }
  absl::StatusOr<std::unique_ptr<block::Channel>> OpenChannel(
      const block::ChannelOptions& options) override {
    if (--left_ < 0) {
      ++left_;
      return absl::ResourceExhaustedError("all queues are in use");
    }
    return std::make_unique<CountedChannel>(*base_->OpenChannel(options), &left_);
  }

 private:
  std::unique_ptr<block::Device> base_;
  std::atomic<int> left_;
};

TEST_CASE("a device with few channels is read by many threads, each of which reads ahead") {
  constexpr int kThreads = 6;
  for (const int channels : {1, 2, 3}) {
    INFO(channels << " channels");
    ScarceDevice device(channels);
    DeviceIo io(&device);
    std::vector<std::byte> content(1024 * size_t{4096});
    Random(7).Fill(content);
    REQUIRE(io.Write(0, content).ok());
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        Random random(static_cast<uint64_t>(t));
        const auto is_right = [&](uint64_t offset, std::span<const std::byte> bytes) {
          return std::equal(bytes.begin(), bytes.end(),
                            content.begin() + static_cast<ptrdiff_t>(offset));
        };
        for (int round = 0; round < 20; ++round) {
          DeviceReads ahead(&io);
          std::vector<std::pair<uint64_t, std::shared_ptr<const DeviceRead>>> reads;
          for (int i = 0; i < 4; ++i) {
            const uint64_t offset = random.Uniform(content.size() - 50'000);
            reads.emplace_back(offset, ahead.Start(offset, 50'000));
            ahead.Poll();
          }
          // While it holds a channel of its own, or none.
          const uint64_t offset = random.Uniform(content.size() - 100);
          const auto read = io.Read(offset, 100);
          if (!read.ok() || !is_right(offset, read->span())) ++wrong;
          for (const auto& [start, one] : reads) {
            ahead.WaitFor(*one);
            if (!one->status().ok() || !is_right(start, one->span())) ++wrong;
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("reads on a device without a channel fail, and say so") {
  ScarceDevice device(0);
  DeviceIo io(&device);
  DeviceReads ahead(&io);
  const auto read = ahead.Start(0, 4096);
  ahead.Poll();
  ahead.WaitFor(*read);
  CHECK(absl::IsResourceExhausted(read->status()));
  CHECK(absl::IsResourceExhausted(io.Read(0, 10).status()));
}

}  // namespace
}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
//
// Each request is forwarded in a slot of the channel's own, which remembers when it came.
#include "appliance/nvme/counted_device.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <utility>

#include "strata/base/check.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

using block::Channel;
using block::Device;
using block::Geometry;
using block::Op;
using block::Request;

IoKind KindOf(Op op) {
  switch (op) {
    case Op::kRead:
      return IoKind::kRead;
    case Op::kWrite:
    case Op::kZoneAppend:
      return IoKind::kWrite;
    case Op::kFlush:
      return IoKind::kFlush;
    default:
      return IoKind::kOther;
  }
}

size_t BucketOf(uint64_t latency_ns) {
  return std::min<size_t>(std::bit_width(latency_ns / 1000), kLatencyBuckets - 1);
}

// Written by one thread, read by others.
class Count {
 public:
  void Add(uint64_t amount) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  uint64_t Read() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct IoCounts {
  Count operations, bytes, errors, latency_ns;
  std::array<Count, kLatencyBuckets> latency;
};

}  // namespace

class CountedChannel final : public Channel {
 public:
  CountedChannel(std::unique_ptr<Channel> base, uint32_t queue_depth,
                 std::shared_ptr<DeviceCounters> counters, const Clock& clock)
      : base_(std::move(base)), counters_(std::move(counters)), clock_(clock), slots_(queue_depth) {
    for (Slot& slot : slots_) {
      slot.channel = this;
      slot.next_free = std::exchange(free_, &slot);
    }
    counters_->Register(this);
  }
  ~CountedChannel() override { counters_->Retire(this); }

  int Poll(int max_completions) override { return base_->Poll(max_completions); }
  absl::StatusOr<int> EventFd() override { return base_->EventFd(); }
  absl::Status RegisterMemory(std::span<std::byte> memory) override {
    return base_->RegisterMemory(memory);
  }
  uint32_t in_flight() const override { return base_->in_flight(); }
  const Geometry& geometry() const override { return base_->geometry(); }

  void AddTo(DeviceFigures* figures) const {
    for (size_t kind = 0; kind < kIoKinds; ++kind) {
      IoFigures& sum = (*figures)[kind];
      const IoCounts& counts = counts_[kind];
      sum.operations += counts.operations.Read();
      sum.bytes += counts.bytes.Read();
      sum.errors += counts.errors.Read();
      sum.latency_ns += counts.latency_ns.Read();
      for (size_t i = 0; i < kLatencyBuckets; ++i) sum.latency[i] += counts.latency[i].Read();
    }
  }

 protected:
  absl::Status DoSubmit(Request* request) override {
    if (free_ == nullptr) return absl::ResourceExhaustedError("queue full");
    Slot* const slot = free_;
    slot->request = Request{.op = request->op,
                            .force_unit_access = request->force_unit_access,
                            .lba = request->lba,
                            .block_count = request->block_count,
                            .segments = request->segments,
                            .done = &OnBaseDone,
                            .context = slot};
    slot->original = request;
    slot->begin_ns = clock_.MonotonicNanos();
    STRATA_RETURN_IF_ERROR(base_->Submit(&slot->request));
    free_ = slot->next_free;
    return absl::OkStatus();
  }

 private:
  struct Slot {
    Request request;
    Request* original = nullptr;
    CountedChannel* channel = nullptr;
    Slot* next_free = nullptr;
    int64_t begin_ns = 0;
  };

  static void OnBaseDone(Request* request) {
    Slot* const slot = static_cast<Slot*>(request->context);
    CountedChannel& channel = *slot->channel;
    Request* const original = slot->original;
    channel.CountEnd(*slot);
    original->status = std::move(request->status);
    original->result_lba = request->result_lba;
    slot->next_free = std::exchange(channel.free_, slot);
    original->done(original);
  }

  void CountEnd(const Slot& slot) {
    const int64_t took_ns = std::max<int64_t>(0, clock_.MonotonicNanos() - slot.begin_ns);
    const Request& request = slot.request;
    IoCounts& counts = counts_[static_cast<size_t>(KindOf(request.op))];
    counts.operations.Add(1);
    // A comparison that finds a difference has done what it was asked for.
    if (request.status.ok() || (request.op == Op::kCompare && absl::IsAborted(request.status))) {
      counts.bytes.Add(uint64_t{request.block_count} * geometry().block_size_bytes);
    } else {
      counts.errors.Add(1);
    }
    counts.latency_ns.Add(static_cast<uint64_t>(took_ns));
    counts.latency[BucketOf(static_cast<uint64_t>(took_ns))].Add(1);
  }

  const std::unique_ptr<Channel> base_;
  const std::shared_ptr<DeviceCounters> counters_;
  const Clock& clock_;
  std::vector<Slot> slots_;
  Slot* free_ = nullptr;
  std::array<IoCounts, kIoKinds> counts_;
};

namespace {

class CountedDevice final : public Device {
 public:
  CountedDevice(std::unique_ptr<Device> base, std::shared_ptr<DeviceCounters> counters,
                const Clock& clock)
      : base_(std::move(base)), counters_(std::move(counters)), clock_(clock) {}

  const Geometry& geometry() const override { return base_->geometry(); }
  std::string name() const override { return base_->name(); }

  absl::StatusOr<std::unique_ptr<Channel>> OpenChannel(
      const block::ChannelOptions& options) override {
    STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Channel> channel, base_->OpenChannel(options));
    return std::make_unique<CountedChannel>(std::move(channel), options.queue_depth, counters_,
                                            clock_);
  }

 private:
  const std::unique_ptr<Device> base_;
  const std::shared_ptr<DeviceCounters> counters_;
  const Clock& clock_;
};

}  // namespace

const char* NameOf(IoKind kind) {
  switch (kind) {
    case IoKind::kRead:
      return "read";
    case IoKind::kWrite:
      return "write";
    case IoKind::kFlush:
      return "flush";
    case IoKind::kOther:
      return "other";
  }
  return "";
}

void IoFigures::Add(const IoFigures& other) {
  operations += other.operations;
  bytes += other.bytes;
  errors += other.errors;
  latency_ns += other.latency_ns;
  for (size_t i = 0; i < kLatencyBuckets; ++i) latency[i] += other.latency[i];
}

DeviceFigures DeviceCounters::Read() const {
  MutexLock lock(&mutex_);
  DeviceFigures figures = retired_;
  for (const CountedChannel* channel : channels_) channel->AddTo(&figures);
  return figures;
}

void DeviceCounters::Register(const CountedChannel* channel) {
  MutexLock lock(&mutex_);
  channels_.push_back(channel);
}

void DeviceCounters::Retire(const CountedChannel* channel) {
  MutexLock lock(&mutex_);
  channel->AddTo(&retired_);
  std::erase(channels_, channel);
}

std::unique_ptr<Device> CountDevice(std::unique_ptr<Device> base,
                                    std::shared_ptr<DeviceCounters> counters, const Clock& clock) {
  return std::make_unique<CountedDevice>(std::move(base), std::move(counters), clock);
}

}  // namespace strata::appliance

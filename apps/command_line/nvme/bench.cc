// SPDX-License-Identifier: Apache-2.0
//
// The device is divided into units of the request's size. With stamps the bench remembers for each
// unit how often it was written: the stamp of a unit depends on the seed, its place and that
// number. A unit that is in flight is used by no other request.
#include "command_line/nvme/bench.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "command_line/nvme/latency_figures.h"
#include "strata/base/clock.h"
#include "strata/base/endian.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"

namespace strata::appliance {
namespace {

using block::Channel;
using block::Lba;
using block::Op;

constexpr uint64_t kMostVerifiedUnits = uint64_t{1} << 26;  // Memory for their counts: 256 MiB.
constexpr size_t kMostDamage = 20;
constexpr int64_t kProgressNs = 100'000'000;
constexpr double kSecondNs = 1e9;

const char* NameOf(BenchPattern pattern) {
  switch (pattern) {
    case BenchPattern::kRead:
      return "read";
    case BenchPattern::kWrite:
      return "write";
    case BenchPattern::kRandomRead:
      return "randread";
    case BenchPattern::kRandomWrite:
      return "randwrite";
    case BenchPattern::kRandomMixed:
      return "randrw";
  }
  return "";
}

bool Writes(BenchPattern pattern) {
  return pattern != BenchPattern::kRead && pattern != BenchPattern::kRandomRead;
}

uint64_t Mixed(uint64_t value) {  // SplitMix64's finaliser.
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

// Every eight bytes differ from those of any other unit, version and place in the unit.
class Stamp {
 public:
  Stamp(uint64_t seed, uint64_t unit, uint32_t version)
      : word_(Mixed(seed + Mixed(unit + Mixed(version)))) {}

  void Fill(std::span<std::byte> data) {
    for (size_t at = 0; at < data.size(); at += 8) StoreLe64(data.data() + at, Next());
  }
  // The first byte that is wrong; data.size(): none is.
  size_t FirstDifference(std::span<const std::byte> data) {
    for (size_t at = 0; at < data.size(); at += 8) {
      if (LoadLe64(data.data() + at) != Next()) return at;
    }
    return data.size();
  }

 private:
  uint64_t Next() { return word_ += 0x9e3779b97f4a7c15; }
  uint64_t word_;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Json FiguresJson(const LatencyFigures& figures, double seconds) {
  const auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1000; };
  return {{"operations", figures.count()},
          {"iops", static_cast<double>(figures.count()) / seconds},
          {"mean_us", us(figures.mean_ns())},
          {"p50_us", us(figures.PercentileNs(0.5))},
          {"p90_us", us(figures.PercentileNs(0.9))},
          {"p99_us", us(figures.PercentileNs(0.99))},
          {"p999_us", us(figures.PercentileNs(0.999))},
          {"max_us", us(figures.max_ns())}};
}

class Bench {
 public:
  Bench(const BenchRequest& request, uint64_t seed, Channel& channel)
      : request_(request), seed_(seed), channel_(channel), random_(seed), slots_(request.depth) {
    const block::Geometry& geometry = channel.geometry();
    const uint64_t device_bytes = geometry.block_count * geometry.block_size_bytes;
    unit_blocks_ = static_cast<uint32_t>(request.block_bytes / geometry.block_size_bytes);
    units_ = (request.size_bytes == 0 ? device_bytes : request.size_bytes) / request.block_bytes;
    for (Slot& slot : slots_) {
      slot.bench = this;
      slot.buffer = block::Buffer(request.block_bytes);
      slot.segment = {slot.buffer.data(), slot.buffer.size()};
      free_.push_back(&slot);
      if (!request.verify && Writes(request.pattern)) random_.Fill(slot.buffer.span());
    }
    if (request.verify) versions_.resize(units_);
  }

  absl::Status Run(const dedup::ProgressCallback& progress) {
    const auto total = static_cast<uint64_t>(request_.seconds);
    begin_ns_ = clock_.MonotonicNanos();
    const double cpu_begin = CpuSeconds();
    const int64_t end_ns = begin_ns_ + static_cast<int64_t>(request_.seconds * kSecondNs);
    int64_t next_progress_ns = 0;
    int64_t now_ns = begin_ns_;
    absl::Status status;
    while (status.ok() && now_ns < end_ns) {
      while (status.ok() && !free_.empty()) status = Start(now_ns);
      if (status.ok()) status = WaitForOne();
      now_ns = clock_.MonotonicNanos();
      if (status.ok() && now_ns >= next_progress_ns) {
        next_progress_ns = now_ns + kProgressNs;
        const auto done =
            static_cast<uint64_t>(static_cast<double>(now_ns - begin_ns_) / kSecondNs);
        if (!progress({"seconds", done, total})) status = absl::CancelledError("cancelled");
      }
    }
    while (channel_.in_flight() > 0) WaitForOne().IgnoreError();
    seconds_ = static_cast<double>(clock_.MonotonicNanos() - begin_ns_) / kSecondNs;
    cpu_seconds_ = CpuSeconds() - cpu_begin;
    STRATA_RETURN_IF_ERROR(status);
    STRATA_RETURN_IF_ERROR(error_);
    if (Writes(request_.pattern)) STRATA_RETURN_IF_ERROR(block::FlushBlocking(channel_));
    return request_.verify ? ReadAllBack(progress) : absl::OkStatus();
  }

  Json Answer(const block::Device& device) const {
    const uint64_t operations = reads_.count() + writes_.count();
    const auto count = static_cast<double>(operations);
    Json answer = {
        {"device", device.name()},
        {"pattern", NameOf(request_.pattern)},
        {"block_bytes", request_.block_bytes},
        {"depth", request_.depth},
        {"seconds", seconds_},
        {"seed", seed_},
        {"operations", operations},
        {"bytes", operations * request_.block_bytes},
        {"iops", count / seconds_},
        {"bytes_per_second", count * static_cast<double>(request_.block_bytes) / seconds_},
        {"cpu_us_per_operation", operations == 0 ? 0 : cpu_seconds_ * 1e6 / count}};
    if (reads_.count() > 0) answer["read"] = FiguresJson(reads_, seconds_);
    if (writes_.count() > 0) answer["write"] = FiguresJson(writes_, seconds_);
    if (request_.verify) {
      answer["verified_blocks"] = verified_;
      answer["damaged"] = !damage_.empty();
      answer["damage"] = damage_;
    }
    return answer;
  }

 private:
  struct Slot {
    Bench* bench = nullptr;
    block::Buffer buffer;
    block::Segment segment{};
    block::Request request{};
    uint64_t unit = 0;
    int64_t begin_ns = 0;
  };

  // Version and whether a request is in flight.
  struct UnitState {
    uint32_t version : 31 = 0;
    uint32_t is_busy : 1 = 0;
  };

  // A unit that no request of this bench has in flight; where stamps are checked, a read takes one
  // that was written.
  uint64_t Choose(bool is_write) {
    const bool is_random =
        request_.pattern != BenchPattern::kRead && request_.pattern != BenchPattern::kWrite;
    while (true) {
      uint64_t unit = 0;
      if (request_.verify && !is_write) {
        unit = written_[random_.Uniform(written_.size())];
      } else {
        unit = is_random ? random_.Uniform(units_) : next_unit_++ % units_;
      }
      if (!request_.verify || !versions_[unit].is_busy) return unit;
    }
  }

  absl::Status Start(int64_t now_ns) {
    bool is_write = Writes(request_.pattern);
    if (request_.pattern == BenchPattern::kRandomMixed) is_write = random_.Chance(0.5);
    // All that was written may be in flight: only so many are looked for.
    if (request_.verify && !is_write && written_.size() < 2 * slots_.size()) is_write = true;
    Slot* const slot = free_.back();
    slot->unit = Choose(is_write);
    slot->begin_ns = now_ns;
    if (request_.verify) {
      UnitState& state = versions_[slot->unit];
      state.is_busy = 1;
      if (is_write) {
        if (state.version == 0) written_.push_back(slot->unit);
        ++state.version;
        Stamp(seed_, slot->unit, state.version).Fill(slot->buffer.span());
      }
    }
    return Submit(slot, is_write ? Op::kWrite : Op::kRead, &OnDone);
  }

  absl::Status Submit(Slot* slot, Op op, void (*done)(block::Request*)) {
    slot->request = block::Request{.op = op,
                                   .lba = Lba{slot->unit * unit_blocks_},
                                   .block_count = unit_blocks_,
                                   .segments = {&slot->segment, 1},
                                   .done = done,
                                   .context = slot};
    STRATA_RETURN_IF_ERROR(channel_.Submit(&slot->request));
    free_.pop_back();
    return absl::OkStatus();
  }

  absl::Status WaitForOne() {
    if (request_.busy_poll) {
      channel_.Poll(static_cast<int>(request_.depth));
    } else {
      block::PollOrSleep(channel_);
    }
    return error_;
  }

  static void OnDone(block::Request* request) {
    Slot* const slot = static_cast<Slot*>(request->context);
    slot->bench->TakeEnd(slot);
  }

  void TakeEnd(Slot* slot) {
    const bool is_write = slot->request.op == Op::kWrite;
    const int64_t took_ns = clock_.MonotonicNanos() - slot->begin_ns;
    if (slot->request.status.ok()) {
      (is_write ? writes_ : reads_).Add(static_cast<uint64_t>(std::max<int64_t>(took_ns, 0)));
      if (request_.verify && !is_write) CheckStamp(*slot);
    } else if (error_.ok()) {
      error_ = slot->request.status;
    }
    if (request_.verify) versions_[slot->unit].is_busy = 0;
    free_.push_back(slot);
  }

  void CheckStamp(const Slot& slot) {
    const uint32_t version = versions_[slot.unit].version;
    const size_t wrong = Stamp(seed_, slot.unit, version).FirstDifference(slot.buffer.span());
    ++verified_;
    if (wrong == slot.buffer.size() || damage_.size() == kMostDamage) return;
    damage_.push_back(absl::StrCat("byte ", slot.unit * request_.block_bytes + wrong,
                                   " is not what write ", version, " of this place left there"));
  }

  absl::Status ReadAllBack(const dedup::ProgressCallback& progress) {
    size_t next = 0;
    absl::Status status;
    while (status.ok() && (next < written_.size() || channel_.in_flight() > 0)) {
      while (status.ok() && next < written_.size() && !free_.empty()) {
        free_.back()->unit = written_[next++];
        status = Submit(free_.back(), Op::kRead, &OnReadBack);
      }
      if (status.ok()) status = WaitForOne();
      if (status.ok() && !progress({"verifying", next * request_.block_bytes,
                                    written_.size() * request_.block_bytes})) {
        status = absl::CancelledError("cancelled");
      }
    }
    while (channel_.in_flight() > 0) WaitForOne().IgnoreError();
    return status.ok() ? error_ : status;
  }

  static void OnReadBack(block::Request* request) {
    Slot* const slot = static_cast<Slot*>(request->context);
    Bench& bench = *slot->bench;
    if (request->status.ok()) {
      bench.CheckStamp(*slot);
    } else if (bench.error_.ok()) {
      bench.error_ = request->status;
    }
    bench.free_.push_back(slot);
  }

  const BenchRequest& request_;
  const uint64_t seed_;
  const Clock& clock_ = SystemClock();
  Channel& channel_;
  Random random_;
  std::vector<Slot> slots_;
  std::vector<Slot*> free_;
  uint32_t unit_blocks_ = 0;
  uint64_t units_ = 0;
  uint64_t next_unit_ = 0;
  std::vector<UnitState> versions_;  // With stamps alone, as the next.
  std::vector<uint64_t> written_;
  LatencyFigures reads_;
  LatencyFigures writes_;
  int64_t begin_ns_ = 0;
  double seconds_ = 0;
  double cpu_seconds_ = 0;
  uint64_t verified_ = 0;
  std::vector<std::string> damage_;
  absl::Status error_;
};

absl::Status Check(const BenchRequest& request, const block::Geometry& geometry) {
  const uint64_t device_bytes = geometry.block_count * geometry.block_size_bytes;
  const uint64_t size_bytes = request.size_bytes == 0 ? device_bytes : request.size_bytes;
  const auto invalid = [](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(what...));
  };
  if (request.block_bytes == 0 || request.block_bytes % geometry.block_size_bytes != 0 ||
      request.block_bytes > geometry.max_transfer_bytes) {
    return invalid("--block ", request.block_bytes, " is no multiple of the device's blocks of ",
                   geometry.block_size_bytes, " bytes up to ", geometry.max_transfer_bytes);
  }
  if (size_bytes > device_bytes || size_bytes < request.block_bytes) {
    return invalid("--size ", size_bytes, " is not from one block to the device's ", device_bytes,
                   " bytes");
  }
  if (geometry.read_only && Writes(request.pattern)) {
    return absl::FailedPreconditionError("the device is read-only");
  }
  if (!request.verify) return absl::OkStatus();
  if (!Writes(request.pattern)) {
    return invalid("--verify reads back what the run wrote: ", NameOf(request.pattern),
                   " writes nothing");
  }
  const uint64_t units = size_bytes / request.block_bytes;
  if (units < 4 * uint64_t{request.depth} || units > kMostVerifiedUnits) {
    return invalid("--verify works on ", 4 * uint64_t{request.depth}, " to ", kMostVerifiedUnits,
                   " blocks, here are ", units, ": choose with --size");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Json> RunBench(const BenchRequest& request, block::Device& device,
                              const dedup::ProgressCallback& progress) {
  STRATA_RETURN_IF_ERROR(Check(request, device.geometry()));
  uint64_t seed = request.seed;
  while (seed == 0) {
    // JSON numbers are exact up to 2^53 everywhere.
    std::array<std::byte, 8> bytes;
    STRATA_RETURN_IF_ERROR(SecureRandomBytes(bytes));
    seed = LoadLe64(bytes.data()) >> 16;
  }
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<Channel> channel,
                          device.OpenChannel({.queue_depth = request.depth}));
  Bench bench(request, seed, *channel);
  STRATA_RETURN_IF_ERROR(bench.Run(progress));
  return bench.Answer(device);
}

}  // namespace strata::appliance

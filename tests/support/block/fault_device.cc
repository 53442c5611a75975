// SPDX-License-Identifier: Apache-2.0
//
// Two images of the content: `current_` is what reads see, `durable_` what surely survives. Between
// them lies the log of unflushed writes, in the order of their completion. A flush moves to
// `durable_` the writes that had completed when it was submitted; a power cut applies a random
// choice of the log to `durable_`.
#include "support/block/fault_device.h"

#include <algorithm>
#include <bit>
#include <deque>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "queued_channel.h"
#include "strata/base/check.h"
#include "strata/base/mutex.h"
#include "strata/base/random.h"
#include "support/block/sparse_image.h"

namespace strata::block {
namespace {

constexpr uint64_t kForever = ~uint64_t{0};

// When the request was submitted, on the disk's count of completed writes.
uint64_t& SubmittedAt(Request* request) { return request->driver.words[0]; }

// A write that completed and was not flushed.
struct UnflushedWrite {
  uint64_t number;  // Its place in the order of completion.
  uint64_t offset_bytes;
  uint64_t size_bytes;
  std::vector<std::byte> data;  // Empty: zeroes.

  uint64_t end_bytes() const { return offset_bytes + size_bytes; }

  UnflushedWrite Part(uint64_t from, uint64_t to) const {
    UnflushedWrite part{number, from, to - from, {}};
    if (!data.empty()) {
      part.data.assign(data.begin() + static_cast<ptrdiff_t>(from - offset_bytes),
                       data.begin() + static_cast<ptrdiff_t>(to - offset_bytes));
    }
    return part;
  }
};

void Apply(const UnflushedWrite& write, SparseImage& image) {
  if (write.data.empty()) {
    image.Zero(write.offset_bytes, write.size_bytes);
  } else {
    image.Write(write.offset_bytes, write.data);
  }
}

bool IsReadOp(Op op) { return op == Op::kRead || op == Op::kCompare; }

}  // namespace

class FaultDisk::State {
 public:
  explicit State(const FaultDiskOptions& options) : options_(options), random_(options.seed) {
    STRATA_CHECK(options.block_count > 0 && std::has_single_bit(options.block_size_bytes) &&
                     std::has_single_bit(options.sector_size_bytes) &&
                     options.sector_size_bytes <= options.block_size_bytes,
                 "FaultDiskOptions");
    geometry_.block_size_bytes = options.block_size_bytes;
    geometry_.block_count = options.block_count;
    geometry_.max_transfer_bytes = options.max_transfer_bytes;
    geometry_.volatile_write_cache = true;
    geometry_.atomic_write_blocks = options.atomic_write_blocks;
    geometry_.supports_discard = true;
  }

  const FaultDiskOptions& options() const { return options_; }
  const Geometry& geometry() const { return geometry_; }

  uint64_t NextSeed() {
    MutexLock lock(&mutex_);
    return random_.Next64();
  }

  void Inject(Fault fault) {
    MutexLock lock(&mutex_);
    faults_.push_back(std::move(fault));
  }
  void ClearFaults() {
    MutexLock lock(&mutex_);
    faults_.clear();
  }
  uint64_t faults_fired() {
    MutexLock lock(&mutex_);
    return faults_fired_;
  }
  Counts counts() {
    MutexLock lock(&mutex_);
    return counts_;
  }
  uint64_t unflushed_writes() {
    MutexLock lock(&mutex_);
    return log_.size();
  }
  bool powered() {
    MutexLock lock(&mutex_);
    return powered_;
  }
  void CutPowerAfter(uint64_t count) {
    MutexLock lock(&mutex_);
    changes_left_ = count;
  }

  void FlipBitAtRest(Lba lba, uint64_t bit);
  std::shared_ptr<State> PowerCut(uint64_t seed);

  void Stamp(Request* request) {
    MutexLock lock(&mutex_);
    SubmittedAt(request) = next_number_;
  }

  // Does what *request asks for, or what a fault makes of it, and sets its status.
  void Execute(Request* request);

 private:
  uint64_t OffsetOf(const Request* request) const {
    return request->lba.value * geometry_.block_size_bytes;
  }
  uint64_t SizeOf(const Request* request) const {
    return uint64_t{request->block_count} * geometry_.block_size_bytes;
  }
  uint64_t TearBytes() const {
    return options_.atomic_write_blocks > 0
               ? uint64_t{options_.atomic_write_blocks} * options_.block_size_bytes
               : options_.sector_size_bytes;
  }

  void Count(const Request* request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TakePower(Request* request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const Fault* FaultFor(const Request* request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ExecuteFaulty(Request* request, const Fault& fault) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ExecuteWell(Request* request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Read(Request* request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Compare(Request* request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  UnflushedWrite WriteOf(const Request* request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Store(UnflushedWrite write, bool forced) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StoreTorn(const UnflushedWrite& write) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MakeDurable(const UnflushedWrite& write) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Flush(uint64_t before_number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const FaultDiskOptions options_;
  Geometry geometry_;
  Mutex mutex_;
  Random random_ ABSL_GUARDED_BY(mutex_);
  SparseImage current_ ABSL_GUARDED_BY(mutex_);
  SparseImage durable_ ABSL_GUARDED_BY(mutex_);
  std::deque<UnflushedWrite> log_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 1;
  std::vector<Fault> faults_ ABSL_GUARDED_BY(mutex_);
  uint64_t faults_fired_ ABSL_GUARDED_BY(mutex_) = 0;
  Counts counts_ ABSL_GUARDED_BY(mutex_);
  bool powered_ ABSL_GUARDED_BY(mutex_) = true;
  uint64_t cut_number_ ABSL_GUARDED_BY(mutex_) = 0;  // Of the moment the power failed.
  uint64_t changes_left_ ABSL_GUARDED_BY(mutex_) = kForever;
};

namespace {

// Cuts `write` into units of tear_bytes and calls keep(part) for a random choice of them: either a
// prefix or any subset.
template <typename Keep>
void Tear(const UnflushedWrite& write, uint64_t tear_bytes, Random& random, Keep keep) {
  const uint64_t units = (write.size_bytes + tear_bytes - 1) / tear_bytes;
  const bool is_prefix = random.Chance(0.5);
  const uint64_t prefix_units = random.Uniform(units);
  for (uint64_t unit = 0; unit < units; ++unit) {
    const bool kept = is_prefix ? unit < prefix_units : random.Chance(0.5);
    if (!kept) continue;
    const uint64_t from = write.offset_bytes + unit * tear_bytes;
    keep(write.Part(from, std::min(from + tear_bytes, write.end_bytes())));
  }
}

}  // namespace

void FaultDisk::State::Count(const Request* request) {
  if (IsReadOp(request->op)) {
    ++counts_.reads;
  } else if (request->op == Op::kFlush) {
    ++counts_.flushes;
  } else {
    ++counts_.writes;
    if (request->force_unit_access) ++counts_.forced;
  }
}

// False when there is no power for *request: its status is set then.
bool FaultDisk::State::TakePower(Request* request) {
  if (powered_ && !IsReadOp(request->op)) {
    if (changes_left_ == 0) {
      powered_ = false;
      cut_number_ = next_number_++;
    } else if (changes_left_ != kForever) {
      --changes_left_;
    }
  }
  if (powered_) return true;
  const bool was_in_flight = SubmittedAt(request) <= cut_number_;
  const bool changes = !IsReadOp(request->op) && request->op != Op::kFlush;
  if (was_in_flight && changes) Store(WriteOf(request), /*forced=*/false);
  request->status = absl::UnavailableError("the disk has lost power");
  return false;
}

const Fault* FaultDisk::State::FaultFor(const Request* request) {
  const Fault* firing = nullptr;
  for (Fault& fault : faults_) {
    if (fault.op.has_value() && *fault.op != request->op) continue;
    const uint64_t first = fault.first.value;
    const uint64_t end =
        fault.block_count > kForever - first ? kForever : first + fault.block_count;
    const bool touches =
        request->op == Op::kFlush ||
        (request->lba.value < end && request->lba.value + request->block_count > first);
    if (!touches) continue;
    if (fault.nth == kForever) continue;  // It has had its turn.
    if (fault.nth > 1) {
      --fault.nth;
      continue;
    }
    if (fault.nth == 1) fault.nth = kForever;
    if (fault.probability < 1.0 && !random_.Chance(fault.probability)) continue;
    if (firing == nullptr) firing = &fault;
  }
  if (firing != nullptr) ++faults_fired_;
  return firing;
}

void FaultDisk::State::Execute(Request* request) {
  MutexLock lock(&mutex_);
  Count(request);
  if (!TakePower(request)) return;
  const Fault* fault = FaultFor(request);
  if (fault != nullptr && ExecuteFaulty(request, *fault)) return;
  request->status = ExecuteWell(request);
}

// False when the fault does not apply to this kind of operation.
bool FaultDisk::State::ExecuteFaulty(Request* request, const Fault& fault) {
  const bool is_write = !IsReadOp(request->op) && request->op != Op::kFlush;
  request->status = fault.status;
  switch (fault.kind) {
    case Fault::Kind::kFail:
      break;
    case Fault::Kind::kTear:
      if (is_write) StoreTorn(WriteOf(request));
      break;
    case Fault::Kind::kLose:
      if (!IsReadOp(request->op)) request->status = absl::OkStatus();
      break;
    case Fault::Kind::kFlip:
      if (request->op == Op::kRead) {
        request->status = Read(request);
        const Segment& segment = request->segments[random_.Uniform(request->segments.size())];
        segment.data[random_.Uniform(segment.size_bytes)] ^= std::byte{1} << random_.Uniform(8);
      } else if (request->op == Op::kWrite) {
        UnflushedWrite write = WriteOf(request);
        write.data[random_.Uniform(write.data.size())] ^= std::byte{1} << random_.Uniform(8);
        Store(std::move(write), request->force_unit_access);
        request->status = absl::OkStatus();
      } else {
        return false;
      }
      break;
  }
  return true;
}

absl::Status FaultDisk::State::ExecuteWell(Request* request) {
  switch (request->op) {
    case Op::kRead:
      return Read(request);
    case Op::kCompare:
      return Compare(request);
    case Op::kFlush:
      Flush(SubmittedAt(request));
      return absl::OkStatus();
    case Op::kWrite:
    case Op::kDiscard:
    case Op::kWriteZeroes:
      Store(WriteOf(request), request->force_unit_access);
      return absl::OkStatus();
    case Op::kZoneAppend:
      break;
  }
  return absl::UnimplementedError("zone append");
}

absl::Status FaultDisk::State::Read(Request* request) {
  uint64_t offset_bytes = OffsetOf(request);
  for (const Segment& segment : request->segments) {
    current_.Read(offset_bytes, {segment.data, segment.size_bytes});
    offset_bytes += segment.size_bytes;
  }
  return absl::OkStatus();
}

absl::Status FaultDisk::State::Compare(Request* request) {
  uint64_t offset_bytes = OffsetOf(request);
  std::vector<std::byte> stored;
  for (const Segment& segment : request->segments) {
    stored.resize(segment.size_bytes);
    current_.Read(offset_bytes, stored);
    if (!std::equal(stored.begin(), stored.end(), segment.data)) {
      return absl::AbortedError("compare: content differs");
    }
    offset_bytes += segment.size_bytes;
  }
  return absl::OkStatus();
}

UnflushedWrite FaultDisk::State::WriteOf(const Request* request) {
  UnflushedWrite write{next_number_++, OffsetOf(request), SizeOf(request), {}};
  if (request->op != Op::kWrite) return write;
  for (const Segment& segment : request->segments) {
    write.data.insert(write.data.end(), segment.data, segment.data + segment.size_bytes);
  }
  return write;
}

void FaultDisk::State::Store(UnflushedWrite write, bool forced) {
  Apply(write, current_);
  if (forced) {
    MakeDurable(write);
  } else {
    log_.push_back(std::move(write));
  }
}

void FaultDisk::State::StoreTorn(const UnflushedWrite& write) {
  std::vector<UnflushedWrite> kept;
  Tear(write, TearBytes(), random_,
       [&kept](UnflushedWrite part) { kept.push_back(std::move(part)); });
  for (UnflushedWrite& part : kept) Store(std::move(part), /*forced=*/false);
}

// Older writes to the same place must not come back after a power cut: they are cut out of the log.
void FaultDisk::State::MakeDurable(const UnflushedWrite& write) {
  Apply(write, durable_);
  std::deque<UnflushedWrite> log;
  for (UnflushedWrite& old : log_) {
    if (old.end_bytes() <= write.offset_bytes || old.offset_bytes >= write.end_bytes()) {
      log.push_back(std::move(old));
      continue;
    }
    if (old.offset_bytes < write.offset_bytes) {
      log.push_back(old.Part(old.offset_bytes, write.offset_bytes));
    }
    if (old.end_bytes() > write.end_bytes()) {
      log.push_back(old.Part(write.end_bytes(), old.end_bytes()));
    }
  }
  log_ = std::move(log);
}

void FaultDisk::State::Flush(uint64_t before_number) {
  std::deque<UnflushedWrite> later;
  for (UnflushedWrite& write : log_) {
    if (write.number < before_number) {
      Apply(write, durable_);
    } else {
      later.push_back(std::move(write));
    }
  }
  log_ = std::move(later);
}

void FaultDisk::State::FlipBitAtRest(Lba lba, uint64_t bit) {
  MutexLock lock(&mutex_);
  STRATA_CHECK(lba.value < geometry_.block_count && bit < 8 * uint64_t{geometry_.block_size_bytes},
               "FlipBitAtRest beyond the disk");
  const uint64_t offset_bytes = lba.value * geometry_.block_size_bytes + bit / 8;
  const std::byte mask = std::byte{1} << (bit % 8);
  for (SparseImage* image : {&current_, &durable_}) {
    std::byte value{};
    image->Read(offset_bytes, {&value, 1});
    value ^= mask;
    image->Write(offset_bytes, {&value, 1});
  }
  for (UnflushedWrite& write : log_) {
    if (write.data.empty() || offset_bytes < write.offset_bytes ||
        offset_bytes >= write.end_bytes()) {
      continue;
    }
    write.data[offset_bytes - write.offset_bytes] ^= mask;
  }
}

std::shared_ptr<FaultDisk::State> FaultDisk::State::PowerCut(uint64_t seed) {
  FaultDiskOptions options = options_;
  options.seed = seed;
  auto survivor = std::make_shared<State>(options);
  MutexLock lock(&mutex_);
  powered_ = false;
  Random random(seed);
  // Some cuts lose everything or nothing; most are in between, each in a mood of its own.
  const double mood = random.Chance(0.1)   ? 0
                      : random.Chance(0.1) ? 1
                      : random.Chance(0.5) ? 0.5
                                           : 0.9;
  std::vector<UnflushedWrite> kept;
  for (const UnflushedWrite& write : log_) {
    if (random.Chance(mood)) {
      kept.push_back(write);
    } else if (mood > 0 && random.Chance(0.5)) {
      Tear(write, TearBytes(), random,
           [&kept](UnflushedWrite part) { kept.push_back(std::move(part)); });
    }
  }
  if (random.Chance(0.3)) {
    for (size_t i = kept.size(); i > 1; --i) std::swap(kept[i - 1], kept[random.Uniform(i)]);
  }
  MutexLock survivor_lock(&survivor->mutex_);
  survivor->durable_ = durable_;
  for (const UnflushedWrite& write : kept) Apply(write, survivor->durable_);
  survivor->current_ = survivor->durable_;
  return survivor;
}

class FaultDisk::FaultChannel final : public QueuedChannel {
 public:
  FaultChannel(std::shared_ptr<State> state, const ProcessMark& opener, uint32_t queue_depth)
      : QueuedChannel(state->geometry(), opener, queue_depth),
        state_(std::move(state)),
        random_(state_->NextSeed()) {}

 protected:
  void Arrived(Request* request) override { state_->Stamp(request); }

  Request* Next(RequestQueue& queue) override {
    if (state_->options().reorders) {
      for (uint64_t turns = random_.Uniform(in_flight()); turns > 0; --turns) {
        queue.Push(queue.Pop());
      }
    }
    return queue.Pop();
  }

  void Execute(Request* request) override { state_->Execute(request); }

 private:
  const std::shared_ptr<State> state_;
  Random random_;
};

class FaultDisk::FaultDevice final : public Device {
 public:
  explicit FaultDevice(std::shared_ptr<State> state) : state_(std::move(state)) {}

  const Geometry& geometry() const override { return state_->geometry(); }
  std::string name() const override { return absl::StrCat("fault:seed=", state_->options().seed); }

  absl::StatusOr<std::unique_ptr<Channel>> OpenChannel(const ChannelOptions& options) override {
    if (options.queue_depth == 0) return absl::InvalidArgumentError("queue_depth is 0");
    return std::make_unique<FaultChannel>(state_, opener_, options.queue_depth);
  }

 private:
  const std::shared_ptr<State> state_;
  const ProcessMark opener_;
};

FaultDisk::FaultDisk(const FaultDiskOptions& options) : state_(std::make_shared<State>(options)) {}
FaultDisk::FaultDisk(std::shared_ptr<State> state) : state_(std::move(state)) {}
FaultDisk::~FaultDisk() = default;

std::unique_ptr<Device> FaultDisk::Open() { return std::make_unique<FaultDevice>(state_); }
void FaultDisk::Inject(Fault fault) { state_->Inject(std::move(fault)); }
void FaultDisk::ClearFaults() { state_->ClearFaults(); }
uint64_t FaultDisk::faults_fired() const { return state_->faults_fired(); }
void FaultDisk::FlipBitAtRest(Lba lba, uint64_t bit) { state_->FlipBitAtRest(lba, bit); }
void FaultDisk::CutPowerAfter(uint64_t count) { state_->CutPowerAfter(count); }
bool FaultDisk::powered() const { return state_->powered(); }
FaultDisk::Counts FaultDisk::counts() const { return state_->counts(); }
uint64_t FaultDisk::unflushed_writes() const { return state_->unflushed_writes(); }

std::unique_ptr<FaultDisk> FaultDisk::PowerCut(uint64_t seed) {
  return std::unique_ptr<FaultDisk>(new FaultDisk(state_->PowerCut(seed)));
}

}  // namespace strata::block

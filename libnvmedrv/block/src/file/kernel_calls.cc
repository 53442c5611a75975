// SPDX-License-Identifier: Apache-2.0
#include "file/kernel_calls.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "strata/base/check.h"

namespace strata::block {
namespace {

// A caller's segments are handed to the kernel as they are.
static_assert(sizeof(Segment) == sizeof(iovec));
static_assert(offsetof(Segment, data) == offsetof(iovec, iov_base));
static_assert(offsetof(Segment, size_bytes) == offsetof(iovec, iov_len));

constexpr size_t kScratchBytes = 128 << 10;
alignas(4096) constinit std::byte zeroes[64 << 10] = {};

enum class Step : uint64_t { kTransfer, kCompare, kSync, kPunchHole, kZeroRange, kWriteZeroes };

// A request's progress, kept in its driver words.
uint64_t& DoneBytes(Request* request) { return request->driver.words[0]; }
uint64_t DoneBytes(const Request* request) { return request->driver.words[0]; }
Step StepOf(const Request* request) { return static_cast<Step>(request->driver.words[1]); }
void SetStep(Request* request, Step step) {
  request->driver.words[1] = static_cast<uint64_t>(step);
}
// Zeroing: how much of the range lies within the file.
uint64_t& ZeroBytes(Request* request) { return request->driver.words[2]; }
uint64_t ZeroBytes(const Request* request) { return request->driver.words[2]; }

// Calls visit(piece) for each contiguous piece of the request's memory from `skip_bytes` on, for at
// most `size_bytes`; stops when visit returns false.
template <typename Visit>
void VisitMemory(const Request* request, uint64_t skip_bytes, uint64_t size_bytes, Visit visit) {
  for (const Segment& segment : request->segments) {
    if (size_bytes == 0) return;
    if (skip_bytes >= segment.size_bytes) {
      skip_bytes -= segment.size_bytes;
      continue;
    }
    const uint64_t take = std::min<uint64_t>(segment.size_bytes - skip_bytes, size_bytes);
    if (!visit(std::span(segment.data + skip_bytes, take))) return;
    size_bytes -= take;
    skip_bytes = 0;
  }
}

void ZeroMemory(const Request* request, uint64_t skip_bytes, uint64_t size_bytes) {
  VisitMemory(request, skip_bytes, size_bytes, [](std::span<std::byte> piece) {
    std::memset(piece.data(), 0, piece.size());
    return true;
  });
}

bool Succeed(Request* request) {
  request->status = absl::OkStatus();
  return true;
}

bool IsRefusal(int64_t result) { return result == -EOPNOTSUPP || result == -ENOSYS; }

// A request that a dying thread had started is cancelled by the kernel; it is started again.
bool IsInterruption(int64_t result) {
  return result == -EINTR || result == -EAGAIN || result == -ECANCELED;
}

absl::string_view NameOf(Op op) {
  switch (op) {
    case Op::kRead:
      return "read";
    case Op::kWrite:
      return "write";
    case Op::kFlush:
      return "flush";
    case Op::kDiscard:
      return "discard";
    case Op::kWriteZeroes:
      return "write zeroes";
    case Op::kCompare:
      return "compare";
    case Op::kZoneAppend:
      return "zone append";
  }
  return "unknown operation";
}

}  // namespace

KernelCalls::Begin KernelCalls::Start(Request* request) {
  DoneBytes(request) = 0;
  const uint64_t offset_bytes = OffsetOf(request);
  switch (request->op) {
    case Op::kRead:
      SetStep(request, Step::kTransfer);
      if (offset_bytes < file_.size_bytes()) return Begin::kCall;
      ZeroMemory(request, 0, SizeOf(request));
      Succeed(request);
      return Begin::kFinished;
    case Op::kWrite:
      SetStep(request, Step::kTransfer);
      request->status = file_.Extend(offset_bytes, offset_bytes + SizeOf(request));
      return request->status.ok() ? Begin::kCall : Begin::kFinished;
    case Op::kFlush:
      SetStep(request, Step::kSync);
      if (!file_.flush_failed.load(std::memory_order_relaxed)) return Begin::kCall;
      request->status = absl::DataLossError(
          absl::StrCat(file_.path(), ": an earlier flush failed; what it covered may be lost"));
      return Begin::kFinished;
    case Op::kDiscard:
    case Op::kWriteZeroes:
      return StartZeroing(request);
    case Op::kCompare:
      SetStep(request, Step::kCompare);
      if (scratch_.size() == 0) scratch_ = Buffer(kScratchBytes);
      if (comparing_ != nullptr) {
        compares_waiting_.Push(request);
        return Begin::kWaits;
      }
      comparing_ = request;
      return Begin::kCall;
    case Op::kZoneAppend:
      break;
  }
  STRATA_CHECK(false, "operation passed the check of Channel::Submit");
  return Begin::kFinished;
}

// What lies beyond the end of the file reads as zeroes already. kWriteZeroes takes the space as
// well: ahead where the filesystem can, otherwise by writing.
KernelCalls::Begin KernelCalls::StartZeroing(Request* request) {
  const uint64_t offset_bytes = OffsetOf(request);
  // A hole behind it would be taken for preallocated.
  uint64_t used_bytes = std::min(file_.used_bytes(), file_.size_bytes());
  Succeed(request);
  if (request->op == Op::kWriteZeroes) {
    const absl::StatusOr<uint64_t> used_before =
        file_.Reserve(offset_bytes, offset_bytes + SizeOf(request));
    request->status = used_before.status();
    if (!used_before.ok()) return Begin::kFinished;
    used_bytes = *used_before;
  }
  const bool whole = request->op == Op::kWriteZeroes && !file_.can_preallocate;
  if (offset_bytes >= used_bytes && !whole) return Begin::kFinished;
  ZeroBytes(request) =
      whole ? SizeOf(request) : std::min(SizeOf(request), used_bytes - offset_bytes);
  if (request->op == Op::kDiscard && file_.can_punch_hole.load(std::memory_order_relaxed)) {
    SetStep(request, Step::kPunchHole);
  } else if (file_.can_zero_range.load(std::memory_order_relaxed)) {
    SetStep(request, Step::kZeroRange);
  } else {
    SetStep(request, Step::kWriteZeroes);
  }
  return Begin::kCall;
}

KernelCall KernelCalls::Next(const Request* request) {
  const uint64_t done_bytes = DoneBytes(request);
  KernelCall call;
  call.offset_bytes = OffsetOf(request) + done_bytes;
  switch (StepOf(request)) {
    case Step::kTransfer:
      call.kind = request->op == Op::kRead ? KernelCall::Kind::kRead : KernelCall::Kind::kWrite;
      if (request->op == Op::kWrite && request->force_unit_access) call.flags = RWF_DSYNC;
      if (done_bytes == 0 && request->segments.size() > 1) {
        call.size_bytes = SizeOf(request);
        call.vector = reinterpret_cast<const iovec*>(request->segments.data());
        call.vector_count = static_cast<uint32_t>(request->segments.size());
      } else {
        // What is left after a short transfer goes a segment at a time.
        VisitMemory(request, done_bytes, SizeOf(request), [&call](std::span<std::byte> piece) {
          call.data = piece.data();
          call.size_bytes = piece.size();
          return false;
        });
      }
      break;
    case Step::kCompare:
      call.kind = KernelCall::Kind::kRead;
      call.data = scratch_.data();
      call.size_bytes = std::min<uint64_t>(SizeOf(request) - done_bytes, scratch_.size());
      break;
    case Step::kSync:
      call.kind = KernelCall::Kind::kSync;
      break;
    case Step::kPunchHole:
    case Step::kZeroRange:
      call.kind = KernelCall::Kind::kAllocate;
      call.flags = StepOf(request) == Step::kPunchHole ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
                                                       : FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
      call.size_bytes = ZeroBytes(request);
      break;
    case Step::kWriteZeroes:
      call.kind = KernelCall::Kind::kWrite;
      call.data = zeroes;
      call.size_bytes = std::min<uint64_t>(ZeroBytes(request) - done_bytes, sizeof(zeroes));
      break;
  }
  return call;
}

bool KernelCalls::Finish(Request* request, int64_t result) {
  if (IsInterruption(result)) return false;
  switch (StepOf(request)) {
    case Step::kTransfer:
      return FinishTransfer(request, result);
    case Step::kCompare:
      return FinishCompare(request, result);
    case Step::kSync:
      return FinishSync(request, result);
    case Step::kPunchHole:
    case Step::kZeroRange:
    case Step::kWriteZeroes:
      return FinishZeroing(request, result);
  }
  return false;
}

bool KernelCalls::FinishTransfer(Request* request, int64_t result) {
  const uint64_t size_bytes = SizeOf(request);
  uint64_t& done_bytes = DoneBytes(request);
  if (static_cast<uint64_t>(result) == size_bytes - done_bytes) return Succeed(request);
  if (result < 0) return Fail(request, static_cast<int>(-result));
  const uint64_t before_bytes = done_bytes;
  done_bytes += static_cast<uint64_t>(result);
  if (done_bytes == size_bytes) return Succeed(request);
  if (request->op == Op::kRead &&
      (result == 0 || OffsetOf(request) + done_bytes >= file_.size_bytes())) {
    ZeroMemory(request, done_bytes, size_bytes - done_bytes);
    return Succeed(request);
  }
  // O_DIRECT goes on at a whole block only.
  done_bytes -= done_bytes % file_.geometry().block_size_bytes;
  if (done_bytes == before_bytes) return Fail(request, EIO);
  return false;
}

bool KernelCalls::FinishCompare(Request* request, int64_t result) {
  if (result < 0) {
    comparing_ = nullptr;
    return Fail(request, static_cast<int>(-result));
  }
  const uint64_t wanted_bytes =
      std::min<uint64_t>(SizeOf(request) - DoneBytes(request), scratch_.size());
  uint64_t got_bytes = static_cast<uint64_t>(result);
  const uint64_t at_bytes = OffsetOf(request) + DoneBytes(request);
  if (got_bytes < wanted_bytes) {
    if (got_bytes == 0 || at_bytes + got_bytes >= file_.size_bytes()) {
      std::memset(scratch_.data() + got_bytes, 0, wanted_bytes - got_bytes);
      got_bytes = wanted_bytes;
    } else {
      got_bytes -= got_bytes % file_.geometry().block_size_bytes;
      if (got_bytes == 0) {
        comparing_ = nullptr;
        return Fail(request, EIO);
      }
    }
  }
  bool same = true;
  const std::byte* found = scratch_.data();
  VisitMemory(request, DoneBytes(request), got_bytes, [&](std::span<std::byte> piece) {
    same = std::memcmp(piece.data(), found, piece.size()) == 0;
    found += piece.size();
    return same;
  });
  DoneBytes(request) += got_bytes;
  if (same && DoneBytes(request) < SizeOf(request)) return false;
  comparing_ = nullptr;
  if (same) return Succeed(request);
  request->status = absl::AbortedError(absl::StrCat(file_.path(), ": compare of ",
                                                    request->block_count, " blocks at block ",
                                                    request->lba.value, ": content differs"));
  return true;
}

bool KernelCalls::FinishSync(Request* request, int64_t result) {
  if (result >= 0) return Succeed(request);
  file_.flush_failed.store(true, std::memory_order_relaxed);
  return Fail(request, static_cast<int>(-result));
}

bool KernelCalls::FinishZeroing(Request* request, int64_t result) {
  const Step step = StepOf(request);
  if (step == Step::kPunchHole && IsRefusal(result)) {
    file_.can_punch_hole.store(false, std::memory_order_relaxed);
    SetStep(request, Step::kZeroRange);
    return false;
  }
  if (step == Step::kZeroRange && IsRefusal(result)) {
    file_.can_zero_range.store(false, std::memory_order_relaxed);
    SetStep(request, Step::kWriteZeroes);
    return false;
  }
  if (result < 0) return Fail(request, static_cast<int>(-result));
  if (step == Step::kWriteZeroes) {
    if (result == 0) return Fail(request, EIO);
    DoneBytes(request) += static_cast<uint64_t>(result);
    if (DoneBytes(request) < ZeroBytes(request)) return false;
  }
  if (!request->force_unit_access) return Succeed(request);
  SetStep(request, Step::kSync);
  return false;
}

bool KernelCalls::Fail(Request* request, int error) {
  const absl::string_view name = NameOf(request->op);
  request->status =
      file_.Error(error, std::string_view(name.data(), name.size()),
                  OffsetOf(request) + DoneBytes(request), SizeOf(request) - DoneBytes(request));
  return true;
}

Request* KernelCalls::NextCompare() {
  if (comparing_ != nullptr || compares_waiting_.empty()) return nullptr;
  comparing_ = compares_waiting_.Pop();
  return comparing_;
}

}  // namespace strata::block

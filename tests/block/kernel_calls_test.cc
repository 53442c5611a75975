// SPDX-License-Identifier: Apache-2.0
//
// The sequence of kernel calls against a kernel that does less than it was asked for: transfers
// stop short, calls are interrupted, operations are refused, media fail.
#include "file/kernel_calls.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "support/block/temp_file.h"
#include "support/block/test_io.h"
#include "support/seed.h"

namespace strata::block {
namespace {

constexpr uint64_t kBlockBytes = 4096;
constexpr uint64_t kBlocks = 256;

std::unique_ptr<BackingFile> OpenFile(const std::string& path) {
  auto file = BackingFile::Open(
      {.path = path, .size_bytes = kBlocks * kBlockBytes, .create = true, .direct = false});
  REQUIRE(file.ok());
  return *std::move(file);
}

// Makes calls on a real file, but seldom as a whole.
class LazyKernel {
 public:
  LazyKernel(BackingFile& file, uint64_t seed) : file_(file), random_(seed) {}

  int64_t Make(const KernelCall& call) {
    if (random_.Chance(0.2)) {
      const int interruptions[] = {-EINTR, -EAGAIN, -ECANCELED};
      return interruptions[random_.Uniform(3)];
    }
    switch (call.kind) {
      case KernelCall::Kind::kRead:
      case KernelCall::Kind::kWrite:
        return Transfer(call);
      case KernelCall::Kind::kSync:
        ++sync_count;
        return 0;
      case KernelCall::Kind::kAllocate:
        if (refuses_allocation) return -EOPNOTSUPP;
        return fallocate(file_.fd(), call.flags, static_cast<off_t>(call.offset_bytes),
                         static_cast<off_t>(call.size_bytes)) == 0
                   ? 0
                   : -errno;
    }
    return -ENOSYS;
  }

  int sync_count = 0;
  bool refuses_allocation = false;

 private:
  int64_t Transfer(const KernelCall& call) {
    std::vector<iovec> pieces;
    if (call.data != nullptr) {
      pieces.push_back({call.data, call.size_bytes});
    } else {
      pieces.assign(call.vector, call.vector + call.vector_count);
    }
    uint64_t left = call.size_bytes;
    if (left > kBlockBytes && random_.Chance(0.6)) {
      left = kBlockBytes + random_.Uniform(left - kBlockBytes);  // Not a whole number of blocks.
    }
    int64_t done = 0;
    for (const iovec& piece : pieces) {
      const size_t size = std::min<uint64_t>(piece.iov_len, left);
      const off_t at = static_cast<off_t>(call.offset_bytes) + done;
      const ssize_t moved = call.kind == KernelCall::Kind::kRead
                                ? pread(file_.fd(), piece.iov_base, size, at)
                                : pwrite(file_.fd(), piece.iov_base, size, at);
      if (moved < 0) return -errno;
      done += moved;
      left -= size;
      if (static_cast<size_t>(moved) < size || left == 0) break;
    }
    return done;
  }

  BackingFile& file_;
  Random random_;
};

template <typename Kernel>
absl::Status Run(KernelCalls& calls, Kernel make, TestIo& io) {
  if (calls.Start(&io.request) == KernelCalls::Begin::kFinished) return io.request.status;
  while (!calls.Finish(&io.request, make(calls.Next(&io.request)))) {
  }
  return io.request.status;
}

std::vector<Segment> Cut(Random& random, const Buffer& buffer) {
  std::vector<Segment> segments;
  const uint64_t blocks = buffer.size() / kBlockBytes;
  for (uint64_t at = 0; at < blocks;) {
    const uint64_t take = 1 + random.Uniform(blocks - at);
    segments.push_back(Piece(buffer, at * kBlockBytes, take * kBlockBytes));
    at += take;
  }
  return segments;
}

TEST_CASE("short and interrupted calls are continued until all is done") {
  TempFile path;
  const std::unique_ptr<BackingFile> file = OpenFile(path.path());
  Random random(test::Seed());
  LazyKernel kernel(*file, random.Next64());
  const auto make = [&](const KernelCall& call) { return kernel.Make(call); };
  KernelCalls calls(*file);
  Buffer model(kBlocks * kBlockBytes);
  for (int round = 0; round < 2000; ++round) {
    kernel.refuses_allocation = round >= 1000;
    const Op ops[] = {Op::kRead, Op::kWrite, Op::kCompare, Op::kDiscard, Op::kWriteZeroes};
    const Op op = ops[random.Uniform(5)];
    const uint64_t lba = random.Uniform(kBlocks);
    const uint64_t blocks = 1 + random.Uniform(std::min<uint64_t>(kBlocks - lba, 64));
    Buffer buffer = RandomBuffer(random, blocks * kBlockBytes);
    const auto wanted = model.span().subspan(lba * kBlockBytes, buffer.size());
    bool differs = false;
    if (op == Op::kCompare) {
      std::copy(wanted.begin(), wanted.end(), buffer.data());
      differs = random.Chance(0.5);
      if (differs) buffer.data()[random.Uniform(buffer.size())] ^= std::byte{1};
    }
    const bool has_data = op == Op::kRead || op == Op::kWrite || op == Op::kCompare;
    TestIo io(op, Lba{lba}, static_cast<uint32_t>(blocks),
              has_data ? Cut(random, buffer) : std::vector<Segment>{});
    const absl::Status status = Run(calls, make, io);
    INFO("round " << round << " op " << static_cast<int>(op) << " block " << lba << " + " << blocks
                  << ": " << status);
    REQUIRE(status.code() == (differs ? absl::StatusCode::kAborted : absl::StatusCode::kOk));
    if (op == Op::kRead) REQUIRE(SameBytes(buffer.span(), wanted));
    if (op == Op::kWrite) std::copy(buffer.span().begin(), buffer.span().end(), wanted.begin());
    if (!has_data) std::fill(wanted.begin(), wanted.end(), std::byte{0});
  }
  CHECK(!file->can_punch_hole.load());
  CHECK(!file->can_zero_range.load());
}

TEST_CASE("errors of the kernel have one meaning each and name the place") {
  TempFile path;
  const std::unique_ptr<BackingFile> file = OpenFile(path.path());
  KernelCalls calls(*file);
  Buffer buffer(2 * kBlockBytes);
  const std::pair<int, absl::StatusCode> meanings[] = {
      {ENOSPC, absl::StatusCode::kResourceExhausted},
      {EDQUOT, absl::StatusCode::kResourceExhausted},
      {EIO, absl::StatusCode::kDataLoss},
      {EILSEQ, absl::StatusCode::kDataLoss},
      {ENODEV, absl::StatusCode::kUnavailable},
      {ENXIO, absl::StatusCode::kUnavailable},
  };
  for (const auto& [error, code] : meanings) {
    TestIo io(Op::kWrite, Lba{9}, 2, {Whole(buffer)});
    bool is_first = true;
    // One block is written, then the rest fails.
    const absl::Status status = Run(
        calls,
        [&, error = error](const KernelCall&) -> int64_t {
          return std::exchange(is_first, false) ? static_cast<int64_t>(kBlockBytes) : -error;
        },
        io);
    INFO(status);
    CHECK(status.code() == code);
    const std::string message(status.message());
    CHECK(message.find(path.path()) != std::string::npos);
    CHECK(message.find("write") != std::string::npos);
    CHECK(message.find("offset " + std::to_string(10 * kBlockBytes)) != std::string::npos);
  }
}

TEST_CASE("a transfer that makes no progress ends") {
  TempFile path;
  const std::unique_ptr<BackingFile> file = OpenFile(path.path());
  KernelCalls calls(*file);
  Buffer buffer(2 * kBlockBytes);
  for (const int64_t progress : {0, 100}) {
    TestIo io(Op::kWrite, Lba{0}, 2, {Whole(buffer)});
    CHECK(Run(
              calls, [&](const KernelCall&) { return progress; }, io)
              .code() == absl::StatusCode::kDataLoss);
  }
}

TEST_CASE("after a failed flush no flush succeeds") {
  TempFile path;
  const std::unique_ptr<BackingFile> file = OpenFile(path.path());
  KernelCalls calls(*file);
  int64_t result = -EIO;
  const auto make = [&](const KernelCall&) { return result; };
  TestIo first(Op::kFlush, Lba{0}, 0);
  CHECK(Run(calls, make, first).code() == absl::StatusCode::kDataLoss);
  result = 0;
  TestIo second(Op::kFlush, Lba{0}, 0);
  CHECK(Run(calls, make, second).code() == absl::StatusCode::kDataLoss);
  KernelCalls other_channel(*file);
  TestIo third(Op::kFlush, Lba{0}, 0);
  CHECK(Run(other_channel, make, third).code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("forced operations are made durable by themselves") {
  TempFile path;
  const std::unique_ptr<BackingFile> file = OpenFile(path.path());
  KernelCalls calls(*file);
  Buffer buffer(kBlockBytes);
  std::vector<KernelCall> made;
  const auto make = [&](const KernelCall& call) {
    made.push_back(call);
    return static_cast<int64_t>(call.kind == KernelCall::Kind::kWrite ? call.size_bytes : 0);
  };
  TestIo write(Op::kWrite, Lba{0}, 1, {Whole(buffer)});
  write.request.force_unit_access = true;
  REQUIRE(Run(calls, make, write).ok());
  REQUIRE(made.size() == 1);
  CHECK(made[0].flags == RWF_DSYNC);
  made.clear();
  TestIo zeroes(Op::kWriteZeroes, Lba{0}, 1);
  zeroes.request.force_unit_access = true;
  REQUIRE(Run(calls, make, zeroes).ok());
  REQUIRE(made.size() == 2);
  CHECK(made[1].kind == KernelCall::Kind::kSync);
}

TEST_CASE("compares take turns") {
  TempFile path;
  const std::unique_ptr<BackingFile> file = OpenFile(path.path());
  KernelCalls calls(*file);
  Buffer buffer(kBlockBytes);
  TestIo first(Op::kCompare, Lba{0}, 1, {Whole(buffer)});
  TestIo second(Op::kCompare, Lba{1}, 1, {Whole(buffer)});
  CHECK(calls.Start(&first.request) == KernelCalls::Begin::kCall);
  CHECK(calls.Start(&second.request) == KernelCalls::Begin::kWaits);
  CHECK(calls.NextCompare() == nullptr);
  CHECK(calls.Finish(&first.request, 0));  // Beyond the end of the file: zeroes.
  CHECK(first.request.status.ok());
  CHECK(calls.NextCompare() == &second.request);
  CHECK(calls.NextCompare() == nullptr);
  CHECK(calls.Finish(&second.request, -EIO));
  CHECK(second.request.status.code() == absl::StatusCode::kDataLoss);
  CHECK(calls.NextCompare() == nullptr);
}

}  // namespace
}  // namespace strata::block

// SPDX-License-Identifier: Apache-2.0
#include "support/block/device_contract.h"

#include <poll.h>

#include <catch2/catch.hpp>
#include <deque>
#include <thread>

#include "support/block/test_io.h"
#include "support/seed.h"

namespace strata::block {
namespace {

// A device under test with one channel open.
struct Bench {
  explicit Bench(const ContractSubject& subject, uint32_t queue_depth = 64)
      : device(subject.make()), channel(Open(queue_depth)) {}

  std::unique_ptr<Channel> Open(uint32_t queue_depth = 64) {
    auto opened = device->OpenChannel({.queue_depth = queue_depth});
    INFO(opened.status());
    REQUIRE(opened.ok());
    return *std::move(opened);
  }

  const Geometry& geometry() const { return device->geometry(); }
  size_t Bytes(uint64_t blocks) const { return blocks * geometry().block_size_bytes; }

  std::unique_ptr<Device> device;
  std::unique_ptr<Channel> channel;
};

void GeometryIsSane(const ContractSubject& subject) {
  Bench bench(subject);
  const Geometry& g = bench.geometry();
  CHECK(g.block_size_bytes >= 512);
  CHECK((g.block_size_bytes & (g.block_size_bytes - 1)) == 0);
  CHECK(g.block_count >= 1024);
  CHECK(g.max_transfer_bytes >= g.block_size_bytes);
  CHECK(g.max_transfer_bytes % g.block_size_bytes == 0);
  CHECK(g.max_segments >= 1);
  CHECK((g.buffer_alignment_bytes & (g.buffer_alignment_bytes - 1)) == 0);
  CHECK(!bench.device->name().empty());
  CHECK(bench.channel->geometry().block_count == g.block_count);
  CHECK(bench.channel->in_flight() == 0);
  CHECK(bench.channel->Poll(16) == 0);
  CHECK(bench.device->OpenChannel({.queue_depth = 0}).status().code() ==
        absl::StatusCode::kInvalidArgument);
}

void FreshBlocksReadAsZeroes(const ContractSubject& subject) {
  Bench bench(subject);
  Random random(test::Seed());
  Buffer buffer = RandomBuffer(random, bench.Bytes(4));
  for (const uint64_t lba : {uint64_t{0}, uint64_t{511}, bench.geometry().block_count - 4}) {
    random.Fill(buffer.span());
    CHECK(ReadBlocking(*bench.channel, Lba{lba}, buffer.span()) == absl::OkStatus());
    INFO("block " << lba);
    CHECK(AllZero(buffer.span()));
  }
}

void DataComesBack(const ContractSubject& subject) {
  Bench bench(subject);
  Random random(test::Seed());
  const Buffer written = RandomBuffer(random, bench.Bytes(1024));
  REQUIRE(WriteBlocking(*bench.channel, Lba{0}, written.span()) == absl::OkStatus());
  Buffer read(bench.Bytes(1024));
  REQUIRE(ReadBlocking(*bench.channel, Lba{0}, read.span()) == absl::OkStatus());
  CHECK(SameBytes(read.span(), written.span()));

  const std::unique_ptr<Channel> other = bench.Open();
  random.Fill(read.span());
  REQUIRE(ReadBlocking(*other, Lba{0}, read.span()) == absl::OkStatus());
  INFO("through another channel");
  CHECK(SameBytes(read.span(), written.span()));
}

void LastBlockIsUsable(const ContractSubject& subject) {
  Bench bench(subject);
  Random random(test::Seed());
  const Lba last{bench.geometry().block_count - 1};
  const Buffer written = RandomBuffer(random, bench.Bytes(1));
  REQUIRE(WriteBlocking(*bench.channel, last, written.span()) == absl::OkStatus());
  Buffer read(bench.Bytes(2));
  REQUIRE(ReadBlocking(*bench.channel, Lba{last.value - 1}, read.span()) == absl::OkStatus());
  CHECK(AllZero(read.span().first(bench.Bytes(1))));
  CHECK(SameBytes(read.span().subspan(bench.Bytes(1)), written.span()));
}

// Writes with one cutting of the memory into segments and reads with another.
void ScatterLists(const ContractSubject& subject) {
  Bench bench(subject);
  Random random(test::Seed());
  const Buffer written = RandomBuffer(random, bench.Bytes(16));
  Buffer read(bench.Bytes(16));
  const size_t b = bench.Bytes(1);
  TestIo write(Op::kWrite, Lba{7}, 10,
               {Piece(written, 4 * b, b), Piece(written, 0, 3 * b), Piece(written, 10 * b, 6 * b)});
  REQUIRE(RunIo(*bench.channel, write) == absl::OkStatus());
  TestIo gather(Op::kRead, Lba{7}, 10,
                {Piece(read, 12 * b, 2 * b), Piece(read, 2 * b, 7 * b), Piece(read, 0, b)});
  REQUIRE(RunIo(*bench.channel, gather) == absl::OkStatus());
  // Blocks 0..9 on the device are blocks 4, 0, 1, 2, 10..15 of `written`.
  const auto block = [b](const Buffer& buffer, size_t i) {
    return buffer.span().subspan(i * b, b);
  };
  const size_t source[10] = {4, 0, 1, 2, 10, 11, 12, 13, 14, 15};
  const size_t target[10] = {12, 13, 2, 3, 4, 5, 6, 7, 8, 0};
  for (int i = 0; i < 10; ++i) {
    INFO("device block " << 7 + i);
    CHECK(SameBytes(block(read, target[i]), block(written, source[i])));
  }

  const uint32_t most =
      std::min<uint32_t>(bench.geometry().max_segments, bench.geometry().max_transfer_bytes / b);
  Buffer large = RandomBuffer(random, most * b);
  TestIo longest(Op::kWrite, Lba{0}, most);
  for (uint32_t i = 0; i < most; ++i) {
    longest.segments.push_back(Piece(large, (most - 1 - i) * b, b));
  }
  longest.request.segments = longest.segments;
  REQUIRE(RunIo(*bench.channel, longest) == absl::OkStatus());
  Buffer back(most * b);
  REQUIRE(ReadBlocking(*bench.channel, Lba{0}, back.span()) == absl::OkStatus());
  for (uint32_t i = 0; i < most; ++i) {
    INFO("segment " << i);
    REQUIRE(SameBytes(block(back, i), block(large, most - 1 - i)));
  }
}

void BadRequestsAreRefused(const ContractSubject& subject) {
  Bench bench(subject);
  const Geometry& g = bench.geometry();
  const size_t b = bench.Bytes(1);
  Buffer buffer(g.max_transfer_bytes + 2 * b);
  const auto refused = [&](TestIo&& io) {
    const absl::Status status = bench.channel->Submit(&io.request);
    CHECK(bench.channel->in_flight() == 0);
    bench.channel->Poll(16);
    CHECK(io.done_count == 0);
    return status.code();
  };
  const Segment one = Piece(buffer, 0, b);
  using Code = absl::StatusCode;
  CHECK(refused({Op::kRead, Lba{g.block_count}, 1, {one}}) == Code::kOutOfRange);
  CHECK(refused({Op::kWrite, Lba{g.block_count - 1}, 2, {Piece(buffer, 0, 2 * b)}}) ==
        Code::kOutOfRange);
  CHECK(refused({Op::kRead, Lba{~uint64_t{0}}, 1, {one}}) == Code::kOutOfRange);
  CHECK(refused({Op::kDiscard, Lba{1}, 0xffffffff}) == Code::kOutOfRange);
  CHECK(refused({Op::kRead, Lba{0}, 0}) == Code::kInvalidArgument);
  CHECK(refused({Op::kRead, Lba{0}, 2, {one}}) == Code::kInvalidArgument);
  CHECK(refused({Op::kRead, Lba{0}, 1, {one, one}}) == Code::kInvalidArgument);
  CHECK(refused({Op::kRead, Lba{0}, 1}) == Code::kInvalidArgument);
  CHECK(refused({Op::kWrite, Lba{0}, 1, {Piece(buffer, 0, b / 2), Piece(buffer, b / 2, b / 2)}}) ==
        Code::kInvalidArgument);
  CHECK(refused({Op::kFlush, Lba{0}, 1}) == Code::kInvalidArgument);
  CHECK(refused({Op::kFlush, Lba{0}, 0, {one}}) == Code::kInvalidArgument);
  CHECK(refused({Op::kWriteZeroes, Lba{0}, 1, {one}}) == Code::kInvalidArgument);
  const uint32_t too_long = g.max_transfer_bytes / g.block_size_bytes + 1;
  CHECK(refused({Op::kRead, Lba{0}, too_long, {Piece(buffer, 0, too_long * b)}}) ==
        Code::kInvalidArgument);
  CHECK(refused({Op::kRead, Lba{0}, g.max_segments + 1,
                 std::vector<Segment>(g.max_segments + 1, one)}) == Code::kInvalidArgument);
  if (g.buffer_alignment_bytes > 1) {
    CHECK(refused({Op::kRead, Lba{0}, 1, {Piece(buffer, 1, b)}}) == Code::kInvalidArgument);
  }
  if (g.zone_size_blocks == 0) {
    CHECK(refused({Op::kZoneAppend, Lba{0}, 1, {one}}) == Code::kUnimplemented);
  }
  TestIo no_callback(Op::kRead, Lba{0}, 1, {one});
  no_callback.request.done = nullptr;
  CHECK(bench.channel->Submit(&no_callback.request).code() == Code::kInvalidArgument);
}

void FullQueuePushesBack(const ContractSubject& subject) {
  Bench bench(subject, 4);
  Buffer buffer(bench.Bytes(5));
  std::deque<TestIo> ios;
  for (uint32_t i = 0; i < 5; ++i) {
    ios.emplace_back(Op::kRead, Lba{i}, 1,
                     std::vector{Piece(buffer, bench.Bytes(i), bench.Bytes(1))});
  }
  for (int i = 0; i < 4; ++i) REQUIRE(bench.channel->Submit(&ios[i].request) == absl::OkStatus());
  CHECK(bench.channel->in_flight() == 4);
  CHECK(bench.channel->Submit(&ios[4].request).code() == absl::StatusCode::kResourceExhausted);
  Drain(*bench.channel);
  CHECK(ios[4].done_count == 0);
  CHECK(RunIo(*bench.channel, ios[4]) == absl::OkStatus());
  for (const TestIo& io : ios) CHECK(io.done_count == 1);
}

void CallbacksRunOnceFromPollOnly(const ContractSubject& subject) {
  Bench bench(subject);
  Buffer buffer(bench.Bytes(16));
  std::deque<TestIo> ios;
  for (uint32_t i = 0; i < 16; ++i) {
    TestIo& io = ios.emplace_back(i % 2 == 0 ? Op::kWrite : Op::kRead, Lba{i}, 1,
                                  std::vector{Piece(buffer, bench.Bytes(i), bench.Bytes(1))});
    REQUIRE(bench.channel->Submit(&io.request) == absl::OkStatus());
  }
  const auto total_done = [&ios] {
    int total = 0;
    for (const TestIo& io : ios) total += io.done_count;
    return total;
  };
  CHECK(total_done() == 0);
  CHECK(bench.channel->in_flight() == 16);
  int reported = 0;
  while (bench.channel->in_flight() > 0) {
    const int ran = bench.channel->Poll(3);
    REQUIRE(ran <= 3);
    reported += ran;
    REQUIRE(reported == total_done());
    REQUIRE(bench.channel->in_flight() == 16u - static_cast<uint32_t>(reported));
  }
  CHECK(bench.channel->Poll(16) == 0);
  for (const TestIo& io : ios) {
    CHECK(io.done_count == 1);
    CHECK(io.request.status == absl::OkStatus());
  }
}

// A chain of requests, each submitted by the callback of the one before it.
void CallbacksMaySubmit(const ContractSubject& subject) {
  struct Chain {
    Channel* channel;
    Request request;
    Segment segment;
    int left;
    absl::Status submitted;
  };
  Bench bench(subject, 1);
  Buffer buffer(bench.Bytes(1));
  Chain chain{.channel = bench.channel.get(),
              .request = {},
              .segment = Whole(buffer),
              .left = 100,
              .submitted = {}};
  chain.request.op = Op::kWrite;
  chain.request.block_count = 1;
  chain.request.segments = {&chain.segment, 1};
  chain.request.context = &chain;
  chain.request.done = [](Request* r) {
    Chain* self = static_cast<Chain*>(r->context);
    if (--self->left == 0 || !r->status.ok()) return;
    r->lba = r->lba + 1;
    self->submitted = self->channel->Submit(r);
  };
  REQUIRE(bench.channel->Submit(&chain.request) == absl::OkStatus());
  Drain(*bench.channel);
  CHECK(chain.left == 0);
  CHECK(chain.submitted == absl::OkStatus());
  CHECK(chain.request.lba.value == 99);
}

void SleepersAreWoken(const ContractSubject& subject) {
  Bench bench(subject);
  const absl::StatusOr<int> fd = bench.channel->EventFd();
  INFO(fd.status());
  REQUIRE(fd.ok());
  CHECK(*bench.channel->EventFd() == *fd);
  Random random(test::Seed());
  Buffer buffer(bench.Bytes(8));
  for (int round = 0; round < 20; ++round) {
    const uint32_t count = 1 + static_cast<uint32_t>(random.Uniform(8));
    std::deque<TestIo> ios;
    for (uint32_t i = 0; i < count; ++i) {
      TestIo& io =
          ios.emplace_back(round % 2 == 0 ? Op::kWrite : Op::kRead, Lba{random.Uniform(512)}, 1,
                           std::vector{Piece(buffer, bench.Bytes(i), bench.Bytes(1))});
      REQUIRE(bench.channel->Submit(&io.request) == absl::OkStatus());
    }
    while (bench.channel->in_flight() > 0) {
      while (bench.channel->Poll(2) > 0) {
      }
      if (bench.channel->in_flight() == 0) break;
      pollfd waiter{.fd = *fd, .events = POLLIN, .revents = 0};
      INFO("round " << round << ", " << bench.channel->in_flight()
                    << " in flight: the eventfd was not signalled within 20 s");
      REQUIRE(poll(&waiter, 1, 20'000) == 1);
    }
    for (const TestIo& io : ios) REQUIRE(io.done_count == 1);
  }
}

bool IsReadable(int fd, int timeout_ms) {
  pollfd waiter{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&waiter, 1, timeout_ms) == 1;
}

// A sleeper polls and never reads: the channel itself must make its descriptor silent again, and
// must not do so while completions are left.
void PollClearsTheDescriptor(const ContractSubject& subject) {
  Bench bench(subject);
  Buffer buffer(bench.Bytes(4));
  std::deque<TestIo> ios;
  for (uint32_t i = 0; i < 2; ++i) {
    ios.emplace_back(Op::kRead, Lba{i}, 1,
                     std::vector{Piece(buffer, bench.Bytes(i), bench.Bytes(1))});
    REQUIRE(bench.channel->Submit(&ios[i].request) == absl::OkStatus());
  }
  // Asked for while requests are in flight: it must not miss them.
  const absl::StatusOr<int> fd = bench.channel->EventFd();
  REQUIRE(fd.ok());
  for (int round = 0; round < 10; ++round) {
    while (bench.channel->in_flight() > 0) {
      CHECK(bench.channel->Poll(0) == 0);
      REQUIRE(IsReadable(*fd, 20'000));
      bench.channel->Poll(1);
    }
    // A late signal may wake a sleeper without need, but not for ever.
    int wakes = 0;
    while (IsReadable(*fd, 1) && wakes < 100) {
      ++wakes;
      CHECK(bench.channel->Poll(16) == 0);
    }
    CHECK(wakes < 100);
    for (TestIo& io : ios) REQUIRE(bench.channel->Submit(&io.request) == absl::OkStatus());
  }
  Drain(*bench.channel);
}

void ReadOnlyRefusesChanges(const ContractSubject& subject) {
  {
    Bench bench(subject);
    CHECK(!bench.geometry().read_only);
  }
  if (!subject.make_read_only) return;
  Bench bench({.name = subject.name, .make = subject.make_read_only});
  CHECK(bench.geometry().read_only);
  Buffer buffer(bench.Bytes(1));
  using Code = absl::StatusCode;
  CHECK(WriteBlocking(*bench.channel, Lba{0}, buffer.span()).code() == Code::kFailedPrecondition);
  CHECK(WriteZeroesBlocking(*bench.channel, Lba{0}, 1).code() == Code::kFailedPrecondition);
  CHECK(DiscardBlocking(*bench.channel, Lba{0}, 1).code() ==
        (bench.geometry().supports_discard ? Code::kFailedPrecondition : Code::kUnimplemented));
  CHECK(bench.channel->in_flight() == 0);
  CHECK(ReadBlocking(*bench.channel, Lba{0}, buffer.span()) == absl::OkStatus());
  CHECK(AllZero(buffer.span()));
  TestIo same(Op::kCompare, Lba{0}, 1, {Whole(buffer)});
  CHECK(RunIo(*bench.channel, same) == absl::OkStatus());
  CHECK(FlushBlocking(*bench.channel) == absl::OkStatus());
}

void FlushesAndForcedWrites(const ContractSubject& subject) {
  Bench bench(subject);
  Random random(test::Seed());
  const Buffer written = RandomBuffer(random, bench.Bytes(8));
  CHECK(FlushBlocking(*bench.channel) == absl::OkStatus());
  REQUIRE(WriteBlocking(*bench.channel, Lba{3}, written.span()) == absl::OkStatus());
  CHECK(FlushBlocking(*bench.channel) == absl::OkStatus());
  TestIo forced(Op::kWrite, Lba{100}, 8, {Whole(written)});
  forced.request.force_unit_access = true;
  CHECK(RunIo(*bench.channel, forced) == absl::OkStatus());
  TestIo forced_zeroes(Op::kWriteZeroes, Lba{104}, 2);
  forced_zeroes.request.force_unit_access = true;
  CHECK(RunIo(*bench.channel, forced_zeroes) == absl::OkStatus());
  Buffer read(bench.Bytes(8));
  REQUIRE(ReadBlocking(*bench.channel, Lba{3}, read.span()) == absl::OkStatus());
  CHECK(SameBytes(read.span(), written.span()));
  REQUIRE(ReadBlocking(*bench.channel, Lba{100}, read.span()) == absl::OkStatus());
  CHECK(SameBytes(read.span().first(bench.Bytes(4)), written.span().first(bench.Bytes(4))));
  CHECK(AllZero(read.span().subspan(bench.Bytes(4), bench.Bytes(2))));
}

void ZeroedRange(const ContractSubject& subject, Op op) {
  Bench bench(subject);
  if (op == Op::kDiscard && !bench.geometry().supports_discard) {
    CHECK(DiscardBlocking(*bench.channel, Lba{0}, 1).code() == absl::StatusCode::kUnimplemented);
    return;
  }
  const auto zero = op == Op::kDiscard ? &DiscardBlocking : &WriteZeroesBlocking;
  Random random(test::Seed());
  Buffer model = RandomBuffer(random, bench.Bytes(600));
  REQUIRE(WriteBlocking(*bench.channel, Lba{0}, model.span()) == absl::OkStatus());
  const std::pair<uint64_t, uint64_t> ranges[] = {{0, 1}, {9, 1}, {31, 3}, {100, 257}, {599, 1}};
  for (const auto& [lba, blocks] : ranges) {
    REQUIRE(zero(*bench.channel, Lba{lba}, blocks) == absl::OkStatus());
    std::memset(model.data() + bench.Bytes(lba), 0, bench.Bytes(blocks));
  }
  // Blocks never written, across the end of what was written, and the device's last.
  REQUIRE(zero(*bench.channel, Lba{599}, 10) == absl::OkStatus());
  REQUIRE(zero(*bench.channel, Lba{bench.geometry().block_count - 8}, 8) == absl::OkStatus());
  Buffer read(bench.Bytes(600));
  REQUIRE(ReadBlocking(*bench.channel, Lba{0}, read.span()) == absl::OkStatus());
  CHECK(SameBytes(read.span(), model.span()));
  REQUIRE(WriteBlocking(*bench.channel, Lba{100}, model.span().first(bench.Bytes(9))) ==
          absl::OkStatus());
  REQUIRE(ReadBlocking(*bench.channel, Lba{100}, read.span().first(bench.Bytes(9))) ==
          absl::OkStatus());
  INFO("writing again what was zeroed");
  CHECK(SameBytes(read.span().first(bench.Bytes(9)), model.span().first(bench.Bytes(9))));
}

void DiscardedBlocksReadAsZeroes(const ContractSubject& subject) {
  ZeroedRange(subject, Op::kDiscard);
}

void WriteZeroesZeroes(const ContractSubject& subject) { ZeroedRange(subject, Op::kWriteZeroes); }

void CompareTellsDifferences(const ContractSubject& subject) {
  Bench bench(subject);
  Random random(test::Seed());
  const uint32_t blocks = bench.geometry().max_transfer_bytes / bench.geometry().block_size_bytes;
  Buffer data = RandomBuffer(random, bench.Bytes(blocks));
  REQUIRE(WriteBlocking(*bench.channel, Lba{5}, data.span()) == absl::OkStatus());
  TestIo same(Op::kCompare, Lba{5}, blocks, {Whole(data)});
  CHECK(RunIo(*bench.channel, same) == absl::OkStatus());
  for (const size_t at : {size_t{0}, data.size() / 2, data.size() - 1}) {
    data.data()[at] ^= std::byte{1};
    TestIo differs(Op::kCompare, Lba{5}, blocks, {Whole(data)});
    INFO("byte " << at << " differs");
    CHECK(RunIo(*bench.channel, differs).code() == absl::StatusCode::kAborted);
    data.data()[at] ^= std::byte{1};
  }
  // Several at once, scattered.
  const size_t half = bench.Bytes(blocks / 2);
  std::deque<TestIo> ios;
  for (int i = 0; i < 8; ++i) {
    TestIo& io = ios.emplace_back(
        Op::kCompare, Lba{5}, blocks,
        std::vector{Piece(data, 0, half), Piece(data, i % 2 == 0 ? half : 0, data.size() - half)});
    REQUIRE(bench.channel->Submit(&io.request) == absl::OkStatus());
  }
  Drain(*bench.channel);
  for (int i = 0; i < 8; ++i) {
    CHECK(ios[i].request.status.code() ==
          (i % 2 == 0 ? absl::StatusCode::kOk : absl::StatusCode::kAborted));
  }
}

void RegisteredMemoryWorks(const ContractSubject& subject) {
  Bench bench(subject);
  Random random(test::Seed());
  Buffer pool = RandomBuffer(random, bench.Bytes(32));
  const absl::Status registered = bench.channel->RegisterMemory(pool.span());
  INFO(registered);
  CHECK((registered.ok() || absl::IsUnimplemented(registered)));
  TestIo write(Op::kWrite, Lba{40}, 16, {Piece(pool, 0, bench.Bytes(16))});
  CHECK(RunIo(*bench.channel, write) == absl::OkStatus());
  TestIo read(Op::kRead, Lba{40}, 16, {Piece(pool, bench.Bytes(16), bench.Bytes(16))});
  CHECK(RunIo(*bench.channel, read) == absl::OkStatus());
  CHECK(SameBytes(pool.span().first(bench.Bytes(16)), pool.span().subspan(bench.Bytes(16))));
  Buffer outside(bench.Bytes(16));
  REQUIRE(ReadBlocking(*bench.channel, Lba{40}, outside.span()) == absl::OkStatus());
  CHECK(SameBytes(pool.span().first(bench.Bytes(16)), outside.span()));
}

// Four threads, a channel each, on ranges of their own; a fifth reader looks at all of it
// afterwards.
void ChannelsInThreads(const ContractSubject& subject) {
  constexpr int kThreads = 4;
  constexpr uint64_t kBlocksEach = 256;
  Bench bench(subject);
  const uint64_t seed = test::Seed();
  std::vector<std::unique_ptr<Channel>> channels;
  std::vector<Buffer> models;
  for (int t = 0; t < kThreads; ++t) {
    channels.push_back(bench.Open(16));
    models.emplace_back(bench.Bytes(kBlocksEach));
  }
  std::vector<absl::Status> outcomes(kThreads);
  const auto work = [&](int t) -> absl::Status {
    Random random(seed + static_cast<uint64_t>(t));
    for (int round = 0; round < 100; ++round) {
      const uint64_t first = random.Uniform(kBlocksEach);
      const uint64_t blocks = 1 + random.Uniform(std::min<uint64_t>(kBlocksEach - first, 16));
      const auto piece = models[t].span().subspan(bench.Bytes(first), bench.Bytes(blocks));
      random.Fill(piece);
      const Lba lba{static_cast<uint64_t>(t) * kBlocksEach + first};
      if (absl::Status s = WriteBlocking(*channels[t], lba, piece); !s.ok()) return s;
      if (round % 16 == 0) {
        if (absl::Status s = FlushBlocking(*channels[t]); !s.ok()) return s;
      }
      Buffer back(piece.size());
      if (absl::Status s = ReadBlocking(*channels[t], lba, back.span()); !s.ok()) return s;
      if (!SameBytes(back.span(), piece)) return absl::DataLossError("read differs from write");
    }
    return absl::OkStatus();
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] { outcomes[t] = work(t); });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < kThreads; ++t) {
    INFO("thread " << t << ": " << outcomes[t]);
    CHECK(outcomes[t].ok());
    Buffer all(bench.Bytes(kBlocksEach));
    const Lba lba{static_cast<uint64_t>(t) * kBlocksEach};
    REQUIRE(ReadBlocking(*bench.channel, lba, all.span()) == absl::OkStatus());
    CHECK(SameBytes(all.span(), models[t].span()));
  }
}

// Random operations in batches against a plain array. Within a batch no two operations touch the
// same blocks, since the order of requests in flight together is not defined.
class Differential {
 public:
  explicit Differential(const ContractSubject& subject)
      : bench_(subject, 32), random_(test::Seed()), model_(bench_.Bytes(kBlocks)) {}

  void Run() {
    for (int batch = 0; batch < 60; ++batch) {
      std::deque<Step> steps;
      uint64_t position = random_.Uniform(8);
      while (steps.size() < 32) {
        const uint64_t blocks = 1 + random_.Uniform(24);
        if (position + blocks > kBlocks) break;
        Start(steps, position, blocks);
        position += blocks + random_.Uniform(40);
        if (random_.Chance(0.2)) bench_.channel->Poll(static_cast<int>(random_.Uniform(8)));
      }
      Drain(*bench_.channel);
      for (const Step& step : steps) Check(step, batch);
    }
  }

 private:
  static constexpr uint64_t kBlocks = 1024;

  struct Step {
    Step(Op op, uint64_t lba, uint64_t blocks, size_t bytes)
        : memory(bytes), io(op, Lba{lba}, static_cast<uint32_t>(blocks)) {}
    Buffer memory;
    TestIo io;
    std::vector<std::byte> wanted;  // kRead: what should come back.
    absl::StatusCode code = absl::StatusCode::kOk;
  };

  std::span<std::byte> Model(uint64_t lba, uint64_t blocks) {
    return model_.span().subspan(bench_.Bytes(lba), bench_.Bytes(blocks));
  }

  Op PickOp() {
    const Op ops[] = {Op::kRead,        Op::kRead,    Op::kRead,    Op::kWrite, Op::kWrite,
                      Op::kWriteZeroes, Op::kDiscard, Op::kCompare, Op::kFlush};
    const Op op = ops[random_.Uniform(std::size(ops))];
    return op == Op::kDiscard && !bench_.geometry().supports_discard ? Op::kWriteZeroes : op;
  }

  void Start(std::deque<Step>& steps, uint64_t lba, uint64_t blocks) {
    const Op op = PickOp();
    const bool has_blocks = op != Op::kFlush;
    Step& step =
        steps.emplace_back(op, has_blocks ? lba : 0, has_blocks ? blocks : 0, bench_.Bytes(blocks));
    const std::span<std::byte> model = Model(lba, blocks);
    random_.Fill(step.memory.span());
    if (op == Op::kRead) step.wanted.assign(model.begin(), model.end());
    if (op == Op::kCompare) {
      std::copy(model.begin(), model.end(), step.memory.data());
      if (random_.Chance(0.5)) {
        step.memory.data()[random_.Uniform(step.memory.size())] ^= std::byte{0x10};
        step.code = absl::StatusCode::kAborted;
      }
    }
    if (op == Op::kWrite) {
      std::copy(step.memory.span().begin(), step.memory.span().end(), model.begin());
    }
    if (op == Op::kWriteZeroes || op == Op::kDiscard) {
      std::fill(model.begin(), model.end(), std::byte{0});
    }
    step.io.request.force_unit_access = op == Op::kWrite && random_.Chance(0.1);
    if (op == Op::kRead || op == Op::kWrite || op == Op::kCompare) Cut(step, blocks);
    REQUIRE(bench_.channel->Submit(&step.io.request) == absl::OkStatus());
  }

  // Cuts the step's memory into segments of random whole blocks.
  void Cut(Step& step, uint64_t blocks) {
    uint64_t at = 0;
    while (at < blocks) {
      const uint64_t take = 1 + random_.Uniform(blocks - at);
      step.io.segments.push_back(Piece(step.memory, bench_.Bytes(at), bench_.Bytes(take)));
      at += take;
    }
    step.io.request.segments = step.io.segments;
  }

  void Check(const Step& step, int batch) {
    const Request& request = step.io.request;
    INFO("batch " << batch << " op " << static_cast<int>(request.op) << " block "
                  << request.lba.value << " + " << request.block_count << ": " << request.status);
    REQUIRE(step.io.done_count == 1);
    REQUIRE(request.status.code() == step.code);
    if (request.op == Op::kRead) REQUIRE(SameBytes(step.memory.span(), step.wanted));
  }

  Bench bench_;
  Random random_;
  Buffer model_;
};

void AgreesWithAnArray(const ContractSubject& subject) { Differential(subject).Run(); }

constexpr ContractPart kParts[] = {
    {"geometry is sane", GeometryIsSane},
    {"fresh blocks read as zeroes", FreshBlocksReadAsZeroes},
    {"data comes back", DataComesBack},
    {"the last block is usable", LastBlockIsUsable},
    {"scatter lists", ScatterLists},
    {"bad requests are refused", BadRequestsAreRefused},
    {"a full queue pushes back", FullQueuePushesBack},
    {"callbacks run once, from Poll() only", CallbacksRunOnceFromPollOnly},
    {"callbacks may submit", CallbacksMaySubmit},
    {"sleepers are woken", SleepersAreWoken},
    {"Poll() clears the descriptor", PollClearsTheDescriptor},
    {"a read-only device refuses changes", ReadOnlyRefusesChanges},
    {"flushes and forced writes", FlushesAndForcedWrites},
    {"discarded blocks read as zeroes", DiscardedBlocksReadAsZeroes},
    {"write-zeroes zeroes", WriteZeroesZeroes},
    {"compare tells differences", CompareTellsDifferences},
    {"registered memory works", RegisteredMemoryWorks},
    {"channels in threads", ChannelsInThreads},
    {"agrees with an array", AgreesWithAnArray},
};

}  // namespace

std::span<const ContractPart> DeviceContract() { return kParts; }

}  // namespace strata::block

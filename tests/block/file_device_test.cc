// SPDX-License-Identifier: Apache-2.0
//
// What a file brings beyond the contract: locking, growth, persistence, odd sizes, fallbacks, a
// full disk.
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/loop.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstddef>
#include <deque>
#include <fstream>
#include <optional>
#include <set>
#include <thread>

#include "strata/base/check.h"
#include "strata/block/devices.h"
#include "strata/block/registry.h"
#include "support/block/device_contract.h"
#include "support/block/temp_file.h"
#include "support/block/test_io.h"
#include "support/seed.h"

namespace strata::block {
namespace {

constexpr uint64_t kMiB = 1 << 20;

std::unique_ptr<Device> Open(const FileDeviceOptions& options) {
  auto device = OpenFileDevice(options);
  INFO(device.status());
  REQUIRE(device.ok());
  return *std::move(device);
}

std::unique_ptr<Channel> OpenChannel(Device& device) {
  auto channel = device.OpenChannel({});
  INFO(channel.status());
  REQUIRE(channel.ok());
  return *std::move(channel);
}

struct stat StatOf(const std::string& path) {
  struct stat info {};
  REQUIRE(stat(path.c_str(), &info) == 0);
  return info;
}

bool Mentions(const absl::Status& status, const std::string& text) {
  return std::string(status.message()).find(text) != std::string::npos;
}

TEST_CASE("a second opener is told which file is taken") {
  TempFile file;
  const FileDeviceOptions options{.path = file.path(), .size_bytes = kMiB, .create = true};
  std::unique_ptr<Device> device = Open(options);
  const absl::Status second = OpenFileDevice(options).status();
  CHECK(second.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(Mentions(second, file.path()));
  FileDeviceOptions reader = options;
  reader.create = false;
  reader.read_only = true;
  CHECK(OpenFileDevice(reader).status().code() == absl::StatusCode::kFailedPrecondition);
  device.reset();
  CHECK(OpenFileDevice(options).ok());
}

TEST_CASE("those who share a file see each other's writes, and shut others out") {
  TempFile file;
  const FileDeviceOptions options{
      .path = file.path(), .size_bytes = 4 * kMiB, .create = true, .shared = true};
  std::unique_ptr<Device> one = Open(options);
  std::unique_ptr<Device> two = Open(options);
  FileDeviceOptions alone = options;
  alone.shared = false;
  CHECK(OpenFileDevice(alone).status().code() == absl::StatusCode::kFailedPrecondition);
  {
    const auto first = OpenChannel(*one), second = OpenChannel(*two);
    Random random(test::Seed());
    const Buffer written = RandomBuffer(random, 4096), read(4096);
    REQUIRE(WriteBlocking(*first, Lba{1}, read.span()).ok());
    REQUIRE(WriteBlocking(*second, Lba{1000}, written.span()).ok());
    REQUIRE(ReadBlocking(*first, Lba{1000}, read.span()).ok());
    CHECK(SameBytes(read.span(), written.span()));
  }
  // Whoever closes it first cuts nothing off.
  one.reset();
  CHECK(StatOf(file.path()).st_size == static_cast<off_t>(4 * kMiB));
  CHECK(OpenFileDevice(alone).status().code() == absl::StatusCode::kFailedPrecondition);
  two.reset();
  const std::unique_ptr<Device> after = Open(alone);
  CHECK(OpenFileDevice(options).status().code() == absl::StatusCode::kFailedPrecondition);
  FileDeviceOptions unlocked = options;
  unlocked.create = false;
  unlocked.read_only = true;
  unlocked.lock = false;
  CHECK(Mentions(OpenFileDevice(unlocked).status(), "shared is a kind of lock"));
}

TEST_CASE("the lock of a killed process is gone, its data stays") {
  TempFile file;
  const FileDeviceOptions options{.path = file.path(), .size_bytes = 64 * kMiB, .create = true};
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto device = OpenFileDevice(options);
    if (!device.ok()) _exit(1);
    auto channel = (*device)->OpenChannel({});
    if (!channel.ok()) _exit(2);
    Buffer data(3 * 4096);
    std::memset(data.data(), 'x', data.size());
    if (!WriteBlocking(**channel, Lba{0}, data.span()).ok()) _exit(3);
    if (!FlushBlocking(**channel).ok()) _exit(4);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  const std::unique_ptr<Device> device = Open(options);
  const auto channel = OpenChannel(*device);
  Buffer data(8 * 4096);
  REQUIRE(ReadBlocking(*channel, Lba{0}, data.span()).ok());
  CHECK(data.data()[0] == std::byte{'x'});
  CHECK(data.data()[3 * 4096 - 1] == std::byte{'x'});
  CHECK(AllZero(data.span().subspan(3 * 4096)));
}

TEST_CASE("a file grows with what is written and a clean close leaves no more") {
  TempFile file;
  Random random(test::Seed());
  const FileDeviceOptions options{
      .path = file.path(), .size_bytes = 64 * 1024 * kMiB, .create = true};
  const Buffer data = RandomBuffer(random, 5 * kMiB);
  {
    const std::unique_ptr<Device> device = Open(options);
    CHECK(device->name() == "file:" + file.path());
    CHECK(device->geometry().block_count == 16 * 1024 * 1024);
    CHECK(StatOf(file.path()).st_size == 0);
    const auto channel = OpenChannel(*device);
    REQUIRE(WriteBlocking(*channel, Lba{0}, data.span()).ok());
    CHECK(StatOf(file.path()).st_size >= static_cast<off_t>(data.size()));
    CHECK(StatOf(file.path()).st_size <= static_cast<off_t>(data.size() + 2 * kMiB));
  }
  CHECK(StatOf(file.path()).st_size == static_cast<off_t>(data.size()));
  {
    const std::unique_ptr<Device> device = Open(options);
    const auto channel = OpenChannel(*device);
    Buffer read(data.size());
    REQUIRE(ReadBlocking(*channel, Lba{0}, read.span()).ok());
    CHECK(SameBytes(read.span(), data.span()));
  }
  CHECK(StatOf(file.path()).st_size == static_cast<off_t>(data.size()));
}

TEST_CASE("a write far from the others leaves a hole") {
  TempFile file;
  const FileDeviceOptions options{
      .path = file.path(), .size_bytes = 64 * 1024 * kMiB, .create = true};
  const std::unique_ptr<Device> device = Open(options);
  const auto channel = OpenChannel(*device);
  Buffer data(4096);
  std::memset(data.data(), 1, data.size());
  const uint64_t far = device->geometry().block_count - 1;
  REQUIRE(WriteBlocking(*channel, Lba{far}, data.span()).ok());
  REQUIRE(WriteBlocking(*channel, Lba{far / 2}, data.span()).ok());
  CHECK(StatOf(file.path()).st_size == static_cast<off_t>(options.size_bytes));
  CHECK(StatOf(file.path()).st_blocks * 512 <= static_cast<blkcnt_t>(8 * kMiB));
  Buffer read(3 * 4096);
  REQUIRE(ReadBlocking(*channel, Lba{far / 2 - 1}, read.span()).ok());
  CHECK(AllZero(read.span().first(4096)));
  CHECK(read.data()[4096] == std::byte{1});
  CHECK(AllZero(read.span().subspan(2 * 4096)));
}

TEST_CASE("zeroes behind the end of a file take their space") {
  for (const bool use_io_uring : {true, false}) {
    TempFile file;
    const FileDeviceOptions options{.path = file.path(),
                                    .size_bytes = 1024 * kMiB,
                                    .create = true,
                                    .use_io_uring = use_io_uring};
    {
      const std::unique_ptr<Device> device = Open(options);
      const auto channel = OpenChannel(*device);
      REQUIRE(WriteZeroesBlocking(*channel, Lba{1024}, 5 * 1024).ok());
      CHECK(StatOf(file.path()).st_blocks * 512 >= static_cast<blkcnt_t>(20 * kMiB));
      // Across the end.
      REQUIRE(WriteZeroesBlocking(*channel, Lba{5 * 1024}, 5 * 1024).ok());
      CHECK(StatOf(file.path()).st_blocks * 512 >= static_cast<blkcnt_t>(36 * kMiB));
      Buffer read(4 * kMiB);
      REQUIRE(ReadBlocking(*channel, Lba{9 * 1024}, read.span()).ok());
      CHECK(AllZero(read.span()));
    }
    CHECK(StatOf(file.path()).st_size == static_cast<off_t>(40 * kMiB));
  }
}

TEST_CASE("a file of zeroes written in pieces grows in steps, and ends where they end") {
  for (const bool use_io_uring : {true, false}) {
    INFO("io_uring " << use_io_uring);
    TempFile file;
    Random random(test::Seed());
    const uint64_t piece_blocks = 2 * kMiB / 4096;
    {
      const std::unique_ptr<Device> device = Open({.path = file.path(),
                                                   .size_bytes = 256 * kMiB,
                                                   .create = true,
                                                   .use_io_uring = use_io_uring});
      const auto channel = OpenChannel(*device);
      std::set<off_t> sizes;
      for (uint64_t i = 0; i < 48; ++i) {
        REQUIRE(WriteZeroesBlocking(*channel, Lba{i * piece_blocks}, piece_blocks).ok());
        const struct stat now = StatOf(file.path());
        sizes.insert(now.st_size);
        CHECK(now.st_size >= static_cast<off_t>((i + 1) * 2 * kMiB));
        CHECK(now.st_blocks * 512 >= static_cast<blkcnt_t>((i + 1) * 2 * kMiB));
        // What was reserved ahead is no hindrance, and what was written is zeroed.
        const Buffer data = RandomBuffer(random, 2 * kMiB);
        REQUIRE(WriteBlocking(*channel, Lba{i * piece_blocks}, data.span()).ok());
      }
      CHECK(sizes.size() < 36);
      Buffer read(2 * kMiB);
      REQUIRE(WriteZeroesBlocking(*channel, Lba{47 * piece_blocks}, piece_blocks).ok());
      REQUIRE(ReadBlocking(*channel, Lba{47 * piece_blocks}, read.span()).ok());
      CHECK(AllZero(read.span()));
      REQUIRE(ReadBlocking(*channel, Lba{46 * piece_blocks}, read.span()).ok());
      CHECK(!AllZero(read.span()));
      // A discard makes no hole in what was reserved ahead: the next to take it would not see it.
      REQUIRE(DiscardBlocking(*channel, Lba{48 * piece_blocks}, 4 * piece_blocks).ok());
      REQUIRE(WriteZeroesBlocking(*channel, Lba{48 * piece_blocks}, 4 * piece_blocks).ok());
      CHECK(StatOf(file.path()).st_blocks * 512 >= static_cast<blkcnt_t>(104 * kMiB));
    }
    CHECK(StatOf(file.path()).st_size == static_cast<off_t>(104 * kMiB));
  }
}

TEST_CASE("discard gives space back to the filesystem") {
  TempFile file;
  Random random(test::Seed());
  const std::unique_ptr<Device> device =
      Open({.path = file.path(), .size_bytes = 64 * kMiB, .create = true});
  const auto channel = OpenChannel(*device);
  const Buffer data = RandomBuffer(random, 16 * kMiB);
  REQUIRE(WriteBlocking(*channel, Lba{0}, data.span()).ok());
  const blkcnt_t before = StatOf(file.path()).st_blocks;
  REQUIRE(DiscardBlocking(*channel, Lba{0}, 3 * 1024).ok());
  CHECK(StatOf(file.path()).st_blocks <= before - static_cast<blkcnt_t>(11 * kMiB / 512));
}

TEST_CASE("a file that is no whole number of blocks reads as zeroes behind its end") {
  for (const bool direct : {true, false}) {
    for (const bool use_io_uring : {true, false}) {
      INFO("direct " << direct << ", io_uring " << use_io_uring);
      TempFile file;
      std::ofstream(file.path()) << std::string(10'000, 'a');
      FileDeviceOptions options{
          .path = file.path(), .size_bytes = kMiB, .direct = direct, .use_io_uring = use_io_uring};
      {
        const std::unique_ptr<Device> device = Open(options);
        const auto channel = OpenChannel(*device);
        Buffer read(4 * 4096);
        std::memset(read.data(), 'z', read.size());
        REQUIRE(ReadBlocking(*channel, Lba{0}, read.span()).ok());
        CHECK(read.data()[9'999] == std::byte{'a'});
        CHECK(AllZero(read.span().subspan(10'000)));
        TestIo same(Op::kCompare, Lba{0}, 4, {Whole(read)});
        CHECK(RunIo(*channel, same).ok());
        TestIo scattered(Op::kRead, Lba{1}, 3,
                         {Piece(read, 8192, 4096), Piece(read, 0, 4096), Piece(read, 4096, 4096)});
        REQUIRE(RunIo(*channel, scattered).ok());
        CHECK(read.data()[8192] == std::byte{'a'});
        CHECK(read.data()[1'807] == std::byte{'a'});
        CHECK(AllZero(read.span().subspan(1'808, 8192 - 1'808)));
      }
      CHECK(StatOf(file.path()).st_size == 10'000);
      options.size_bytes = 0;
      CHECK(Open(options)->geometry().block_count == 2);
    }
  }
}

TEST_CASE("what cannot be opened is named") {
  TempFile file;
  const auto refused = [&](FileDeviceOptions options) {
    if (options.path.empty()) options.path = file.path();
    const absl::Status status = OpenFileDevice(options).status();
    INFO(status);
    CHECK(Mentions(status, options.path));
    return status.code();
  };
  using Code = absl::StatusCode;
  CHECK(refused({.size_bytes = kMiB}) == Code::kNotFound);
  CHECK(refused({.create = true}) == Code::kInvalidArgument);
  CHECK(refused({.size_bytes = 1000, .create = true}) == Code::kInvalidArgument);
  CHECK(refused({.size_bytes = kMiB, .create = true, .block_size_bytes = 1000}) ==
        Code::kInvalidArgument);
  CHECK(refused({.size_bytes = kMiB, .create = true, .read_only = true}) == Code::kInvalidArgument);
  CHECK(!std::filesystem::exists(file.path()));
  CHECK(refused({.path = file.folder(), .size_bytes = kMiB}) == Code::kInvalidArgument);
  CHECK(refused({.path = file.folder() + "/no/such", .size_bytes = kMiB, .create = true}) ==
        Code::kNotFound);
  REQUIRE(mkfifo(file.path().c_str(), 0600) == 0);
  CHECK(refused({.size_bytes = kMiB}) == Code::kInvalidArgument);
  std::filesystem::remove(file.path());
  std::ofstream(file.path()) << std::string(kMiB, 'a');
  CHECK(refused({.size_bytes = kMiB / 2}) == Code::kInvalidArgument);
  CHECK(StatOf(file.path()).st_size == static_cast<off_t>(kMiB));
}

TEST_CASE("a read-only device refuses to change anything") {
  TempFile file;
  std::ofstream(file.path()) << std::string(kMiB, 'a');
  for (const bool use_io_uring : {true, false}) {
    const std::unique_ptr<Device> device =
        Open({.path = file.path(), .read_only = true, .use_io_uring = use_io_uring});
    const auto channel = OpenChannel(*device);
    Buffer data(4096);
    CHECK(ReadBlocking(*channel, Lba{255}, data.span()).ok());
    CHECK(data.data()[4095] == std::byte{'a'});
    using Code = absl::StatusCode;
    CHECK(WriteBlocking(*channel, Lba{0}, data.span()).code() == Code::kFailedPrecondition);
    CHECK(WriteZeroesBlocking(*channel, Lba{0}, 1).code() == Code::kFailedPrecondition);
    CHECK(DiscardBlocking(*channel, Lba{0}, 1).code() == Code::kFailedPrecondition);
    CHECK(FlushBlocking(*channel).ok());
  }
}

TEST_CASE("channels move between threads") {
  TempFile file;
  Random random(test::Seed());
  const std::unique_ptr<Device> device =
      Open({.path = file.path(), .size_bytes = 16 * kMiB, .create = true});
  const auto channel = OpenChannel(*device);
  const Buffer data = RandomBuffer(random, 64 * 4096);
  std::deque<TestIo> ios;
  std::vector<absl::Status> submitted(64);
  // The thread that starts the writes ends while they are in flight.
  std::thread([&] {
    for (uint32_t i = 0; i < 64; ++i) {
      TestIo& io =
          ios.emplace_back(Op::kWrite, Lba{i}, 1, std::vector{Piece(data, i * 4096, 4096)});
      submitted[i] = channel->Submit(&io.request);
    }
    channel->Poll(1);
  }).join();
  Drain(*channel);
  for (uint32_t i = 0; i < 64; ++i) {
    REQUIRE(submitted[i].ok());
    INFO(ios[i].request.status);
    REQUIRE(ios[i].request.status.ok());
  }
  Buffer read(data.size());
  REQUIRE(ReadBlocking(*channel, Lba{0}, read.span()).ok());
  CHECK(SameBytes(read.span(), data.span()));
}

// Makes the kernel refuse, to this thread alone, io_uring_setup or an open with O_DIRECT.
void Forbid(uint32_t call, uint32_t error, std::optional<uint32_t> flag_of_third_argument) {
  const uint8_t to_allow = flag_of_third_argument ? 3 : 1;
  std::vector<sock_filter> program = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, to_allow),
  };
  if (flag_of_third_argument) {
    program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, *flag_of_third_argument, 0, 1));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error));
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  STRATA_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
  STRATA_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "PR_SET_SECCOMP");
}

struct FallbackOutcome {
  absl::Status status;
  std::string log;
  Geometry geometry;
};

FallbackOutcome WriteAndReadBack(const std::string& path) {
  FallbackOutcome outcome;
  const auto run = [&]() -> absl::Status {
    auto device = OpenFileDevice(
        {.path = path,
         .size_bytes = kMiB,
         .create = true,
         .log = [&](LogLevel, std::string_view s) { outcome.log += std::string(s) + "\n"; }});
    if (!device.ok()) return device.status();
    outcome.geometry = (*device)->geometry();
    auto channel = (*device)->OpenChannel({});
    if (!channel.ok()) return channel.status();
    Buffer data(8192);
    std::memset(data.data(), 7, data.size());
    if (absl::Status s = WriteBlocking(**channel, Lba{3}, data.span()); !s.ok()) return s;
    if (absl::Status s = FlushBlocking(**channel); !s.ok()) return s;
    Buffer read(8192);
    if (absl::Status s = ReadBlocking(**channel, Lba{3}, read.span()); !s.ok()) return s;
    return SameBytes(data.span(), read.span()) ? absl::OkStatus() : absl::DataLossError("differs");
  };
  outcome.status = run();
  return outcome;
}

TEST_CASE("where io_uring or O_DIRECT is refused the device works without and says so") {
  TempFile file;
  const FallbackOutcome normal = WriteAndReadBack(file.path());
  CHECK(normal.status == absl::OkStatus());
  CHECK(normal.log.empty());

  FallbackOutcome outcome;
  SECTION("io_uring") {
    std::thread([&] {
      Forbid(__NR_io_uring_setup, EPERM, std::nullopt);
      outcome = WriteAndReadBack(file.path());
    }).join();
    CHECK(outcome.log.find("io_uring") != std::string::npos);
  }
  SECTION("O_DIRECT") {
    std::thread([&] {
      Forbid(__NR_openat, EINVAL, O_DIRECT);
      outcome = WriteAndReadBack(file.path());
    }).join();
    CHECK(outcome.log.find("O_DIRECT") != std::string::npos);
    CHECK(outcome.geometry.buffer_alignment_bytes == 1);
  }
  INFO(outcome.status << "\n" << outcome.log);
  CHECK(outcome.status == absl::OkStatus());
  CHECK(outcome.log.find(file.path()) != std::string::npos);
  CHECK(std::count(outcome.log.begin(), outcome.log.end(), '\n') == 1);
}

// Fills a filesystem of 2 MiB. Runs in a mount namespace of its own; the reason when it could not
// run.
std::string FillSmallFilesystem(const std::string& folder, bool use_io_uring, absl::Status* full,
                                absl::Status* after) {
  if (unshare(CLONE_NEWNS | CLONE_FS) != 0) return "unshare is not permitted";
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "mount: private";
  if (mount("strata", folder.c_str(), "tmpfs", 0, "size=2m") != 0) return "mount: tmpfs";
  auto device = OpenFileDevice({.path = folder + "/device",
                                .size_bytes = 64 * kMiB,
                                .create = true,
                                .use_io_uring = use_io_uring});
  STRATA_CHECK(device.ok(), "open on a small filesystem");
  auto channel = (*device)->OpenChannel({});
  STRATA_CHECK(channel.ok(), "channel on a small filesystem");
  Buffer data(64 << 10);
  uint64_t lba = 0;
  for (; lba < 1024 && full->ok(); lba += 16) {
    *full = WriteBlocking(**channel, Lba{lba}, data.span());
  }
  *after = DiscardBlocking(**channel, Lba{0}, 64);
  if (after->ok()) *after = WriteBlocking(**channel, Lba{0}, data.span());
  return "";
}

TEST_CASE("a full filesystem is ResourceExhausted, and the device lives on") {
  for (const bool use_io_uring : {true, false}) {
    TempFile file;
    absl::Status full;
    absl::Status after;
    std::string skipped;
    std::thread([&] {
      skipped = FillSmallFilesystem(file.folder(), use_io_uring, &full, &after);
    }).join();
    if (!skipped.empty()) {
      WARN("not run: " << skipped);
      return;
    }
    INFO(full);
    CHECK(full.code() == absl::StatusCode::kResourceExhausted);
    CHECK(Mentions(full, file.folder()));
    CHECK(Mentions(full, "offset 2097152"));
    INFO(after);
    CHECK(after.ok());
  }
}

// A loop device over a file; not ok() where the machine lends none.
class LoopDevice {
 public:
  explicit LoopDevice(const std::string& backing) {
    // Another process may take the free one first.
    for (int attempt = 0; attempt < 20 && !attached_; ++attempt) Attach(backing);
  }
  ~LoopDevice() {
    if (attached_) ioctl(fd_, LOOP_CLR_FD, 0);
    if (fd_ >= 0) close(fd_);
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;
  bool ok() const { return attached_; }
  const std::string& path() const { return path_; }

 private:
  void Attach(const std::string& backing) {
    const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0) return;
    const int index = ioctl(control, LOOP_CTL_GET_FREE);
    close(control);
    if (index < 0) return;
    path_ = "/dev/loop" + std::to_string(index);
    const int file = open(backing.c_str(), O_RDWR | O_CLOEXEC);
    if (fd_ >= 0) close(fd_);
    fd_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    attached_ = fd_ >= 0 && ioctl(fd_, LOOP_SET_FD, file) == 0;
    close(file);
  }

  std::string path_;
  int fd_ = -1;
  bool attached_ = false;
};

TEST_CASE("a kernel block device keeps the contract") {
  TempFile backing;
  std::ofstream(backing.path()).close();
  std::filesystem::resize_file(backing.path(), 16 * kMiB);
  for (const ContractPart& part : DeviceContract()) {
    DYNAMIC_SECTION("loop device: " << part.name) {
      LoopDevice loop(backing.path());
      if (!loop.ok()) {
        WARN("not run: no loop device can be attached here");
        return;
      }
      part.run({"loop device", [&] { return Open({.path = loop.path()}); }});
      std::unique_ptr<Device> device = Open({.path = loop.path()});
      CHECK(device->geometry().block_size_bytes == 512);
      CHECK(device->geometry().block_count == 16 * kMiB / 512);
      CHECK(OpenFileDevice({.path = loop.path()}).status().code() ==
            absl::StatusCode::kFailedPrecondition);
      device.reset();
      CHECK(OpenFileDevice({.path = loop.path(), .size_bytes = kMiB}).status().code() ==
            absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST_CASE("file: URIs") {
  TempFile file;
  const Registry registry = Registry::WithDefaults();
  CHECK(registry.Open("file:" + file.path()).status().code() == absl::StatusCode::kNotFound);
  auto device = registry.Open("file:" + file.path() + "?size=1G&create=1&block=512&direct=0");
  INFO(device.status());
  REQUIRE(device.ok());
  CHECK((*device)->geometry().block_count == 2 * 1024 * 1024);
  CHECK((*device)->geometry().buffer_alignment_bytes == 1);
  CHECK((*device)->name() == "file:" + file.path());
  CHECK(registry.Open("file:" + file.path() + ".3?size=1M&create=1&shared=1").ok());
  for (const char* bad : {"?create=yes", "?size=-1", "?sizes=1G", "?block=5000000000"}) {
    INFO(bad);
    CHECK(registry.Open("file:/tmp/x" + std::string(bad)).status().code() ==
          absl::StatusCode::kInvalidArgument);
  }
  auto nested = registry.Open("delay:file:" + file.path() + ".2?size=1M&create=1;read_us=10");
  REQUIRE(nested.ok());
  CHECK((*nested)->name() == "delay:file:" + file.path() + ".2");
}

}  // namespace
}  // namespace strata::block

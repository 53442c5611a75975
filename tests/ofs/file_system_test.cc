// SPDX-License-Identifier: Apache-2.0
//
// The whole of a FileSystem through its calls: data that is dirty, flushed, cut, punched and read
// back, against a model; absent disks; sessions that end in a crash.
#include "strata/ofs/file_system.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "format/layout.h"
#include "home.h"
#include "hooked_store.h"
#include "strata/base/endian.h"
#include "strata/base/random.h"
#include "strata/kv/engines.h"
#include "strata/ofs/posix_error.h"
#include "support/must.h"
#include "support/rounds.h"
#include "support/scratch_folder.h"
#include "support/seed.h"

namespace strata::ofs {
namespace {

TEST_CASE("what is written is read back, dirty, flushed and by the next session") {
  Home home;
  std::map<size_t, uint64_t> files;
  FileSystem* fs = &home.Open();
  for (const size_t size :
       {0, 1, 4095, 4096, 4097, 65535, 65536, 131072, 524288, 524289, 3000001}) {
    files[size] = MakeFile(*fs, std::to_string(size));
    Must(fs->Write(files[size], 0, Pattern(size, size)));
    CHECK(ReadAll(*fs, files[size]) == Pattern(size, size));
  }
  Must(fs->SyncAll());
  for (const auto& [size, inode] : files) CHECK(ReadAll(*fs, inode) == Pattern(size, size));
  Must(fs->Close());
  fs = &home.Open();
  for (const auto& [size, inode] : files) {
    CAPTURE(size);
    CHECK(Must(fs->Lookup(kRootInode, std::to_string(size))).inode == inode);
    CHECK(ReadAll(*fs, inode) == Pattern(size, size));
  }
  Must(fs->Close());
}

TEST_CASE("small files are in the metadata; medium ones share stripes") {
  Home home;
  FileSystem& fs = home.Open();
  const uint64_t tiny = MakeFile(fs, "tiny");
  Must(fs.Write(tiny, 0, Pattern(1, 4096)));
  Must(fs.Sync(tiny));
  CHECK(Must(fs.GetAttributes(tiny)).stored_bytes == 0);
  // It grows: the bytes from the metadata move along.
  Must(fs.Write(tiny, 5000, Pattern(2, 100)));
  Must(fs.Sync(tiny));
  Bytes expected = Pattern(1, 4096);
  expected.resize(5000);
  const Bytes more = Pattern(2, 100);
  expected.insert(expected.end(), more.begin(), more.end());
  CHECK(ReadAll(fs, tiny) == expected);
  CHECK(Must(fs.GetAttributes(tiny)).stored_bytes == 8192);
  Must(fs.Close());
}

TEST_CASE("with absent disks any range is read right") {
  Home home;
  constexpr size_t kBytes = 3'000'000;
  const Bytes content = Pattern(1, kBytes);
  FileSystem* fs = &home.Open();
  const uint64_t file = MakeFile(*fs, "file");
  Must(fs->Write(file, 0, content));
  Must(fs->Close());
  const uint64_t seed = test::Seed();
  CAPTURE(seed);
  Random random(seed);
  for (size_t lost = 1; lost <= 6; ++lost) {
    home.absent = {lost, lost % 6 + 1};
    fs = &home.Open();
    for (uint64_t i = 0; i < test::Rounds(200); ++i) {
      // Ranges begin and end within units, and reach over one, some or all of a stripe.
      const size_t offset = random.Uniform(kBytes);
      const size_t size = std::min<size_t>(1 + random.Uniform(1'000'000), kBytes - offset);
      CAPTURE(lost, offset, size);
      Bytes got(size);
      REQUIRE(Must(fs->Read(file, offset, got)) == size);
      REQUIRE(std::equal(got.begin(), got.end(), content.begin() + offset));
    }
    Must(fs->Close());
  }
}

TEST_CASE("an inode of any type that is held lives on without a name") {
  Home home;
  FileSystem& fs = home.Open();
  std::vector<uint64_t> held;
  for (const FileType type : {FileType::kRegular, FileType::kDirectory, FileType::kSymlink,
                              FileType::kFifo, FileType::kCharacterDevice}) {
    held.push_back(
        Must(fs.Make(kRootInode, "x", {.type = type, .mode = 0700, .symlink_target = "t"})).inode);
    Must(fs.Hold(held.back()));
    Must(type == FileType::kDirectory ? fs.RemoveDirectory(kRootInode, "x")
                                      : fs.Unlink(kRootInode, "x"));
  }
  Must(fs.Upkeep());
  for (const uint64_t inode : held) {
    CHECK(Must(fs.GetAttributes(inode)).link_count == 0);
    fs.Release(inode);
  }
  Must(fs.Upkeep());
  for (const uint64_t inode : held) {
    CHECK(ErrnoOf(fs.GetAttributes(inode).status()) == ENOENT);
    CHECK(ErrnoOf(fs.Hold(inode)) == ENOENT);
  }
  Must(fs.Close());
}

TEST_CASE("a caller can keep the times of files itself") {
  Home home;
  FileSystem& fs = home.Open();
  const uint64_t file = MakeFile(fs, "file");
  Must(fs.SetAttributes(file, {.mtime_ns = 1000, .ctime_ns = 2000}));
  Must(fs.Write(file, 0, Pattern(1, 100'000), /*keeps_times=*/true));
  const auto check = [&](int64_t mtime_ns, int64_t ctime_ns) {
    const Attributes shown = Must(fs.GetAttributes(file));
    CHECK(shown.mtime_ns == mtime_ns);
    CHECK(shown.ctime_ns == ctime_ns);
  };
  check(1000, 2000);
  // While it is dirty, and after it was flushed.
  Must(fs.SetAttributes(file, {.mtime_ns = 3000, .ctime_ns = 4000}));
  check(3000, 4000);
  Must(fs.Sync(file));
  check(3000, 4000);
  Must(fs.SetAttributes(file, {.ctime_ns = 5000}));
  check(3000, 5000);
  Must(fs.Write(file, 0, Pattern(1, 100)));
  CHECK(Must(fs.GetAttributes(file)).mtime_ns > 5000);
  CHECK(Must(fs.GetAttributes(file)).ctime_ns > 5000);
  Must(fs.Close());
}

TEST_CASE("a disk that was made when the filesystem was is not made again") {
  const test::ScratchFolder folder;
  const auto file = [&](int number) { return folder / ("disk" + std::to_string(number)); };
  const std::unique_ptr<kv::Store> store = kv::CreateMemoryStore();
  FormatOptions format{.store = store.get(), .protection = Protection::Mirror(2)};
  format.disks.push_back({.uri = "file:" + file(1) + "?create=1&size=4M"});
  format.disks.push_back({.uri = "file:" + file(2) + "?size=4M&create=1"});
  format.disks.push_back({.uri = "delay:file:" + file(3) + "?size=4M&create=1;read_us=1"});
  Must(Format(format));
  Must(Must(FileSystem::Open({.store = store.get()}))->Close());
  std::filesystem::remove(file(1));
  Must(Must(FileSystem::Open({.store = store.get()}))->Close());
  CHECK(!std::filesystem::exists(file(1)));
}

TEST_CASE("what is not flushed counts as stored") {
  Home home;
  FileSystem& fs = home.Open();
  const uint64_t file = MakeFile(fs, "file");
  Must(fs.Write(file, 0, Pattern(1, 100'000)));
  CHECK(Must(fs.GetAttributes(file)).stored_bytes == 102'400);
  Must(fs.Sync(file));
  CHECK(Must(fs.GetAttributes(file)).stored_bytes == 102'400);
  Must(fs.Close());
}

TEST_CASE("any two of six disks may be absent") {
  Home home;
  const Bytes large = Pattern(1, 2000000);
  const Bytes small = Pattern(2, 10000);
  uint64_t a = 0;
  uint64_t b = 0;
  {
    FileSystem& fs = home.Open();
    a = MakeFile(fs, "large");
    b = MakeFile(fs, "small");
    Must(fs.Write(a, 0, large));
    Must(fs.Write(b, 0, small));
    Must(fs.Close());
  }
  for (size_t first = 1; first <= 6; ++first) {
    for (size_t second = first + 1; second <= 6; ++second) {
      home.absent = {first, second};
      CAPTURE(first, second);
      FileSystem& fs = home.Open();
      CHECK(ReadAll(fs, a) == large);
      CHECK(ReadAll(fs, b) == small);
      // New data is written with fewer data units, and is as safe.
      const uint64_t made = MakeFile(fs, std::to_string(first) + "-" + std::to_string(second));
      Must(fs.Write(made, 0, large));
      Must(fs.Close());
      CHECK(ReadAll(home.Open(), made) == large);
      Must(home.fs->Close());
    }
  }
  home.absent = {1, 2, 3};
  home.expected = {FindingKind::kLostRange};
  home.fs.reset();
  home.store.reset();
  home.store = home.kv->Open();
  const absl::Status refused =
      FileSystem::Open({.store = home.store.get(), .registry = &home.registry}).status();
  CHECK(absl::IsUnavailable(refused));
  CHECK(refused.message().find("fault:3") != std::string_view::npos);
}

TEST_CASE("random calls on one file, against bytes in memory") {
  const uint64_t rounds = test::Rounds(30);
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint64_t seed = test::Seed() + round;
    CAPTURE(seed);
    Random random(seed);
    Home home(6, 64u << 20, Protection::ReedSolomon(4, 2), seed);
    FileSystem* fs = &home.Open();
    const uint64_t inode = MakeFile(*fs, "file");
    Bytes model;
    constexpr uint64_t kMost = 1500000;
    for (int step = 0; step < 120; ++step) {
      const uint64_t offset = random.Chance(0.5) ? random.Uniform(kMost) : random.Uniform(10000);
      const uint64_t length =
          1 + (random.Chance(0.2) ? random.Uniform(kMost) : random.Uniform(20000));
      switch (random.Uniform(10)) {
        case 0:
        case 1:
        case 2:
        case 3: {
          const Bytes data = Pattern(random.Next64(), length);
          Must(fs->Write(inode, offset, data));
          if (model.size() < offset + length) model.resize(offset + length);
          std::copy(data.begin(), data.end(), model.begin() + static_cast<ptrdiff_t>(offset));
          break;
        }
        case 4:
          Must(fs->SetAttributes(inode, {.size_bytes = offset}).status());
          model.resize(offset);
          break;
        case 5: {
          Must(fs->PunchHole(inode, offset, length));
          const uint64_t end = std::min<uint64_t>(model.size(), offset + length);
          for (uint64_t i = offset; i < end; ++i) model[i] = std::byte{};
          break;
        }
        case 6:
        case 7:
          Must(fs->Sync(inode));
          break;
        case 8:
          Must(fs->Upkeep());
          break;
        default:
          if (random.Chance(0.3)) {
            Must(fs->Close());
            fs = &home.Open();
          }
      }
      const uint64_t from = random.Uniform(model.size() + 1);
      Bytes out(random.Uniform(100000));
      const size_t read = Must(fs->Read(inode, from, out));
      REQUIRE(read == std::min<uint64_t>(out.size(), model.size() - from));
      REQUIRE(std::equal(out.begin(), out.begin() + static_cast<ptrdiff_t>(read),
                         model.begin() + static_cast<ptrdiff_t>(from)));
    }
    REQUIRE(ReadAll(*fs, inode) == model);
    Must(fs->Close());
    REQUIRE(ReadAll(home.Open(), inode) == model);
    Must(home.fs->Close());
  }
}

TEST_CASE("space of deleted and overwritten data comes back") {
  Home home(6, 24u << 20);
  FileSystem& fs = home.Open();
  const SpaceUse before = Must(fs.GetSpaceUse());
  CHECK(before.free_bytes > before.total_bytes * 9 / 10);
  // Ten times what fits.
  const Bytes data = Pattern(1, before.total_bytes / 4);
  for (int i = 0; i < 40; ++i) {
    const uint64_t inode = MakeFile(fs, "file");
    Must(fs.Write(inode, 0, data));
    if (i % 3 == 0) Must(fs.Sync(inode));
    Must(fs.Unlink(kRootInode, "file"));
  }
  const uint64_t inode = MakeFile(fs, "kept");
  for (int i = 0; i < 40; ++i) {
    Must(fs.Write(inode, 0, data));
    Must(fs.Sync(inode));
  }
  CHECK(ReadAll(fs, inode) == data);
  Must(fs.Unlink(kRootInode, "kept"));
  Must(fs.Close());
  CHECK(Must(home.Open().GetSpaceUse()).free_bytes > before.total_bytes * 9 / 10);
  Must(home.fs->Close());
}

TEST_CASE("a commit that fails, applied or not, loses no byte and frees none twice") {
  const uint64_t rounds = test::Rounds(20);
  int failed = 0;
  for (uint64_t round = 0; round < rounds || failed < 50; ++round) {
    const uint64_t seed = test::Seed() + round;
    CAPTURE(seed);
    Random random(seed);
    Home home(6, 24u << 20, Protection::ReedSolomon(4, 2), seed);
    home.store = home.kv->Open();
    HookedStore hooked(home.store.get());
    std::unique_ptr<FileSystem> fs =
        Must(FileSystem::Open({.store = &hooked, .registry = &home.registry}));
    const SpaceUse before = Must(fs->GetSpaceUse());
    std::vector<std::pair<uint64_t, Bytes>> files;
    for (int i = 0; i < 4; ++i) files.emplace_back(MakeFile(*fs, std::to_string(i)), Bytes());
    hooked.FailSome(&random, 0.2, &failed);
    for (int step = 0; step < 60; ++step) {
      auto& [inode, model] = files[random.Uniform(files.size())];
      if (random.Chance(0.1)) {
        (void)fs->Upkeep();
      } else if (random.Chance(0.5)) {
        (void)(random.Chance(0.7) ? fs->Sync(inode) : fs->SyncAll());
      } else {
        const uint64_t offset = random.Uniform(300000);
        const Bytes data =
            Pattern(random.Next64(), 1 + random.Uniform(random.Chance(0.3) ? 300000 : 30000));
        Must(fs->Write(inode, offset, data));
        if (model.size() < offset + data.size()) model.resize(offset + data.size());
        std::copy(data.begin(), data.end(), model.begin() + static_cast<ptrdiff_t>(offset));
      }
      REQUIRE(ReadAll(*fs, inode) == model);
    }
    hooked.before_commit = nullptr;
    Must(fs->SyncAll());
    Must(fs->Upkeep());
    for (const auto& [inode, model] : files) REQUIRE(ReadAll(*fs, inode) == model);
    Must(fs->Close());
    fs.reset();
    FileSystem& next = home.Open();
    for (const auto& [inode, model] : files) REQUIRE(ReadAll(next, inode) == model);
    for (size_t i = 0; i < files.size(); ++i) Must(next.Unlink(kRootInode, std::to_string(i)));
    Must(next.Upkeep());
    Must(next.Close());
    CHECK(Must(home.Open().GetSpaceUse()).free_bytes > before.free_bytes * 9 / 10);
    Must(home.fs->Close());
  }
}

TEST_CASE(
    "space of a large file that is deleted shows soon, in a session that writes nothing else") {
  Home home(6, 64u << 20);
  FileSystem& fs = home.Open();
  const SpaceUse before = Must(fs.GetSpaceUse());
  const uint64_t inode = MakeFile(fs, "large");
  Must(fs.Write(inode, 0, Pattern(1, before.total_bytes / 2)));
  Must(fs.Sync(inode));
  CHECK(Must(fs.GetSpaceUse()).free_bytes < before.free_bytes * 6 / 10);
  Must(fs.Unlink(kRootInode, "large"));
  for (int i = 0; i < 3; ++i) Must(fs.Upkeep());
  CHECK(Must(fs.GetSpaceUse()).free_bytes > before.free_bytes * 9 / 10);
  Must(fs.Close());
}

TEST_CASE("full disks refuse what does not fit, and deleting makes room") {
  Home home(6, 16u << 20);
  FileSystem& fs = home.Open();
  const uint64_t inode = MakeFile(fs, "file");
  const Bytes data = Pattern(1, 1u << 20);
  absl::Status status;
  uint64_t written = 0;
  while (status.ok() && written < (256u << 20)) {
    status = fs.Write(inode, written, data);
    if (status.ok()) status = fs.Sync(inode);
    if (status.ok()) written += data.size();
  }
  CHECK(ErrnoOf(status) == ENOSPC);
  CHECK(written > (30u << 20));
  Bytes out(data.size());
  for (uint64_t at = 0; at < written; at += data.size()) {
    REQUIRE(Must(fs.Read(inode, at, out)) == out.size());
    REQUIRE(out == data);
  }
  Must(fs.Unlink(kRootInode, "file"));
  const uint64_t next = MakeFile(fs, "next");
  Must(fs.Write(next, 0, data));
  Must(fs.Sync(next));
  CHECK(ReadAll(fs, next) == data);
  Must(fs.Close());
}

TEST_CASE("a file without a name lives while it is held") {
  Home home;
  FileSystem* fs = &home.Open();
  const uint64_t inode = MakeFile(*fs, "file");
  Must(fs->Hold(inode));
  Must(fs->Write(inode, 0, Pattern(1, 300000)));
  Must(fs->Unlink(kRootInode, "file"));
  Must(fs->Upkeep());
  CHECK(ReadAll(*fs, inode) == Pattern(1, 300000));
  Must(fs->Sync(inode));
  Must(fs->Upkeep());
  CHECK(ReadAll(*fs, inode) == Pattern(1, 300000));
  fs->Release(inode);
  Must(fs->Upkeep());
  CHECK(ErrnoOf(fs->GetAttributes(inode).status()) == ENOENT);
  CHECK(ErrnoOf(fs->Hold(inode)) == ENOENT);

  // One that is held when the session crashes is gone afterwards.
  const uint64_t unnamed = Must(fs->MakeUnnamed(kRootInode, {.mode = 0600})).inode;
  Must(fs->Write(unnamed, 0, Pattern(2, 300000)));
  Must(fs->Sync(unnamed));
  fs = &home.Open();
  Must(fs->Upkeep());
  CHECK(ErrnoOf(fs->GetAttributes(unnamed).status()) == ENOENT);
  Must(fs->Close());
}

TEST_CASE("a session that dies while it reclaims an inode of any type leaves all well") {
  bool is_reclaimed = false;
  for (int commits = 0; !is_reclaimed; ++commits) {
    CAPTURE(commits);
    Home home;
    home.store = home.kv->Open();
    HookedStore hooked(home.store.get());
    auto fs = Must(FileSystem::Open({.store = &hooked, .registry = &home.registry}));
    const uint64_t file = MakeFile(*fs, "file");
    Must(fs->Write(file, 0, Pattern(1, 200'000)));
    Must(fs->Sync(file));
    Must(fs->Make(kRootInode, "link", {.type = FileType::kSymlink, .symlink_target = "there"})
             .status());
    Must(fs->Make(kRootInode, "directory", {.type = FileType::kDirectory, .mode = 0755}).status());
    for (const char* name : {"file", "link"}) Must(fs->Unlink(kRootInode, name));
    Must(fs->RemoveDirectory(kRootInode, "directory"));
    int left = commits;
    const std::function<void()> stop = [&] {
      hooked.before_commit = stop;
      if (left-- <= 0) hooked.next_commit = absl::UnavailableError("the store is gone");
    };
    hooked.before_commit = stop;
    is_reclaimed = fs->Upkeep().ok();
    fs.reset();
    home.Crash();
    home.CheckIsWell(true);
  }
}

TEST_CASE("after a power cut there is what was synced, and no byte of another file") {
  const uint64_t rounds = test::Rounds(40);
  for (uint64_t round = 0; round < rounds; ++round) {
    const uint64_t seed = test::Seed() + round;
    CAPTURE(seed);
    Random random(seed);
    Home home(6, 32u << 20, Protection::ReedSolomon(4, 2), seed);
    struct File {
      uint64_t inode = 0;
      Bytes synced;
      bool is_dirty = false;  // Since the last sync.
    };
    std::map<std::string, File> files;
    FileSystem* fs = &home.Open();
    for (int session = 0; session < 3; ++session) {
      for (int step = 0; step < 30; ++step) {
        const std::string name = std::to_string(random.Uniform(6));
        File& file = files[name];
        if (file.inode == 0) {
          file.inode = MakeFile(*fs, name);
          Must(fs->Sync(kRootInode));
          file.synced.clear();
        }
        const size_t size =
            1 + (random.Chance(0.3) ? random.Uniform(900000) : random.Uniform(30000));
        Must(fs->SetAttributes(file.inode, {.size_bytes = 0}).status());
        const Bytes data = Pattern(random.Next64(), size);
        Must(fs->Write(file.inode, 0, data));
        file.is_dirty = true;
        if (random.Chance(0.4)) {
          Must(fs->Sync(file.inode));
          file.synced = data;
          file.is_dirty = false;
        }
        if (random.Chance(0.1)) Must(fs->Upkeep());
      }
      home.fs.reset();
      home.store.reset();
      for (auto& disk : home.disks) disk = disk->PowerCut(random.Next64());
      home.kv = home.kv->PowerCut(random.Next64());
      fs = &home.Open();
      for (auto& [name, file] : files) {
        CAPTURE(name);
        const Attributes found = Must(fs->Lookup(kRootInode, name));
        REQUIRE(found.inode == file.inode);
        const Bytes now = ReadAll(*fs, file.inode);
        if (!file.is_dirty) REQUIRE(now == file.synced);
        file.synced = now;
        file.is_dirty = false;
      }
    }
    Must(fs->Close());
  }
}

TEST_CASE("threads that write, sync, read and delete side by side") {
  Home home(6, 128u << 20);
  FileSystem& fs = home.Open();
  std::vector<std::thread> threads;
  std::atomic<int> problems{0};
  for (uint64_t t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      Random random(test::Seed() + t);
      const std::string name = "file" + std::to_string(t);
      for (int i = 0; i < 40; ++i) {
        const absl::StatusOr<Attributes> made = fs.Make(kRootInode, name, {.mode = 0644});
        if (!made.ok()) ++problems;
        const Bytes data = Pattern(random.Next64(), 1 + random.Uniform(400000));
        if (!fs.Hold(made->inode).ok()) ++problems;
        if (!fs.Write(made->inode, 0, data).ok()) ++problems;
        if (random.Chance(0.5) && !fs.Sync(made->inode).ok()) ++problems;
        if (random.Chance(0.2) && !fs.Upkeep().ok()) ++problems;
        Bytes out(data.size());
        const absl::StatusOr<size_t> read = fs.Read(made->inode, 0, out);
        if (!read.ok() || *read != data.size() || out != data) ++problems;
        if (!fs.Unlink(kRootInode, name).ok()) ++problems;
        fs.Release(made->inode);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(problems == 0);
  Must(fs.Close());
}

TEST_CASE("a reader sees what was written before, whatever a flush does at that moment") {
  Home home(6, 64u << 20);
  FileSystem& fs = home.Open();
  const uint64_t inode = MakeFile(fs, "file");
  Must(fs.Hold(inode));
  std::atomic<uint64_t> written{0};
  std::atomic<uint64_t> syncs{0};
  std::atomic<bool> is_over{false};
  std::atomic<int> stale{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&] {
      while (!is_over) {
        const uint64_t least = written;
        if (Must(fs.Lookup(kRootInode, "file")).size_bytes < least * 8) ++stale;
        if (least == 0) continue;
        std::array<std::byte, 8> first;
        if (*fs.Read(inode, 0, first) != 8 || LoadLe64(first.data()) < least) ++stale;
      }
    });
  }
  std::thread flusher([&] {
    for (; !is_over; ++syncs) Must(fs.Sync(inode));
  });
  for (uint64_t version = 1; version <= test::Rounds(8000) || syncs < 100; ++version) {
    std::array<std::byte, 8> bytes;
    StoreLe64(bytes.data(), version);
    Must(fs.Write(inode, 0, bytes));
    Must(fs.Write(inode, (version - 1) * 8, bytes));
    written = version;
    std::this_thread::yield();
  }
  is_over = true;
  flusher.join();
  for (std::thread& reader : readers) reader.join();
  CHECK(stale == 0);
  fs.Release(inode);
  Must(fs.Close());
}

}  // namespace
}  // namespace strata::ofs

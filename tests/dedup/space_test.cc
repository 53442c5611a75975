// SPDX-License-Identifier: Apache-2.0
//
// What a store in a file takes of the disk: no more than what is in it.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "journaled.h"
#include "strata/block/registry.h"
#include "strata/dedup/directory.h"
#include "support/scratch_folder.h"

namespace strata::dedup {
namespace {

namespace fs = std::filesystem;

class FileHome {
 public:
  FileHome() { fs::create_directories(path_); }
  ~FileHome() {
    directory_.reset();
    fs::remove_all(path_);
  }
  FileHome(const FileHome&) = delete;
  FileHome& operator=(const FileHome&) = delete;

  Store& Open() {
    directory_.reset();
    DirectoryOptions options;
    options.path = path_ / "store";
    options.max_size_bytes = 256u << 20;
    absl::StatusOr<std::unique_ptr<Directory>> opened = Directory::Open(options);
    INFO(opened.status());
    REQUIRE(opened.ok());
    directory_ = *std::move(opened);
    return directory_->store();
  }
  void Close() { directory_.reset(); }

  uint64_t ContainerBytes() const {
    struct stat info {};
    REQUIRE(stat((path_ / "store/containers").c_str(), &info) == 0);
    return static_cast<uint64_t>(info.st_blocks) * 512;
  }

 private:
  const test::ScratchFolder scratch_;
  const fs::path path_ = scratch_.path();
  std::unique_ptr<Directory> directory_;
};

// A store in a file on a disk that is full as soon as the test says so.
class FullDiskHome {
 public:
  FullDiskHome() {
    fs::create_directories(path_);
    options_.kv = kv_.get();
    options_.journal = true;
    options_.container_bytes = 1u << 20;
    options_.admit_space = [this](uint64_t, SpaceUse) {
      return is_full ? absl::ResourceExhaustedError("full") : absl::OkStatus();
    };
  }
  ~FullDiskHome() {
    store_.reset();
    device_.reset();
    fs::remove_all(path_);
  }
  FullDiskHome(const FullDiskHome&) = delete;
  FullDiskHome& operator=(const FullDiskHome&) = delete;

  Store& Open() {
    OpenDevice();
    absl::StatusOr<std::unique_ptr<Store>> opened = Store::Open(options_);
    INFO(opened.status());
    REQUIRE(opened.ok());
    store_ = *std::move(opened);
    return *store_;
  }

  Store& store() { return *store_; }

  void Check() {
    OpenDevice();
    CheckRebuild(options_);
  }

  uint64_t ContainerBytes() const {
    struct stat info {};
    REQUIRE(stat(Containers().c_str(), &info) == 0);
    return static_cast<uint64_t>(info.st_blocks) * 512;
  }

  bool is_full = false;

 private:
  void OpenDevice() {
    store_.reset();
    device_.reset();
    // The file device takes no space ahead of writes inside the file.
    if (!fs::exists(Containers())) std::ofstream(Containers()).close();
    fs::resize_file(Containers(), kDeviceBytes);
    device_ = block::Registry::WithDefaults({})
                  .Open("file:" + Containers() + "?size=" + std::to_string(kDeviceBytes))
                  .value();
    options_.device = device_.get();
  }
  std::string Containers() const { return path_ / "containers"; }

  static constexpr uint64_t kDeviceBytes = 64u << 20;

  const test::ScratchFolder scratch_;
  const fs::path path_ = scratch_.path();
  std::unique_ptr<block::Device> device_;
  const std::unique_ptr<kv::Store> kv_ = kv::CreateMemoryStore();
  StoreOptions options_;
  std::unique_ptr<Store> store_;
};

}  // namespace

TEST_CASE("a store that is closed takes little more of the disk than what is in it") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  FileHome home;
  std::map<StreamId, Bytes> streams;
  uint64_t bytes = 0;
  // Each opening goes on in the container of the last one, up to the second and the third.
  for (uint64_t i = 0; i < 40; ++i) {
    Store& store = home.Open();
    for (const auto& [id, data] : streams) {
      if (i % 8 == 0) CHECK(Get(store, id).value() == data);
    }
    Bytes data = RandomBytes(seed + i, 100000 + 20000 * i);
    bytes += data.size();
    const StreamId id = Put(store, data).value().id;
    streams[id] = std::move(data);
    home.Close();
    INFO(bytes << " bytes in " << i + 1 << " streams");
    CHECK(home.ContainerBytes() < bytes + bytes / 20 + (300u << 10));
  }
  Store& store = home.Open();
  CHECK(store.Verify({}).value().container_damage.empty());
  for (const auto& [id, data] : streams) CHECK(Get(store, id).value() == data);
}

TEST_CASE("while a store is open its container has its whole space") {
  FileHome home;
  CHECK(Put(home.Open(), RandomBytes(test::Seed(), 1000)).ok());
  CHECK(home.ContainerBytes() >= 8u << 20);
  home.Close();
  CHECK(home.ContainerBytes() < 1u << 20);
  Store& store = home.Open();
  CHECK(home.ContainerBytes() < 1u << 20);  // Who only reads takes none.
  CHECK(Put(store, RandomBytes(test::Seed() + 1, 1000)).ok());
  CHECK(home.ContainerBytes() >= 8u << 20);
}

TEST_CASE("a collection that seals a container gives back what it does not use") {
  FileHome home;
  Store& store = home.Open();
  const StreamId id = Put(store, RandomBytes(test::Seed(), 500000)).value().id;
  CHECK(home.ContainerBytes() >= 8u << 20);
  REQUIRE(store.CollectGarbage({}).ok());
  CHECK(Get(store, id).value() == RandomBytes(test::Seed(), 500000));
  home.Close();
  CHECK(home.ContainerBytes() < 1u << 20);
  CHECK(home.Open().Verify({}).value().streams.empty());
}

TEST_CASE("on a full disk deletions take the few KiB that they need, whatever is open") {
  FullDiskHome home;
  std::vector<StreamId> streams;
  const uint64_t seed = test::Seed();
  home.Open();
  for (uint64_t i = 0; i < 500; ++i) {
    streams.push_back(Put(home.store(), RandomBytes(seed + i, 1000)).value().id);
  }
  Store& store = home.Open();
  home.is_full = true;
  const uint64_t before = home.ContainerBytes();
  // Their records fill the open container and more.
  for (size_t i = 1; i < streams.size(); ++i) {
    const uint64_t bytes = home.ContainerBytes();
    REQUIRE(store.Delete(streams[i]).ok());
    REQUIRE(home.ContainerBytes() < bytes + (200u << 10));
  }
  CHECK(home.ContainerBytes() > before + (1u << 20));
  CHECK(absl::IsResourceExhausted(Put(store, RandomBytes(seed + 1000, 1000)).status()));
  CHECK(Get(store, streams[0]).value() == RandomBytes(seed, 1000));
  home.Check();
}

TEST_CASE("on a full disk a collection frees what is dead and copies nothing") {
  FullDiskHome home;
  const uint64_t seed = test::Seed();
  StreamId kept = Put(home.Open(), RandomBytes(seed, 300000)).value().id;
  const StreamId deleted = Put(home.Open(), RandomBytes(seed + 1, 5u << 20)).value().id;
  Store& store = home.Open();
  home.is_full = true;
  const uint64_t before = home.ContainerBytes();
  REQUIRE(store.Delete(deleted).ok());
  const GarbageReport report = store.CollectGarbage({}).value();
  CHECK(report.containers_freed >= 3);
  CHECK(report.live_bytes_copied == 0);
  CHECK(home.ContainerBytes() + report.containers_freed * (1u << 20) < before + (100u << 10));
  CHECK(Get(store, kept).value() == RandomBytes(seed, 300000));
  home.is_full = false;
  CHECK(store.CollectGarbage({}).value().live_bytes_copied > 0);
  CHECK(Get(store, kept).value() == RandomBytes(seed, 300000));
  home.Check();
}

}  // namespace strata::dedup

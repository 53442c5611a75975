// SPDX-License-Identifier: Apache-2.0
//
// What a store in a file takes of the disk: no more than what is in it.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>

#include "fixture.h"
#include "strata/dedup/directory.h"

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
  const fs::path path_ = fs::temp_directory_path() / ("strata-space-" + std::to_string(getpid()));
  std::unique_ptr<Directory> directory_;
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

}  // namespace strata::dedup

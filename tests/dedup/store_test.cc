// SPDX-License-Identifier: Apache-2.0
//
// What a user of dedup::Store sees, on a memory device and the memory kv engine.
#include "strata/dedup/store.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "strata/base/random.h"
#include "strata/block/devices.h"
#include "strata/kv/engines.h"
#include "support/seed.h"

namespace strata::dedup {
namespace {

std::vector<std::byte> RandomBytes(uint64_t seed, size_t size) {
  std::vector<std::byte> bytes(size);
  Random(seed).Fill(bytes);
  return bytes;
}

struct Home {
  explicit Home(uint64_t device_bytes = 64u << 20) {
    device = *block::CreateMemoryDevice({.block_count = device_bytes / 4096});
    kv = kv::CreateMemoryStore();
    options.device = device.get();
    options.kv = kv.get();
    options.container_bytes = 1u << 20;
  }
  void Open() {
    store.reset();
    auto opened = Store::Open(options);
    INFO(opened.status());
    REQUIRE(opened.ok());
    store = *std::move(opened);
  }
  StreamInfo Put(std::span<const std::byte> data) {
    const std::unique_ptr<Writer> writer = store->NewWriter();
    REQUIRE(writer->Write(data).ok());
    auto info = writer->Finish();
    INFO(info.status());
    REQUIRE(info.ok());
    return *info;
  }
  std::vector<std::byte> Get(const StreamId& id) {
    auto reader = store->OpenReader(id);
    INFO(reader.status());
    REQUIRE(reader.ok());
    std::vector<std::byte> data((*reader)->info().size_bytes);
    auto size = (*reader)->Read(0, data);
    INFO(size.status());
    REQUIRE(size.ok());
    REQUIRE(*size == data.size());
    return data;
  }

  std::unique_ptr<block::Device> device;
  std::unique_ptr<kv::Store> kv;
  StoreOptions options;
  std::unique_ptr<Store> store;
};

}  // namespace

TEST_CASE("streams come back as they went in, before and after reopening") {
  Home home;
  home.Open();
  std::vector<std::pair<StreamId, std::vector<std::byte>>> streams;
  const uint64_t seed = test::Seed();
  for (const size_t size : {0u, 1u, 4095u, 4096u, 16384u, 100000u, 3000000u}) {
    std::vector<std::byte> data = RandomBytes(seed + size, size);
    const StreamInfo info = home.Put(data);
    CHECK(info.size_bytes == size);
    streams.emplace_back(info.id, std::move(data));
  }
  for (int round = 0; round < 2; ++round) {
    for (const auto& [id, data] : streams) {
      INFO("round " << round << ", size " << data.size());
      CHECK(home.Get(id) == data);
    }
    home.Open();
  }
}

TEST_CASE("an equal stream stores nothing new") {
  Home home;
  home.Open();
  const std::vector<std::byte> data = RandomBytes(test::Seed(), 5000000);
  const StreamInfo first = home.Put(data);
  CHECK(first.new_chunk_bytes == data.size());
  const Stats before = home.store->Stats();
  const StreamInfo second = home.Put(data);
  CHECK(second.new_chunk_bytes == 0);
  CHECK(second.new_stored_bytes == 0);
  const Stats after = home.store->Stats();
  CHECK(after.unique_bytes == before.unique_bytes);
  CHECK(after.container_bytes == before.container_bytes);
  CHECK(after.duplicate_bytes == data.size());
  CHECK(after.logical_bytes == 2 * data.size());
  CHECK(home.Get(second.id) == data);
}

TEST_CASE("deleted streams are gone, the others stay") {
  Home home;
  home.Open();
  const std::vector<std::byte> data = RandomBytes(test::Seed(), 300000);
  const StreamInfo keep = home.Put(data);
  const StreamInfo drop = home.Put(data);
  REQUIRE(home.store->Delete(drop.id).ok());
  CHECK(absl::IsNotFound(home.store->OpenReader(drop.id).status()));
  CHECK(absl::IsNotFound(home.store->Delete(drop.id)));
  CHECK(home.Get(keep.id) == data);
  CHECK(home.store->Stats().stream_count == 1);
}

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
//
// A full device and a damaged one: errors say what it is, and touch nothing else.
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "records/digests.h"
#include "store_fixture.h"
#include "strata/block/devices.h"
#include "strata/kv/engines.h"
#include "support/block/fault_device.h"

namespace strata::object::test {
namespace {

// A store on a device of the test's own.
struct OwnDevice {
  explicit OwnDevice(std::unique_ptr<block::Device> own)
      : device(std::move(own)), kv(kv::CreateMemoryStore()) {
    Open();
  }

  // Anew, so that no cache knows what the device has.
  void Open() {
    store.reset();
    dedup.reset();
    dedup::StoreOptions dedup_options;
    dedup_options.device = device.get();
    dedup_options.kv = kv.get();
    dedup_options.container_bytes = 1u << 20;
    dedup = Must(dedup::Store::Open(dedup_options));
    StoreOptions options;
    options.dedup = dedup.get();
    options.kv = kv.get();
    store = Must(Store::Open(options));
  }

  absl::Status Put(const std::string& key, const std::string& content) {
    auto writer = store->NewWriter("bkt", key, {});
    if (!writer.ok()) return writer.status();
    const absl::Status status = (*writer)->Write(AsBytes(content));
    if (!status.ok()) return status;
    return (*writer)->Finish({}).status();
  }

  absl::StatusOr<std::string> Get(const std::string& key) {
    auto reader = store->OpenReader("bkt", key, {});
    if (!reader.ok()) return reader.status();
    return ReadAll(reader->get());
  }

  std::unique_ptr<block::Device> device;
  std::unique_ptr<kv::Store> kv;
  std::unique_ptr<dedup::Store> dedup;
  std::unique_ptr<Store> store;
};

TEST_CASE(
    "A full device refuses what is new, keeps what is there, and takes more after a deletion") {
  OwnDevice own(Must(block::CreateMemoryDevice({.block_count = (16u << 20) / 4096})));
  Must(own.store->CreateBucket("bkt", ""));
  constexpr size_t kObjectBytes = 500000;
  uint64_t stored = 0;
  absl::Status status;
  for (; stored < 100; ++stored) {
    status = own.Put(std::to_string(stored), Content(stored, kObjectBytes));
    if (!status.ok()) break;
  }
  INFO("after " << stored << " objects: " << status);
  REQUIRE(stored > 10);
  CHECK(ReasonOf(status) == Reason::kStorageFull);
  CHECK(absl::IsResourceExhausted(status));
  CHECK(own.dedup->Stats().stream_count == stored);
  for (uint64_t i = 0; i < stored; ++i) {
    REQUIRE(Must(own.Get(std::to_string(i))) == Content(i, kObjectBytes));
  }
  for (uint64_t i = 0; i < stored / 2; ++i) {
    Must(own.store->Delete("bkt", std::to_string(i), "").status());
  }
  const dedup::GarbageReport report = Must(own.dedup->CollectGarbage({}));
  CHECK(report.containers_freed > 0);
  Must(own.Put("again", Content(1000, kObjectBytes)));
  CHECK(Must(own.Get("again")) == Content(1000, kObjectBytes));
  CHECK(Must(own.Get(std::to_string(stored - 1))) == Content(stored - 1, kObjectBytes));
}

TEST_CASE("A damaged object is an error that says so, never wrong bytes; others still read") {
  block::FaultDisk disk({.block_count = (32u << 20) / 4096, .seed = 1});
  OwnDevice own(disk.Open());
  Must(own.store->CreateBucket("bkt", ""));
  constexpr size_t kObjectBytes = 3000000;
  for (uint64_t i = 0; i < 4; ++i) Must(own.Put(std::to_string(i), Content(i, kObjectBytes)));
  own.Open();

  // Somewhere inside of the second object, whose bytes cannot be compressed.
  const uint64_t middle_block = (kObjectBytes + kObjectBytes / 2) / 4096;
  for (uint64_t block = 0; block < 40; ++block) {
    disk.FlipBitAtRest(block::Lba{middle_block + block}, 12345);
  }
  int damaged = 0;
  for (uint64_t i = 0; i < 4; ++i) {
    const absl::StatusOr<std::string> content = own.Get(std::to_string(i));
    if (content.ok()) {
      CHECK(*content == Content(i, kObjectBytes));
    } else {
      INFO(content.status());
      CHECK(ReasonOf(content) == Reason::kDamaged);
      CHECK(absl::IsDataLoss(content.status()));
      ++damaged;
    }
  }
  CHECK(damaged >= 1);
  CHECK(damaged <= 2);

  // Damage does not keep an object from going.
  for (uint64_t i = 0; i < 4; ++i) Must(own.store->Delete("bkt", std::to_string(i), "").status());
  Must(own.store->DeleteBucket("bkt"));
}

TEST_CASE("A stream that is lost makes its object damaged, and the object can still be removed") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  f.Put("bkt", "one", Content(1, 100000));
  f.Put("bkt", "other", Content(2, 100000));
  const std::vector<dedup::StreamInfo> streams = Must(f.dedup().List({}, 10));
  REQUIRE(streams.size() == 2);
  Must(f.dedup().Delete(streams[0].id));
  int damaged = 0;
  for (const char* key : {"one", "other"}) {
    const absl::StatusOr<std::string> content = f.TryGet("bkt", key);
    if (content.ok()) continue;
    CHECK(ReasonOf(content) == Reason::kDamaged);
    ++damaged;
  }
  CHECK(damaged == 1);
  for (const char* key : {"one", "other"}) Must(f.store().Delete("bkt", key, "").status());
  f.ReapAll();
  CHECK(f.StreamCount() == 0);
  CHECK(KeysOf(Must(f.store().List("bkt", {}))).empty());
}

}  // namespace
}  // namespace strata::object::test

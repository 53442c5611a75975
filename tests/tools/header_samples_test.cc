// SPDX-License-Identifier: Apache-2.0
//
// The samples in the banners of public headers, compiled and run. header_samples_test.py sees to it
// that each stands here as it stands in its header.
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "strata/base/status_macros.h"
#include "strata/block/buffer.h"
#include "strata/block/device.h"
#include "strata/block/devices.h"
#include "strata/dedup/catalogue.h"
#include "strata/dedup/directory.h"
#include "strata/dedup/store.h"
#include "strata/ec/code.h"
#include "strata/ec/engine.h"
#include "strata/kv/engines.h"
#include "strata/kv/store.h"
#include "strata/object/store.h"
#include "support/block/temp_file.h"
#include "support/must.h"

namespace strata {
namespace {

using test::Must;

}  // namespace

namespace block {
namespace {

void OnRead(Request* request) { *static_cast<bool*>(request->context) = request->status.ok(); }

absl::Status Sample(const Segment& segment, bool* was_read) {
  // Sample of libnvmedrv/block/include/strata/block/device.h
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Device> device,
                          CreateMemoryDevice({.block_count = 1024}));
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Channel> channel, device->OpenChannel({}));
  Request read{.op = Op::kRead,
               .lba = Lba{8},
               .block_count = 1,
               .segments = {&segment, 1},
               .done = &OnRead,
               .context = was_read};
  STRATA_RETURN_IF_ERROR(channel->Submit(&read));
  while (channel->in_flight() > 0) channel->Poll(32);
  // End.
  return absl::OkStatus();
}

}  // namespace
}  // namespace block

namespace kv {
namespace {

absl::Status Sample(Store* store) {
  // Sample of libkv/include/strata/kv/store.h
  STRATA_ASSIGN_OR_RETURN(SpaceId users, store->OpenSpace("users", {}));
  std::unique_ptr<Transaction> txn = store->Begin();
  STRATA_ASSIGN_OR_RETURN(std::optional<std::string> name, txn->Get(users, "ada"));
  STRATA_RETURN_IF_ERROR(txn->Put(users, "ada", "countess"));
  // Aborted: somebody else was quicker; run it again.
  STRATA_RETURN_IF_ERROR(txn->Commit(Durability::kSync));
  // End.
  return absl::OkStatus();
}

}  // namespace
}  // namespace kv

namespace ec {
namespace {

void OnDone(Job* job) { *static_cast<bool*>(job->context) = job->status.ok(); }

absl::Status Sample(const Code* code, std::span<const ConstBytes> data,
                    std::span<const Bytes> parity, bool* done) {
  // Sample of libec/include/strata/ec/engine.h
  std::unique_ptr<Engine> engine = CreatePoolEngine({.threads = 2});
  Job job{.kind = JobKind::kEncode,
          .code = code,
          .data = data,
          .parity = parity,
          .done = &OnDone,
          .context = done};
  STRATA_RETURN_IF_ERROR(engine->Submit(&job));
  while (engine->in_flight() > 0) engine->Poll(32);
  // End.
  return absl::OkStatus();
}

}  // namespace
}  // namespace ec

namespace dedup {
namespace {

absl::Status StoreSample(block::Device* device, kv::Store* kv, std::span<const std::byte> bytes) {
  // Sample of libdedup/include/strata/dedup/store.h
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open({.device = device, .kv = kv}));
  std::unique_ptr<Writer> writer = store->NewWriter();
  STRATA_RETURN_IF_ERROR(writer->Write(bytes));
  STRATA_ASSIGN_OR_RETURN(StreamInfo info, writer->Finish());  // Durable from here on.
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Reader> reader, store->OpenReader(info.id));
  // End.
  CHECK(reader->info().size_bytes == bytes.size());
  return absl::OkStatus();
}

absl::Status CatalogueSample(Directory* directory, std::span<const std::byte> bytes) {
  // Sample of libdedup/include/strata/dedup/catalogue.h
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Catalogue> catalogue,
                          Catalogue::Open(&directory->store(), &directory->kv()));
  std::unique_ptr<Writer> writer = directory->store().NewWriter();
  STRATA_RETURN_IF_ERROR(writer->Write(bytes));
  STRATA_RETURN_IF_ERROR(writer->Prepare().status());
  CatalogueChange change{.add = {{"home/letter", {.mode = 0600}, writer.get()}}};
  STRATA_RETURN_IF_ERROR(catalogue->Commit(change, kv::Durability::kSync));
  STRATA_ASSIGN_OR_RETURN(CatalogueEntry entry, catalogue->Get("home/letter"));
  // End.
  CHECK(entry.mode == 0600);
  return absl::OkStatus();
}

absl::Status DirectorySample(const std::string& path) {
  // Sample of libdedup/include/strata/dedup/directory.h
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Directory> directory, Directory::Open({.path = path}));
  std::unique_ptr<Writer> writer = directory->store().NewWriter();
  // End.
  return writer->Finish().status();
}

}  // namespace
}  // namespace dedup

namespace object {
namespace {

absl::Status Sample(dedup::Store* dedup, kv::Store* kv, std::span<const std::byte> bytes) {
  // Sample of libobject/include/strata/object/store.h
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open({.dedup = dedup, .kv = kv}));
  STRATA_RETURN_IF_ERROR(store->CreateBucket("backups", "ada"));
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<ObjectWriter> writer,
                          store->NewWriter("backups", "monday.tar", {}));
  STRATA_RETURN_IF_ERROR(writer->Write(bytes));
  STRATA_ASSIGN_OR_RETURN(ObjectInfo info, writer->Finish({}));  // Durable and visible.
  // End.
  CHECK(info.size_bytes == bytes.size());
  return absl::OkStatus();
}

}  // namespace
}  // namespace object

namespace {

TEST_CASE("the sample of block/device.h runs") {
  std::vector<std::byte> bytes(4096);
  const block::Segment segment{bytes.data(), bytes.size()};
  bool was_read = false;
  REQUIRE(block::Sample(segment, &was_read).ok());
  CHECK(was_read);
}

TEST_CASE("the sample of kv/store.h runs") {
  REQUIRE(kv::Sample(kv::CreateMemoryStore().get()).ok());
}

TEST_CASE("the sample of ec/engine.h runs") {
  const auto code = Must(ec::CreateReedSolomon({.data_shards = 4, .parity_shards = 2}));
  std::array<std::array<std::byte, 4096>, 6> shards{};
  const std::vector<ec::ConstBytes> data(shards.begin(), shards.begin() + 4);
  const std::vector<ec::Bytes> parity(shards.begin() + 4, shards.end());
  bool done = false;
  REQUIRE(ec::Sample(code.get(), data, parity, &done).ok());
  CHECK(done);
}

TEST_CASE("the samples of dedup and object run") {
  const std::vector<std::byte> bytes(100'000, std::byte{7});
  const auto device = Must(block::CreateMemoryDevice({.block_count = 64u << 10}));
  const std::unique_ptr<kv::Store> kv = kv::CreateMemoryStore();
  REQUIRE(dedup::StoreSample(device.get(), kv.get(), bytes).ok());
  const auto dedup = Must(dedup::Store::Open({.device = device.get(), .kv = kv.get()}));
  REQUIRE(object::Sample(dedup.get(), kv.get(), bytes).ok());
  const block::TempFile folder;
  REQUIRE(dedup::DirectorySample(folder.folder() + "/backup").ok());
  const auto directory = Must(dedup::Directory::Open({.path = folder.folder() + "/backup"}));
  REQUIRE(dedup::CatalogueSample(directory.get(), bytes).ok());
}

}  // namespace
}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
//
// Power cuts and failing I/O: what was acknowledged is there, what was not is there whole or not at
// all, and no stream is left that nothing refers to.
#include <catch2/catch.hpp>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "records/digests.h"
#include "store_fixture.h"
#include "strata/base/random.h"
#include "support/block/fault_device.h"
#include "support/kv/crash_kv.h"
#include "support/seed.h"

namespace strata::object::test {
namespace {

constexpr uint64_t kDeviceBlocks = (48u << 20) / 4096;

// A store over a disk and a kv store that lose power together.
class Machine {
 public:
  explicit Machine(uint64_t seed)
      : disk_(std::make_unique<block::FaultDisk>(
            block::FaultDiskOptions{.block_count = kDeviceBlocks, .seed = seed})),
        kv_(std::make_unique<strata::test::CrashKv>()) {
    Connect();
  }

  block::FaultDisk& disk() { return *disk_; }
  strata::test::CrashKv& kv() { return *kv_; }

  void PowerCut(uint64_t seed) {
    auto kv = kv_->PowerCut(seed);
    disk_ = disk_->PowerCut(seed);
    kv_ = std::move(kv);
    Connect();
  }

  // What runs on the machine while it has power.
  struct Running {
    std::unique_ptr<block::Device> device;
    std::unique_ptr<kv::Store> kv;
    std::unique_ptr<dedup::Store> dedup;
    std::unique_ptr<Store> store;
  };
  absl::StatusOr<Running> Start() {
    Running running;
    running.device = disk_->Open();
    running.kv = kv_->Open();
    dedup::StoreOptions dedup_options;
    dedup_options.device = running.device.get();
    dedup_options.kv = running.kv.get();
    dedup_options.container_bytes = 1u << 20;
    dedup_options.region_bytes = 32u << 10;
    dedup_options.journal = true;
    dedup_options.journal_checkpoint_bytes = 4096;
    auto dedup = dedup::Store::Open(dedup_options);
    if (!dedup.ok()) return dedup.status();
    running.dedup = *std::move(dedup);
    StoreOptions options;
    options.dedup = running.dedup.get();
    options.kv = running.kv.get();
    auto store = Store::Open(options);
    if (!store.ok()) return store.status();
    running.store = *std::move(store);
    return running;
  }

 private:
  void Connect() {
    kv_->SetPowered([disk = disk_.get()] { return disk->powered(); });
  }

  std::unique_ptr<block::FaultDisk> disk_;
  std::unique_ptr<strata::test::CrashKv> kv_;
};

using MaybeContent = std::optional<std::string>;
using VersionName = std::pair<std::string, std::string>;  // Key, version id.

// What the client was told, and what it cannot know.
struct Promises {
  bool buckets_made = false;
  std::map<std::string, std::set<MaybeContent>> plain;        // Any of these states.
  std::map<VersionName, std::string> versions;                // Must be there.
  std::map<VersionName, std::string> perhaps_deleted;         // Is there, or not.
  std::set<std::pair<std::string, std::string>> perhaps_put;  // Key and content: may be there.
  std::map<std::string, std::pair<UploadInfo, std::string>> uploads;  // Must be there, with part 1.
};

class Client {
 public:
  Client(Store* store, uint64_t seed, Promises* promises)
      : store_(store), random_(seed), promises_(promises) {}

  // Does `steps` things; stops at the first that fails.
  absl::Status Run(int steps) {
    absl::Status status = MakeBuckets();
    for (int i = 0; i < steps && status.ok(); ++i) status = Step();
    return status;
  }

 private:
  absl::Status MakeBuckets() {
    if (promises_->buckets_made) return absl::OkStatus();
    for (const char* name : {"plain", "kept"}) {
      const absl::Status status = store_->CreateBucket(name, "");
      if (!status.ok() && ReasonOf(status) != Reason::kBucketAlreadyOwnedByYou) return status;
    }
    const absl::Status status = store_->SetVersioning("kept", Versioning::kEnabled);
    promises_->buckets_made = status.ok();
    return status;
  }

  absl::Status Step() {
    switch (random_.Uniform(10)) {
      case 0:
      case 1:
      case 2:
        return PutPlain();
      case 3:
        return DeletePlain();
      case 4:
      case 5:
        return PutVersion();
      case 6:
        return DeleteVersion();
      case 7:
        return CopyPlain();
      case 8:
        return Upload();
      default:
        return FinishUpload();
    }
  }

  std::string NewKey() { return std::string(1, static_cast<char>('a' + random_.Uniform(5))); }
  std::string NewContent() {
    std::string content;
    for (uint64_t pieces = random_.Uniform(4); pieces > 0; --pieces) {
      content += Content(random_.Uniform(30), 5000 + random_.Uniform(60000));
    }
    return content + std::to_string(random_.Next64());
  }

  absl::StatusOr<ObjectInfo> Put(std::string_view bucket, const std::string& key,
                                 const std::string& content) {
    auto writer = store_->NewWriter(bucket, key, {});
    if (!writer.ok()) return writer.status();
    const absl::Status status = (*writer)->Write(AsBytes(content));
    return status.ok() ? (*writer)->Finish({}) : status;
  }

  // One of the outcomes, until it is known which.
  absl::Status Settle(const std::string& key, const MaybeContent& outcome, absl::Status status) {
    std::set<MaybeContent>& states = promises_->plain[key];
    if (states.empty()) states.insert(std::nullopt);
    if (status.ok()) states.clear();
    states.insert(outcome);
    return status;
  }

  absl::Status PutPlain() {
    const std::string key = NewKey(), content = NewContent();
    return Settle(key, content, Put("plain", key, content).status());
  }

  absl::Status DeletePlain() {
    const std::string key = NewKey();
    return Settle(key, std::nullopt, store_->Delete("plain", key, "").status());
  }

  absl::Status CopyPlain() {
    const std::string from = NewKey(), to = NewKey();
    auto reader = store_->OpenReader("plain", from, {});
    if (ReasonOf(reader) == Reason::kNoSuchKey) return absl::OkStatus();
    if (!reader.ok()) return reader.status();
    const absl::StatusOr<std::string> content = ReadAll(reader->get());
    if (!content.ok()) return content.status();
    CopySource source;
    source.bucket = "plain";
    source.key = from;
    return Settle(to, *content, store_->Copy(source, "plain", to, {}).status());
  }

  absl::Status PutVersion() {
    const std::string key = NewKey(), content = NewContent();
    const absl::StatusOr<ObjectInfo> info = Put("kept", key, content);
    if (info.ok()) {
      promises_->versions[{key, info->version_id}] = content;
    } else {
      promises_->perhaps_put.insert({key, content});
    }
    return info.status();
  }

  absl::Status DeleteVersion() {
    if (promises_->versions.empty()) return absl::OkStatus();
    auto at = promises_->versions.begin();
    std::advance(at, random_.Uniform(promises_->versions.size()));
    const VersionName name = at->first;
    promises_->perhaps_deleted.insert(promises_->versions.extract(at));
    const absl::Status status = store_->Delete("kept", name.first, name.second).status();
    if (status.ok()) promises_->perhaps_deleted.erase(name);
    return status;
  }

  absl::Status Upload() {
    const auto upload = store_->CreateUpload("plain", NewKey(), {});
    if (!upload.ok()) return upload.status();
    const std::string content = NewContent();
    for (const uint32_t number : {1u, 2u}) {
      auto writer = store_->NewPartWriter({"plain", upload->key, upload->upload_id}, number, {});
      if (!writer.ok()) return writer.status();
      absl::Status status = (*writer)->Write(AsBytes(content));
      if (status.ok()) status = (*writer)->Finish({}).status();
      if (!status.ok()) return status;
    }
    promises_->uploads[upload->upload_id] = {*upload, content};
    return absl::OkStatus();
  }

  // Completes or aborts one. Part 2 is never listed.
  absl::Status FinishUpload() {
    if (promises_->uploads.empty()) return absl::OkStatus();
    const auto [upload, content] = promises_->uploads.begin()->second;
    promises_->uploads.erase(promises_->uploads.begin());
    if (random_.Chance(0.3)) {
      return store_->AbortUpload({"plain", upload.key, upload.upload_id});
    }
    const auto parts = store_->ListParts({"plain", upload.key, upload.upload_id}, {0, 1});
    if (!parts.ok()) return parts.status();
    CompletedPart part;
    part.part_number = 1;
    part.etag = parts->parts.at(0).etag;
    return Settle(
        upload.key, content,
        store_->CompleteUpload({"plain", upload.key, upload.upload_id}, {part}, {}).status());
  }

  Store* const store_;
  Random random_;
  Promises* const promises_;
};

MaybeContent Read(Store& store, std::string_view bucket, const std::string& key,
                  const std::string& version_id) {
  GetOptions options;
  options.version_id = version_id;
  auto reader = store.OpenReader(bucket, key, options);
  if (ReasonOf(reader) == Reason::kNoSuchKey || ReasonOf(reader) == Reason::kNoSuchVersion) {
    return std::nullopt;
  }
  INFO(bucket << "/" << key << " " << version_id << ": " << reader.status());
  REQUIRE(reader.ok());
  const absl::StatusOr<std::string> content = ReadAll(reader->get());
  INFO("reading: " << content.status());
  REQUIRE(content.ok());
  return *content;
}

// What is in doubt becomes known here.
void Check(Store& store, Promises* promises) {
  if (!promises->buckets_made) return;
  for (auto& [key, states] : promises->plain) {
    const MaybeContent found = Read(store, "plain", key, "");
    INFO("key " << key << " is " << (found.has_value() ? "there" : "gone"));
    REQUIRE(states.contains(found));
    states = {found};
  }
  const ListPage page = Must(store.ListVersions("kept", {}));
  std::map<VersionName, std::string> there;
  for (const ObjectInfo& object : page.objects) {
    const MaybeContent content = Read(store, "kept", object.key, object.version_id);
    REQUIRE(content.has_value());
    const VersionName name{object.key, object.version_id};
    there[name] = *content;
    const bool known = promises->versions.contains(name) ||
                       promises->perhaps_deleted.contains(name) ||
                       promises->perhaps_put.contains({object.key, *content});
    INFO("version " << object.version_id << " of " << object.key);
    REQUIRE(known);
  }
  for (const auto& [name, content] : promises->versions) {
    INFO("version " << name.second << " of " << name.first);
    REQUIRE(there.contains(name));
    REQUIRE(there[name] == content);
  }
  promises->versions = there;
  promises->perhaps_deleted.clear();
  promises->perhaps_put.clear();
  for (const auto& [id, upload] : promises->uploads) {
    const auto parts = store.ListParts({"plain", upload.first.key, id}, {0, 10});
    INFO("upload " << id << ": " << parts.status());
    REQUIRE(parts.ok());
    REQUIRE(parts->parts.size() == 2);
    REQUIRE(parts->parts[0].size_bytes == upload.second.size());
  }
}

// Removes everything there is; then no stream may be left.
void CheckNothingLeaks(Machine::Running& running, const Promises& promises) {
  if (!promises.buckets_made) return;
  Store& store = *running.store;
  const dedup::VerifyReport report = Must(running.dedup->Verify({}));
  REQUIRE(report.container_damage.empty());
  REQUIRE(report.streams.empty());
  for (const char* bucket : {"plain", "kept"}) {
    for (const ObjectInfo& object : Must(store.ListVersions(bucket, {})).objects) {
      Must(store.Delete(bucket, object.key, object.version_id).status());
    }
    for (const UploadInfo& upload : Must(store.ListUploads(bucket, {}, "")).uploads) {
      Must(store.AbortUpload({bucket, upload.key, upload.upload_id}));
    }
    Must(store.DeleteBucket(bucket));
  }
  while (Must(store.ReapStreams(1000)) > 0) {
  }
  REQUIRE(running.dedup->Stats().stream_count == 0);
}

// Runs a client until it is done or fails. True: done.
bool RunClient(Machine& machine, uint64_t seed, int steps, Promises* promises) {
  absl::StatusOr<Machine::Running> running = machine.Start();
  if (!running.ok()) return false;
  return Client(running->store.get(), seed, promises).Run(steps).ok();
}

void CheckMachine(Machine& machine, Promises* promises, bool is_last) {
  absl::StatusOr<Machine::Running> running = machine.Start();
  INFO("starting: " << running.status());
  REQUIRE(running.ok());
  Check(*running->store, promises);
  if (is_last) CheckNothingLeaks(*running, *promises);
}

TEST_CASE("Nothing acknowledged is lost, nothing half-done is seen, in 200 power cuts") {
  const uint64_t seed = strata::test::Seed();
  int stopped = 0;
  for (uint64_t round = 0; round < 100; ++round) {
    INFO("STRATA_SEED=" << seed << " round " << round);
    Random random(seed + round);
    Machine machine(random.Next64());
    Promises promises;
    for (const bool is_last : {false, true}) {
      machine.disk().CutPowerAfter(random.Uniform(50));
      if (!RunClient(machine, random.Next64(), 30, &promises)) ++stopped;
      machine.PowerCut(random.Next64());
      CheckMachine(machine, &promises, is_last);
    }
  }
  CHECK(stopped > 100);  // Else the cuts came too late to show anything.
}

TEST_CASE("A power cut at every device write and flush of a history") {
  const uint64_t seed = strata::test::Seed();
  uint64_t points = 0;
  for (uint64_t n = 0;; ++n, ++points) {
    INFO("STRATA_SEED=" << seed << " power cut after " << n << " device writes and flushes");
    Machine machine(seed);
    Promises promises;
    machine.disk().CutPowerAfter(n);
    const bool done = RunClient(machine, seed, 25, &promises);
    machine.PowerCut(seed + n);
    CheckMachine(machine, &promises, true);
    if (done) break;
  }
  CHECK(points > 20);
}

TEST_CASE("A power cut at every kv commit of a history") {
  const uint64_t seed = strata::test::Seed();
  uint64_t points = 0;
  for (uint64_t n = 0;; ++n, ++points) {
    INFO("STRATA_SEED=" << seed << " power cut after " << n << " kv commits");
    Machine machine(seed);
    Promises promises;
    machine.kv().CutPowerAfter(n, [&machine] { machine.disk().CutPowerAfter(0); });
    const bool done = RunClient(machine, seed, 25, &promises);
    machine.PowerCut(seed + n);
    CheckMachine(machine, &promises, true);
    if (done) break;
  }
  CHECK(points > 10);
}

TEST_CASE("Each device I/O fails once: a clear error, and nothing acknowledged is lost") {
  const uint64_t seed = strata::test::Seed();
  for (uint64_t n = 1;; ++n) {
    INFO("STRATA_SEED=" << seed << " I/O " << n << " fails");
    Machine machine(seed);
    Promises promises;
    machine.disk().Inject({.nth = n});
    RunClient(machine, seed, 15, &promises);
    const bool is_last = machine.disk().faults_fired() == 0;
    machine.disk().ClearFaults();
    CheckMachine(machine, &promises, true);
    if (is_last) break;
  }
}

}  // namespace
}  // namespace strata::object::test

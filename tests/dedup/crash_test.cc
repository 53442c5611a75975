// SPDX-License-Identifier: Apache-2.0
//
// Power cuts, killed processes and failing I/O: what was acknowledged stays, what was not is gone
// or whole.
#include <map>
#include <optional>
#include <string>

#include "journaled.h"
#include "support/block/fault_device.h"
#include "support/kv/crash_kv.h"
#include "support/rounds.h"

namespace strata::dedup {
namespace {

constexpr uint64_t kDeviceBlocks = (13u << 20) / 4096;

// What the user was told.
struct Promises {
  std::map<StreamId, Bytes> stored;           // Must be there.
  std::map<StreamId, Bytes> perhaps_deleted;  // Deletion in doubt: whole or gone.
};

StoreOptions OptionsFor(block::Device* device, kv::Store* kv, const StoreOptions& kind) {
  StoreOptions options = kind;
  options.device = device;
  options.kv = kv;
  options.container_bytes = 1u << 20;
  options.region_bytes = 32u << 10;
  options.compression = Compression::kLz4;
  options.rewrite_min_bytes = 0;  // Chunks move at every chance.
  return options;
}

// Some of everything, until it is done or the power fails. Streams share content, so that
// duplicates matter.
class Workload {
 public:
  Workload(uint64_t seed, int steps) : random_(seed), steps_(steps) {}

  // False: an operation failed.
  bool Run(Store& store, kv::Store& kv, Promises* promises) {
    for (int i = 0; i < steps_; ++i) {
      const absl::Status status = Step(store, kv, promises);
      if (absl::IsResourceExhausted(status)) continue;
      if (!status.ok()) return false;
    }
    return true;
  }

  uint64_t containers_freed() const { return containers_freed_; }

 private:
  Bytes NewContent() {
    Bytes content;
    const size_t pieces = 1 + random_.Uniform(4);
    for (size_t i = 0; i < pieces; ++i) {
      const Bytes piece =
          TextBytes(1000 + random_.Uniform(100), 40000 + 6000 * random_.Uniform(20));
      content.insert(content.end(), piece.begin(), piece.end());
    }
    return content;
  }

  absl::Status Step(Store& store, kv::Store& kv, Promises* promises) {
    const uint64_t dice = random_.Uniform(10);
    if (dice < 5 || promises->stored.empty()) return Store1(store, promises);
    if (dice < 7) return StoreTogether(store, kv, promises);
    if (dice < 9) return Delete(store, promises);
    const absl::StatusOr<GarbageReport> report =
        random_.Uniform(2) == 0
            ? store.CollectGarbage({.rewrite_below_live_ratio = 0.9, .progress = nullptr})
            : store.FoldDuplicates({.progress = nullptr});
    if (report.ok()) containers_freed_ += report->containers_freed;
    return report.status();
  }

  absl::Status Store1(Store& store, Promises* promises) {
    Bytes content = NewContent();
    const absl::StatusOr<StreamInfo> info = Put(store, content);
    if (info.ok()) promises->stored[info->id] = std::move(content);
    return info.status();
  }

  // Two writers at a time, one commit that also replaces an older stream.
  absl::Status StoreTogether(Store& store, kv::Store& kv, Promises* promises) {
    const Bytes contents[2] = {NewContent(), NewContent()};
    const std::unique_ptr<Writer> writers[2] = {store.NewWriter(), store.NewWriter()};
    StreamId ids[2];
    for (const int i : {0, 1}) {
      if (absl::Status status = writers[i]->Write(contents[i]); !status.ok()) return status;
    }
    for (const int i : {0, 1}) {
      const absl::StatusOr<StreamInfo> info = writers[i]->Prepare();
      if (!info.ok()) return info.status();
      ids[i] = info->id;
    }
    const auto replaced = Pick(*promises);
    promises->perhaps_deleted.insert(promises->stored.extract(replaced));
    const std::unique_ptr<kv::Transaction> txn = kv.Begin();
    const absl::Status status = store.Commit(
        *txn, {.add = {writers[0].get(), writers[1].get()}, .copy = {}, .remove = {replaced}},
        kv::Durability::kSync);
    if (!status.ok()) return status;
    promises->perhaps_deleted.erase(replaced);
    for (const int i : {0, 1}) promises->stored[ids[i]] = contents[i];
    return status;
  }

  absl::Status Delete(Store& store, Promises* promises) {
    const StreamId id = Pick(*promises);
    promises->perhaps_deleted.insert(promises->stored.extract(id));
    const absl::Status status = store.Delete(id);
    if (status.ok()) promises->perhaps_deleted.erase(id);
    return status;
  }

  StreamId Pick(const Promises& promises) {
    auto it = promises.stored.begin();
    std::advance(it, random_.Uniform(promises.stored.size()));
    return it->first;
  }

  Random random_;
  const int steps_;
  uint64_t containers_freed_ = 0;
};

// Opens what survived, and checks it against the promises. Then uses it once more.
void CheckSurvivor(block::Device& device, kv::Store& kv, const StoreOptions& kind,
                   const Promises& promises) {
  absl::StatusOr<std::unique_ptr<Store>> opened = Store::Open(OptionsFor(&device, &kv, kind));
  INFO(opened.status());
  REQUIRE(opened.ok());
  Store& store = **opened;
  for (const auto& [id, content] : promises.stored) {
    const absl::StatusOr<Bytes> back = Get(store, id);
    INFO("stream " << id.ToHex() << ": " << back.status());
    REQUIRE(back.ok());
    REQUIRE(*back == content);
  }
  for (const auto& [id, content] : promises.perhaps_deleted) {
    const absl::StatusOr<Bytes> back = Get(store, id);
    if (absl::IsNotFound(back.status())) continue;
    INFO("stream " << id.ToHex() << ": " << back.status());
    REQUIRE(back.ok());
    REQUIRE(*back == content);
  }
  const auto whole = [&store] {
    const absl::StatusOr<VerifyReport> report = store.Verify({});
    INFO(report.status());
    REQUIRE(report.ok());
    for (const std::string& damage : report->container_damage) UNSCOPED_INFO(damage);
    for (const Damage& damage : report->streams) UNSCOPED_INFO(damage.detail);
    REQUIRE(report->container_damage.empty());
    REQUIRE(report->streams.empty());
  };
  whole();
  const absl::StatusOr<GarbageReport> garbage = store.CollectGarbage({.progress = nullptr});
  INFO(garbage.status());
  REQUIRE(garbage.ok());
  for (const auto& [id, content] : promises.stored) REQUIRE(*Get(store, id) == content);
  const Bytes fresh = RandomBytes(4242, 300000);
  const absl::StatusOr<StreamInfo> info = Put(store, fresh);
  if (!absl::IsResourceExhausted(info.status())) {
    REQUIRE(info.ok());
    REQUIRE(*Get(store, info->id) == fresh);
  }
  whole();
}

struct Machine {
  explicit Machine(uint64_t seed)
      : disk(std::make_unique<block::FaultDisk>(
            block::FaultDiskOptions{.block_count = kDeviceBlocks, .seed = seed})),
        kv(std::make_unique<test::CrashKv>()) {
    Connect();
    kind.journal = true;
    kind.journal_checkpoint_bytes = 1000;
  }
  void Connect() {
    kv->SetPowered([disk = disk.get()] { return disk->powered(); });
  }
  // Runs the workload on a freshly opened store; false: something failed.
  bool Run(Workload& workload, Promises* promises) {
    const std::unique_ptr<block::Device> device = disk->Open();
    const std::unique_ptr<kv::Store> kv_store = kv->Open();
    absl::StatusOr<std::unique_ptr<Store>> store =
        Store::Open(OptionsFor(device.get(), kv_store.get(), kind));
    if (!store.ok()) return false;
    return workload.Run(**store, *kv_store, promises);
  }
  void PowerCut(uint64_t seed) {
    auto new_kv = kv->PowerCut(seed);
    disk = disk->PowerCut(seed);
    kv = std::move(new_kv);
    Connect();
  }
  void Check(const Promises& promises) {
    const std::unique_ptr<block::Device> device = disk->Open();
    const std::unique_ptr<kv::Store> kv_store = kv->Open();
    CheckSurvivor(*device, *kv_store, kind, promises);
    if (!kind.journal) return;
    // And with the kv store lost. A power cut may leave gaps that nobody was told of.
    CheckRebuild(OptionsFor(device.get(), kv_store.get(), kind), /*nothing_lost=*/false);
  }

  StoreOptions kind;  // Mode, workers, key, when it compresses.
  std::unique_ptr<block::FaultDisk> disk;
  std::unique_ptr<test::CrashKv> kv;
};

StoreOptions SomeKind(uint64_t seed) {
  Random random(seed);
  StoreOptions kind;
  kind.mode = static_cast<Mode>(random.Uniform(3));
  kind.worker_threads = static_cast<uint32_t>(random.Uniform(3));
  kind.defer_compression = random.Uniform(2) == 0;
  kind.journal = random.Uniform(4) != 0;
  kind.journal_checkpoint_bytes = random.Uniform(2) == 0 ? 500 : 1u << 20;
  if (random.Uniform(2) == 0) kind.encryption_key = EncryptionKey{std::byte{9}};
  return kind;
}

}  // namespace

TEST_CASE("nothing acknowledged is lost in 500 power cuts") {
  const uint64_t seed = test::Seed();
  uint64_t containers_freed = 0;
  uint64_t power_cuts = 0;
  for (uint64_t round = 0; power_cuts < test::Rounds(500); ++round) {
    INFO("STRATA_SEED=" << seed << " round " << round);
    Random random(seed + round);
    Machine machine(random.Next64());
    machine.kind = SomeKind(random.Next64());
    Promises promises;
    // Some machines lose power more than once.
    const uint64_t cuts = 1 + random.Uniform(3);
    for (uint64_t cut = 0; cut < cuts; ++cut) {
      machine.disk->CutPowerAfter(random.Uniform(150));
      Workload workload(random.Next64(), 30);
      machine.Run(workload, &promises);
      containers_freed += workload.containers_freed();
      machine.PowerCut(random.Next64());
      ++power_cuts;
    }
    machine.Check(promises);
  }
  // Otherwise the history was too tame to show anything.
  CHECK(containers_freed > test::Rounds(100));
}

TEST_CASE("a power cut at every device write and flush of a small history") {
  const uint64_t seed = test::Seed();
  uint64_t points = 0;
  for (uint64_t n = 0;; ++n, ++points) {
    INFO("STRATA_SEED=" << seed << " power cut after " << n << " device writes and flushes");
    Machine machine(seed);
    machine.disk->CutPowerAfter(n);
    Promises promises;
    Workload workload(seed, 12);
    machine.Run(workload, &promises);
    const bool last = machine.disk->powered();
    machine.PowerCut(seed + n);
    machine.Check(promises);
    if (last) break;
  }
  CHECK(points > 8);  // Otherwise the history was too tame; how many there are depends on the seed.
}

TEST_CASE("a power cut at every kv commit of a small history") {
  const uint64_t seed = test::Seed();
  uint64_t points = 0;
  for (uint64_t n = 0;; ++n, ++points) {
    INFO("STRATA_SEED=" << seed << " power cut after " << n << " kv commits");
    Machine machine(seed);
    machine.kv->CutPowerAfter(n, [&machine] { machine.disk->CutPowerAfter(0); });
    Promises promises;
    Workload workload(seed, 12);
    const bool last = machine.Run(workload, &promises);
    machine.PowerCut(seed + n);
    machine.Check(promises);
    if (last) break;
  }
  CHECK(points > 6);
}

TEST_CASE("a killed process loses nothing, however often") {
  const uint64_t seed = test::Seed();
  Machine machine(seed);
  Promises promises;
  for (uint64_t round = 0; round < 10; ++round) {
    INFO("STRATA_SEED=" << seed << " round " << round);
    Workload workload(seed + round, 6);
    REQUIRE(machine.Run(workload, &promises));
  }
  machine.PowerCut(seed);
  machine.Check(promises);
}

TEST_CASE("every device I/O fails once: errors are clear, nothing acknowledged is lost") {
  const uint64_t seed = test::Seed();
  uint64_t points = 0;
  for (uint64_t n = 1;; ++n, ++points) {
    INFO("STRATA_SEED=" << seed << " I/O " << n << " fails");
    Machine machine(seed);
    machine.kind = SomeKind(n);
    machine.disk->Inject({.nth = n});
    Promises promises;
    Workload workload(seed, 12);
    machine.Run(workload, &promises);
    const bool last = machine.disk->faults_fired() == 0;
    machine.disk->ClearFaults();
    machine.Check(promises);
    if (last) break;
  }
  CHECK(points > 8);  // Otherwise the history was too tame; how many there are depends on the seed.
}

}  // namespace strata::dedup

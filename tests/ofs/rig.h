// SPDX-License-Identifier: Apache-2.0
//
// A filesystem without files: disks that can fail and lose power, metadata likewise, and what the
// allocator and the stripes need, opened and opened again.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "disks/disk_rows.h"
#include "disks/format_disks.h"
#include "disks/open_disks.h"
#include "disks/session_rows.h"
#include "format/key_layout.h"
#include "groups/allocator.h"
#include "strata/base/status_macros.h"
#include "strata/kv/store.h"
#include "stripes/codes.h"
#include "stripes/ownerless_groups.h"
#include "stripes/stripe_reader.h"
#include "stripes/stripe_writer.h"
#include "support/block/fault_device.h"
#include "support/kv/crash_kv.h"
#include "support/must.h"

namespace strata::ofs {

using block::FaultDisk;
using strata::test::CrashKv;
using strata::test::Must;

struct RigOptions {
  int disks = 6;
  uint64_t disk_blocks = 2048;  // 8 MiB: 6 segments of 256 columns.
  int disks_per_domain = 1;
  uint32_t domain_depth = 1;
  uint64_t seed = 1;
};

// What survives a power cut.
struct Machine {
  std::vector<std::unique_ptr<FaultDisk>> disks;
  std::unique_ptr<CrashKv> kv = std::make_unique<CrashKv>();
};

inline Uuid RigUuid() {
  Uuid uuid;
  uuid.fill(std::byte{0xF5});
  return uuid;
}

inline Machine MakeMachine(const RigOptions& options) {
  Machine machine;
  FilesystemRows rows;
  rows.format = {.filesystem = RigUuid(),
                 .segment_bytes = kMinSegmentBytes,
                 .domain_depth = options.domain_depth};
  rows.pools["default"] = {.number = 1};
  std::vector<NewDisk> fresh;
  for (int i = 0; i < options.disks; ++i) {
    machine.disks.push_back(std::make_unique<FaultDisk>(block::FaultDiskOptions{
        .block_count = options.disk_blocks, .seed = options.seed * 1000 + i}));
    fresh.push_back({.device = machine.disks.back()->Open(),
                     .uri = "fault:" + std::to_string(i + 1),
                     .number = static_cast<uint32_t>(i + 1),
                     .domain = "node" + std::to_string(i / options.disks_per_domain) + "/disk" +
                               std::to_string(i + 1)});
  }
  for (const auto& disk : Must(FormatDisks(std::move(fresh), {.filesystem = RigUuid()}))) {
    const Superblock& superblock = disk->superblock();
    rows.disks[disk->number()] = {.disk = superblock.disk,
                                  .uri = disk->uri(),
                                  .domain = superblock.domain,
                                  .pool = 1,
                                  .segment_count = superblock.segment_count};
  }
  const std::unique_ptr<kv::Store> store = machine.kv->Open();
  Must(WriteFilesystemRows(Must(OpenMetadata(store.get())), rows));
  return machine;
}

// One session on a machine. Its destructor is a crash of the process; Close() ends it in order.
class Rig final {
 public:
  // `absent` disks, by number, are not opened.
  explicit Rig(Machine& machine, const std::vector<uint32_t>& absent = {})
      : machine_(machine), store_(machine.kv->Open()), metadata(Must(OpenMetadata(store_.get()))) {
    rows = Must(ReadFilesystemRows(metadata));
    std::vector<DiskSource> sources;
    for (size_t i = 0; i < machine.disks.size(); ++i) {
      if (std::find(absent.begin(), absent.end(), i + 1) != absent.end()) continue;
      sources.push_back({"fault:" + std::to_string(i + 1), machine.disks[i]->Open()});
    }
    FoundDisks found = Must(OpenDisks(std::move(sources), RigUuid(), rows.disks, {}));
    disks = std::make_unique<DiskSet>(std::move(found.disks));
    groups = std::make_unique<GroupTable>(metadata);
    const DamageSink note = [this](const Damage& one) { damage.push_back(one); };
    reader = std::make_unique<StripeReader>(
        StripeReaderOptions{RigUuid(), disks.get(), groups.get(), &codes, note});
    // As after a crash: this session is the only one, so all others are dead.
    for (const uint32_t session : Must(ListSessions(metadata))) {
      Must(EndSession(metadata, session));
    }
    started = [&]() -> absl::Status {
      STRATA_ASSIGN_OR_RETURN(session, StartSession(metadata, {.host = "test"}));
      STRATA_ASSIGN_OR_RETURN(allocator, Allocator::Open({.metadata = metadata,
                                                          .rows = rows,
                                                          .disks = disks.get(),
                                                          .groups = groups.get(),
                                                          .session = session}));
      return absl::OkStatus();
    }();
    writer = std::make_unique<StripeWriter>(
        StripeWriterOptions{RigUuid(), disks.get(), allocator.get(), &codes, note});
  }

  absl::Status SealOwnerlessGroups(const LiveBytes& live_bytes) {
    STRATA_ASSIGN_OR_RETURN(const std::vector<OwnerlessGroup> ownerless,
                            ListOwnerlessGroups(metadata));
    for (const OwnerlessGroup& group : ownerless) {
      STRATA_RETURN_IF_ERROR(
          SealOwnerless({metadata, RigUuid(), disks.get(), allocator.get(), live_bytes}, group));
    }
    return absl::OkStatus();
  }

  absl::Status Close() {
    STRATA_RETURN_IF_ERROR(allocator->Close());
    return EndSession(metadata, session);
  }

  FaultDisk& disk(uint32_t number) { return *machine_.disks[number - 1]; }

 private:
  Machine& machine_;
  std::unique_ptr<kv::Store> store_;

 public:
  Metadata metadata;
  FilesystemRows rows;
  std::vector<Damage> damage;
  Codes codes;
  std::unique_ptr<DiskSet> disks;
  std::unique_ptr<GroupTable> groups;
  std::unique_ptr<StripeReader> reader;
  uint32_t session = 0;
  absl::Status started;
  std::unique_ptr<Allocator> allocator;
  std::unique_ptr<StripeWriter> writer;
};

inline StripeName NameOf(const WrittenStripe& stripe) {
  return {stripe.columns.group, stripe.columns.column, stripe.columns.unit_blocks,
          stripe.columns.birth};
}

}  // namespace strata::ofs

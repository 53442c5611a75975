// SPDX-License-Identifier: Apache-2.0
//
// A filesystem whose disks and metadata outlive its sessions, and can fail and lose power. It is
// checked whenever no session has it open: before each session, and in the end with all its data.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "strata/base/random.h"
#include "strata/ofs/check.h"
#include "strata/ofs/file_system.h"
#include "support/block/fault_device.h"
#include "support/kv/crash_kv.h"
#include "support/must.h"

namespace strata::ofs {

using block::FaultDisk;
using test::CrashKv;
using test::Must;

using Bytes = std::vector<std::byte>;

inline Bytes Pattern(uint64_t seed, size_t size) {
  Bytes bytes(size);
  Random(seed).Fill(bytes);
  return bytes;
}

// Disks are named "fault:N".
struct Home {
  explicit Home(int disk_count = 6, uint64_t disk_bytes = 32u << 20,
                Protection protection = Protection::ReedSolomon(4, 2), uint64_t seed = 1) {
    for (int i = 0; i < disk_count; ++i) AddDisk(disk_bytes, seed * 100 + i);
    const auto register_status = registry.Register(
        "fault",
        [this](const block::Uri& uri,
               const block::Registry&) -> absl::StatusOr<std::unique_ptr<block::Device>> {
          const size_t number = std::stoul(uri.target);
          if (absent.contains(number) || disks[number - 1] == nullptr) {
            return absl::NotFoundError("the disk is gone");
          }
          return disks[number - 1]->Open();
        });
    Must(register_status);
    FormatOptions format{.registry = &registry, .protection = protection};
    for (int i = 0; i < disk_count; ++i) {
      format.disks.push_back({.uri = "fault:" + std::to_string(i + 1)});
    }
    const std::unique_ptr<kv::Store> fresh = kv->Open();
    format.store = fresh.get();
    Must(Format(format));
  }

  ~Home() {
    Crash();
    CheckIsWell(true);
  }
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;

  // One more device; returns its URI.
  std::string AddDisk(uint64_t disk_bytes, uint64_t seed) {
    disks.push_back(std::make_unique<FaultDisk>(
        block::FaultDiskOptions{.block_count = disk_bytes / 4096, .seed = seed}));
    return "fault:" + std::to_string(disks.size());
  }

  // Ends the session as a crash does, and begins another one.
  FileSystem& Open() {
    Crash();
    CheckIsWell(false);
    store = kv->Open();
    fs = Must(FileSystem::Open({.store = store.get(),
                                .registry = &registry,
                                .clock = clock,
                                .fail_after_ms = fail_after_ms}));
    return *fs;
  }
  void Crash() {
    fs.reset();
    store.reset();
  }
  // REQUIRES: no session has it open.
  CheckReport Examine(bool read_data) {
    const std::unique_ptr<kv::Store> unused = kv->Open();
    return Must(Check({.store = unused.get(), .registry = &registry, .read_data = read_data}));
  }
  void CheckIsWell(bool read_data) {
    if (!checks_itself) return;
    for (const Finding& finding : Examine(read_data).findings) {
      const bool is_absent = finding.kind == FindingKind::kAbsentDisk && !absent.empty();
      if (is_absent || IsWarning(finding.kind) || expected.contains(finding.kind)) continue;
      UNSCOPED_INFO(finding.text);
      CHECK(FindingKindName(finding.kind) == "nothing");
    }
  }
  // The same with the power gone.
  void CutPower(uint64_t seed) {
    Crash();
    for (auto& disk : disks) disk = disk->PowerCut(seed++);
    kv = kv->PowerCut(seed);
  }

  std::vector<std::unique_ptr<FaultDisk>> disks;
  std::set<size_t> absent;         // By number.
  std::set<FindingKind> expected;  // What checks may find.
  bool checks_itself = true;
  const Clock* clock = nullptr;
  int64_t fail_after_ms = 15 * 60'000;
  block::Registry registry = block::Registry::WithDefaults();
  std::unique_ptr<CrashKv> kv = std::make_unique<CrashKv>();
  std::unique_ptr<kv::Store> store;
  std::unique_ptr<FileSystem> fs;
};

inline Bytes ReadAll(FileSystem& fs, uint64_t inode) {
  Bytes bytes(Must(fs.GetAttributes(inode)).size_bytes);
  if (!bytes.empty()) REQUIRE(Must(fs.Read(inode, 0, bytes)) == bytes.size());
  return bytes;
}

inline uint64_t MakeFile(FileSystem& fs, std::string_view name) {
  return Must(fs.Make(kRootInode, name, {.mode = 0644})).inode;
}

}  // namespace strata::ofs

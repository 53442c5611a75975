// SPDX-License-Identifier: Apache-2.0
//
// What an opening does with the containers that were open when the store was last used.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/container_scan.h"
#include "journal_recovery.h"
#include "store_core.h"

namespace strata::dedup {

class Recovery final {
 public:
  explicit Recovery(StoreCore* core) : core_(core) {}

  // Finds what the open containers hold, and closes all but the newest, and that one, too, where it
  // has its footer already; else writers continue to fill it. What the journal says is written to
  // the kv store before any of them counts as sealed there.
  absl::Status Run();

  // Whether the newest record that the kv store has would be where the device ended too early.
  // REQUIRES: Run() was called.
  bool JournalWasCutOff() const;

 private:
  absl::Status ContinueIn(std::span<const ContainerScan> scans);
  absl::Status SealLast();
  absl::StatusOr<std::optional<ContainerScan>> ScanOpenContainer(
      uint64_t id, const ContainerRecord& record, JournalRecords* records,
      absl::flat_hash_set<uint32_t>* regions);
  absl::StatusOr<ContainerScan> RestoreHeader(uint64_t id, const ContainerRecord& record,
                                              std::span<const std::byte> bytes,
                                              const RegionVisitor& collect);
  bool read_only() const { return core_->options.read_only; }

  StoreCore* const core_;
  uint64_t last_journal_container_ = 0;
};

}  // namespace strata::dedup

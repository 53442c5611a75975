// SPDX-License-Identifier: Apache-2.0
//
// Which store a device and a kv store hold together, and the making of one where both are empty.
#pragma once

#include <array>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/superblock.h"
#include "store_core.h"

namespace strata::dedup {

class StoreIdentity final {
 public:
  explicit StoreIdentity(StoreCore* core) : core_(core) {}

  // Sets the superblock, the store's record and the chunker of the core. NotFound: the store is
  // only to be read, and there is none. FailedPrecondition: device and kv store do not belong
  // together. InvalidArgument: the keys are not the store's.
  absl::Status FindOrCreate();

  // Writes a damaged copy of the superblock again.
  void RepairSuperblock();

  // A store that was made without a journal gets one here. Programs that know of none refuse it
  // from then on, for they would let parts of it go.
  absl::Status BecomeJournaled();

 private:
  absl::StatusOr<Superblock> ReadSuperblock();
  absl::StatusOr<Superblock> ReadCopy(int copy);
  absl::Status WriteCopy(int copy, const Superblock& superblock);
  absl::Status WriteCopies(const Superblock& superblock);
  absl::Status Create();
  absl::Status FinishCreating();
  absl::Status GiveBackBetweenCopies();
  absl::Status AdoptSuperblock(const Superblock& superblock);
  absl::Status CheckKey(const char* name, const std::optional<EncryptionKey>& given, bool wanted,
                        const std::array<std::byte, 32>& check, const Superblock& superblock);
  absl::Status CheckKeys(const Superblock& superblock);
  bool read_only() const { return core_->options.read_only; }

  StoreCore* const core_;
  std::pair<int, absl::Status> damaged_copy_;  // Of the superblock, and why. OK: none.
};

absl::Status WriteStoreRecord(StoreCore& core);  // As core.store_record says, durably.

// How many containers of the store fit its device.
uint32_t SlotCount(const StoreCore& core, const Superblock& superblock);

}  // namespace strata::dedup

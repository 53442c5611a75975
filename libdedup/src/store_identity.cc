// SPDX-License-Identifier: Apache-2.0
#include "store_identity.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "chunking/key.h"
#include "format/layout.h"
#include "strata/base/clock.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr uint32_t kMinSlots = kReservedSlots + 2;

// A region must fit a container beside its footer, whatever its chunks are like.
absl::Status CheckChunksFit(const ChunkerOptions& chunker, uint32_t container_bytes) {
  const uint32_t longest =
      chunker.algorithm == ChunkAlgorithm::kFixed ? chunker.avg_bytes : chunker.max_bytes;
  if (longest <= container_bytes / 2) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "dedup: chunks of up to %d bytes need containers of at least twice that, not %d", longest,
      container_bytes));
}

std::vector<std::byte> PaddedToBlock(std::vector<std::byte> bytes, uint32_t block_bytes) {
  bytes.resize(AlignUp(bytes.size(), block_bytes));
  return bytes;
}

std::array<std::byte, 32> KeyCheck(const std::array<std::byte, 32>& key,
                                   const Superblock& superblock) {
  return DeriveKey(key, "strata dedup check", superblock.uuid);
}

}  // namespace

absl::Status StoreIdentity::FindOrCreate() {
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> value,
                          core_->options.kv->NewSnapshot()->Get(core_->containers, kStoreKey));
  const absl::StatusOr<Superblock> superblock = ReadSuperblock();
  if (!value.has_value()) {
    if (absl::IsNotFound(superblock.status()) && read_only()) {
      return absl::NotFoundError(
          absl::StrFormat("dedup: %s holds no store", core_->options.device->name()));
    }
    if (absl::IsNotFound(superblock.status())) return Create();
    if (!superblock.ok()) return superblock.status();
    return absl::FailedPreconditionError(absl::StrFormat(
        "dedup: %s holds a store that this kv store (name '%s') knows nothing of; they do not "
        "belong together",
        core_->options.device->name(), core_->options.name));
  }
  STRATA_ASSIGN_OR_RETURN(core_->store_record, DecodeStoreRecord(*value));
  const bool ours = !superblock.ok() || superblock->uuid == core_->store_record.uuid;
  if (core_->store_record.state == StoreRecord::State::kCreating && ours) {
    if (!read_only()) return FinishCreating();
    return absl::NotFoundError(absl::StrFormat("dedup: the store on %s was never finished",
                                               core_->options.device->name()));
  }
  if (absl::IsNotFound(superblock.status())) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "dedup: the kv store (name '%s') belongs to a store, but %s is empty; they do not belong "
        "together",
        core_->options.name, core_->options.device->name()));
  }
  STRATA_RETURN_IF_ERROR(superblock.status());
  if (superblock->uuid != core_->store_record.uuid) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "dedup: %s holds another store than the kv store (name '%s') knows; they do not belong "
        "together",
        core_->options.device->name(), core_->options.name));
  }
  return AdoptSuperblock(*superblock);
}

// The better of the two copies.
absl::StatusOr<Superblock> StoreIdentity::ReadSuperblock() {
  absl::StatusOr<Superblock> copies[2] = {ReadCopy(0), ReadCopy(1)};
  for (const int bad : {0, 1}) {
    const absl::StatusOr<Superblock>& good = copies[1 - bad];
    if (!good.ok() || copies[bad].ok()) continue;
    if (absl::IsUnimplemented(copies[bad].status())) return copies[bad].status();
    damaged_copy_ = {bad, copies[bad].status()};
  }
  if (copies[0].ok()) return copies[0];
  if (copies[1].ok()) return copies[1];
  const absl::Status& status =
      absl::IsNotFound(copies[0].status()) ? copies[1].status() : copies[0].status();
  return absl::Status(status.code(), absl::StrFormat("dedup: %s: %s", core_->options.device->name(),
                                                     std::string(status.message())));
}

void StoreIdentity::RepairSuperblock() {
  const auto& [copy, damage] = damaged_copy_;
  if (damage.ok()) return;
  Log(core_->options.log, LogLevel::kWarning,
      absl::StrFormat("dedup: %s: copy %d of the superblock is written anew: %s",
                      core_->options.device->name(), copy, std::string(damage.message())));
  (void)WriteCopy(copy, core_->superblock);
}

absl::StatusOr<Superblock> StoreIdentity::ReadCopy(int copy) {
  if (core_->io->size_bytes() < kDataOffsetBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d bytes are too few for a store", core_->io->size_bytes()));
  }
  STRATA_ASSIGN_OR_RETURN(const DeviceBytes bytes,
                          core_->io->Read(kSuperblockOffsets[copy], kSuperblockBytes));
  return DecodeSuperblock(bytes.span());
}

absl::Status StoreIdentity::WriteCopy(int copy, const Superblock& superblock) {
  return core_->io->Write(kSuperblockOffsets[copy],
                          PaddedToBlock(EncodeSuperblock(superblock),
                                        core_->options.device->geometry().block_size_bytes));
}

absl::Status StoreIdentity::WriteCopies(const Superblock& superblock) {
  STRATA_RETURN_IF_ERROR(WriteCopy(0, superblock));
  return WriteCopy(1, superblock);
}

absl::Status StoreIdentity::Create() {
  STRATA_RETURN_IF_ERROR(SecureRandomBytes(core_->store_record.uuid));
  core_->store_record.state = StoreRecord::State::kCreating;
  return FinishCreating();
}

// The record says "creating" before the device is touched, so that a crash in between is told
// from a foreign device.
absl::Status StoreIdentity::FinishCreating() {
  Superblock superblock;
  superblock.uuid = core_->store_record.uuid;
  superblock.created_ns = static_cast<uint64_t>(SystemClock().WallNanos());
  superblock.block_bytes = std::max(core_->options.device->geometry().block_size_bytes, kUnitBytes);
  superblock.container_bytes = core_->options.container_bytes;
  superblock.chunker = core_->options.chunker;
  superblock.chunker.key.reset();
  superblock.journaled = core_->options.journal;
  superblock.encrypted = core_->options.encryption_key.has_value();
  superblock.chunker_keyed = core_->options.chunker.key.has_value();
  if (superblock.encrypted) {
    superblock.key_check = KeyCheck(*core_->options.encryption_key, superblock);
  }
  if (superblock.chunker_keyed) {
    superblock.chunker_key_check = KeyCheck(*core_->options.chunker.key, superblock);
  }
  STRATA_RETURN_IF_ERROR(CreateChunker(core_->options.chunker).status());
  STRATA_RETURN_IF_ERROR(CheckChunksFit(superblock.chunker, superblock.container_bytes));
  const uint32_t least_slots = kMinSlots + (superblock.journaled ? kJournalSlots : 0);
  if (SlotCount(*core_, superblock) < least_slots) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dedup: %s has %d bytes, too few for %d containers of %d bytes each",
                        core_->options.device->name(), core_->io->size_bytes(), least_slots,
                        superblock.container_bytes));
  }
  STRATA_RETURN_IF_ERROR(WriteStoreRecord(*core_));
  STRATA_RETURN_IF_ERROR(WriteCopies(superblock));
  STRATA_RETURN_IF_ERROR(GiveBackBetweenCopies());
  STRATA_RETURN_IF_ERROR(core_->io->Flush());
  core_->store_record.state = StoreRecord::State::kReady;
  STRATA_RETURN_IF_ERROR(WriteStoreRecord(*core_));
  return AdoptSuperblock(superblock);
}

// A file took space for all up to slot 0.
absl::Status StoreIdentity::GiveBackBetweenCopies() {
  const block::Geometry& geometry = core_->options.device->geometry();
  if (!geometry.thin || !geometry.supports_discard) return absl::OkStatus();
  // A file gives back only what lies before something that was written.
  STRATA_RETURN_IF_ERROR(core_->io->Write(kDataOffsetBytes - geometry.block_size_bytes,
                                          std::vector<std::byte>(geometry.block_size_bytes)));
  const uint64_t ends[] = {kSuperblockOffsets[1], kDataOffsetBytes};
  for (int copy = 0; copy < 2; ++copy) {
    const uint64_t begin = AlignUp(kSuperblockOffsets[copy] + kSuperblockBytes,
                                   std::max(kSuperblockBytes, geometry.block_size_bytes));
    if (begin >= ends[copy]) continue;
    STRATA_RETURN_IF_ERROR(core_->io->Erase(begin, ends[copy] - begin));
  }
  return absl::OkStatus();
}

absl::Status StoreIdentity::AdoptSuperblock(const Superblock& superblock) {
  core_->superblock = superblock;
  const uint32_t device_block = core_->options.device->geometry().block_size_bytes;
  if (superblock.block_bytes % device_block != 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("dedup: the store was made for blocks of %d bytes; those of %s have %d",
                        superblock.block_bytes, core_->options.device->name(), device_block));
  }
  STRATA_RETURN_IF_ERROR(CheckKeys(superblock));
  ChunkerOptions chunker = superblock.chunker;
  chunker.key = core_->options.chunker.key;
  if (superblock.encrypted && !superblock.chunker_keyed && TakesKey(chunker.algorithm)) {
    chunker.key =
        DeriveKey(*core_->options.encryption_key, "strata dedup chunker", superblock.uuid);
  }
  STRATA_ASSIGN_OR_RETURN(core_->chunker, CreateChunker(chunker));
  // Several regions to a container, or a footer would not fit beside one.
  core_->options.region_bytes =
      std::min(core_->options.region_bytes, superblock.container_bytes / 4);
  return CheckChunksFit(superblock.chunker, superblock.container_bytes);
}

absl::Status StoreIdentity::CheckKey(const char* name, const std::optional<EncryptionKey>& given,
                                     bool wanted, const std::array<std::byte, 32>& check,
                                     const Superblock& superblock) {
  const char* wrong = nullptr;
  if (wanted && !given.has_value()) wrong = "is missing: the store was made with one";
  if (!wanted && given.has_value()) wrong = "is given, but the store was made without one";
  if (wanted && given.has_value() && KeyCheck(*given, superblock) != check) {
    wrong = "is not the one that the store was made with";
  }
  if (wrong == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("dedup: %s: %s %s", core_->options.device->name(), name, wrong));
}

absl::Status StoreIdentity::CheckKeys(const Superblock& superblock) {
  STRATA_RETURN_IF_ERROR(CheckKey("encryption_key", core_->options.encryption_key,
                                  superblock.encrypted, superblock.key_check, superblock));
  return CheckKey("chunker.key", core_->options.chunker.key, superblock.chunker_keyed,
                  superblock.chunker_key_check, superblock);
}

absl::Status StoreIdentity::BecomeJournaled() {
  if (read_only() || !core_->options.journal || core_->superblock.journaled) {
    return absl::OkStatus();
  }
  core_->superblock.journaled = true;
  STRATA_RETURN_IF_ERROR(WriteCopies(core_->superblock));
  return core_->io->Flush();
}

absl::Status WriteStoreRecord(StoreCore& core) {
  kv::WriteBatch batch;
  batch.Put(core.containers, kStoreKey, EncodeStoreRecord(core.store_record));
  return core.options.kv->Write(batch, kv::Durability::kSync);
}

uint32_t SlotCount(const StoreCore& core, const Superblock& superblock) {
  const uint64_t bytes = core.io->size_bytes();
  if (bytes < kDataOffsetBytes) return 0;
  return static_cast<uint32_t>(
      std::min<uint64_t>((bytes - kDataOffsetBytes) / superblock.container_bytes, UINT32_MAX));
}

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
//
// Writes the chunk index anew from the containers' footers, or from their regions where the footer
// is lost. Readers and writers go on meanwhile: entries are put before wrong ones are swept out.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "format/container_scan.h"
#include "long_calls.h"
#include "store_core.h"
#include "store_identity.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

class Rebuild final {
 public:
  Rebuild(StoreCore* core, const ProgressCallback& progress) : core_(core), progress_(progress) {}

  absl::Status Run() {
    STRATA_RETURN_IF_ERROR(SetState(StoreRecord::State::kRebuilding));
    STRATA_RETURN_IF_ERROR(core_->index->filter().DropSaved());
    STRATA_RETURN_IF_ERROR(DropUnlessReadable());
    std::vector<std::pair<uint64_t, ContainerRecord>> sealed;
    for (const auto& [id, info] : core_->table->List()) {
      if (info.record.sealed) sealed.emplace_back(id, info.record);
    }
    for (size_t i = 0; i < sealed.size(); ++i) {
      STRATA_RETURN_IF_ERROR(Enter(sealed[i].first, sealed[i].second));
      if (progress_ != nullptr && !progress_({"rebuild", i + 1, sealed.size()})) {
        return absl::CancelledError(
            "dedup: the rebuild was cancelled; the next opening of the store runs it again");
      }
    }
    std::sort(entered_.begin(), entered_.end());
    STRATA_RETURN_IF_ERROR(
        core_->index->Sweep([this](const Fingerprint& chunk, const ChunkPlace& place) {
          if (!core_->table->Contains(place.container_id)) return false;
          // Of a container that was sealed meanwhile the entries are right by themselves.
          return !rebuilt_.contains(place.container_id) ||
                 std::binary_search(entered_.begin(), entered_.end(), FingerprintHash()(chunk));
        }));
    STRATA_RETURN_IF_ERROR(LeadAwayFromDamage(sealed));
    // Writers may have kept it, while chunks were missing.
    STRATA_RETURN_IF_ERROR(core_->index->filter().DropSaved());
    return SetState(StoreRecord::State::kReady);
  }

 private:
  absl::Status SetState(StoreRecord::State state) {
    core_->store_record.state = state;
    return WriteStoreRecord(*core_);
  }

  // The last copy of a chunk was entered last, damaged or not.
  absl::Status LeadAwayFromDamage(
      const std::vector<std::pair<uint64_t, ContainerRecord>>& containers) {
    if (!core_->table->any_lost()) return absl::OkStatus();
    for (const auto& [id, record] : containers) {
      const absl::StatusOr<ContainerContents> contents =
          core_->container_reader->ReadContents(id, record);
      if (!contents.ok()) continue;
      STRATA_RETURN_IF_ERROR(core_->index->LeadAwayFromDamage(id, *contents));
    }
    return absl::OkStatus();
  }

  // What cannot be read cannot be mended in place. Until the rebuild is through, chunks whose
  // entries are not back yet are not found.
  absl::Status DropUnlessReadable() {
    const absl::Status status = core_->index->CheckReadable();
    if (!absl::IsDataLoss(status)) return status;
    Log(core_->options.log, LogLevel::kWarning,
        absl::StrFormat("dedup: the chunk index is dropped, and written again: %s",
                        std::string(status.message())));
    return core_->options.kv->ClearSpace(core_->chunks);
  }

  absl::Status Enter(uint64_t id, ContainerRecord record) {
    absl::StatusOr<ContainerContents> contents = core_->container_reader->ReadContents(id, record);
    if (absl::IsDataLoss(contents.status())) {
      Log(core_->options.log, LogLevel::kWarning, std::string(contents.status().message()));
      core_->reader->CountCorruption();
      core_->table->MarkDamaged(id, std::string(contents.status().message()));
      contents = FromRegions(id);
      if (absl::IsDataLoss(contents.status())) return absl::OkStatus();  // Nothing to be had.
    }
    STRATA_RETURN_IF_ERROR(contents.status());
    for (const Fingerprint& chunk : contents->chunks) entered_.push_back(FingerprintHash()(chunk));
    rebuilt_.insert(id);
    const SealedContainer entered{id, std::move(record), *std::move(contents)};
    const SealedContainer* const list[] = {&entered};
    return core_->index->CommitSealed(list, /*rebuilding=*/true);
  }

  absl::StatusOr<ContainerContents> FromRegions(uint64_t id) {
    STRATA_ASSIGN_OR_RETURN(const DeviceBytes bytes, core_->container_reader->ReadSlot(id));
    STRATA_ASSIGN_OR_RETURN(
        ContainerScan scan,
        ScanContainer(bytes.span(), core_->superblock.block_bytes, core_->cipher.get()));
    return std::move(scan.contents);
  }

  StoreCore* const core_;
  const ProgressCallback& progress_;
  std::vector<uint64_t> entered_;  // Eight bytes of each fingerprint.
  absl::flat_hash_set<uint64_t> rebuilt_;
};

}  // namespace

absl::Status RebuildChunkIndex(StoreCore* core, const ProgressCallback& progress) {
  if (core->reorganizing.exchange(true)) {
    return absl::FailedPreconditionError(
        "dedup: garbage collection or a rebuild is running already");
  }
  const absl::Cleanup done = [core] { core->reorganizing = false; };
  return Rebuild(core, progress).Run();
}

}  // namespace strata::dedup

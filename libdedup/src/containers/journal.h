// SPDX-License-Identifier: Apache-2.0
//
// Writes what is committed to the kv store into the container log, before the kv store has it: the
// device alone then recovers every record (RebuildMetadata() in store.h), and one flush of the
// device makes a stream's data and its record durable. The kv store follows; what a power cut takes
// from its end is written again when the store is opened. README.md has the design.
//
// Thread safety: what CommitLog says of Append(); everything else any thread.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "containers/container_log.h"
#include "format/cipher.h"
#include "format/codec.h"
#include "format/journal_format.h"
#include "strata/base/mutex.h"
#include "strata/dedup/types.h"
#include "strata/kv/store.h"

namespace strata::dedup {

// What the kv store says of the journal, in "<name>.containers" under kJournalKey and
// kCheckpointKey. The first is written with every group of commits.
inline constexpr std::string_view kJournalKey = "journal";
inline constexpr std::string_view kCheckpointKey = "checkpoint";
// There while the journal lacks something that the kv store has.
inline constexpr std::string_view kRepairKey = "journal_repair";

std::string EncodeJournalPlace(const JournalPlace& place);
absl::StatusOr<JournalPlace> DecodeJournalPlace(std::string_view bytes);

// A checkpoint that is whole and durable: records up to `sequence` are not needed any more, and no
// container with an id below `first_container` holds a later one.
struct CheckpointRecord {
  uint64_t sequence = 0;
  uint64_t first_container = 0;
  uint64_t raw_bytes = 0;     // Of its operations.
  uint64_t stored_bytes = 0;  // That these took on the device.
  friend bool operator==(const CheckpointRecord&, const CheckpointRecord&) = default;
};
std::string EncodeCheckpointRecord(const CheckpointRecord& record);
absl::StatusOr<CheckpointRecord> DecodeCheckpointRecord(std::string_view bytes);

class Journal final : public kv::CommitLog {
 public:
  struct Options {
    kv::Store* kv = nullptr;
    kv::SpaceId containers;
    kv::SpaceId chunks;
    kv::SpaceId filter;
    // The three above are "<prefix>.containers", "<prefix>.chunks" and "<prefix>.filter".
    std::string unlogged_prefix;
    ContainerLog* log = nullptr;
    Codec* codec = nullptr;
    Cipher* cipher = nullptr;
    Compression compression = Compression::kZstd;
    int compression_level = 1;
    uint32_t container_bytes = 0;
    uint32_t generation = 0;
  };
  // Until Start() commits pass without being logged: recovery's.
  static absl::StatusOr<std::unique_ptr<Journal>> Attach(const Options& options);
  ~Journal() override;  // Takes itself off the kv store; what nobody waited for is made durable.

  // From here on commits are logged; the next one follows `applied`. With `begin_with_empty` an
  // empty record says so at once: records that followed `applied` before are void.
  absl::Status Start(const JournalPlace& applied, bool begin_with_empty);

  // Writes all logged spaces into the log, as they are now, and notes in the kv store that nothing
  // older is needed. ResourceExhausted: the device is full; the older checkpoint stays.
  // `for_repair`: the journal lacks something, so that the slots that writers leave free may be
  // used.
  absl::Status WriteCheckpoint(bool for_repair);
  // What a checkpoint of the logged spaces as they are now would take on the device, about.
  absl::StatusOr<uint64_t> EstimateCheckpoint();
  bool needs_repair() const { return needs_repair_; }
  // The journal lacks something that the kv store has; stays so until a checkpoint was written.
  absl::Status NoteNeedsRepair();
  CheckpointRecord checkpoint() const;
  void SetCheckpoint(const CheckpointRecord& record);  // Recovery's.

  // Whether rebuilding needs the part.
  bool Needs(const JournalPart& part) const;

  absl::Status Append(std::span<const kv::WriteBatch* const> commits, kv::Durability durability,
                      DirectWrite& direct, kv::WriteBatch* also) override;
  absl::Status Sync() override;
  void Committed() override { options_.log->EnterSealed(); }

  static absl::StatusOr<std::vector<kv::SpaceInfo>> LoggedSpaces(kv::Store& kv,
                                                                 const std::string& prefix);

 private:
  // Where a record of a checkpoint goes, or of a commit.
  using AppendRegion = std::function<absl::StatusOr<uint64_t>(EncodedRegion* region)>;

  static constexpr int kMinCheckpointLevel = 6;

  explicit Journal(const Options& options) : options_(options) {}

  // Writes `header` and `operations` in as many parts as are needed.
  absl::StatusOr<uint64_t> WriteRecord(JournalPart header, std::span<const std::byte> operations,
                                       EncodedRegion* region, const AppendRegion& append,
                                       uint64_t* container_id, uint64_t* size_bytes);
  using Visit = std::function<absl::Status(const kv::SpaceInfo& space, const kv::KeyValue& item)>;
  absl::Status VisitLogged(kv::Snapshot& snapshot, const Visit& visit);
  // Sets the sizes in `record`.
  absl::Status DumpSpaces(kv::Snapshot& snapshot, bool for_repair, CheckpointRecord* record);
  absl::StatusOr<const kv::SpaceInfo*> SpaceOf(kv::SpaceId space);

  // Nobody waits for a checkpoint, and it lies long.
  int checkpoint_level() const {
    return options_.compression == Compression::kZstd
               ? std::max(options_.compression_level, kMinCheckpointLevel)
               : options_.compression_level;
  }

  const Options options_;
  bool started_ = false;

  // Append()'s alone.
  std::map<kv::SpaceId, kv::SpaceInfo> spaces_;
  JournalOperations operations_;
  EncodedRegion region_;
  JournalPlace last_;
  uint64_t next_sequence_ = 0;

  std::atomic<bool> needs_repair_{false};
  std::atomic<uint64_t> position_{0};  // Of the last record, in the log.

  mutable Mutex mutex_;
  CheckpointRecord checkpoint_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::dedup

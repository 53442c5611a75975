// SPDX-License-Identifier: Apache-2.0
//
// One attempt at changing a store: a kv transaction together with the streams it adds, copies and
// removes, committed as one.
// One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "records/records.h"
#include "transactions/backing.h"

namespace strata::object {

// What a finished upload answered is kept for so long: no entry of the reap queue is due later.
inline constexpr uint64_t kKeepCompletedNs = 24ull * 3600 * 1'000'000'000;

class Mutation final {
 public:
  // `defer_removals`: streams go to the reap queue even when they are few.
  Mutation(const Backing& backing, bool defer_removals);

  kv::Transaction& txn() { return *txn_; }
  kv::SpaceId space() const { return backing_.space; }
  const Backing& backing() const { return backing_; }
  uint64_t now_ns() const { return now_ns_; }

  absl::Status Put(std::string_view key, std::string_view value);
  absl::Status Delete(std::string_view key);

  void AddStream(dedup::Writer* writer) { change_.add.push_back(writer); }

  // A new stream with the same content.
  dedup::StreamId CopyStream(const dedup::StreamId& source);

  // Removes what a version that goes away refers to. Few streams go at once, many are left for
  // ReapStreams(), as are those of a manifest, which a reader may hold.
  absl::Status RemoveContent(uint64_t bucket_id, const ObjectRecord& record);
  absl::Status RemoveStreams(std::vector<dedup::StreamId> streams);

  // Not by the queue, however many they are.
  void RemoveStreamsNow(const std::vector<dedup::StreamId>& streams);

  // Deletes `key` at some time after `due_ns`.
  absl::Status ExpireLater(std::string key, uint64_t due_ns);

  // Reads the pieces of a version, through its manifest if it has one. kDamaged.
  absl::StatusOr<std::vector<ContentPiece>> Pieces(uint64_t bucket_id, const ObjectRecord& record);

  // Puts `pieces` into *record, through a manifest where they are many.
  absl::Status SetPieces(uint64_t bucket_id, std::vector<ContentPiece> pieces,
                         ObjectRecord* record);

  // Aborted: run again. NotFound: a stream to copy or remove is not there. Nothing happened then.
  absl::Status Commit();
  bool copies_streams() const { return !change_.copy.empty(); }
  bool removes_streams() const { return !change_.remove.empty(); }

 private:
  absl::Status RemoveLater(const ReapRecord& record);

  const Backing& backing_;
  const bool defer_removals_;
  const uint64_t now_ns_;
  const std::unique_ptr<kv::Transaction> txn_;
  dedup::Change change_;
};

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
#include "disks/session_rows.h"

#include <cerrno>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "format/key_layout.h"
#include "format/layout.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/posix_error.h"

namespace strata::ofs {
namespace {

// A call is beaten by another one that commits, so with each attempt somebody advances. A thousand
// threads in one directory need about this many until the last one has had its turn.
constexpr int kMaxAttempts = 10'000;
constexpr int kMaxOldStates = 16;  // Attempts that took longer than the store remembers.

std::string EndedText(uint32_t session) { return absl::StrCat("session ", session, " was ended"); }

absl::StatusOr<bool> IsStarted(const Metadata& metadata, kv::Transaction& txn, uint32_t session) {
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                          txn.Get(metadata.meta, SessionKey(session)));
  return row.has_value();
}

}  // namespace

absl::StatusOr<uint32_t> StartSession(const Metadata& metadata, const SessionRecord& record) {
  STRATA_ASSIGN_OR_RETURN(const uint64_t number, TakeNumbers(metadata, "session", 1, kMaxSession));
  const auto session = static_cast<uint32_t>(number);
  kv::WriteBatch batch;
  batch.Put(metadata.meta, SessionKey(session), Encode(record));
  STRATA_RETURN_IF_ERROR(metadata.store->Write(batch, kv::Durability::kSync));
  return session;
}

absl::Status EndSession(const Metadata& metadata, uint32_t session) {
  kv::WriteBatch batch;
  batch.Delete(metadata.meta, SessionKey(session));
  batch.Delete(metadata.meta, HeartbeatKey(session));
  return metadata.store->Write(batch, kv::Durability::kSync);
}

absl::StatusOr<std::vector<uint32_t>> ListSessions(const Metadata& metadata) {
  std::vector<uint32_t> sessions;
  const auto snapshot = metadata.store->NewSnapshot();
  STRATA_RETURN_IF_ERROR(kv::ForEach(
      *snapshot, metadata.meta, TableRange(Table::kSession), [&](const kv::KeyValue& row) {
        if (row.key.size() != SessionKey(0).size()) {
          return absl::DataLossError("a row among sessions has another key");
        }
        sessions.push_back(LoadBe32(reinterpret_cast<const std::byte*>(row.key.data()) + 1));
        return absl::OkStatus();
      }));
  return sessions;
}

absl::Status CheckSession(const Metadata& metadata, kv::Transaction& txn, uint32_t session) {
  STRATA_ASSIGN_OR_RETURN(const bool is_started, IsStarted(metadata, txn, session));
  return is_started ? absl::OkStatus() : absl::FailedPreconditionError(EndedText(session));
}

absl::Status ChangeFiles(const Metadata& metadata, uint32_t session, kv::Durability durability,
                         const FileTransaction& body) {
  const auto attempt = [&](kv::Transaction& txn) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const bool is_started, IsStarted(metadata, txn, session));
    if (!is_started) return PosixError(EIO, EndedText(session));
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                            txn.Get(metadata.meta, EpochKey()));
    EpochRecord epoch;
    if (row.has_value()) {
      STRATA_ASSIGN_OR_RETURN(epoch, DecodeEpoch(*row));
    }
    return body(txn, epoch.epoch);
  };
  absl::Status status = absl::OutOfRangeError("");
  for (int old_states = 0; absl::IsOutOfRange(status) && old_states < kMaxOldStates; ++old_states) {
    status = kv::RunTransaction(*metadata.store, durability, attempt, kMaxAttempts);
  }
  return status;
}

}  // namespace strata::ofs

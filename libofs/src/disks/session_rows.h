// SPDX-License-Identifier: Apache-2.0
//
// Sessions, and the transactions of one. Every change of the metadata reads the session's row: who
// finds a session dead deletes that row, and nothing that the session does afterwards takes effect.
//
// Thread safety: any thread. No lock is held across a kv call.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "disks/disk_rows.h"
#include "format/records.h"
#include "strata/kv/store.h"

namespace strata::ofs {

// Starts a session: takes a number that no session had before, and writes its row, durably.
absl::StatusOr<uint32_t> StartSession(const Metadata& metadata, const SessionRecord& record);
// Its transactions fail from then on. OK when it was ended already.
absl::Status EndSession(const Metadata& metadata, uint32_t session);
// Those that were started and not ended.
absl::StatusOr<std::vector<uint32_t>> ListSessions(const Metadata& metadata);

// FailedPrecondition: the session was ended, by itself or by another that found it dead. Every
// transaction that changes anything calls it.
absl::Status CheckSession(const Metadata& metadata, kv::Transaction& txn, uint32_t session);

// What a call on files or names does in one transaction; `epoch` is that of what is new in it. It
// may run several times.
using FileTransaction = std::function<absl::Status(kv::Transaction& txn, uint64_t epoch)>;
// Runs the body as a transaction of the session, again after conflicts. Its first reads are the
// session's row and the snapshot epoch, so that a snapshot lies between two transactions. EIO: the
// session was ended.
absl::Status ChangeFiles(const Metadata& metadata, uint32_t session, kv::Durability durability,
                         const FileTransaction& body);

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// The narrow interface to metadata: an ordered, transactional map from byte strings to byte
// strings.
//
//   STRATA_ASSIGN_OR_RETURN(SpaceId users, store->OpenSpace("users", {}));
//   std::unique_ptr<Transaction> txn = store->Begin();
//   STRATA_ASSIGN_OR_RETURN(std::optional<std::string> name, txn->Get(users, "ada"));
//   STRATA_RETURN_IF_ERROR(txn->Put(users, "ada", "countess"));
//   // Aborted: somebody else was quicker; run it again.
//   STRATA_RETURN_IF_ERROR(txn->Commit(Durability::kSync));
//
// Isolation is strict serializability by optimistic concurrency: a transaction reads the state at
// its beginning, and commits only if nothing it read (keys that were absent and ranges included)
// changed since. Reads are paged and never hand out an iterator, so an engine on another machine
// needs no state that outlives a call.
//
// A forked child has no use of its parent's stores, snapshots and transactions: their calls fail
// there with FailedPrecondition, naming the parent, and destroying them changes nothing on any
// disk.
//
// Thread safety: a Store may be called from any thread; a Snapshot too; a Transaction and a
// WriteBatch by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"

namespace strata::kv {

// A named part of the key space with its own tuning. Keys of different spaces never meet; a
// transaction may touch several.
struct SpaceId {
  uint32_t value = 0;
  friend constexpr auto operator<=>(SpaceId, SpaceId) = default;
};

struct SpaceOptions {
  enum class Access : uint8_t {
    kOrdered,  // Range reads matter: listings, recipes.
    kPoint,    // Single random keys, often absent: fingerprints. Range reads work but are slow.
  };
  Access access = Access::kOrdered;
};

struct SpaceInfo {
  std::string name;
  SpaceOptions options;
};

// Reaching one of these is InvalidArgument (key, value) or ResourceExhausted (transaction), never a
// split. The two for transactions bound separately what it writes and what it promises by its
// reads. A page is cut.
struct Limits {
  size_t max_key_bytes;
  size_t max_value_bytes;
  size_t max_transaction_operations;  // Puts, deletes and range deletes; likewise keys and ranges
                                      // read.
  size_t max_transaction_bytes;       // Keys and values written; likewise keys read.
  size_t max_page_items;
  size_t max_page_bytes;
};

struct KeyValue {
  std::string key;
  std::string value;
};

// Keys in [begin, end). An empty `end` means to the end of the space.
struct Range {
  std::string begin;
  std::string end;
};

// The range of all keys that start with `prefix`.
STRATA_EXPORT Range PrefixRange(std::string_view prefix);

struct PageOptions {
  size_t max_items = 1000;      // Cut to Limits::max_page_items.
  size_t max_bytes = 1u << 20;  // A page holds at least one item all the same.
  bool reverse = false;         // From the end of the range downwards.
  // Where the engine can, goes on past what it cannot read, instead of DataLoss, and says what it
  // skipped. Forwards only, of a Snapshot.
  bool skip_damaged = false;
};

struct Page {
  std::vector<KeyValue> items;
  bool more = false;  // The range holds more: go on behind (reverse: before) items.back().key.
  std::vector<Range> skipped{};  // PageOptions::skip_damaged.
};

// One consistent state of the store. OutOfRange: the engine no longer holds a state this old (it
// keeps one for at least five seconds); begin again.
class STRATA_EXPORT Reader {
 public:
  virtual ~Reader() = default;
  virtual absl::StatusOr<std::optional<std::string>> Get(SpaceId space, std::string_view key) = 0;

  // One entry per key, in the order of `keys`.
  virtual absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      SpaceId space, const std::vector<std::string>& keys) = 0;
  virtual absl::StatusOr<Page> List(SpaceId space, const Range& range,
                                    const PageOptions& options) = 0;
};

class STRATA_EXPORT Snapshot : public Reader {};

enum class Durability : uint8_t {
  kSync,   // Survives power loss when the call returns. Concurrent commits share one flush.
  kAsync,  // Visible when the call returns, durable with the next kSync commit or Sync(); never out
           // of order.
};

// Writes that are applied together, without reading anything.
class STRATA_EXPORT WriteBatch {
 public:
  struct Operation {
    enum class Kind : uint8_t { kPut, kDelete, kDeleteRange } kind;
    SpaceId space;
    std::string key;    // kDeleteRange: the range's begin.
    std::string value;  // kDeleteRange: the range's end.
  };

  void Put(SpaceId space, std::string_view key, std::string_view value);
  void Delete(SpaceId space, std::string_view key);
  void DeleteRange(SpaceId space, const Range& range);
  void Clear();

  const std::vector<Operation>& operations() const { return operations_; }
  size_t size_bytes() const { return size_bytes_; }

 private:
  std::vector<Operation> operations_;
  size_t size_bytes_ = 0;
};

// Reads see the transaction's own writes. Every read is a promise checked at Commit(), about
// exactly what it covered: a page with `more` covers the range up to its last item. A transaction
// that wrote nothing always commits. Dropping a Transaction abandons it.
class STRATA_EXPORT Transaction : public Reader {
 public:
  // Like Get and List, but without the promise: the commit does not fail when what was read
  // changes.
  virtual absl::StatusOr<std::optional<std::string>> GetUnchecked(SpaceId space,
                                                                  std::string_view key) = 0;
  virtual absl::StatusOr<Page> ListUnchecked(SpaceId space, const Range& range,
                                             const PageOptions& options) = 0;

  // InvalidArgument or ResourceExhausted: a limit, named; the transaction stays as it was.
  virtual absl::Status Put(SpaceId space, std::string_view key, std::string_view value) = 0;
  virtual absl::Status Delete(SpaceId space, std::string_view key) = 0;
  virtual absl::Status DeleteRange(SpaceId space, const Range& range) = 0;

  // Aborted: a conflict, nothing was applied, run the transaction again from Begin(). OutOfRange:
  // it took too long. Any other error: the engine failed. FailedPrecondition: already committed.
  virtual absl::Status Commit(Durability durability) = 0;
};

// A log that an owner keeps of a Store's commits, beside what the Store itself keeps. While one is
// attached, commits are taken in by it, in their order, before they reach the engine; a kSync
// commit is as durable as the log makes it, and the engine may forget it at a power cut. The owner
// then writes it again when it opens the Store the next time.
class STRATA_EXPORT CommitLog {
 public:
  virtual ~CommitLog() = default;

  // Writes past the queue of commits, for what the log itself needs while it is in Append(). It
  // may write to unlogged spaces only; nobody's transaction is told of a conflict with it.
  class DirectWrite {
   public:
    virtual ~DirectWrite() = default;
    virtual absl::Status Write(const WriteBatch& batch, Durability durability) = 0;
  };

  // Takes what the commits write to logged spaces, in order; with kSync it is durable when the call
  // returns. `also` is written together with the commits. Calls come one at a time, each after the
  // commits of the one before it were written. It must not commit to the Store except by `direct`,
  // nor wait for a thread that does. An error: none of the commits happens, each gets the error.
  virtual absl::Status Append(std::span<const WriteBatch* const> commits, Durability durability,
                              DirectWrite& direct, WriteBatch* also) = 0;

  // Makes everything durable that Append() took before the call. Any thread.
  virtual absl::Status Sync() = 0;

  // Commits that Append() took are visible. Any thread, which may commit to the Store.
  virtual void Committed() = 0;
};

class STRATA_EXPORT Store {
 public:
  virtual ~Store() = default;  // REQUIRES: every Snapshot and Transaction is destroyed.

  virtual const Limits& limits() const = 0;

  // Opens the space of that name, making it when absent. The same name gives the same id for the
  // life of the Store. InvalidArgument: the name (1..64 of [a-z0-9._-]), or options that differ
  // from those it was made with.
  virtual absl::StatusOr<SpaceId> OpenSpace(std::string_view name, const SpaceOptions& options) = 0;

  virtual std::unique_ptr<Snapshot> NewSnapshot() = 0;
  virtual std::unique_ptr<Transaction> Begin() = 0;

  virtual absl::Status Write(const WriteBatch& batch, Durability durability) = 0;

  // Everything committed before the call is durable when it returns.
  virtual absl::Status Sync() = 0;

  // Reads everything that is stored and checks its checksums. DataLoss: names what is damaged.
  // OK where the engine has none.
  virtual absl::Status VerifyChecksums() { return absl::OkStatus(); }

  // Writes every space that takes at most `most_bytes` again, without what was deleted or
  // overwritten. Larger ones the engine sees to as they grow. Nobody has to call it.
  virtual absl::Status Compact(uint64_t most_bytes) {
    (void)most_bytes;
    return absl::OkStatus();
  }

  // Empties the space without reading it, so that it works where it cannot be read; durable when it
  // returns. Not isolated: transactions and snapshots that are open may see it.
  virtual absl::Status ClearSpace(SpaceId space) {
    WriteBatch batch;
    batch.DeleteRange(space, {});
    return Write(batch, Durability::kSync);
  }

  // Copies the state at some moment during the call into `directory` (which must not exist), while
  // others read and write; the copy opens like the original. Unimplemented where the engine lives
  // elsewhere.
  virtual absl::Status Checkpoint(const std::string& directory) = 0;

  // Waits until a key of `range` is written by a commit later than `after_version`, or until
  // `timeout_ms` has passed. Returns the version of the newest such commit, or `after_version` at
  // the time-out. version() is where to begin. When the store has forgotten what was written that
  // long ago, it returns at once, with the version up to which it forgot: look again.
  virtual absl::StatusOr<uint64_t> WaitForChange(SpaceId space, const Range& range,
                                                 uint64_t after_version, uint64_t timeout_ms) = 0;
  // Version of the newest commit. Grows by at least one with each.
  virtual uint64_t version() const = 0;

  // All spaces that were ever made, in order of their names. Unimplemented: the engine cannot tell.
  virtual absl::StatusOr<std::vector<SpaceInfo>> ListSpaces();
  virtual absl::StatusOr<SpaceInfo> FindSpace(SpaceId space);  // InvalidArgument: none was opened.

  // From now on commits to all spaces but `unlogged` go to `log` first. Commits to `unlogged`
  // spaces are as durable as ever. nullptr takes the log off; commits to logged spaces are then
  // refused (FailedPrecondition), until another log is attached: the log would miss them. REQUIRES:
  // nobody else uses the Store during the call. Unimplemented: commits are decided elsewhere.
  virtual absl::Status AttachCommitLog(CommitLog* log, const std::vector<SpaceId>& unlogged);
};

// Runs `body(Transaction&) -> absl::Status` and commits, again and again while the outcome is
// Aborted, up to `max_attempts` times.
template <typename Body>
absl::Status RunTransaction(Store& store, Durability durability, Body&& body,
                            int max_attempts = 64) {
  absl::Status status;
  for (int attempt = 0; attempt < max_attempts; ++attempt) {
    std::unique_ptr<Transaction> txn = store.Begin();
    status = body(*txn);
    if (status.ok()) status = txn->Commit(durability);
    if (!absl::IsAborted(status)) return status;
  }
  return status;
}

namespace kv_internal {

template <typename ListPage, typename Visit>
absl::Status ForEachPage(ListPage&& list_page, Range range, Visit&& visit) {
  for (bool more = true; more;) {
    absl::StatusOr<Page> page = list_page(range);
    if (!page.ok()) return page.status();
    for (const KeyValue& item : page->items) {
      if (absl::Status status = visit(item); !status.ok()) return status;
    }
    more = page->more;
    if (more) range.begin = page->items.back().key + '\0';
  }
  return absl::OkStatus();
}

}  // namespace kv_internal

// Calls `visit(const KeyValue&) -> absl::Status` for every entry of the range, in order, and reads
// a page at a time. Stops at the first error. REQUIRES: `options` does not say `reverse`.
template <typename Visit>
absl::Status ForEach(Reader& reader, SpaceId space, const Range& range, Visit&& visit,
                     const PageOptions& options = {}) {
  return kv_internal::ForEachPage(
      [&](const Range& rest) { return reader.List(space, rest, options); }, range, visit);
}

// The same, each page from a snapshot of its own: a long walk does not hold an old state, and sees
// what changes in front of it.
template <typename Visit>
absl::Status ForEach(Store& store, SpaceId space, const Range& range, Visit&& visit,
                     const PageOptions& options = {}) {
  return kv_internal::ForEachPage(
      [&](const Range& rest) { return store.NewSnapshot()->List(space, rest, options); }, range,
      visit);
}

}  // namespace strata::kv

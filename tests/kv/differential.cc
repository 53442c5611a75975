// SPDX-License-Identifier: Apache-2.0
#include "differential.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace strata::kv {
namespace {

using Contents = std::map<std::string, std::string>;

bool Inside(const Range& range, const std::string& key) {
  return key >= range.begin && (range.end.empty() || key < range.end);
}

bool Empty(const Range& range) { return !range.end.empty() && range.end <= range.begin; }

// One key, as a range.
Range Only(const std::string& key) { return {key, key + std::string(1, '\0')}; }

bool Meet(const Range& a, const Range& b) {
  if (Empty(a) || Empty(b)) return false;
  return (a.end.empty() || b.begin < a.end) && (b.end.empty() || a.begin < b.end);
}

// A read or a write of a range of a space; of one key when the range is Only(key).
struct Touch {
  size_t space;
  Range range;
};

// The spaces, and how operations change them.
struct State {
  std::array<Contents, 2> spaces;

  void Apply(const WriteBatch::Operation& operation, size_t space) {
    using Kind = WriteBatch::Operation::Kind;
    Contents& contents = spaces[space];
    if (operation.kind == Kind::kPut) contents[operation.key] = operation.value;
    if (operation.kind == Kind::kDelete) contents.erase(operation.key);
    if (operation.kind == Kind::kDeleteRange) {
      const Range range{operation.key, operation.value};
      std::erase_if(contents, [&](const auto& entry) { return Inside(range, entry.first); });
    }
  }

  std::optional<std::string> Get(size_t space, const std::string& key) const {
    const auto found = spaces[space].find(key);
    return found == spaces[space].end() ? std::nullopt : std::optional(found->second);
  }

  Page List(size_t space, const Range& range, const PageOptions& options) const {
    std::vector<KeyValue> all;
    for (const auto& [key, value] : spaces[space]) {
      if (Inside(range, key)) all.push_back({key, value});
    }
    if (options.reverse) std::reverse(all.begin(), all.end());
    Page page;
    size_t bytes = 0;
    for (const KeyValue& item : all) {
      bytes += item.key.size() + item.value.size();
      page.more = page.items.size() == options.max_items ||
                  (!page.items.empty() && bytes > options.max_bytes);
      if (page.more) break;
      page.items.push_back(item);
    }
    return page;
  }
};

Touch TouchOf(const WriteBatch::Operation& operation, size_t space) {
  if (operation.kind == WriteBatch::Operation::Kind::kDeleteRange) {
    return {space, {operation.key, operation.value}};
  }
  return {space, Only(operation.key)};
}

struct ModelCommit {
  uint64_t version;
  std::vector<Touch> writes;
};

struct OpenTransaction {
  std::unique_ptr<Transaction> real;
  State state;  // As at the beginning, with its own writes.
  uint64_t begun_at;
  std::vector<Touch> reads;
  std::vector<std::pair<WriteBatch::Operation, size_t>> writes;

  bool HasWritten(size_t space, const std::string& key) const {
    return std::any_of(writes.begin(), writes.end(), [&](const auto& write) {
      const Touch touch = TouchOf(write.first, write.second);
      return touch.space == space && Meet(touch.range, Only(key));
    });
  }
};

struct OpenSnapshot {
  std::unique_ptr<Snapshot> real;
  State state;
};

std::string Show(const std::optional<std::string>& value) {
  return value.has_value() ? "'" + *value + "'" : "absent";
}

std::string Show(const Page& page) {
  std::string shown;
  for (const KeyValue& item : page.items) shown += item.key + "=" + item.value + " ";
  return shown + (page.more ? "and more" : "and no more");
}

class Comparison {
 public:
  Comparison(Store& store, std::span<const uint8_t> program) : store_(store), program_(program) {}

  std::optional<std::string> Run() {
    ids_[0] = store_.OpenSpace("ordered", {SpaceOptions::Access::kOrdered}).value();
    ids_[1] = store_.OpenSpace("point", {SpaceOptions::Access::kPoint}).value();
    for (; !program_.empty() && difference_.empty(); ++step_) Step();
    if (difference_.empty()) return std::nullopt;
    return "step " + std::to_string(step_ - 1) + ": " + difference_;
  }

 private:
  uint8_t Byte() {
    if (program_.empty()) return 0;
    const uint8_t byte = program_.front();
    program_ = program_.subspan(1);
    return byte;
  }

  // Keys of 0..3 letters of three, one of them 0xFF.
  std::string Key() {
    const uint8_t byte = Byte();
    std::string key;
    for (int i = 0, rest = byte / 4; i < byte % 4; ++i, rest /= 3)
      key.push_back("ab\xFF"[rest % 3]);
    return key;
  }

  Range AnyRange() {
    std::string begin = Key();
    return {std::move(begin), Key()};
  }

  PageOptions AnyPage() {
    const uint8_t byte = Byte();
    PageOptions options;
    options.max_items = 1 + byte % 4;
    options.max_bytes = byte % 8 < 4 ? 6 : 1000;
    options.reverse = byte >= 128;
    return options;
  }

  void Same(const std::string& what, const std::string& real, const std::string& model) {
    if (difference_.empty() && real != model) {
      difference_ = what + ": the store says " + real + ", the model says " + model;
    }
  }

  void CompareGet(absl::StatusOr<std::optional<std::string>> real, const State& state, size_t space,
                  const std::string& key) {
    Same("get " + key, real.ok() ? Show(*real) : real.status().ToString(),
         Show(state.Get(space, key)));
  }

  Page CompareList(absl::StatusOr<Page> real, const State& state, size_t space, const Range& range,
                   const PageOptions& options) {
    const Page model = state.List(space, range, options);
    Same("list [" + range.begin + ", " + range.end + ")",
         real.ok() ? Show(*real) : real.status().ToString(), Show(model));
    return model;
  }

  void Step() {
    const uint8_t code = Byte();
    const size_t slot = code / 64;
    const size_t space = code / 32 % 2;
    switch (code % 8) {
      case 0:
        transactions_[slot] = OpenTransaction{store_.Begin(), state_, store_.version(), {}, {}};
        break;
      case 1:
        ReadInTransaction(transactions_[slot], space);
        break;
      case 2:
        ListInTransaction(transactions_[slot], space);
        break;
      case 3:
      case 4:
        WriteInTransaction(transactions_[slot], space);
        break;
      case 5:
        Commit(transactions_[slot]);
        break;
      case 6:
        UseSnapshot(snapshots_[slot % 2], space);
        break;
      case 7:
        slot % 2 == 0 ? WriteBlindly(space) : Watch(space);
        break;
    }
  }

  void ReadInTransaction(std::optional<OpenTransaction>& txn, size_t space) {
    if (!txn.has_value()) return;
    const uint8_t how = Byte();
    const std::string key = Key();
    if (how % 4 == 0) {
      CompareGet(txn->real->GetUnchecked(ids_[space], key), txn->state, space, key);
      return;
    }
    std::vector<std::string> keys{key};
    if (how % 4 == 1) {
      keys.push_back(Key());
      const auto values = txn->real->MultiGet(ids_[space], keys);
      for (size_t i = 0; i < keys.size(); ++i) {
        Same("multi-get " + keys[i], values.ok() ? Show((*values)[i]) : values.status().ToString(),
             Show(txn->state.Get(space, keys[i])));
      }
    } else {
      CompareGet(txn->real->Get(ids_[space], key), txn->state, space, key);
    }
    for (const std::string& read : keys) {
      if (!txn->HasWritten(space, read)) txn->reads.push_back({space, Only(read)});
    }
  }

  void ListInTransaction(std::optional<OpenTransaction>& txn, size_t space) {
    if (!txn.has_value()) return;
    const bool checked = Byte() % 4 != 0;
    Range range = AnyRange();
    const PageOptions options = AnyPage();
    const Page page = CompareList(checked ? txn->real->List(ids_[space], range, options)
                                          : txn->real->ListUnchecked(ids_[space], range, options),
                                  txn->state, space, range, options);
    if (!checked) return;
    if (page.more && options.reverse) range.begin = page.items.back().key;
    if (page.more && !options.reverse) range.end = Only(page.items.back().key).end;
    txn->reads.push_back({space, range});
  }

  WriteBatch::Operation AnyOperation(size_t space) {
    using Kind = WriteBatch::Operation::Kind;
    const uint8_t how = Byte();
    WriteBatch::Operation operation{Kind::kPut, ids_[space], Key(), std::to_string(step_)};
    if (how % 4 == 1) operation = {Kind::kDelete, ids_[space], operation.key, ""};
    if (how % 8 == 2) operation = {Kind::kDeleteRange, ids_[space], operation.key, Key()};
    return operation;
  }

  void WriteInTransaction(std::optional<OpenTransaction>& txn, size_t space) {
    if (!txn.has_value()) return;
    using Kind = WriteBatch::Operation::Kind;
    const WriteBatch::Operation operation = AnyOperation(space);
    absl::Status status;
    switch (operation.kind) {
      case Kind::kPut:
        status = txn->real->Put(operation.space, operation.key, operation.value);
        break;
      case Kind::kDelete:
        status = txn->real->Delete(operation.space, operation.key);
        break;
      case Kind::kDeleteRange:
        status = txn->real->DeleteRange(operation.space, {operation.key, operation.value});
        break;
    }
    Same("write", status.ToString(), "OK");
    txn->state.Apply(operation, space);
    // Deleting nothing at all is not a write.
    if (!Empty(TouchOf(operation, space).range)) txn->writes.emplace_back(operation, space);
  }

  bool Conflicts(const OpenTransaction& txn) const {
    for (const ModelCommit& commit : commits_) {
      if (commit.version <= txn.begun_at) continue;
      for (const Touch& write : commit.writes) {
        for (const Touch& read : txn.reads) {
          if (read.space == write.space && Meet(read.range, write.range)) return true;
        }
      }
    }
    return false;
  }

  void Commit(std::optional<OpenTransaction>& txn) {
    if (!txn.has_value()) return;
    const Durability durability = Byte() % 2 == 0 ? Durability::kSync : Durability::kAsync;
    const bool conflict = !txn->writes.empty() && Conflicts(*txn);
    const absl::Status status = txn->real->Commit(durability);
    Same("commit", absl::StatusCodeToString(status.code()), conflict ? "ABORTED" : "OK");
    if (status.ok() && !txn->writes.empty()) Record(txn->writes);
    txn.reset();
  }

  void Record(const std::vector<std::pair<WriteBatch::Operation, size_t>>& writes) {
    ModelCommit commit{store_.version(), {}};
    for (const auto& [operation, space] : writes) {
      state_.Apply(operation, space);
      commit.writes.push_back(TouchOf(operation, space));
    }
    if (!commits_.empty() && commits_.back().version >= commit.version) {
      difference_ = "the version did not grow with a commit";
    }
    commits_.push_back(std::move(commit));
  }

  void WriteBlindly(size_t space) {
    WriteBatch batch;
    std::vector<std::pair<WriteBatch::Operation, size_t>> writes;
    for (int left = 1 + Byte() % 3; left > 0; --left) {
      const WriteBatch::Operation operation = AnyOperation(space);
      switch (operation.kind) {
        case WriteBatch::Operation::Kind::kPut:
          batch.Put(operation.space, operation.key, operation.value);
          break;
        case WriteBatch::Operation::Kind::kDelete:
          batch.Delete(operation.space, operation.key);
          break;
        case WriteBatch::Operation::Kind::kDeleteRange:
          batch.DeleteRange(operation.space, {operation.key, operation.value});
          break;
      }
      writes.emplace_back(operation, space);
    }
    Same("blind write", store_.Write(batch, Durability::kAsync).ToString(), "OK");
    Record(writes);
  }

  void Watch(size_t space) {
    const Range range = AnyRange();
    const size_t back = Byte() % 8;  // How many commits ago the watcher last looked.
    const uint64_t after =
        back < commits_.size() ? commits_[commits_.size() - 1 - back].version : first_version_;
    uint64_t expected = after;
    for (const ModelCommit& commit : commits_) {
      const bool touched = std::any_of(
          commit.writes.begin(), commit.writes.end(),
          [&](const Touch& write) { return write.space == space && Meet(write.range, range); });
      if (touched && commit.version > after) expected = commit.version;
    }
    const auto seen = store_.WaitForChange(ids_[space], range, after, 0);
    Same("watch", seen.ok() ? std::to_string(*seen) : seen.status().ToString(),
         std::to_string(expected));
  }

  void UseSnapshot(std::optional<OpenSnapshot>& snapshot, size_t space) {
    const uint8_t how = Byte();
    if (!snapshot.has_value() || how % 8 == 0) {
      snapshot.emplace(OpenSnapshot{store_.NewSnapshot(), state_});
    }
    if (how % 2 == 0) {
      const std::string key = Key();
      CompareGet(snapshot->real->Get(ids_[space], key), snapshot->state, space, key);
    } else {
      const Range range = AnyRange();
      const PageOptions options = AnyPage();
      CompareList(snapshot->real->List(ids_[space], range, options), snapshot->state, space, range,
                  options);
    }
  }

  Store& store_;
  std::span<const uint8_t> program_;
  const uint64_t first_version_ = store_.version();
  std::array<SpaceId, 2> ids_;
  State state_;
  std::vector<ModelCommit> commits_;
  std::array<std::optional<OpenTransaction>, 4> transactions_;
  std::array<std::optional<OpenSnapshot>, 2> snapshots_;
  size_t step_ = 0;
  std::string difference_;
};

}  // namespace

std::optional<std::string> FindDifference(Store& store, std::span<const uint8_t> program) {
  return Comparison(store, program).Run();
}

}  // namespace strata::kv

// SPDX-License-Identifier: Apache-2.0
#include "conflict_tracker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "argument_checks.h"
#include "strata/base/check.h"

namespace strata::kv {
namespace {

absl::Status Conflict(std::string_view key) {
  return absl::AbortedError(
      absl::StrCat("key ", PrintableKey(key), " changed since the transaction began"));
}

}  // namespace

const ConflictTracker::SpaceLog* ConflictTracker::FindLog(SpaceId space) const {
  return space.value < logs_.size() ? &logs_[space.value] : nullptr;
}

absl::Status ConflictTracker::Check(const ReadSet& reads, uint64_t read_version) const {
  if (reads.empty()) return absl::OkStatus();
  if (read_version < forgotten_version_) {
    return absl::OutOfRangeError(
        "the transaction took too long: too much was committed since it began");
  }
  for (const ReadSet::Key& read : reads.keys()) {
    const auto newest = newest_by_hash_.find(read.hash);
    if (newest != newest_by_hash_.end() && newest->second > read_version) return Conflict(read.key);
    const SpaceLog* log = FindLog(read.space);
    if (log == nullptr) continue;
    for (auto write = log->range_writes.rbegin();
         write != log->range_writes.rend() && write->version > read_version; ++write) {
      if (InRange(write->range, read.key)) return Conflict(read.key);
    }
  }
  for (const ReadSet::SpaceRange& read : reads.ranges()) {
    const SpaceLog* log = FindLog(read.space);
    if (log == nullptr) continue;
    for (auto write = log->writes.rbegin();
         write != log->writes.rend() && write->version > read_version; ++write) {
      if (InRange(read.range, write->key)) return Conflict(write->key);
    }
    for (auto write = log->range_writes.rbegin();
         write != log->range_writes.rend() && write->version > read_version; ++write) {
      if (RangesOverlap(read.range, write->range)) {
        return Conflict(std::max(read.range.begin, write->range.begin));
      }
    }
  }
  return absl::OkStatus();
}

void ConflictTracker::Record(uint64_t version, const WriteBatch& writes,
                             uint64_t oldest_transaction) {
  STRATA_CHECK(commits_.empty() || version > commits_.back().version, "commit versions must grow");
  CommitSize size{.version = version, .writes = writes.operations().size(), .bytes = 0};
  for (const WriteBatch::Operation& operation : writes.operations()) {
    if (operation.space.value >= logs_.size()) logs_.resize(operation.space.value + 1);
    SpaceLog& log = logs_[operation.space.value];
    if (operation.kind == WriteBatch::Operation::Kind::kDeleteRange) {
      log.range_writes.push_back({version, {operation.key, operation.value}});
      size.bytes += operation.key.size() + operation.value.size();
    } else {
      const uint64_t hash = HashKey(operation.space, operation.key);
      newest_by_hash_[hash] = version;
      log.writes.push_back({version, hash, operation.key});
      size.bytes += operation.key.size();
    }
  }
  write_count_ += size.writes;
  key_bytes_ += size.bytes;
  commits_.push_back(size);
  if (MayForget(oldest_transaction)) Forget(oldest_transaction);
}

// An eighth of what is kept is forgotten at a time, so that many commits share the walk over the
// spaces.
bool ConflictTracker::MayForget(uint64_t oldest_transaction) const {
  if (write_count_ > kMaxWrites || key_bytes_ > kMaxBytes) return true;
  return write_count_ > kKeptWrites / 8 * 9 && commits_.front().version <= oldest_transaction;
}

void ConflictTracker::Forget(uint64_t oldest_transaction) {
  const auto too_much = [&] {
    if (write_count_ > kMaxWrites / 8 * 7 || key_bytes_ > kMaxBytes / 8 * 7) return true;
    return write_count_ > kKeptWrites && commits_.front().version <= oldest_transaction;
  };
  while (!commits_.empty() && too_much()) {
    write_count_ -= commits_.front().writes;
    key_bytes_ -= commits_.front().bytes;
    forgotten_version_ = commits_.front().version;
    commits_.pop_front();
  }
  for (SpaceLog& log : logs_) {
    while (!log.writes.empty() && log.writes.front().version <= forgotten_version_) {
      const auto newest = newest_by_hash_.find(log.writes.front().hash);
      if (newest != newest_by_hash_.end() && newest->second <= forgotten_version_) {
        newest_by_hash_.erase(newest);
      }
      log.writes.pop_front();
    }
    while (!log.range_writes.empty() && log.range_writes.front().version <= forgotten_version_) {
      log.range_writes.pop_front();
    }
  }
  // An emptied table keeps its memory; a store at rest should not.
  if (newest_by_hash_.capacity() > 8 * (newest_by_hash_.size() + kKeptWrites)) {
    newest_by_hash_.rehash(0);
  }
}

std::optional<uint64_t> ConflictTracker::NewestWrite(SpaceId space, const Range& range,
                                                     uint64_t after, uint64_t upto) const {
  const SpaceLog* log = FindLog(space);
  if (log == nullptr) return std::nullopt;
  uint64_t newest = after;
  for (auto write = log->writes.rbegin(); write != log->writes.rend() && write->version > newest;
       ++write) {
    if (write->version <= upto && InRange(range, write->key)) newest = write->version;
  }
  for (auto write = log->range_writes.rbegin();
       write != log->range_writes.rend() && write->version > newest; ++write) {
    if (write->version <= upto && RangesOverlap(range, write->range)) newest = write->version;
  }
  return newest > after ? std::optional<uint64_t>(newest) : std::nullopt;
}

}  // namespace strata::kv

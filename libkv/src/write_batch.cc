// SPDX-License-Identifier: Apache-2.0
#include "argument_checks.h"
#include "strata/kv/store.h"

namespace strata::kv {

Range PrefixRange(std::string_view prefix) {
  Range range{.begin = std::string(prefix), .end = std::string(prefix)};
  // The end is the prefix with its last byte incremented; bytes that cannot be are dropped.
  while (!range.end.empty() && static_cast<unsigned char>(range.end.back()) == 0xFF) {
    range.end.pop_back();
  }
  if (!range.end.empty()) ++range.end.back();
  return range;
}

absl::StatusOr<std::vector<SpaceInfo>> Store::ListSpaces() {
  return absl::UnimplementedError("kv: this store cannot list its spaces");
}

absl::StatusOr<SpaceInfo> Store::FindSpace(SpaceId) {
  return absl::UnimplementedError("kv: this store cannot list its spaces");
}

absl::Status Store::AttachCommitLog(CommitLog*, const std::vector<SpaceId>&) {
  return absl::UnimplementedError("kv: this store cannot log its commits elsewhere");
}

void WriteBatch::Put(SpaceId space, std::string_view key, std::string_view value) {
  size_bytes_ += OperationBytes(key, value);
  operations_.push_back({Operation::Kind::kPut, space, std::string(key), std::string(value)});
}

void WriteBatch::Delete(SpaceId space, std::string_view key) {
  size_bytes_ += OperationBytes(key, {});
  operations_.push_back({Operation::Kind::kDelete, space, std::string(key), std::string()});
}

void WriteBatch::DeleteRange(SpaceId space, const Range& range) {
  size_bytes_ += OperationBytes(range.begin, range.end);
  operations_.push_back({Operation::Kind::kDeleteRange, space, range.begin, range.end});
}

void WriteBatch::Clear() {
  operations_.clear();
  size_bytes_ = 0;
}

}  // namespace strata::kv

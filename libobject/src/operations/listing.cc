// SPDX-License-Identifier: Apache-2.0
#include "operations/listing.h"

#include <algorithm>
#include <utility>

#include "strata/object/error.h"

namespace strata::object {
namespace {

constexpr size_t kMaxPageEntries = 1000;
constexpr char kInsideGroup = '\xFF';  // No UTF-8 has this byte.

}  // namespace

absl::StatusOr<ParsedObjectKey> RequireObjectKey(std::string_view stored) {
  std::optional<ParsedObjectKey> parsed = ParseObjectKey(stored);
  if (parsed.has_value()) return *std::move(parsed);
  return MakeError(Reason::kDamaged, "a stored object key is malformed");
}

size_t PageLimit(const ListOptions& options) {
  if (options.prefix.size() > ObjectLimits::kMaxKeyBytes) return 0;
  return std::min(options.max_keys, kMaxPageEntries);
}

std::optional<std::string> GroupOf(std::string_view key, const ListOptions& options) {
  if (options.delimiter.empty()) return std::nullopt;
  const size_t at = key.find(options.delimiter, options.prefix.size());
  if (at == std::string_view::npos) return std::nullopt;
  return std::string(key.substr(0, at + options.delimiter.size()));
}

std::string InsideGroup(std::string_view key) { return std::string(key) + kInsideGroup; }

std::string BehindStart(Table table, uint64_t bucket_id, const ListOptions& options) {
  if (options.start_after.ends_with(kInsideGroup)) {
    const size_t key_bytes = std::min(options.start_after.size() - 1, ObjectLimits::kMaxKeyBytes);
    return BehindKey(table, bucket_id, std::string_view(options.start_after).substr(0, key_bytes));
  }
  if (options.start_after.starts_with(options.prefix)) {
    const std::optional<std::string> group = GroupOf(options.start_after, options);
    if (group.has_value() && group->size() <= ObjectLimits::kMaxKeyBytes) {
      return BehindPrefix(table, bucket_id, *group);
    }
  }
  // No key is longer: what follows in start_after changes nothing.
  return BehindKey(table, bucket_id,
                   std::string_view(options.start_after).substr(0, ObjectLimits::kMaxKeyBytes));
}

}  // namespace strata::object

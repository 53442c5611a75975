// SPDX-License-Identifier: Apache-2.0
//
// Listing the current objects of a bucket: a walk over its current table, with a jump behind each
// group. Delete markers are passed over, and they may be any number: a page ends where a call has
// looked at enough keys.
#include <utility>

#include "operations/listing.h"
#include "operations/object_store.h"
#include "records/version_ids.h"
#include "strata/base/status_macros.h"
#include "transactions/range_cursor.h"

namespace strata::object {
namespace {

ObjectInfo ListedInfo(std::string_view key, ObjectRecord record) {
  Metadata listed;
  listed.storage_class = std::move(record.metadata.storage_class);
  record.metadata = std::move(listed);
  return InfoOf(key, record, true);
}

}  // namespace

absl::StatusOr<ListPage> ObjectStore::List(BucketRef bucket, const ListOptions& options) {
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record, RequireBucket(*snapshot, bucket));
  const size_t limit = PageLimit(options);
  ListPage page;
  if (limit == 0) return page;

  RangeCursor cursor(snapshot.get(), backing_.space,
                     PrefixRangeIn(Table::kCurrent, bucket_record.id, options.prefix));
  if (!options.start_after.empty()) {
    cursor.SeekTo(BehindStart(Table::kCurrent, bucket_record.id, options));
  }
  std::string last;
  size_t examined = 0;
  for (size_t count = 0;; ++count) {
    const kv::KeyValue* item;
    absl::StatusOr<ObjectRecord> record;
    std::string marker;  // The stored key of the delete marker that was passed over last.
    for (;; cursor.Advance()) {
      STRATA_ASSIGN_OR_RETURN(item, cursor.Peek());
      if (item == nullptr) return page;
      if (++examined > ObjectLimits::kMaxExaminedKeys) {
        page.truncated = true;
        page.next_start_after = std::move(last);
        if (!marker.empty()) {
          STRATA_ASSIGN_OR_RETURN(ParsedObjectKey parsed, RequireObjectKey(marker));
          // The group that it lies in may have an object further on.
          const bool inside = GroupOf(parsed.key, options).has_value();
          page.next_start_after = inside ? InsideGroup(parsed.key) : std::move(parsed.key);
        }
        return page;
      }
      record = DecodeObject(item->value);
      if (!record.ok()) return FromStorage(record.status(), "decoding an object");
      if (!record->is_delete_marker) break;
      if (examined == ObjectLimits::kMaxExaminedKeys) marker = item->key;
    }
    if (count == limit) {
      page.truncated = true;
      page.next_start_after = std::move(last);
      return page;
    }
    STRATA_ASSIGN_OR_RETURN(const ParsedObjectKey parsed, RequireObjectKey(item->key));
    std::optional<std::string> group = GroupOf(parsed.key, options);
    if (group.has_value()) {
      cursor.SeekTo(BehindPrefix(Table::kCurrent, bucket_record.id, *group));
      last = *group;
      page.common_prefixes.push_back(*std::move(group));
    } else {
      cursor.Advance();
      last = parsed.key;
      page.objects.push_back(ListedInfo(parsed.key, *std::move(record)));
    }
  }
}

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
//
// Listing all versions of a bucket: the current and the older table, walked side by side.
#include <limits>
#include <utility>

#include "operations/listing.h"
#include "operations/object_store.h"
#include "records/version_ids.h"
#include "strata/base/status_macros.h"
#include "transactions/range_cursor.h"

namespace strata::object {
namespace {

// Where a page of versions goes on inside of a key: at versions older than this.
struct VersionStart {
  std::string key;
  uint64_t below_sequence = 0;
};

// Gathers entries up to a limit, and remembers where the next page begins.
class VersionsPage final {
 public:
  explicit VersionsPage(size_t limit) : limit_(limit) {}

  // False: the page is full, and now says so.
  bool Add(std::string_view key, const ObjectRecord& record, bool is_latest) {
    if (!MakeRoom()) return false;
    ObjectInfo info = InfoOf(key, record, is_latest);
    info.metadata = {};
    info.metadata.storage_class = record.metadata.storage_class;
    page_.objects.push_back(std::move(info));
    last_key_ = key;
    // Never "null": which version that is may change before the next page.
    last_version_ = VersionText(record.sequence, record.nonce);
    return true;
  }

  bool AddGroup(const std::string& group) {
    if (!MakeRoom()) return false;
    page_.common_prefixes.push_back(group);
    last_key_ = group;
    last_version_.clear();
    return true;
  }

  ListPage Take() { return std::move(page_); }

 private:
  bool MakeRoom() {
    if (page_.objects.size() + page_.common_prefixes.size() < limit_) return true;
    page_.truncated = true;
    page_.next_start_after = last_key_;
    page_.next_version_marker = last_version_;
    return false;
  }

  const size_t limit_;
  ListPage page_;
  std::string last_key_;
  std::string last_version_;
};

// Resolves a version marker. Of "null", the place of that version now.
absl::StatusOr<VersionStart> FindStart(kv::Reader& reader, kv::SpaceId space, uint64_t bucket_id,
                                       const ListOptions& options) {
  STRATA_ASSIGN_OR_RETURN(const VersionRef marker, RequireVersionId(options.version_marker));
  VersionStart start{options.start_after, marker.sequence};
  if (!marker.is_null) return start;
  STRATA_ASSIGN_OR_RETURN(
      const std::optional<ObjectRecord> head,
      ReadRecord(reader, space, CurrentKey(bucket_id, options.start_after), DecodeObject));
  if (head.has_value()) {
    start.below_sequence = head->is_null ? head->sequence : head->older_null_sequence;
  }
  return start;
}

class VersionsWalk final {
 public:
  VersionsWalk(kv::Reader* reader, kv::SpaceId space, uint64_t bucket_id,
               const ListOptions& options)
      : reader_(reader),
        space_(space),
        bucket_id_(bucket_id),
        options_(options),
        current_(reader, space, PrefixRangeIn(Table::kCurrent, bucket_id, options.prefix)),
        older_(reader, space, PrefixRangeIn(Table::kOlder, bucket_id, options.prefix)),
        page_(PageLimit(options)) {}

  absl::StatusOr<ListPage> Run() {
    STRATA_RETURN_IF_ERROR(Start());
    for (bool room = true; room;) {
      STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* item, current_.Peek());
      if (item == nullptr) break;
      STRATA_ASSIGN_OR_RETURN(const ParsedObjectKey parsed, RequireObjectKey(item->key));
      const std::optional<std::string> group = GroupOf(parsed.key, options_);
      if (group.has_value()) {
        room = page_.AddGroup(*group);
        current_.SeekTo(BehindPrefix(Table::kCurrent, bucket_id_, *group));
      } else {
        STRATA_ASSIGN_OR_RETURN(room, AddVersionsOf(parsed.key, item->value));
        current_.Advance();
      }
    }
    return page_.Take();
  }

 private:
  absl::Status Start() {
    if (options_.start_after.empty()) return absl::OkStatus();
    const bool inside_a_group = options_.start_after.starts_with(options_.prefix) &&
                                GroupOf(options_.start_after, options_).has_value();
    const bool is_a_key = options_.start_after.size() <= ObjectLimits::kMaxKeyBytes;
    if (options_.version_marker.empty() || inside_a_group || !is_a_key) {
      current_.SeekTo(BehindStart(Table::kCurrent, bucket_id_, options_));
      return absl::OkStatus();
    }
    STRATA_ASSIGN_OR_RETURN(start_, FindStart(*reader_, space_, bucket_id_, options_));
    current_.SeekTo(CurrentKey(bucket_id_, options_.start_after));
    return absl::OkStatus();
  }

  absl::StatusOr<bool> AddVersionsOf(const std::string& key, std::string_view head_value) {
    const absl::StatusOr<ObjectRecord> head = DecodeObject(head_value);
    if (!head.ok()) return FromStorage(head.status(), "decoding an object");
    uint64_t below_sequence = std::numeric_limits<uint64_t>::max();
    if (start_.has_value() && start_->key == key) below_sequence = start_->below_sequence;
    if (head->sequence < below_sequence && !page_.Add(key, *head, true)) return false;

    // Not from the newest on: a page deep inside of a key must not walk over those before it.
    older_.SeekTo(OlderKey(bucket_id_, key, below_sequence));
    for (;; older_.Advance()) {
      STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* item, older_.Peek());
      if (item == nullptr) return true;
      STRATA_ASSIGN_OR_RETURN(const ParsedObjectKey parsed, RequireObjectKey(item->key));
      if (parsed.key != key) return true;
      const absl::StatusOr<ObjectRecord> older = DecodeObject(item->value);
      if (!older.ok()) return FromStorage(older.status(), "decoding an older version");
      if (older->sequence < below_sequence && !page_.Add(key, *older, false)) return false;
    }
  }

  kv::Reader* const reader_;
  const kv::SpaceId space_;
  const uint64_t bucket_id_;
  const ListOptions& options_;
  RangeCursor current_;
  RangeCursor older_;
  VersionsPage page_;
  std::optional<VersionStart> start_;
};

}  // namespace

absl::StatusOr<ListPage> ObjectStore::ListVersions(BucketRef bucket, const ListOptions& options) {
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const BucketRecord bucket_record, RequireBucket(*snapshot, bucket));
  if (PageLimit(options) == 0) return ListPage();
  return VersionsWalk(snapshot.get(), backing_.space, bucket_record.id, options).Run();
}

}  // namespace strata::object

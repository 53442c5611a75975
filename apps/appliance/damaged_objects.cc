// SPDX-License-Identifier: Apache-2.0
#include "appliance/damaged_objects.h"

#include <memory>
#include <set>
#include <utility>

#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

class Search {
 public:
  Search(Appliance& appliance, const dedup::ProgressCallback& progress)
      : objects_(appliance.objects()), progress_(progress), buffer_(1u << 20) {}

  // An object that came in one piece is exactly as long as its stream; parts are shorter than
  // theirs.
  absl::Status AddStreams(dedup::Store& store, const std::vector<dedup::Damage>& damage) {
    for (const dedup::Damage& damaged : damage) {
      const absl::StatusOr<dedup::StreamInfo> info = store.Stat(damaged.stream);
      if (absl::IsNotFound(info.status())) continue;
      if (!info.ok()) return info.status();
      sizes_.insert(info->size_bytes);
    }
    return absl::OkStatus();
  }

  bool empty() const { return sizes_.empty(); }

  absl::Status WalkBucket(const std::string& bucket) {
    object::ListOptions options;
    while (true) {
      const absl::StatusOr<object::ListPage> page = objects_.ListVersions(bucket, options);
      if (object::ReasonOf(page.status()) == object::Reason::kNoSuchBucket) return absl::OkStatus();
      if (!page.ok()) return page.status();
      for (const object::ObjectInfo& info : page->objects) {
        STRATA_RETURN_IF_ERROR(Look(bucket, info));
      }
      if (!page->truncated) return absl::OkStatus();
      options.start_after = page->next_start_after;
      options.version_marker = page->next_version_marker;
    }
  }

  std::vector<DamagedObject> TakeFound() { return std::move(found_); }

 private:
  bool MayBeMeant(const object::ObjectInfo& info) const {
    if (info.is_delete_marker || info.size_bytes == 0) return false;
    if (info.part_count == 0) return sizes_.contains(info.size_bytes);
    return info.size_bytes >= *sizes_.begin();
  }

  absl::Status Look(const std::string& bucket, const object::ObjectInfo& info) {
    if (!progress_({"naming damaged objects", ++looked_at_, 0})) {
      return absl::CancelledError("cancelled");
    }
    if (!MayBeMeant(info)) return absl::OkStatus();
    const absl::Status status = ReadAll(bucket, info);
    if (!absl::IsDataLoss(status)) return absl::IsNotFound(status) ? absl::OkStatus() : status;
    found_.push_back(
        {bucket, info.key, info.version_id, info.size_bytes, std::string(status.message())});
    return absl::OkStatus();
  }

  absl::Status ReadAll(const std::string& bucket, const object::ObjectInfo& info) {
    object::GetOptions options;
    options.version_id = info.version_id;
    STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<object::ObjectReader> reader,
                            objects_.OpenReader(bucket, info.key, options));
    for (uint64_t offset = 0; offset < info.size_bytes;) {
      if (!progress_({"naming damaged objects", looked_at_, 0})) {
        return absl::CancelledError("cancelled");
      }
      STRATA_ASSIGN_OR_RETURN(const size_t got, reader->Read(offset, buffer_));
      if (got == 0) break;
      offset += got;
    }
    return absl::OkStatus();
  }

  object::Store& objects_;
  const dedup::ProgressCallback& progress_;
  std::vector<std::byte> buffer_;
  std::set<uint64_t> sizes_;
  uint64_t looked_at_ = 0;
  std::vector<DamagedObject> found_;
};

}  // namespace

absl::StatusOr<std::vector<DamagedObject>> FindDamagedObjects(
    Appliance& appliance, const std::vector<dedup::Damage>& damage,
    const dedup::ProgressCallback& progress) {
  Search search(appliance, progress);
  STRATA_RETURN_IF_ERROR(search.AddStreams(appliance.dedup(), damage));
  if (!search.empty()) {
    STRATA_ASSIGN_OR_RETURN(const std::vector<object::BucketInfo> buckets,
                            appliance.objects().ListBuckets(""));
    for (const object::BucketInfo& bucket : buckets) {
      STRATA_RETURN_IF_ERROR(search.WalkBucket(bucket.name));
    }
  }
  return search.TakeFound();
}

}  // namespace strata::appliance

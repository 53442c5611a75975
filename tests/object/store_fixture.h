// SPDX-License-Identifier: Apache-2.0
//
// A whole object store for a test: on memory, or on a directory that survives it; with a clock that
// the test moves, and short ways to put, get and list.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strata/block/device.h"
#include "strata/dedup/store.h"
#include "strata/kv/store.h"
#include "strata/object/store.h"
#include "support/manual_clock.h"
#include "support/must.h"
#include "support/scratch_folder.h"

namespace strata::object::test {

inline constexpr uint64_t kSecondNs = 1'000'000'000;

using strata::test::Must;

class StoreFixture {
 public:
  // In memory.
  StoreFixture();

  // RocksDB and a file, in a folder that is removed at the end.
  enum OnDisk { kOnDisk };
  explicit StoreFixture(OnDisk);

  ~StoreFixture();

  // Closes everything and opens it again; in memory, the kv store and the device stay.
  void Reopen();
  absl::Status TryReopen();

  Store& store() { return *store_; }
  dedup::Store& dedup() { return *dedup_; }
  kv::Store& kv() { return *kv_; }
  const std::filesystem::path& folder() const { return folder_; }

  absl::StatusOr<ObjectInfo> TryPut(std::string_view bucket, std::string_view key,
                                    std::string_view content, const PutOptions& options = {},
                                    const ContentClaims& claims = {});
  ObjectInfo Put(std::string_view bucket, std::string_view key, std::string_view content,
                 const PutOptions& options = {}) {
    return Must(TryPut(bucket, key, content, options));
  }

  absl::StatusOr<std::string> TryGet(std::string_view bucket, std::string_view key,
                                     const GetOptions& options = {});
  std::string Get(std::string_view bucket, std::string_view key, const GetOptions& options = {}) {
    return Must(TryGet(bucket, key, options));
  }
  std::string GetVersion(std::string_view bucket, std::string_view key,
                         const std::string& version_id) {
    return Get(bucket, key, {.version_id = version_id});
  }

  absl::StatusOr<ObjectInfo> TryPutPart(const UploadInfo& upload, uint32_t part_number,
                                        std::string_view content, const ContentClaims& claims = {});
  CompletedPart PutPart(const UploadInfo& upload, uint32_t part_number, std::string_view content);

  // Streams that exist, and how many objects and parts refer to: equal when nothing leaks.
  size_t StreamCount();

  // Reaps everything that is due.
  void ReapAll();

  strata::test::ManualClock clock{1'700'000'000'000'000'000};
  std::optional<dedup::EncryptionKey> encryption_key;  // Of the object store, from Reopen() on.

 private:
  void Open();
  absl::Status TryOpen();

  std::optional<strata::test::ScratchFolder> scratch_;
  std::filesystem::path folder_;
  std::unique_ptr<kv::Store> kv_;
  std::unique_ptr<block::Device> device_;
  std::unique_ptr<dedup::Store> dedup_;
  std::unique_ptr<Store> store_;
};

absl::StatusOr<std::string> ReadAll(ObjectReader* reader);

inline Reason ReasonOf(const absl::Status& status) { return object::ReasonOf(status); }
template <typename T>
Reason ReasonOf(const absl::StatusOr<T>& result) {
  return object::ReasonOf(result.status());
}

// Pseudo-random bytes: the same for the same seed.
std::string Content(uint64_t seed, size_t size);

// The keys of a page, groups among them, in order; versions as "key@n" when asked for.
std::vector<std::string> KeysOf(const ListPage& page);

}  // namespace strata::object::test

// SPDX-License-Identifier: Apache-2.0
//
// Buckets, objects, versions and uploads with S3's semantics, on a dedup::Store (content) and a
// kv::Store (everything else).
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, Store::Open({.dedup = dedup, .kv = kv}));
//   STRATA_RETURN_IF_ERROR(store->CreateBucket("backups", "ada"));
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<ObjectWriter> writer,
//                           store->NewWriter("backups", "monday.tar", {}));
//   STRATA_RETURN_IF_ERROR(writer->Write(bytes));
//   STRATA_ASSIGN_OR_RETURN(ObjectInfo info, writer->Finish({}));  // Durable and visible.
//
// Who may do what is the front end's question: this class records owners and answers every caller.
// Errors carry a Reason (error.h). Every mutation is durable when its call returns OK.
//
// A forked child has no use of its parent's stores, writers and readers: their calls fail there
// with FailedPrecondition, and destroying them changes nothing.
//
// Thread safety: a Store may be called from any thread; writers and readers are used by one thread
// at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/clock.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/dedup/store.h"
#include "strata/kv/store.h"
#include "strata/object/error.h"
#include "strata/object/types.h"

namespace strata::object {

// *dedup and *kv outlive the Store.
struct StoreOptions {
  dedup::Store* dedup = nullptr;
  kv::Store* kv = nullptr;  // Its spaces named "<name>.*" are this store's alone.
  std::string name = "object";
  const Clock* clock = nullptr;  // nullptr: the system's.
  LogSink log;

  // Encrypts the secrets of access keys (AES-256-GCM); later openings need the same key. Secrets
  // that were stored without one are encrypted when the store is opened. Give dedup::StoreOptions
  // the same key.
  std::optional<dedup::EncryptionKey> encryption_key = std::nullopt;
};

// Takes one object's (or part's) content in. Dropping it unfinished leaves no trace.
class STRATA_EXPORT ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;

  // Says that ContentClaims::sha256 will stay empty, which saves a digest over the content.
  // REQUIRES: before the first Write().
  virtual void OmitSha256() = 0;

  // ResourceExhausted/kStorageFull; InvalidArgument/kEntityTooLarge. Any error is final for the
  // writer.
  virtual absl::Status Write(std::span<const std::byte> data) = 0;

  // Checks the claims and the conditions, then makes the object visible, durably. For a part:
  // ObjectInfo's key is the upload's, and etag, size_bytes and checksum are the part's.
  virtual absl::StatusOr<ObjectInfo> Finish(const ContentClaims& claims) = 0;
};

// Reads one version. It stays readable while the reader is open, whatever happens to the object.
class STRATA_EXPORT ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  virtual const ObjectInfo& info() const = 0;

  // The range of the object this reader covers: all of it, or the part asked for by
  // GetOptions::part_number.
  virtual uint64_t offset_bytes() const = 0;
  virtual uint64_t size_bytes() const = 0;

  // The checksum of that range, where it was stored.
  virtual const std::optional<Checksum>& checksum() const = 0;

  // Fills `out` from `offset_bytes` of the object on; less only at the end of the object.
  // DataLoss/kDamaged.
  virtual absl::StatusOr<size_t> Read(uint64_t offset_bytes, std::span<std::byte> out) = 0;
};

class STRATA_EXPORT Store {
 public:
  // FailedPrecondition: the store has encrypted secrets and no key was given. DataLoss: another key
  // encrypted them.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const StoreOptions& options);
  virtual ~Store() = default;  // REQUIRES: every ObjectWriter and ObjectReader is destroyed.

  // ---- Users and keys
  virtual absl::Status CreateUser(const User& user) = 0;

  // With its keys. FailedPrecondition/kBucketNotEmpty while it owns buckets.
  virtual absl::Status DeleteUser(std::string_view id) = 0;
  virtual absl::StatusOr<User> GetUser(std::string_view id) = 0;
  virtual absl::StatusOr<std::vector<User>> ListUsers() = 0;

  // The same key again for the same user replaces its secret. AlreadyExists: it is another user's.
  virtual absl::Status AddAccessKey(const AccessKey& key) = 0;
  virtual absl::Status DeleteAccessKey(std::string_view access_key) = 0;
  virtual absl::StatusOr<AccessKey> FindAccessKey(std::string_view access_key) = 0;
  virtual absl::StatusOr<std::vector<AccessKey>> ListAccessKeys(std::string_view user_id) = 0;

  // ---- Buckets
  // A call that is given a bucket's id answers kNoSuchBucket when that bucket is gone, whichever
  // bucket has its name now. A change checks it in the transaction that makes the change.

  // `owner` with its created_ns: kNoSuchUser when that user is gone.
  virtual absl::Status CreateBucket(std::string_view bucket, UserRef owner) = 0;

  // Aborts the uploads in progress of a bucket that holds nothing else. kBucketNotEmpty: objects or
  // older versions are left.
  virtual absl::Status DeleteBucket(BucketRef bucket) = 0;
  virtual absl::StatusOr<BucketInfo> GetBucket(BucketRef bucket) = 0;

  // In order of name. Empty owner: everybody's.
  virtual absl::StatusOr<std::vector<BucketInfo>> ListBuckets(std::string_view owner) = 0;
  virtual absl::Status SetVersioning(BucketRef bucket, Versioning versioning) = 0;

  // Walks the bucket; approximate while others write to it.
  virtual absl::StatusOr<BucketUsage> GetBucketUsage(BucketRef bucket) = 0;

  // ---- Objects
  virtual absl::StatusOr<std::unique_ptr<ObjectWriter>> NewWriter(BucketRef bucket,
                                                                  std::string_view key,
                                                                  const PutOptions& options) = 0;
  virtual absl::StatusOr<std::unique_ptr<ObjectReader>> OpenReader(BucketRef bucket,
                                                                   std::string_view key,
                                                                   const GetOptions& options) = 0;
  virtual absl::StatusOr<ObjectInfo> Head(BucketRef bucket, std::string_view key,
                                          const GetOptions& options) = 0;

  // Without a version: removes the object, or hides it behind a delete marker where versioning says
  // so. A missing object is not an error, unless conditions.if_match asks for one: kNoSuchKey.
  virtual absl::StatusOr<DeleteResult> Delete(BucketRef bucket, std::string_view key,
                                              std::string_view version_id,
                                              const Conditions& conditions) = 0;
  absl::StatusOr<DeleteResult> Delete(BucketRef bucket, std::string_view key,
                                      std::string_view version_id) {
    return Delete(bucket, key, version_id, {});
  }

  // Replaces the tags of a version, and nothing else of it. Returns it as it is then.
  virtual absl::StatusOr<ObjectInfo> SetTags(BucketRef bucket, std::string_view key,
                                             std::string_view version_id,
                                             const std::map<std::string, std::string>& tags) = 0;

  // The copy shares the content's chunks: no data moves.
  virtual absl::StatusOr<ObjectInfo> Copy(const CopySource& source, BucketRef bucket,
                                          std::string_view key, const CopyOptions& options) = 0;

  // No parts where the object did not come as a multipart upload.
  virtual absl::StatusOr<ObjectPartsPage> ListObjectParts(BucketRef bucket, std::string_view key,
                                                          const GetOptions& options,
                                                          const PartsOptions& parts) = 0;
  virtual absl::StatusOr<ListPage> List(BucketRef bucket, const ListOptions& options) = 0;
  virtual absl::StatusOr<ListPage> ListVersions(BucketRef bucket, const ListOptions& options) = 0;

  // ---- Multipart uploads
  virtual absl::StatusOr<UploadInfo> CreateUpload(BucketRef bucket, std::string_view key,
                                                  const UploadOptions& options) = 0;
  virtual absl::StatusOr<UploadInfo> GetUpload(const UploadRef& upload) = 0;
  virtual absl::StatusOr<std::unique_ptr<ObjectWriter>> NewPartWriter(
      const UploadRef& upload, uint32_t part_number, std::optional<ChecksumAlgorithm> checksum) = 0;
  virtual absl::StatusOr<PartInfo> CopyPart(const PartSource& source, const UploadRef& upload,
                                            uint32_t part_number) = 0;
  virtual absl::StatusOr<PartsPage> ListParts(const UploadRef& upload,
                                              const PartsOptions& options) = 0;
  virtual absl::StatusOr<UploadsPage> ListUploads(BucketRef bucket, const ListOptions& options,
                                                  std::string_view upload_id_marker) = 0;
  // Answers again with the same object when it was completed before with the same parts.
  virtual absl::StatusOr<ObjectInfo> CompleteUpload(const UploadRef& upload,
                                                    const std::vector<CompletedPart>& parts,
                                                    const CompleteOptions& options) = 0;
  virtual absl::Status AbortUpload(const UploadRef& upload) = 0;

  // ---- Upkeep
  // Deletes the streams that finished, aborted and overwritten uploads left for later, at most
  // `max_streams`. Returns how many; 0: nothing is left.
  virtual absl::StatusOr<size_t> ReapStreams(size_t max_streams) = 0;
};

}  // namespace strata::object

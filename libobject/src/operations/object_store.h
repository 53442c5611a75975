// SPDX-License-Identifier: Apache-2.0
//
// The one implementation of Store. Its methods live in files named after what they do: open.cc,
// users.cc, buckets.cc, put.cc, get.cc, remove.cc, copy.cc, list.cc, list_versions.cc, upload.cc,
// complete_upload.cc, list_uploads.cc, reap.cc.
// Thread-safe.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "content/content_intake.h"
#include "content/content_pins.h"
#include "records/records.h"
#include "records/secret_seal.h"
#include "strata/object/store.h"
#include "transactions/backing.h"
#include "transactions/key_versions.h"
#include "transactions/mutation.h"

namespace strata::object {

class ObjectStore final : public Store {
 public:
  ObjectStore(const StoreOptions& options, kv::SpaceId space, uint64_t seed);

  absl::Status CreateUser(const User& user) override;
  absl::Status DeleteUser(std::string_view id) override;
  absl::StatusOr<User> GetUser(std::string_view id) override;
  absl::StatusOr<std::vector<User>> ListUsers() override;
  absl::Status AddAccessKey(const AccessKey& key) override;
  absl::Status DeleteAccessKey(std::string_view access_key) override;
  absl::StatusOr<AccessKey> FindAccessKey(std::string_view access_key) override;
  absl::StatusOr<std::vector<AccessKey>> ListAccessKeys(std::string_view user_id) override;

  absl::Status CreateBucket(std::string_view bucket, UserRef owner) override;
  absl::Status DeleteBucket(BucketRef bucket) override;
  absl::StatusOr<BucketInfo> GetBucket(BucketRef bucket) override;
  absl::StatusOr<std::vector<BucketInfo>> ListBuckets(std::string_view owner) override;
  absl::Status SetVersioning(BucketRef bucket, Versioning versioning) override;
  absl::StatusOr<BucketUsage> GetBucketUsage(BucketRef bucket) override;

  absl::StatusOr<std::unique_ptr<ObjectWriter>> NewWriter(BucketRef bucket, std::string_view key,
                                                          const PutOptions& options) override;
  absl::StatusOr<std::unique_ptr<ObjectReader>> OpenReader(BucketRef bucket, std::string_view key,
                                                           const GetOptions& options) override;
  absl::StatusOr<ObjectInfo> Head(BucketRef bucket, std::string_view key,
                                  const GetOptions& options) override;
  using Store::Delete;
  absl::StatusOr<DeleteResult> Delete(BucketRef bucket, std::string_view key,
                                      std::string_view version_id,
                                      const Conditions& conditions) override;
  absl::StatusOr<ObjectInfo> SetTags(BucketRef bucket, std::string_view key,
                                     std::string_view version_id,
                                     const std::map<std::string, std::string>& tags) override;
  absl::StatusOr<ObjectPartsPage> ListObjectParts(BucketRef bucket, std::string_view key,
                                                  const GetOptions& options,
                                                  const PartsOptions& parts) override;
  absl::StatusOr<ObjectInfo> Copy(const CopySource& source, BucketRef bucket, std::string_view key,
                                  const CopyOptions& options) override;
  absl::StatusOr<ListPage> List(BucketRef bucket, const ListOptions& options) override;
  absl::StatusOr<ListPage> ListVersions(BucketRef bucket, const ListOptions& options) override;

  absl::StatusOr<UploadInfo> CreateUpload(BucketRef bucket, std::string_view key,
                                          const UploadOptions& options) override;
  absl::StatusOr<UploadInfo> GetUpload(const UploadRef& upload) override;
  absl::StatusOr<std::unique_ptr<ObjectWriter>> NewPartWriter(
      const UploadRef& upload, uint32_t part_number,
      std::optional<ChecksumAlgorithm> checksum) override;
  absl::StatusOr<PartInfo> CopyPart(const PartSource& source, const UploadRef& upload,
                                    uint32_t part_number) override;
  absl::StatusOr<PartsPage> ListParts(const UploadRef& upload,
                                      const PartsOptions& options) override;
  absl::StatusOr<UploadsPage> ListUploads(BucketRef bucket, const ListOptions& options,
                                          std::string_view upload_id_marker) override;
  absl::StatusOr<ObjectInfo> CompleteUpload(const UploadRef& upload,
                                            const std::vector<CompletedPart>& parts,
                                            const CompleteOptions& options) override;
  absl::Status AbortUpload(const UploadRef& upload) override;

  absl::StatusOr<size_t> ReapStreams(size_t max_streams) override;

  // Encrypts the secrets that are stored as they are, where there is an encryption key: those of a
  // store that an older version made. FailedPrecondition: there is none, but the secrets are
  // encrypted. DataLoss: another key encrypted them.
  absl::Status SealSecrets();

  // ---- For the writers and readers this hands out.

  // What an UploadRef names.
  struct FoundUpload {
    std::string bucket;
    uint64_t bucket_id = 0;
    std::string key;
    RecordId id;
  };

  absl::StatusOr<ObjectInfo> CommitPut(BucketRef bucket, const std::string& key,
                                       const PutOptions& options, const TakenContent& content);
  absl::StatusOr<PartRecord> CommitPart(const FoundUpload& upload, uint32_t part_number,
                                        const TakenContent& content);
  absl::StatusOr<std::vector<ContentPiece>> ReadManifest(kv::Reader& reader, uint64_t bucket_id,
                                                         const RecordId& manifest_id);
  ContentPins& pins() { return pins_; }
  const Backing& backing() const { return backing_; }

 private:
  using MutationBody = std::function<absl::Status(Mutation&)>;

  // Runs `body` and commits, again after each conflict. Calls that lost a race over the same
  // `contended` name then queue up instead of racing on. Aborted: conflicts without end.
  absl::Status Mutate(std::string_view contended, const MutationBody& body);
  absl::Status MutateOnce(const MutationBody& body, bool* defer_removals);

  // kNoSuchUser: also when another one has the id now.
  absl::StatusOr<User> RequireUser(kv::Reader& reader, UserRef user);

  // kNoSuchBucket: also when another one has the name now. kInvalidBucketName.
  absl::StatusOr<BucketRecord> RequireBucket(kv::Reader& reader, BucketRef bucket);

  absl::Status DeleteEmptyBucket(BucketRef bucket, bool* only_uploads_left);
  absl::Status AbortUploads(BucketRef bucket);  // The first page of them.

  // kNoSuchUpload.
  absl::StatusOr<FoundUpload> FindUpload(kv::Reader& reader, const UploadRef& upload);
  absl::StatusOr<UploadRecord> RequireUpload(kv::Reader& reader, const FoundUpload& upload);

  // The digest of an object's content, read from the store.
  absl::StatusOr<Checksum> ChecksumContent(ObjectReader* reader, ChecksumAlgorithm algorithm);
  absl::StatusOr<ObjectInfo> CopyOnce(const CopySource& source, BucketRef bucket,
                                      std::string_view key, const CopyOptions& options);

  absl::StatusOr<size_t> ReapOne(const std::string& reap_key, size_t max_streams);

  // Gives an entry of the reap queue, or those that are due too late, the time that it has by the
  // clock of now.
  absl::Status BringForward(const std::string& reap_key);
  absl::Status BringForwardFromTheFuture(uint64_t now_ns);

  static constexpr size_t kQueueCount = 64;

  IdSource ids_;
  Backing backing_;
  std::unique_ptr<const SecretSeal> seal_;  // nullptr: no encryption key.
  ContentPins pins_;
  std::array<Mutex, kQueueCount> queues_;  // By hash of the contended name.
};

}  // namespace strata::object

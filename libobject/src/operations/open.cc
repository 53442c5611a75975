// SPDX-License-Identifier: Apache-2.0
//
// Opening a store, and the loop that every change runs in.
#include <functional>
#include <utility>

#include "absl/strings/str_format.h"
#include "operations/object_store.h"
#include "records/names.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"
#include "strata/kv/record_codec.h"

namespace strata::object {
namespace {

constexpr int kMaxAttempts = 64;
constexpr kv::RecordKind kFormat = {.kind = 'F', .version = 1, .name = "format"};

// Writes the format record into a new store; checks it in one that exists.
absl::Status CheckFormat(kv::Store* kv, kv::SpaceId space) {
  return kv::RunTransaction(*kv, kv::Durability::kSync, [&](kv::Transaction& txn) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> format, txn.Get(space, FormatKey()));
    if (!format.has_value()) {
      return txn.Put(space, FormatKey(), kv::EncodeMark(kFormat));
    }
    return kv::CheckMark(kFormat, *format);
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const StoreOptions& options) {
  if (options.dedup == nullptr || options.kv == nullptr) {
    return absl::InvalidArgumentError("StoreOptions: dedup and kv are needed");
  }
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space,
                          options.kv->OpenSpace(options.name + ".records",
                                                {.access = kv::SpaceOptions::Access::kOrdered}));
  STRATA_RETURN_IF_ERROR(
      FromStorage(CheckFormat(options.kv, space), "object store '" + options.name + "'"));
  uint64_t seed = 0;
  STRATA_RETURN_IF_ERROR(SecureRandomBytes(std::as_writable_bytes(std::span(&seed, 1))));
  auto store = std::make_unique<ObjectStore>(options, space, seed);
  STRATA_RETURN_IF_ERROR(store->SealSecrets());
  return store;
}

ObjectStore::ObjectStore(const StoreOptions& options, kv::SpaceId space, uint64_t seed)
    : ids_(seed),
      backing_{.dedup = options.dedup,
               .kv = options.kv,
               .space = space,
               .clock = options.clock != nullptr ? options.clock : &SystemClock(),
               .ids = &ids_,
               .log = options.log} {
  if (options.encryption_key.has_value()) {
    seal_ = std::make_unique<SecretSeal>(*options.encryption_key);
  }
}

absl::Status ObjectStore::MutateOnce(const MutationBody& body, bool* defer_removals) {
  Mutation mutation(backing_, *defer_removals);
  const absl::Status prepared = body(mutation);
  absl::Status status = prepared.ok() ? mutation.Commit() : prepared;
  if (absl::IsOutOfRange(status) && ReasonOf(status) == Reason::kNone) {
    return absl::AbortedError(status.message());  // It took longer than the kv store keeps a state.
  }
  if (!prepared.ok() || !absl::IsNotFound(status)) return status;

  // A stream is not there. One to copy: its object changed since it was read, or it was lost. One
  // to remove: it was lost before, and must not keep its object from going.
  if (!mutation.removes_streams() || *defer_removals) {
    return mutation.copies_streams() ? absl::AbortedError(status.message())
                                     : absl::DataLossError(status.message());
  }
  Log(backing_.log, LogLevel::kWarning,
      absl::StrFormat("a removed object's content is left to the reaper: %s", status.message()));
  *defer_removals = true;
  return absl::AbortedError(status.message());
}

absl::Status ObjectStore::Mutate(std::string_view contended, const MutationBody& body) {
  bool defer_removals = false;
  absl::Status status = MutateOnce(body, &defer_removals);
  if (!absl::IsAborted(status)) return FromStorage(std::move(status));

  Mutex& queue = queues_[std::hash<std::string_view>()(contended) % kQueueCount];
  for (int attempt = 1; attempt < kMaxAttempts && absl::IsAborted(status); ++attempt) {
    MutexLock lock(&queue);
    status = MutateOnce(body, &defer_removals);
  }
  return FromStorage(std::move(status));
}

absl::StatusOr<BucketRecord> ObjectStore::RequireBucket(kv::Reader& reader, BucketRef bucket) {
  if (bucket.name.size() > kMaxBucketNameBytes) return CheckBucketName(bucket.name);
  STRATA_ASSIGN_OR_RETURN(std::optional<BucketRecord> record,
                          ReadRecord(reader, backing_.space, BucketKey(bucket.name), DecodeBucket));
  if (!record.has_value()) {
    STRATA_RETURN_IF_ERROR(CheckBucketName(bucket.name));
    return MakeError(Reason::kNoSuchBucket,
                     absl::StrFormat("there is no bucket '%s'", bucket.name));
  }
  if (bucket.id != 0 && bucket.id != record->id) {
    return MakeError(
        Reason::kNoSuchBucket,
        absl::StrFormat("bucket '%s' was deleted, and another one has its name", bucket.name));
  }
  return *std::move(record);
}

absl::StatusOr<std::vector<ContentPiece>> ObjectStore::ReadManifest(kv::Reader& reader,
                                                                    uint64_t bucket_id,
                                                                    const RecordId& manifest_id) {
  STRATA_ASSIGN_OR_RETURN(
      std::optional<std::vector<ContentPiece>> pieces,
      ReadRecord(reader, backing_.space, ManifestKey(bucket_id, manifest_id), DecodeManifest));
  if (pieces.has_value()) return *std::move(pieces);
  return MakeError(Reason::kDamaged, "an object's manifest is missing");
}

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
//
// Users and their access keys.
#include <utility>

#include "absl/strings/str_format.h"
#include "operations/object_store.h"
#include "records/names.h"
#include "strata/base/status_macros.h"
#include "transactions/range_cursor.h"

namespace strata::object {
namespace {

absl::Status NoSuchUser(std::string_view id) {
  return MakeError(Reason::kNoSuchUser, absl::StrFormat("there is no user '%s'", id));
}

absl::Status NoSuchAccessKey(std::string_view access_key) {
  return MakeError(Reason::kNoSuchAccessKey,
                   absl::StrFormat("there is no access key '%s'", access_key));
}

absl::StatusOr<User> ReadUser(kv::Reader& reader, kv::SpaceId space, std::string_view id) {
  STRATA_ASSIGN_OR_RETURN(std::optional<User> user,
                          ReadRecord(reader, space, UserKey(id), DecodeUser));
  if (!user.has_value()) return NoSuchUser(id);
  user->id = id;
  return *std::move(user);
}

absl::StatusOr<AccessKeyRecord> ReadAccessKey(kv::Reader& reader, kv::SpaceId space,
                                              std::string_view access_key) {
  // A client sends what it likes: what cannot be a key does not reach the kv store.
  if (access_key.empty() || access_key.size() > 128) return NoSuchAccessKey(access_key);
  STRATA_ASSIGN_OR_RETURN(std::optional<AccessKeyRecord> record,
                          ReadRecord(reader, space, AccessKeyKey(access_key), DecodeAccessKey));
  if (!record.has_value()) return NoSuchAccessKey(access_key);
  return *std::move(record);
}

// Leaves the secret of `record` in its sealed form alone.
absl::Status SealSecret(const SecretSeal& seal, std::string_view access_key,
                        AccessKeyRecord* record) {
  STRATA_ASSIGN_OR_RETURN(record->sealed_secret,
                          seal.Seal(record->secret_key, access_key, record->user_id));
  record->secret_key.clear();
  return absl::OkStatus();
}

// What callers see. `seal`: nullptr where the store has no encryption key.
absl::StatusOr<AccessKey> KeyOf(const SecretSeal* seal, std::string_view access_key,
                                const AccessKeyRecord& record) {
  AccessKey key{.access_key = std::string(access_key),
                .secret_key = record.secret_key,
                .user_id = record.user_id,
                .created_ns = record.created_ns};
  if (record.sealed_secret.empty()) return key;
  if (seal == nullptr) {
    return absl::FailedPreconditionError(
        "the secrets of access keys are encrypted: the store needs its encryption key");
  }
  absl::StatusOr<std::string> secret = seal->Open(record.sealed_secret, access_key, key.user_id);
  if (!secret.ok()) return FromStorage(secret.status(), "an access key's secret");
  key.secret_key = *std::move(secret);
  return key;
}

}  // namespace

absl::StatusOr<User> ObjectStore::RequireUser(kv::Reader& reader, UserRef user) {
  STRATA_ASSIGN_OR_RETURN(User found, ReadUser(reader, backing_.space, user.id));
  if (user.created_ns == 0 || user.created_ns == found.created_ns) return found;
  return MakeError(Reason::kNoSuchUser,
                   absl::StrFormat("user '%s' was deleted, and another one has the id", user.id));
}

absl::Status ObjectStore::CreateUser(const User& user) {
  STRATA_RETURN_IF_ERROR(CheckUserId(user.id));
  if (user.display_name.size() > 256) {
    return MakeError(Reason::kInvalidArgument, "a display name has at most 256 bytes");
  }
  return Mutate(user.id, [&](Mutation& mutation) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(
        const std::optional<User> old,
        ReadRecord(mutation.txn(), mutation.space(), UserKey(user.id), DecodeUser));
    if (old.has_value()) {
      return MakeError(Reason::kUserAlreadyExists,
                       absl::StrFormat("there is a user '%s' already", user.id));
    }
    User created = user;
    if (created.created_ns == 0) created.created_ns = mutation.now_ns();
    return mutation.Put(UserKey(user.id), Encode(created));
  });
}

absl::Status ObjectStore::DeleteUser(std::string_view id) {
  STRATA_RETURN_IF_ERROR(CheckUserId(id));
  return Mutate(id, [&](Mutation& mutation) -> absl::Status {
    kv::Transaction& txn = mutation.txn();
    STRATA_RETURN_IF_ERROR(ReadUser(txn, mutation.space(), id).status());
    STRATA_ASSIGN_OR_RETURN(const kv::Page buckets,
                            txn.List(mutation.space(), BucketOfOwnerRange(id), {.max_items = 1}));
    if (!buckets.items.empty()) {
      return MakeError(Reason::kBucketNotEmpty, absl::StrFormat("user '%s' owns buckets", id));
    }
    RangeCursor keys(&txn, mutation.space(), UserAccessKeyRange(id));
    for (;; keys.Advance()) {
      STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* item, keys.Peek());
      if (item == nullptr) break;
      STRATA_RETURN_IF_ERROR(mutation.Delete(AccessKeyKey(NameInKey(item->key))));
    }
    STRATA_RETURN_IF_ERROR(txn.DeleteRange(mutation.space(), UserAccessKeyRange(id)));
    return mutation.Delete(UserKey(id));
  });
}

absl::StatusOr<User> ObjectStore::GetUser(std::string_view id) {
  STRATA_RETURN_IF_ERROR(CheckUserId(id));
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  return ReadUser(*snapshot, backing_.space, id);
}

absl::StatusOr<std::vector<User>> ObjectStore::ListUsers() {
  std::vector<User> users;
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  RangeCursor cursor(snapshot.get(), backing_.space, TableRange(Table::kUser));
  for (;; cursor.Advance()) {
    STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* item, cursor.Peek());
    if (item == nullptr) return users;
    absl::StatusOr<User> user = DecodeUser(item->value);
    if (!user.ok()) return FromStorage(user.status(), "decoding a user");
    user->id = NameInKey(item->key);
    users.push_back(*std::move(user));
  }
}

absl::Status ObjectStore::AddAccessKey(const AccessKey& key) {
  STRATA_RETURN_IF_ERROR(CheckAccessKey(key));
  return Mutate(key.access_key, [&](Mutation& mutation) -> absl::Status {
    STRATA_RETURN_IF_ERROR(ReadUser(mutation.txn(), mutation.space(), key.user_id).status());
    STRATA_ASSIGN_OR_RETURN(const std::optional<AccessKeyRecord> old,
                            ReadRecord(mutation.txn(), mutation.space(),
                                       AccessKeyKey(key.access_key), DecodeAccessKey));
    if (old.has_value() && old->user_id != key.user_id) {
      return absl::AlreadyExistsError(
          absl::StrFormat("access key '%s' belongs to another user", key.access_key));
    }
    AccessKeyRecord added{.secret_key = key.secret_key,
                          .sealed_secret = "",
                          .user_id = key.user_id,
                          .created_ns = key.created_ns};
    if (added.created_ns == 0) added.created_ns = mutation.now_ns();
    if (seal_ != nullptr) STRATA_RETURN_IF_ERROR(SealSecret(*seal_, key.access_key, &added));
    // What UserAccessKeyKey() points to says everything; its own value is empty.
    STRATA_RETURN_IF_ERROR(mutation.Put(UserAccessKeyKey(key.user_id, key.access_key), ""));
    return mutation.Put(AccessKeyKey(key.access_key), Encode(added));
  });
}

absl::Status ObjectStore::DeleteAccessKey(std::string_view access_key) {
  return Mutate(access_key, [&](Mutation& mutation) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const AccessKeyRecord record,
                            ReadAccessKey(mutation.txn(), mutation.space(), access_key));
    STRATA_RETURN_IF_ERROR(mutation.Delete(UserAccessKeyKey(record.user_id, access_key)));
    return mutation.Delete(AccessKeyKey(access_key));
  });
}

absl::StatusOr<AccessKey> ObjectStore::FindAccessKey(std::string_view access_key) {
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const AccessKeyRecord record,
                          ReadAccessKey(*snapshot, backing_.space, access_key));
  return KeyOf(seal_.get(), access_key, record);
}

absl::StatusOr<std::vector<AccessKey>> ObjectStore::ListAccessKeys(std::string_view user_id) {
  STRATA_RETURN_IF_ERROR(CheckUserId(user_id));
  std::vector<AccessKey> keys;
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  STRATA_RETURN_IF_ERROR(ReadUser(*snapshot, backing_.space, user_id).status());
  RangeCursor cursor(snapshot.get(), backing_.space, UserAccessKeyRange(user_id));
  for (;; cursor.Advance()) {
    STRATA_ASSIGN_OR_RETURN(const kv::KeyValue* item, cursor.Peek());
    if (item == nullptr) return keys;
    const std::string_view access_key = NameInKey(item->key);
    STRATA_ASSIGN_OR_RETURN(const AccessKeyRecord record,
                            ReadAccessKey(*snapshot, backing_.space, access_key));
    STRATA_ASSIGN_OR_RETURN(AccessKey key, KeyOf(seal_.get(), access_key, record));
    keys.push_back(std::move(key));
  }
}

absl::Status ObjectStore::SealSecrets() {
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  RangeCursor cursor(snapshot.get(), backing_.space, TableRange(Table::kAccessKey));
  absl::Status wrong_key;
  bool right_key = false;
  for (;; cursor.Advance()) {
    const absl::StatusOr<const kv::KeyValue*> item = cursor.Peek();
    if (!item.ok()) {
      // A damaged place must not keep the rest from being used.
      Log(backing_.log, LogLevel::kError,
          absl::StrFormat("the access keys were not looked through: %s", item.status().message()));
      return absl::OkStatus();
    }
    if (*item == nullptr) return right_key ? absl::OkStatus() : wrong_key;
    const absl::StatusOr<AccessKeyRecord> record = DecodeAccessKey((*item)->value);
    if (!record.ok()) continue;  // Its user hears of it.
    const std::string access_key(NameInKey((*item)->key));
    if (!record->sealed_secret.empty()) {
      if (!right_key) wrong_key = KeyOf(seal_.get(), access_key, *record).status();
      right_key = right_key || wrong_key.ok();
      if (seal_ == nullptr) return wrong_key;
      continue;
    }
    if (seal_ == nullptr) return absl::OkStatus();  // Either all are sealed or none.
    const absl::Status sealed = Mutate(access_key, [&](Mutation& mutation) -> absl::Status {
      STRATA_ASSIGN_OR_RETURN(AccessKeyRecord plain,
                              ReadAccessKey(mutation.txn(), mutation.space(), access_key));
      if (!plain.sealed_secret.empty()) return absl::OkStatus();
      STRATA_RETURN_IF_ERROR(SealSecret(*seal_, access_key, &plain));
      return mutation.Put(AccessKeyKey(access_key), Encode(plain));
    });
    if (!sealed.ok()) {  // A full disk must not keep the store from being opened.
      Log(backing_.log, LogLevel::kError,
          absl::StrFormat("the secret of access key '%s' stays unencrypted: %s", access_key,
                          sealed.message()));
      return absl::OkStatus();
    }
  }
}

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
//
// Users and their access keys.
#include <utility>

#include "absl/strings/str_format.h"
#include "names.h"
#include "object_store.h"
#include "range_cursor.h"
#include "strata/base/status_macros.h"

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

absl::StatusOr<AccessKey> ReadAccessKey(kv::Reader& reader, kv::SpaceId space,
                                        std::string_view access_key) {
  // A client sends what it likes: what cannot be a key does not reach the kv store.
  if (access_key.empty() || access_key.size() > 128) return NoSuchAccessKey(access_key);
  STRATA_ASSIGN_OR_RETURN(std::optional<AccessKey> key,
                          ReadRecord(reader, space, AccessKeyKey(access_key), DecodeAccessKey));
  if (!key.has_value()) return NoSuchAccessKey(access_key);
  key->access_key = access_key;
  return *std::move(key);
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
    STRATA_ASSIGN_OR_RETURN(const std::optional<AccessKey> old,
                            ReadRecord(mutation.txn(), mutation.space(),
                                       AccessKeyKey(key.access_key), DecodeAccessKey));
    if (old.has_value() && old->user_id != key.user_id) {
      return absl::AlreadyExistsError(
          absl::StrFormat("access key '%s' belongs to another user", key.access_key));
    }
    AccessKey added = key;
    if (added.created_ns == 0) added.created_ns = mutation.now_ns();
    // What UserAccessKeyKey() points to says everything; its own value is empty.
    STRATA_RETURN_IF_ERROR(mutation.Put(UserAccessKeyKey(key.user_id, key.access_key), ""));
    return mutation.Put(AccessKeyKey(key.access_key), Encode(added));
  });
}

absl::Status ObjectStore::DeleteAccessKey(std::string_view access_key) {
  return Mutate(access_key, [&](Mutation& mutation) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const AccessKey key,
                            ReadAccessKey(mutation.txn(), mutation.space(), access_key));
    STRATA_RETURN_IF_ERROR(mutation.Delete(UserAccessKeyKey(key.user_id, access_key)));
    return mutation.Delete(AccessKeyKey(access_key));
  });
}

absl::StatusOr<AccessKey> ObjectStore::FindAccessKey(std::string_view access_key) {
  const std::unique_ptr<kv::Snapshot> snapshot = backing_.kv->NewSnapshot();
  return ReadAccessKey(*snapshot, backing_.space, access_key);
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
    STRATA_ASSIGN_OR_RETURN(AccessKey key,
                            ReadAccessKey(*snapshot, backing_.space, NameInKey(item->key)));
    keys.push_back(std::move(key));
  }
}

}  // namespace strata::object

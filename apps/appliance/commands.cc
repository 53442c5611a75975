// SPDX-License-Identifier: Apache-2.0
//
// The table of commands, and those about users and buckets.
#include "appliance/commands.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "appliance/arguments.h"
#include "appliance/json.h"
#include "appliance/nvme/nvme_commands.h"
#include "appliance/root_keys.h"
#include "appliance/time_text.h"
#include "appliance/upkeep_commands.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

Json ToJson(const object::User& user) {
  return {{"id", user.id},
          {"display_name", user.display_name},
          {"admin", user.admin},
          {"created", FormatTime(user.created_ns)}};
}

// Adds the key that the arguments give, or a generated one, and returns it, secret included.
absl::StatusOr<Json> AddKey(Appliance& appliance, const std::string& user, Arguments& arguments) {
  object::AccessKey key{.access_key = arguments.Text("access_key", ""),
                        .secret_key = arguments.Text("secret_key", ""),
                        .user_id = user,
                        .created_ns = 0};
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const RootKeys generated, GenerateKeys());
  if (key.access_key.empty()) key.access_key = generated.access_key;
  if (key.secret_key.empty()) key.secret_key = generated.secret_key;
  STRATA_RETURN_IF_ERROR(appliance.objects().AddAccessKey(key));
  return Json{{"user", user}, {"access_key", key.access_key}, {"secret_key", key.secret_key}};
}

absl::StatusOr<Json> ListUsers(Appliance& appliance, Arguments& arguments,
                               const dedup::ProgressCallback&) {
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const std::vector<object::User> users, appliance.objects().ListUsers());
  Json list = Json::array();
  for (const object::User& user : users) list.push_back(ToJson(user));
  return Json{{"users", std::move(list)}};
}

absl::StatusOr<Json> AddUser(Appliance& appliance, Arguments& arguments,
                             const dedup::ProgressCallback&) {
  object::User user;
  STRATA_ASSIGN_OR_RETURN(user.id, arguments.RequiredText("id"));
  user.display_name = arguments.Text("display_name", user.id);
  user.admin = arguments.Flag("admin", false);
  STRATA_RETURN_IF_ERROR(arguments.status());
  STRATA_RETURN_IF_ERROR(appliance.objects().CreateUser(user));
  absl::StatusOr<Json> key = AddKey(appliance, user.id, arguments);
  // A user without the key that was asked for is not what was asked for.
  if (!key.ok()) appliance.objects().DeleteUser(user.id).IgnoreError();
  return key;
}

absl::StatusOr<Json> RemoveUser(Appliance& appliance, Arguments& arguments,
                                const dedup::ProgressCallback&) {
  STRATA_ASSIGN_OR_RETURN(const std::string id, arguments.RequiredText("id"));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  if (id == kRootUser) {
    return absl::InvalidArgumentError("root cannot be removed; its keys can: `strata user key`");
  }
  STRATA_RETURN_IF_ERROR(appliance.objects().DeleteUser(id));
  return Json::object();
}

absl::StatusOr<Json> ListKeys(Appliance& appliance, Arguments& arguments,
                              const dedup::ProgressCallback&) {
  STRATA_ASSIGN_OR_RETURN(const std::string id, arguments.RequiredText("id"));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const std::vector<object::AccessKey> keys,
                          appliance.objects().ListAccessKeys(id));
  Json list = Json::array();
  for (const object::AccessKey& key : keys) {
    list.push_back({{"access_key", key.access_key}, {"created", FormatTime(key.created_ns)}});
  }
  return Json{{"keys", std::move(list)}};
}

absl::StatusOr<Json> AddKeyOfUser(Appliance& appliance, Arguments& arguments,
                                  const dedup::ProgressCallback&) {
  STRATA_ASSIGN_OR_RETURN(const std::string id, arguments.RequiredText("id"));
  return AddKey(appliance, id, arguments);
}

absl::StatusOr<Json> RemoveKey(Appliance& appliance, Arguments& arguments,
                               const dedup::ProgressCallback&) {
  STRATA_ASSIGN_OR_RETURN(const std::string key, arguments.RequiredText("access_key"));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_RETURN_IF_ERROR(appliance.objects().DeleteAccessKey(key));
  return Json::object();
}

absl::StatusOr<Json> ListBuckets(Appliance& appliance, Arguments& arguments,
                                 const dedup::ProgressCallback&) {
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const std::vector<object::BucketInfo> buckets,
                          appliance.objects().ListBuckets(""));
  Json list = Json::array();
  for (const object::BucketInfo& bucket : buckets) {
    const bool on = bucket.versioning == object::Versioning::kEnabled;
    const bool off = bucket.versioning == object::Versioning::kOff;
    list.push_back({{"name", bucket.name},
                    {"owner", bucket.owner},
                    {"created", FormatTime(bucket.created_ns)},
                    {"versioning", on    ? "enabled"
                                   : off ? "off"
                                         : "suspended"}});
  }
  return Json{{"buckets", std::move(list)}};
}

absl::StatusOr<Json> CreateBucket(Appliance& appliance, Arguments& arguments,
                                  const dedup::ProgressCallback&) {
  STRATA_ASSIGN_OR_RETURN(const std::string name, arguments.RequiredText("name"));
  const std::string owner = arguments.Text("owner", kRootUser);
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_ASSIGN_OR_RETURN(const object::User user, appliance.objects().GetUser(owner));
  STRATA_RETURN_IF_ERROR(appliance.objects().CreateBucket(name, user));
  return Json::object();
}

absl::StatusOr<Json> RemoveBucket(Appliance& appliance, Arguments& arguments,
                                  const dedup::ProgressCallback&) {
  STRATA_ASSIGN_OR_RETURN(const std::string name, arguments.RequiredText("name"));
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  STRATA_RETURN_IF_ERROR(appliance.objects().DeleteBucket(name));
  return Json::object();
}

absl::StatusOr<Json> ShowBucketUsage(Appliance& appliance, Arguments& arguments,
                                     const dedup::ProgressCallback& progress) {
  const std::string only = arguments.Text("name", "");
  STRATA_RETURN_IF_ERROR(arguments.Finish());
  std::vector<std::string> names;
  if (!only.empty()) {
    names.push_back(only);
  } else {
    STRATA_ASSIGN_OR_RETURN(const std::vector<object::BucketInfo> buckets,
                            appliance.objects().ListBuckets(""));
    for (const object::BucketInfo& bucket : buckets) names.push_back(bucket.name);
  }
  Json list = Json::array();
  for (const std::string& name : names) {
    if (!progress({"counting buckets", list.size(), names.size()})) {
      return absl::CancelledError("cancelled");
    }
    const absl::StatusOr<object::BucketUsage> usage = appliance.objects().GetBucketUsage(name);
    // Of all buckets one may go while we look.
    if (only.empty() && object::ReasonOf(usage.status()) == object::Reason::kNoSuchBucket) continue;
    if (!usage.ok()) return usage.status();
    list.push_back({{"name", name},
                    {"objects", usage->object_count},
                    {"versions", usage->version_count},
                    {"logical_bytes", usage->logical_bytes},
                    {"new_bytes", usage->new_bytes},
                    {"stored_bytes", usage->stored_bytes}});
  }
  return Json{{"buckets", std::move(list)}};
}

struct Command {
  const char* name;
  absl::StatusOr<Json> (*run)(Appliance&, Arguments&, const dedup::ProgressCallback&);
};

constexpr Command kCommands[] = {
    {"stat", Stat},
    {"gc", CollectGarbage},
    {"verify", Verify},
    {"rebuild-index", RebuildIndex},
    {"user.list", ListUsers},
    {"user.add", AddUser},
    {"user.remove", RemoveUser},
    {"user.key.list", ListKeys},
    {"user.key.add", AddKeyOfUser},
    {"user.key.remove", RemoveKey},
    {"bucket.list", ListBuckets},
    {"bucket.create", CreateBucket},
    {"bucket.remove", RemoveBucket},
    {"bucket.usage", ShowBucketUsage},
};

}  // namespace

absl::StatusOr<Json> RunCommand(Appliance& appliance, std::string_view name, const Json& arguments,
                                const dedup::ProgressCallback& progress) {
  for (const Command& command : kCommands) {
    if (name != command.name) continue;
    Arguments reader(arguments);
    return command.run(appliance, reader, appliance.WithStopCheck(progress));
  }
  if (const NvmeCommand run = FindNvmeCommand(name); run != nullptr) {
    Arguments reader(arguments);
    return run(appliance.exports(), reader);
  }
  return absl::UnimplementedError(absl::StrFormat("there is no command '%s'", name));
}

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
#include "appliance/root_keys.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <vector>

#include "strata/block/devices.h"
#include "strata/dedup/store.h"
#include "strata/kv/engines.h"
#include "support/scratch_folder.h"

namespace strata::appliance {
namespace {

// An object store in memory and a data directory on disk.
class Fixture {
 public:
  Fixture() {
    kv_ = kv::CreateMemoryStore();
    device_ = block::CreateMemoryDevice({.block_count = 32768}).value();
    dedup::StoreOptions options;
    options.device = device_.get();
    options.kv = kv_.get();
    dedup_ = dedup::Store::Open(options).value();
    object::StoreOptions object_options;
    object_options.dedup = dedup_.get();
    object_options.kv = kv_.get();
    objects_ = object::Store::Open(object_options).value();
  }

  absl::Status Ensure(const RootKeys& given = {}) {
    return EnsureRootUser(*objects_, data_, given, [this](LogLevel, std::string_view line) {
      log_ += line;
      log_ += '\n';
    });
  }

  std::set<std::string> KeysOfRoot() {
    std::set<std::string> keys;
    const std::vector<object::AccessKey> listed = objects_->ListAccessKeys(kRootUser).value();
    for (const object::AccessKey& key : listed) {
      keys.insert(key.access_key + " " + key.secret_key);
    }
    return keys;
  }

  std::string KeyFile(const std::string& name = "root.keys") {
    std::ifstream file(data_ + "/" + name);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  const test::ScratchFolder scratch_;
  const std::string data_ = scratch_.path();
  std::string log_;
  std::unique_ptr<kv::Store> kv_;
  std::unique_ptr<block::Device> device_;
  std::unique_ptr<dedup::Store> dedup_;
  std::unique_ptr<object::Store> objects_;
};

const RootKeys kGiven{.access_key = "GIVENACCESS", .secret_key = "given/secret"};

TEST_CASE("the first start generates keys into a file for the owner alone") {
  Fixture fixture;
  REQUIRE(fixture.Ensure() == absl::OkStatus());
  CHECK(fixture.objects_->GetUser(kRootUser)->admin);
  const std::set<std::string> keys = fixture.KeysOfRoot();
  REQUIRE(keys.size() == 1);
  const std::string access_key = keys.begin()->substr(0, 20);
  const std::string secret_key = keys.begin()->substr(21);
  CHECK(secret_key.size() == 40);
  CHECK_THAT(fixture.KeyFile(), Catch::Contains("access_key = \"" + access_key + "\"") &&
                                    Catch::Contains("secret_key = \"" + secret_key + "\""));
  struct stat info;
  REQUIRE(stat((fixture.data_ + "/root.keys").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0600);
  CHECK(fixture.log_.find(secret_key) == std::string::npos);

  // Later starts change nothing, whatever the environment says then.
  REQUIRE(fixture.Ensure(kGiven) == absl::OkStatus());
  CHECK(fixture.KeysOfRoot() == keys);
  CHECK_THAT(fixture.log_, Catch::Contains("ignored"));
  CHECK(fixture.log_.find(kGiven.secret_key) == std::string::npos);
}

TEST_CASE("given keys are used on the first start and written nowhere") {
  Fixture fixture;
  REQUIRE(fixture.Ensure(kGiven) == absl::OkStatus());
  CHECK(fixture.KeysOfRoot() == std::set<std::string>{"GIVENACCESS given/secret"});
  CHECK(std::filesystem::is_empty(fixture.data_));
  CHECK(fixture.log_.find(kGiven.secret_key) == std::string::npos);
}

TEST_CASE("a key that was taken away stays away") {
  Fixture fixture;
  REQUIRE(fixture.Ensure() == absl::OkStatus());
  const std::string access_key = fixture.KeysOfRoot().begin()->substr(0, 20);
  REQUIRE(fixture.objects_->DeleteAccessKey(access_key) == absl::OkStatus());
  REQUIRE(fixture.Ensure(kGiven) == absl::OkStatus());
  CHECK(fixture.KeysOfRoot().empty());
}

TEST_CASE("a first start that was cut short is completed") {
  Fixture fixture;
  SECTION("before the keys were written whole") {
    std::ofstream(fixture.data_ + "/root.keys.new") << "[root]\naccess_key = \"CUT";
    REQUIRE(fixture.Ensure() == absl::OkStatus());
    CHECK(fixture.KeysOfRoot().size() == 1);
  }
  SECTION("after them, before the user or its key") {
    std::ofstream(fixture.data_ + "/root.keys.new")
        << "[root]\naccess_key = \"PENDINGKEY\"\nsecret_key = \"pending-secret\"\n";
    if (GENERATE(false, true)) {
      REQUIRE(fixture.objects_->CreateUser({kRootUser, "", true, 0}) == absl::OkStatus());
    }
    REQUIRE(fixture.Ensure() == absl::OkStatus());
    CHECK(fixture.KeysOfRoot() == std::set<std::string>{"PENDINGKEY pending-secret"});
    CHECK_THAT(fixture.KeyFile(), Catch::Contains("PENDINGKEY"));
  }
  CHECK(fixture.KeyFile("root.keys.new").empty());
}

TEST_CASE("keys that cannot be used are refused before anything is made") {
  Fixture fixture;
  const std::vector<RootKeys> unusable = {
      {"ONLYACCESS", ""},
      {"", "only-secret"},
      {"AB", "long-enough"},
      {"ACCESS", "short"},
      {"WITH SPACE", "secret-1"},
      {"QUOTE\"", "secret-1"},
      {std::string(129, 'A'), "secret-1"},
  };
  for (const RootKeys& keys : unusable) {
    const absl::Status status = fixture.Ensure(keys);
    INFO(keys.access_key);
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()), Catch::Contains("STRATA_ROOT_"));
  }
  CHECK_FALSE(fixture.objects_->GetUser(kRootUser).ok());
  CHECK(std::filesystem::is_empty(fixture.data_));
}

}  // namespace
}  // namespace strata::appliance

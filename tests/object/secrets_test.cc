// SPDX-License-Identifier: Apache-2.0
//
// Where the secrets of access keys lie: with an encryption key never as they are.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "records/key_layout.h"
#include "records/records.h"
#include "records/secret_seal.h"
#include "store_fixture.h"

namespace strata::object::test {
namespace {

constexpr char kSecret[] = "a-secret-that-is-easily-found";

dedup::EncryptionKey KeyOf(int value) {
  dedup::EncryptionKey key;
  key.fill(static_cast<std::byte>(value));
  return key;
}

AccessKey KeyOfAda(const std::string& name) {
  return {.access_key = name, .secret_key = kSecret, .user_id = "ada", .created_ns = 0};
}

void AddAda(StoreFixture& f) {
  Must(f.store().CreateUser({.id = "ada", .display_name = "", .admin = false, .created_ns = 0}));
}

// What the kv store holds for an access key.
std::string StoredForm(StoreFixture& f, std::string_view access_key) {
  const kv::SpaceId space =
      Must(f.kv().OpenSpace("object.records", {.access = kv::SpaceOptions::Access::kOrdered}));
  return Must(f.kv().NewSnapshot()->Get(space, AccessKeyKey(access_key))).value_or("");
}

bool Holds(const std::string& bytes, const std::string& text) {
  return bytes.find(text) != std::string::npos;
}

TEST_CASE("A sealed secret opens with its names and its key alone") {
  const SecretSeal seal(KeyOf(1));
  const std::string sealed = Must(seal.Seal(kSecret, "ACCESS", "ada"));
  CHECK_FALSE(Holds(sealed, kSecret));
  CHECK(Must(seal.Open(sealed, "ACCESS", "ada")) == kSecret);
  CHECK(Must(seal.Seal(kSecret, "ACCESS", "ada")) != sealed);

  CHECK(absl::IsDataLoss(seal.Open(sealed, "ACCESS", "eve").status()));
  CHECK(absl::IsDataLoss(seal.Open(sealed, "OTHER", "ada").status()));
  CHECK(absl::IsDataLoss(SecretSeal(KeyOf(2)).Open(sealed, "ACCESS", "ada").status()));
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK(absl::IsDataLoss(seal.Open(changed, "ACCESS", "ada").status()));
    CHECK(absl::IsDataLoss(seal.Open(sealed.substr(0, i), "ACCESS", "ada").status()));
  }
}

TEST_CASE("With an encryption key no secret lies in the kv store") {
  StoreFixture f;
  f.encryption_key = KeyOf(1);
  f.Reopen();
  AddAda(f);
  Must(f.store().AddAccessKey(KeyOfAda("ACCESS")));
  CHECK_FALSE(Holds(StoredForm(f, "ACCESS"), kSecret));
  CHECK(Must(f.store().FindAccessKey("ACCESS")).secret_key == kSecret);
  f.Reopen();
  CHECK(Must(f.store().FindAccessKey("ACCESS")).secret_key == kSecret);
  CHECK(Must(f.store().ListAccessKeys("ada")).at(0).secret_key == kSecret);

  AccessKey replaced = KeyOfAda("ACCESS");
  replaced.secret_key = "another-secret";
  Must(f.store().AddAccessKey(replaced));
  CHECK(Must(f.store().FindAccessKey("ACCESS")).secret_key == "another-secret");
}

TEST_CASE("With an encryption key no file of the store holds a secret") {
  StoreFixture f(StoreFixture::kOnDisk);
  f.encryption_key = KeyOf(1);
  f.Reopen();
  AddAda(f);
  Must(f.store().AddAccessKey(KeyOfAda("ACCESS")));
  size_t files_with_the_name = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(f.folder())) {
    if (!entry.is_regular_file() || entry.path().filename() == "containers") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    INFO(entry.path());
    CHECK_FALSE(Holds(bytes, kSecret));
    files_with_the_name += Holds(bytes, "ACCESS") ? 1 : 0;
  }
  CHECK(files_with_the_name > 0);  // So a secret would have been found.
}

TEST_CASE("Secrets of an older store are encrypted when it is opened with its key") {
  StoreFixture f;
  AddAda(f);
  for (int i = 0; i < 300; ++i)
    Must(f.store().AddAccessKey(KeyOfAda("ACCESS" + std::to_string(i))));
  REQUIRE(Holds(StoredForm(f, "ACCESS7"), kSecret));

  f.encryption_key = KeyOf(1);
  f.Reopen();
  for (int i = 0; i < 300; ++i) {
    const std::string name = "ACCESS" + std::to_string(i);
    CHECK_FALSE(Holds(StoredForm(f, name), kSecret));
    CHECK(Must(f.store().FindAccessKey(name)).secret_key == kSecret);
  }
}

TEST_CASE("A store with encrypted secrets opens with its key alone") {
  StoreFixture f;
  f.encryption_key = KeyOf(1);
  f.Reopen();
  AddAda(f);
  Must(f.store().AddAccessKey(KeyOfAda("ACCESS")));

  f.encryption_key.reset();
  CHECK(absl::IsFailedPrecondition(f.TryReopen()));
  f.encryption_key = KeyOf(2);
  CHECK(absl::IsDataLoss(f.TryReopen()));
  f.encryption_key = KeyOf(1);
  f.Reopen();
  CHECK(Must(f.store().FindAccessKey("ACCESS")).secret_key == kSecret);
}

TEST_CASE("A damaged access key keeps no store from being opened") {
  StoreFixture f;
  f.encryption_key = KeyOf(1);
  f.Reopen();
  AddAda(f);
  Must(f.store().AddAccessKey(KeyOfAda("ACCESS1")));
  Must(f.store().AddAccessKey(KeyOfAda("ACCESS2")));
  const kv::SpaceId space =
      Must(f.kv().OpenSpace("object.records", {.access = kv::SpaceOptions::Access::kOrdered}));
  for (const std::string& damaged : {std::string("K\1\7"), Encode(AccessKeyRecord{.secret_key = "",
                                                           .sealed_secret = std::string(40, 'x'),
                                                           .user_id = "ada",
                                                           .created_ns = 1})}) {
    Must(kv::RunTransaction(f.kv(), kv::Durability::kSync, [&](kv::Transaction& txn) {
      return txn.Put(space, AccessKeyKey("ACCESS1"), damaged);
    }));
    f.Reopen();
    CHECK(absl::IsDataLoss(f.store().FindAccessKey("ACCESS1").status()));
    CHECK(Must(f.store().FindAccessKey("ACCESS2")).secret_key == kSecret);
  }
}

}  // namespace
}  // namespace strata::object::test

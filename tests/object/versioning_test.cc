// SPDX-License-Identifier: Apache-2.0
//
// Versions, null versions and delete markers. A model of a page of code decides what S3 would do.
#include <catch2/catch.hpp>
#include <list>
#include <map>
#include <optional>
#include <string>

#include "store_fixture.h"
#include "strata/base/random.h"
#include "support/seed.h"

namespace strata::object::test {
namespace {

StoreFixture& Versioned(StoreFixture& f, Versioning versioning = Versioning::kEnabled) {
  Must(f.store().CreateBucket("bkt", ""));
  if (versioning != Versioning::kOff) Must(f.store().SetVersioning("bkt", versioning));
  return f;
}

TEST_CASE("With versioning, an overwrite keeps what was there") {
  StoreFixture f;
  Versioned(f);
  const std::string one = f.Put("bkt", "k", "one").version_id;
  const std::string two = f.Put("bkt", "k", "two").version_id;
  CHECK(one != two);
  CHECK(one != "null");
  CHECK(f.Get("bkt", "k") == "two");
  CHECK(f.GetVersion("bkt", "k", one) == "one");
  CHECK(f.GetVersion("bkt", "k", two) == "two");
  CHECK(Must(f.store().Head("bkt", "k", {.version_id = one})).is_latest == false);
  CHECK(Must(f.store().Head("bkt", "k", {.version_id = two})).is_latest);
}

TEST_CASE("A delete makes a marker; deleting the marker brings the object back") {
  StoreFixture f;
  Versioned(f);
  f.Put("bkt", "k", "one");
  const DeleteResult marker = Must(f.store().Delete("bkt", "k", ""));
  CHECK(marker.existed);
  CHECK(marker.delete_marker);
  CHECK(ReasonOf(f.TryGet("bkt", "k")) == Reason::kNoSuchKey);
  CHECK(ReasonOf(f.TryGet("bkt", "k", {.version_id = marker.version_id})) ==
        Reason::kIsDeleteMarker);
  CHECK(KeysOf(Must(f.store().List("bkt", {}))).empty());
  CHECK(Must(f.store().ListVersions("bkt", {})).objects.size() == 2);
  CHECK(f.StreamCount() == 1);

  const DeleteResult undone = Must(f.store().Delete("bkt", "k", marker.version_id));
  CHECK(undone.delete_marker);
  CHECK(undone.version_id == marker.version_id);
  CHECK(f.Get("bkt", "k") == "one");
}

TEST_CASE("A delete of what never was makes a marker too, and existed says no") {
  StoreFixture f;
  Versioned(f);
  const DeleteResult marker = Must(f.store().Delete("bkt", "k", ""));
  CHECK_FALSE(marker.existed);
  CHECK(marker.delete_marker);
  CHECK(ReasonOf(f.store().DeleteBucket("bkt")) == Reason::kBucketNotEmpty);
}

TEST_CASE("Deleting a version removes it for good, whichever it is") {
  StoreFixture f;
  Versioned(f);
  const std::string one = f.Put("bkt", "k", "one").version_id;
  const std::string two = f.Put("bkt", "k", "two").version_id;
  const std::string three = f.Put("bkt", "k", "three").version_id;
  Must(f.store().Delete("bkt", "k", two).status());
  CHECK(ReasonOf(f.TryGet("bkt", "k", {.version_id = two})) == Reason::kNoSuchVersion);
  CHECK(f.Get("bkt", "k") == "three");
  Must(f.store().Delete("bkt", "k", three).status());
  CHECK(f.Get("bkt", "k") == "one");
  CHECK(Must(f.store().Head("bkt", "k", {.version_id = one})).is_latest);
  Must(f.store().Delete("bkt", "k", one).status());
  CHECK(f.StreamCount() == 0);
  CHECK(Must(f.store().ListVersions("bkt", {})).objects.empty());
  const DeleteResult again = Must(f.store().Delete("bkt", "k", one));
  CHECK_FALSE(again.existed);
  Must(f.store().DeleteBucket("bkt"));
}

TEST_CASE("The null version: kept when versioning is enabled, replaced when it is suspended") {
  StoreFixture f;
  Versioned(f, Versioning::kOff);
  f.Put("bkt", "k", "before");
  Must(f.store().SetVersioning("bkt", Versioning::kEnabled));
  const std::string one = f.Put("bkt", "k", "one").version_id;
  CHECK(f.GetVersion("bkt", "k", "null") == "before");

  Must(f.store().SetVersioning("bkt", Versioning::kSuspended));
  CHECK(f.Put("bkt", "k", "suspended").version_id == "null");
  CHECK(f.GetVersion("bkt", "k", "null") == "suspended");
  CHECK(f.GetVersion("bkt", "k", one) == "one");
  CHECK(Must(f.store().ListVersions("bkt", {})).objects.size() == 2);
  CHECK(f.StreamCount() == 2);

  const DeleteResult marker = Must(f.store().Delete("bkt", "k", ""));
  CHECK(marker.version_id == "null");
  CHECK(marker.delete_marker);
  CHECK(ReasonOf(f.TryGet("bkt", "k", {.version_id = "null"})) == Reason::kIsDeleteMarker);
  CHECK(f.StreamCount() == 1);
  Must(f.store().Delete("bkt", "k", "null").status());
  CHECK(f.Get("bkt", "k") == "one");
}

TEST_CASE("Versioning is never switched off again; a version id must look like one") {
  StoreFixture f;
  Versioned(f);
  CHECK(ReasonOf(f.store().SetVersioning("bkt", Versioning::kOff)) == Reason::kInvalidArgument);
  for (const char* bad : {"x", "NULL", "0123", "0123456789ABCDEF0123456789ABCDEF"}) {
    CHECK(ReasonOf(f.TryGet("bkt", "k", {.version_id = bad})) == Reason::kInvalidArgument);
    CHECK(ReasonOf(f.store().Delete("bkt", "k", bad)) == Reason::kInvalidArgument);
  }
  CHECK(ReasonOf(f.TryGet("bkt", "k", {.version_id = std::string(32, '0')})) ==
        Reason::kNoSuchVersion);
  CHECK(ReasonOf(f.TryGet("bkt", "k", {.version_id = "null"})) == Reason::kNoSuchVersion);
}

TEST_CASE("Versions keep their order when the clock goes back") {
  StoreFixture f;
  Versioned(f);
  for (const char* content : {"one", "two", "three"}) {
    f.Put("bkt", "k", content);
    f.clock.now_ns -= 5 * kSecondNs;
  }
  const ListPage page = Must(f.store().ListVersions("bkt", {}));
  REQUIRE(page.objects.size() == 3);
  CHECK(f.Get("bkt", "k") == "three");
  CHECK(f.GetVersion("bkt", "k", page.objects[1].version_id) == "two");
  CHECK(f.GetVersion("bkt", "k", page.objects[2].version_id) == "one");
}

// ---- Against a model

struct ModelVersion {
  std::string id;
  std::optional<std::string> content;  // nullopt: a delete marker.
};

// What S3's documentation says, with lists and no cleverness. The newest version is in front.
class Model {
 public:
  Versioning versioning = Versioning::kOff;

  void Add(const std::string& key, ModelVersion version) {
    std::list<ModelVersion>& versions = keys_[key];
    if (versioning != Versioning::kEnabled) {
      versions.remove_if([](const ModelVersion& v) { return v.id == "null"; });
    }
    versions.push_front(std::move(version));
  }

  bool Remove(const std::string& key, const std::string& id) {
    std::list<ModelVersion>& versions = keys_[key];
    const size_t before = versions.size();
    versions.remove_if([&](const ModelVersion& v) { return v.id == id; });
    return versions.size() != before;
  }

  const std::list<ModelVersion>& Of(const std::string& key) { return keys_[key]; }

  const ModelVersion* Current(const std::string& key) {
    const std::list<ModelVersion>& versions = keys_[key];
    return versions.empty() || !versions.front().content.has_value() ? nullptr : &versions.front();
  }

  std::map<std::string, std::list<ModelVersion>> keys_;
};

void Compare(StoreFixture& f, Model& model) {
  const ListPage page = Must(f.store().ListVersions("bkt", {}));
  std::vector<std::string> listed, expected, current;
  size_t streams = 0;
  for (const ObjectInfo& object : page.objects) {
    listed.push_back(object.key + " " + object.version_id + (object.is_latest ? " latest" : "") +
                     (object.is_delete_marker ? " marker" : ""));
  }
  for (const auto& [key, versions] : model.keys_) {
    for (const ModelVersion& version : versions) {
      expected.push_back(key + " " + version.id + (&version == &versions.front() ? " latest" : "") +
                         (version.content.has_value() ? "" : " marker"));
      if (version.content.has_value()) {
        ++streams;
        REQUIRE(f.GetVersion("bkt", key, version.id) == *version.content);
      }
    }
    if (model.Current(key) != nullptr) {
      current.push_back(key);
      REQUIRE(f.Get("bkt", key) == *model.Current(key)->content);
    }
  }
  REQUIRE(listed == expected);
  REQUIRE(KeysOf(Must(f.store().List("bkt", {}))) == current);
  REQUIRE(f.StreamCount() == streams);
}

TEST_CASE("Random puts and deletes under changing versioning agree with a model") {
  Random random(strata::test::Seed());
  for (int round = 0; round < 12; ++round) {
    StoreFixture f;
    Must(f.store().CreateBucket("bkt", ""));
    Model model;
    for (int step = 0; step < 120; ++step) {
      INFO("round " << round << " step " << step);
      const std::string key(1, static_cast<char>('a' + random.Uniform(3)));
      if (random.Chance(0.5)) f.clock.now_ns += static_cast<int64_t>(random.Uniform(3));
      const uint64_t dice = random.Uniform(20);
      if (dice < 9) {
        const std::string content = "content " + std::to_string(step);
        const ObjectInfo info = f.Put("bkt", key, content);
        model.Add(key, {info.version_id, content});
      } else if (dice < 13) {
        const DeleteResult deleted = Must(f.store().Delete("bkt", key, ""));
        REQUIRE(deleted.existed == (model.Current(key) != nullptr));
        REQUIRE(deleted.delete_marker == (model.versioning != Versioning::kOff));
        if (deleted.delete_marker) {
          model.Add(key, {deleted.version_id, std::nullopt});
        } else {
          model.Remove(key, "null");
        }
      } else if (dice < 18 && !model.Of(key).empty()) {
        auto at = model.Of(key).begin();
        std::advance(at, random.Uniform(model.Of(key).size()));
        const std::string id = random.Chance(0.2) ? "null" : at->id;
        const DeleteResult deleted = Must(f.store().Delete("bkt", key, id));
        REQUIRE(deleted.existed == model.Remove(key, id));
      } else if (random.Chance(0.2)) {
        model.versioning = random.Chance(0.5) ? Versioning::kEnabled : Versioning::kSuspended;
        Must(f.store().SetVersioning("bkt", model.versioning));
      }
      Compare(f, model);
    }
  }
}

}  // namespace
}  // namespace strata::object::test

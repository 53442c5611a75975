// SPDX-License-Identifier: Apache-2.0
//
// Conditional reads, writes and copies.
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "store_fixture.h"

namespace strata::object::test {
namespace {

constexpr Reason kOk = Reason::kNone;

TEST_CASE("Conditional reads keep the precedence of RFC 9110") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  f.clock.now_ns += 500'000'000;  // HTTP knows whole seconds only.
  const std::string etag = f.Put("bkt", "k", "content").etag;
  const uint64_t modified = static_cast<uint64_t>(f.clock.now_ns) / kSecondNs * kSecondNs;
  const uint64_t before = modified - kSecondNs;

  struct Row {
    Conditions conditions;
    Reason expected;
  };
  const std::vector<Row> rows = {
      {{}, kOk},
      {{.if_match = {etag}}, kOk},
      {{.if_match = {"*"}}, kOk},
      {{.if_match = {"other", etag}}, kOk},
      {{.if_match = {"other"}}, Reason::kPreconditionFailed},
      {{.if_none_match = {etag}}, Reason::kNotModified},
      {{.if_none_match = {"*"}}, Reason::kNotModified},
      {{.if_none_match = {"other"}}, kOk},
      {{.if_modified_since_ns = before}, kOk},
      {{.if_modified_since_ns = modified}, Reason::kNotModified},
      {{.if_unmodified_since_ns = modified}, kOk},
      {{.if_unmodified_since_ns = before}, Reason::kPreconditionFailed},
      // If-Match wins over If-Unmodified-Since, If-None-Match over If-Modified-Since.
      {{.if_match = {etag}, .if_unmodified_since_ns = before}, kOk},
      {{.if_match = {"other"}, .if_unmodified_since_ns = modified}, Reason::kPreconditionFailed},
      {{.if_none_match = {"other"}, .if_modified_since_ns = modified}, kOk},
      {{.if_none_match = {etag}, .if_modified_since_ns = before}, Reason::kNotModified},
      // The first group is decided before the second.
      {{.if_match = {"other"}, .if_none_match = {etag}}, Reason::kPreconditionFailed},
      {{.if_match = {etag}, .if_none_match = {etag}}, Reason::kNotModified},
  };
  for (size_t i = 0; i < rows.size(); ++i) {
    INFO("row " << i);
    CHECK(ReasonOf(f.TryGet("bkt", "k", {.conditions = rows[i].conditions})) == rows[i].expected);
    CHECK(ReasonOf(f.store().Head("bkt", "k", {.conditions = rows[i].conditions})) ==
          rows[i].expected);
    // As a copy's source, what would be "not modified" is a failed precondition.
    CopySource source{.bucket = "bkt", .key = "k", .conditions = rows[i].conditions};
    const Reason of_copy =
        rows[i].expected == Reason::kNotModified ? Reason::kPreconditionFailed : rows[i].expected;
    CHECK(ReasonOf(f.store().Copy(source, "bkt", "copy", {})) == of_copy);
  }
}

TEST_CASE("Conditional writes") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  Must(f.store().SetVersioning("bkt", Versioning::kEnabled));
  const auto put = [&](const Conditions& conditions) {
    PutOptions options;
    options.conditions = conditions;
    return ReasonOf(f.TryPut("bkt", "k", "content", options));
  };
  CHECK(put({.if_match = {"*"}}) == Reason::kNoSuchKey);
  CHECK(put({.if_none_match = {"*"}}) == kOk);
  CHECK(put({.if_none_match = {"*"}}) == Reason::kPreconditionFailed);
  const std::string etag = Must(f.store().Head("bkt", "k", {})).etag;
  CHECK(put({.if_match = {"other"}}) == Reason::kPreconditionFailed);
  CHECK(put({.if_match = {etag}}) == kOk);
  CHECK(put({.if_none_match = {etag}}) == Reason::kPreconditionFailed);
  CHECK(put({.if_none_match = {"other"}}) == kOk);

  // Behind a delete marker there is no object.
  Must(f.store().Delete("bkt", "k", "").status());
  CHECK(put({.if_match = {etag}}) == Reason::kNoSuchKey);
  CHECK(put({.if_none_match = {"*"}}) == kOk);
}

TEST_CASE("The transaction decides over a condition, not the moment the writer was made") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  PutOptions options;
  options.conditions.if_none_match = {"*"};
  auto first = Must(f.store().NewWriter("bkt", "k", options));
  auto second = Must(f.store().NewWriter("bkt", "k", options));
  Must(first->Finish({}).status());
  CHECK(ReasonOf(second->Finish({})) == Reason::kPreconditionFailed);
  CHECK(ReasonOf(f.store().NewWriter("bkt", "k", options)) == Reason::kPreconditionFailed);
}

TEST_CASE("Conditional deletes") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  const Conditions any{.if_match = {"*"}};
  CHECK(ReasonOf(f.store().Delete("bkt", "k", "", any)) == Reason::kNoSuchKey);
  const std::string etag = f.Put("bkt", "k", "1").etag;
  const Conditions right{.if_match = {etag}}, wrong{.if_match = {"x"}};
  CHECK(ReasonOf(f.store().Delete("bkt", "k", "", wrong)) == Reason::kPreconditionFailed);
  CHECK(ReasonOf(f.store().Delete("bkt", "k", "null", wrong)) == Reason::kPreconditionFailed);
  CHECK(f.Get("bkt", "k") == "1");
  CHECK(Must(f.store().Delete("bkt", "k", "", right)).existed);
  Must(f.store().SetVersioning("bkt", Versioning::kEnabled));
  f.Put("bkt", "k", "1");
  CHECK(Must(f.store().Delete("bkt", "k", "", right)).delete_marker);
  CHECK(ReasonOf(f.store().Delete("bkt", "k", "", any)) == Reason::kPreconditionFailed);
}

TEST_CASE("Tags change alone") {
  StoreFixture f;
  Must(f.store().CreateBucket("bkt", ""));
  Must(f.store().SetVersioning("bkt", Versioning::kEnabled));
  const std::string first = f.Put("bkt", "k", "1").version_id;
  const std::string second = f.Put("bkt", "k", "2").version_id;
  const ObjectInfo before = Must(f.store().Head("bkt", "k", {.version_id = first}));
  f.clock.now_ns += 5 * kSecondNs;
  CHECK(Must(f.store().SetTags("bkt", "k", first, {{"t", "1"}})).version_id == first);
  CHECK(Must(f.store().SetTags("bkt", "k", "", {{"t", "2"}})).version_id == second);
  const ObjectInfo after = Must(f.store().Head("bkt", "k", {.version_id = first}));
  CHECK(after.modified_ns == before.modified_ns);
  CHECK_FALSE(after.is_latest);
  CHECK(after.metadata.tags.at("t") == "1");
  CHECK(Must(f.store().Head("bkt", "k", {})).metadata.tags.at("t") == "2");
  CHECK(f.Get("bkt", "k") == "2");
  CHECK(ReasonOf(f.store().SetTags("bkt", "none", "", {})) == Reason::kNoSuchKey);
  const std::map<std::string, std::string> nameless = {{"", "x"}};
  CHECK(ReasonOf(f.store().SetTags("bkt", "k", "", nameless)) == Reason::kInvalidArgument);
}

}  // namespace
}  // namespace strata::object::test

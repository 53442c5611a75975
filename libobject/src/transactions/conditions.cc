// SPDX-License-Identifier: Apache-2.0
#include "transactions/conditions.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "records/version_ids.h"
#include "strata/base/status_macros.h"
#include "strata/object/error.h"

namespace strata::object {
namespace {

bool AnyMatches(const std::vector<std::string>& etags, const ObjectRecord& object) {
  const std::string etag = EtagOf(object);
  return std::any_of(etags.begin(), etags.end(),
                     [&](const std::string& wanted) { return wanted == "*" || wanted == etag; });
}

bool ModifiedAfter(const ObjectRecord& object, uint64_t time_ns) {
  constexpr uint64_t kSecond = 1'000'000'000;
  return object.modified_ns / kSecond > time_ns / kSecond;
}

// If-Match, or in its absence If-Unmodified-Since.
absl::Status CheckStillTheSame(const Conditions& conditions, const ObjectRecord& object) {
  if (!conditions.if_match.empty()) {
    if (AnyMatches(conditions.if_match, object)) return absl::OkStatus();
    return MakeError(Reason::kPreconditionFailed, "the object has another ETag than If-Match");
  }
  if (conditions.if_unmodified_since_ns.has_value() &&
      ModifiedAfter(object, *conditions.if_unmodified_since_ns)) {
    return MakeError(Reason::kPreconditionFailed,
                     "the object was modified after If-Unmodified-Since");
  }
  return absl::OkStatus();
}

}  // namespace

bool AsksNothing(const Conditions& conditions) {
  return conditions.if_match.empty() && conditions.if_none_match.empty() &&
         !conditions.if_modified_since_ns.has_value() &&
         !conditions.if_unmodified_since_ns.has_value();
}

absl::Status CheckReadConditions(const Conditions& conditions, const ObjectRecord& object) {
  STRATA_RETURN_IF_ERROR(CheckStillTheSame(conditions, object));
  if (!conditions.if_none_match.empty()) {
    if (!AnyMatches(conditions.if_none_match, object)) return absl::OkStatus();
    return MakeError(Reason::kNotModified, "the object has the ETag of If-None-Match");
  }
  if (conditions.if_modified_since_ns.has_value() &&
      !ModifiedAfter(object, *conditions.if_modified_since_ns)) {
    return MakeError(Reason::kNotModified, "the object was not modified after If-Modified-Since");
  }
  return absl::OkStatus();
}

absl::Status CheckCopySourceConditions(const Conditions& conditions, const ObjectRecord& object) {
  const absl::Status status = CheckReadConditions(conditions, object);
  if (ReasonOf(status) != Reason::kNotModified) return status;
  return MakeError(Reason::kPreconditionFailed,
                   "the source is what If-None-Match or If-Modified-Since exclude");
}

absl::Status CheckWriteConditions(const Conditions& conditions, const ObjectRecord* current) {
  if (current == nullptr) {
    if (conditions.if_match.empty()) return absl::OkStatus();
    return MakeError(Reason::kNoSuchKey, "If-Match was given, and there is no object");
  }
  STRATA_RETURN_IF_ERROR(CheckStillTheSame(conditions, *current));
  if (!conditions.if_none_match.empty() && AnyMatches(conditions.if_none_match, *current)) {
    return MakeError(Reason::kPreconditionFailed, "an object that If-None-Match excludes is there");
  }
  return absl::OkStatus();
}

}  // namespace strata::object

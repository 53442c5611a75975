// SPDX-License-Identifier: Apache-2.0
//
// Every query parameter that the operations of S3 have, whether they are implemented here or not:
// a parameter of this table never goes unnoticed. What is not in it means nothing to S3 either.
// Source: Amazon S3 API Reference, "Actions".
//
//   STRATA_ASSIGN_OR_RETURN(const KnownParameter* subresource, SubresourceOf(request));
//   if (subresource == nullptr) ...  // The plain operation on the bucket or object.
//
// Pure functions.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "http/request.h"

namespace strata::s3 {

enum class Level { kService, kBucket, kObject };

// A sub-resource makes a request another operation than the plain one. Other parameters add to the
// operation, and have no methods here.
struct KnownParameter {
  std::string_view name;
  std::string_view service_methods = {};  // With spaces between them.
  std::string_view bucket_methods = {};
  std::string_view object_methods = {};

  // list-type is a sub-resource with the value 2, and otherwise a parameter that changes nothing.
  bool IsSubresource(std::string_view value) const;
  // Whether S3 has an operation of that method for the sub-resource.
  bool HasMethod(Level level, std::string_view method) const;
};

// nullptr: S3 has no parameter of that name.
const KnownParameter* FindParameter(std::string_view name);
// The same whatever the case: parameters are case-sensitive, so one that differs is a mistake.
const KnownParameter* FindParameterIgnoringCase(std::string_view name);

// The sub-resource that the request names. nullptr: none. kInvalidArgument: more than one.
absl::StatusOr<const KnownParameter*> SubresourceOf(const Request& request);

// "a" in "b a c".
bool ContainsWord(std::string_view words, std::string_view word);

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
//
// An HTTP head read as an S3 request: which bucket, which key, which parameters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "http/http.h"
#include "http/uri_coding.h"

namespace strata::s3 {

struct Request {
  HttpHead head;
  std::string path;       // Decoded, from its first slash on.
  QueryParameters query;  // Decoded, in order.
  std::string bucket;     // Empty: the service itself.
  std::string key;        // Empty: the bucket itself.
  bool bucket_in_host = false;

  // nullptr: not there.
  const std::string* FindQuery(std::string_view name) const;
  bool HasQuery(std::string_view name) const { return FindQuery(name) != nullptr; }
  // Empty where it is not there.
  std::string_view Query(std::string_view name) const;
  std::string_view Header(std::string_view name) const { return head.Value(name); }
};

// `domains`: names under which buckets are hosts. Query parameters that begin with x-amz- become
// headers, since a client that presigns a URL may put headers into it; those about the signature
// stay what they are. kInvalidUri. kInvalidArgument: such a parameter is no header, or one that is
// there with another value. Header lines of one name become one, their values joined by commas;
// values that are not UTF-8 are read as Latin-1 and become UTF-8. kInvalidArgument: a header that
// has one value was sent several times.
absl::StatusOr<Request> ParseRequest(HttpHead head, const std::vector<std::string>& domains);

}  // namespace strata::s3

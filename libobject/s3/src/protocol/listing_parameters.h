// SPDX-License-Identifier: Apache-2.0
//
// What the listings have in common: their parameters, the encoding of names, and tokens that tell
// where the next page begins. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "http/request.h"
#include "protocol/xml.h"

namespace strata::s3 {

// encoding-type=url, or nothing. Anything else is kInvalidArgument.
absl::StatusOr<bool> ParseEncodingType(const Request& request);

// "max-keys" and its like: a number, cut to 1000, which is also the default. kInvalidArgument.
absl::StatusOr<size_t> ParseMaxItems(const Request& request, std::string_view name);
absl::StatusOr<size_t> ParseMaxItems(const std::string* text, std::string_view name);

// Writes names as encoding-type asks.
class NameWriter {
 public:
  explicit NameWriter(bool url_encoded) : url_encoded_(url_encoded) {}
  void Text(std::string_view element, std::string_view name, XmlWriter& xml) const;
  bool url_encoded() const { return url_encoded_; }

 private:
  const bool url_encoded_;
};

void AddCommonPrefixes(const std::vector<std::string>& prefixes, const NameWriter& names,
                       XmlWriter& xml);

// The position of the next page as a marker of ListObjects: itself, but for one inside of a common
// prefix (object::ListOptions::start_after), which no text may hold: that one is a token behind a
// private-use character.
std::string EncodeMarker(const std::string& start_after);
std::string DecodeMarker(std::string_view marker);

// Opaque to clients: the last name listed, with a checksum. nullopt: not one of ours.
std::string EncodeContinuationToken(std::string_view start_after);
std::optional<std::string> DecodeContinuationToken(std::string_view token);

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
#include "http/encoding.h"

#include "absl/strings/escaping.h"

namespace strata::s3 {
namespace {

absl::string_view Abseil(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

std::string Base64Encode(std::string_view bytes) { return absl::Base64Escape(Abseil(bytes)); }

std::optional<std::string> Base64Decode(std::string_view text) {
  // Abseil forgives white space, missing padding and stray low bits; encoding again does not.
  std::string bytes;
  if (!absl::Base64Unescape(Abseil(text), &bytes)) return std::nullopt;
  if (Base64Encode(bytes) != text) return std::nullopt;
  return bytes;
}

std::string WebSafeBase64Encode(std::string_view bytes) {
  return absl::WebSafeBase64Escape(Abseil(bytes));
}

std::optional<std::string> WebSafeBase64Decode(std::string_view text) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(Abseil(text), &bytes)) return std::nullopt;
  if (WebSafeBase64Encode(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
//
// Device URIs and sizes: any text is taken apart or refused, and what was taken apart can be put
// together again.
#include <cstddef>
#include <cstdint>
#include <string>

#include "strata/base/check.h"
#include "strata/block/registry.h"

namespace {

using strata::block::ParseUri;
using strata::block::Uri;

// Writes *uri out. A target that starts with a scheme makes it a decorator's.
std::string TextOf(const Uri& uri) {
  const std::string scheme_of_target = uri.target.substr(0, uri.target.find(':') + 1);
  std::string text = uri.scheme + ":" + uri.target;
  char separator = ParseUri(scheme_of_target).ok() ? ';' : '?';
  if (uri.options.empty()) text += separator;
  for (const auto& [key, value] : uri.options) {
    text += separator + key + "=" + value;
    separator = '&';
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto bytes = strata::block::ParseSizeBytes(text); bytes.ok()) {
    const auto again = strata::block::ParseSizeBytes(std::to_string(*bytes));
    STRATA_CHECK(again.ok() && *again == *bytes, "a size changes when it is written out");
  }
  const absl::StatusOr<Uri> uri = ParseUri(text);
  if (!uri.ok()) {
    STRATA_CHECK(absl::IsInvalidArgument(uri.status()), "a bad URI is InvalidArgument");
    return 0;
  }
  const std::string written = TextOf(*uri);
  const absl::StatusOr<Uri> again = ParseUri(written);
  if (!again.ok() && written.size() > 8192) return 0;
  STRATA_CHECK(again.ok(), "a URI cannot be read back");
  STRATA_CHECK(again->scheme == uri->scheme && again->target == uri->target &&
                   again->options == uri->options,
               "a URI changes when it is written out");
  return 0;
}

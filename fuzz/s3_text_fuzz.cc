// SPDX-License-Identifier: Apache-2.0
//
// The small parsers: URIs, ranges, dates, Base64, encoded words, tags, tokens, copy sources.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/byte_range.h"
#include "http/encoding.h"
#include "http/header_text.h"
#include "http/http_date.h"
#include "http/text.h"
#include "http/uri_coding.h"
#include "operations/copy_source.h"
#include "protocol/listing_parameters.h"
#include "protocol/object_headers.h"
#include "strata/base/check.h"
#include "strata/base/hex.h"
#include "strata/base/utf8.h"

using namespace strata::s3;  // NOLINT: a program's own file

namespace {

// Bucket and key never run into each other, and say what they said however they are encoded.
void CheckCopySource(std::string_view text) {
  const auto source = DecodeCopySource(text);
  if (!source.ok()) return;
  STRATA_CHECK(!source->bucket.empty() && !source->key.empty() &&
                   source->bucket.find('/') == std::string::npos,
               "a copy source without bucket or key");
  const auto again = DecodeCopySource("/" + UriEncode(source->bucket, Slash::kEncode) + "/" +
                                      UriEncode(source->key, Slash::kKeep) +
                                      (source->version_id.empty() ? "" : "?versionId=") +
                                      UriEncode(source->version_id, Slash::kEncode));
  STRATA_CHECK(again.ok() && again->bucket == source->bucket && again->key == source->key &&
                   again->version_id == source->version_id,
               "copy sources");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  STRATA_CHECK(UriDecode(UriEncode(text, Slash::kEncode), Plus::kSpace) == text, "URI coding");
  (void)UriDecode(text, Plus::kPlus);
  (void)ParseQuery(text);
  constexpr uint64_t kObjectBytes = 1000;
  const ByteRange range = ParseByteRange(text, kObjectBytes);
  if (range.kind != ByteRange::Kind::kUnsatisfiable) {
    STRATA_CHECK(range.size_bytes > 0 && range.offset_bytes < kObjectBytes &&
                     range.size_bytes <= kObjectBytes - range.offset_bytes,
                 "a range outside the object");
  }
  (void)ParseCopyRange(text);
  if (const auto time_ns = ParseHttpDate(text)) {
    STRATA_CHECK(ParseHttpDate(FormatHttpDate(*time_ns)) == *time_ns, "HTTP dates");
  }
  if (const auto time_ns = ParseBasicDate(text)) {
    STRATA_CHECK(ParseBasicDate(FormatBasicDate(*time_ns)) == *time_ns, "basic dates");
  }
  if (const auto bytes = Base64Decode(text)) {
    STRATA_CHECK(Base64Encode(*bytes) == text, "two texts for one value");
  }
  STRATA_CHECK(strata::FromHex(strata::ToHex(text), strata::HexLetters::kAny) == text,
               "hexadecimal");
  if (strata::IsUtf8(text)) {
    STRATA_CHECK(DecodeHeaderText(EncodeHeaderText(text)) == text || EncodeHeaderText(text) == text,
                 "encoded words");
  }
  (void)DecodeHeaderText(text);
  (void)ParseTagging(text);
  CheckCopySource(text);
  if (const auto position = DecodeContinuationToken(text)) {
    STRATA_CHECK(EncodeContinuationToken(*position) == text, "continuation tokens");
  }
  return 0;
}

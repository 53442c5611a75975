// SPDX-License-Identifier: Apache-2.0
//
// The Range header (RFC 9110, section 14), single ranges of bytes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace strata::s3 {

struct ByteRange {
  enum class Kind {
    kWhole,  // No header, or one that is to be ignored: not bytes, several, not understood.
    kPart,
    kUnsatisfiable,  // Well formed, but the object has none of these bytes.
  };
  Kind kind = Kind::kWhole;
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};

// "bytes=0-9", "bytes=10-", "bytes=-5", of an object of `object_size_bytes`.
ByteRange ParseByteRange(std::string_view header, uint64_t object_size_bytes);

// x-amz-copy-source-range, where both ends are given: offset and size. nullopt: not of that form.
std::optional<std::pair<uint64_t, uint64_t>> ParseCopyRange(std::string_view header);

}  // namespace strata::s3

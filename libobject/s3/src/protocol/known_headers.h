// SPDX-License-Identifier: Apache-2.0
//
// Every request header that the operations of S3 have, whether they are implemented here or not.
// A header that asks for what is not there is refused rather than ignored: a client that asked for
// protection, for a condition or for another operation must not believe that it got it.
// Source: Amazon S3 API Reference, "Actions" and "Common request headers".
//
//   STRATA_RETURN_IF_ERROR(CheckHeaders(request, operation.name, operation.headers));
//
// Pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "http/request.h"

namespace strata::s3 {

// Headers that only some operations act on; a set of them has several bits.
using HeaderUses = uint32_t;
inline constexpr HeaderUses kTakesChecksum = 1 << 0;  // x-amz-checksum-crc32 and its like
inline constexpr HeaderUses kTakesCopySource = 1 << 1;
inline constexpr HeaderUses kTakesCopyRange = 1 << 2;
inline constexpr HeaderUses kTakesCopyDirectives = 1 << 3;
inline constexpr HeaderUses kTakesObjectSize = 1 << 4;  // x-amz-mp-object-size
inline constexpr HeaderUses kTakesBucketSettings = 1 << 5;
inline constexpr HeaderUses kTakesIfMatch = 1 << 6;
inline constexpr HeaderUses kTakesIfNoneMatch = 1 << 7;
inline constexpr HeaderUses kTakesIfUnmodifiedSince = 1 << 8;
inline constexpr HeaderUses kTakesWriteConditions =
    kTakesIfMatch | kTakesIfNoneMatch | kTakesIfUnmodifiedSince;

// GET and HEAD change nothing: they may ignore what they do not understand.
bool IsRead(std::string_view method);

// kNotImplemented: a header that is not implemented, or not for this operation; in requests that
// write also one that begins with x-amz- and is not known. kAccessControlListNotSupported.
// kInvalidRequest: a checksum algorithm that is not known. kInvalidArgument: another value that is
// not one of the header's, or a condition that is empty.
absl::Status CheckHeaders(const Request& request, std::string_view operation, HeaderUses uses);

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
//
// User metadata in headers. Text that is not printable ASCII travels as RFC 2047 encoded words;
// that is what S3 does, see "Working with object metadata" in its user guide. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace strata::s3 {

// Decodes encoded words in UTF-8, "=?UTF-8?B?...?=" or "=?UTF-8?Q?...?="; leaves all else alone.
std::string DecodeHeaderText(std::string_view value);

// `text` itself where it is printable ASCII, one encoded word (form B) where it is not.
std::string EncodeHeaderText(std::string_view text);

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
//
// Points in time as HTTP (RFC 9110, section 5.6.7), S3's documents (ISO 8601) and SigV4 write
// them. Times are nanoseconds since the Unix epoch, UTC. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace strata::s3 {

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string FormatHttpDate(uint64_t time_ns);

// The form above and the two obsolete ones, "Sunday, 06-Nov-94 08:49:37 GMT" and
// "Sun Nov  6 08:49:37 1994". GMT may be written +0000 or -0000 in the first form, as in mails;
// SDKs do so in Date. nullopt before 1970, too.
std::optional<uint64_t> ParseHttpDate(std::string_view text);

// "1994-11-06T08:49:37.000Z", to the millisecond.
std::string FormatIsoDate(uint64_t time_ns);

// "19941106T084937Z", the form of x-amz-date.
std::string FormatBasicDate(uint64_t time_ns);
std::optional<uint64_t> ParseBasicDate(std::string_view text);

}  // namespace strata::s3

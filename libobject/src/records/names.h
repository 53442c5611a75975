// SPDX-License-Identifier: Apache-2.0
//
// What may be called what: names, keys and metadata that a store accepts. Errors name the rule.
// Pure; thread-safe.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "strata/object/types.h"

namespace strata::object {

inline constexpr size_t kMaxBucketNameBytes = 63;

// kInvalidBucketName. Amazon S3 User Guide, "General purpose bucket naming rules".
absl::Status CheckBucketName(std::string_view name);

// kKeyTooLong; kInvalidArgument: empty, or not UTF-8.
absl::Status CheckObjectKey(std::string_view key);

// kInvalidArgument: not 1..64 of [A-Za-z0-9._@-].
absl::Status CheckUserId(std::string_view id);

// An owner is a user id or, for a store without users, nothing.
absl::Status CheckOwner(std::string_view owner);

// kInvalidArgument: the lengths types.h gives, or characters outside of printable ASCII.
absl::Status CheckAccessKey(const AccessKey& key);

// kMetadataTooLarge: user metadata over 2 KiB, all of it over 8 KiB; kInvalidArgument: tags.
absl::Status CheckMetadata(const Metadata& metadata);

}  // namespace strata::object

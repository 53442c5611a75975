// SPDX-License-Identifier: Apache-2.0
#include "records/names.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "absl/strings/str_format.h"
#include "strata/base/status_macros.h"
#include "strata/base/utf8.h"
#include "strata/object/error.h"

namespace strata::object {
namespace {

constexpr size_t kMaxMetadataBytes = 8192;
constexpr size_t kMaxTags = 10;
constexpr size_t kMaxTagKeyCharacters = 128;
constexpr size_t kMaxTagValueCharacters = 256;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Four groups of digits: what a client could take for an address.
bool LooksLikeIpAddress(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return IsDigit(c) || c == '.'; }) &&
         std::count(name.begin(), name.end(), '.') == 3;
}

std::string_view BucketNameFault(std::string_view name) {
  if (name.size() < 3 || name.size() > kMaxBucketNameBytes)
    return "it must have 3 to 63 characters";
  for (const char c : name) {
    if (!IsLower(c) && !IsDigit(c) && c != '.' && c != '-') {
      return "only lower-case letters, digits, dots and hyphens are allowed";
    }
  }
  const auto is_edge = [](char c) { return IsLower(c) || IsDigit(c); };
  if (!is_edge(name.front()) || !is_edge(name.back())) {
    return "it must begin and end with a letter or digit";
  }
  for (const std::string_view bad : {"..", ".-", "-."}) {
    if (name.find(bad) != std::string_view::npos)
      return "a dot must stand between letters or digits";
  }
  if (LooksLikeIpAddress(name)) return "it must not look like an IP address";
  for (const std::string_view bad : {"xn--", "sthree-", "amzn-s3-demo-"}) {
    if (name.starts_with(bad)) return "its beginning is reserved";
  }
  for (const std::string_view bad : {"-s3alias", "--ol-s3", ".mrap", "--x-s3"}) {
    if (name.ends_with(bad)) return "its ending is reserved";
  }
  return {};
}

// RFC 9110, section 5.5: what a field value never holds.
bool FitsHeader(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
  });
}

absl::Status CheckTags(const Metadata& metadata) {
  if (metadata.tags.size() > kMaxTags) {
    return MakeError(Reason::kInvalidArgument, "an object has at most 10 tags");
  }
  for (const auto& [key, value] : metadata.tags) {
    const std::optional<size_t> key_count = CountUtf8(key);
    const std::optional<size_t> value_count = CountUtf8(value);
    if (!key_count || *key_count == 0 || *key_count > kMaxTagKeyCharacters) {
      return MakeError(Reason::kInvalidArgument, "a tag's key has 1 to 128 characters of UTF-8");
    }
    if (!value_count || *value_count > kMaxTagValueCharacters) {
      return MakeError(Reason::kInvalidArgument,
                       "a tag's value has at most 256 characters of UTF-8");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBucketName(std::string_view name) {
  const std::string_view fault = BucketNameFault(name);
  if (fault.empty()) return absl::OkStatus();
  return MakeError(Reason::kInvalidBucketName,
                   absl::StrFormat("bucket name '%s': %s", name, fault));
}

absl::Status CheckObjectKey(std::string_view key) {
  if (key.empty()) return MakeError(Reason::kInvalidArgument, "the key is empty");
  if (key.size() > ObjectLimits::kMaxKeyBytes) {
    return MakeError(Reason::kKeyTooLong,
                     absl::StrFormat("the key has %d bytes, at most %d are allowed", key.size(),
                                     ObjectLimits::kMaxKeyBytes));
  }
  if (!IsUtf8(key)) {
    return MakeError(Reason::kInvalidArgument, "the key is not UTF-8");
  }
  return absl::OkStatus();
}

absl::Status CheckUserId(std::string_view id) {
  const bool characters_are_good = std::all_of(id.begin(), id.end(), [](char c) {
    return IsLower(c) || IsUpper(c) || IsDigit(c) || c == '.' || c == '_' || c == '@' || c == '-';
  });
  if (id.empty() || id.size() > 64 || !characters_are_good) {
    return MakeError(Reason::kInvalidArgument,
                     "a user id has 1 to 64 letters, digits and characters of '._@-'");
  }
  return absl::OkStatus();
}

absl::Status CheckOwner(std::string_view owner) {
  return owner.empty() ? absl::OkStatus() : CheckUserId(owner);
}

absl::Status CheckAccessKey(const AccessKey& key) {
  const auto is_printable = [](std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  };
  if (key.access_key.size() < 3 || key.access_key.size() > 128 || !is_printable(key.access_key) ||
      key.access_key.find('/') != std::string::npos) {
    return MakeError(Reason::kInvalidArgument,
                     "an access key has 3 to 128 printable ASCII characters and no '/'");
  }
  if (key.secret_key.size() < 8 || key.secret_key.size() > 128 || !is_printable(key.secret_key)) {
    return MakeError(Reason::kInvalidArgument,
                     "a secret key has 8 to 128 printable ASCII characters");
  }
  return CheckUserId(key.user_id);
}

absl::Status CheckMetadata(const Metadata& metadata) {
  const std::initializer_list<const std::string*> headers = {&metadata.content_type,
                                                             &metadata.cache_control,
                                                             &metadata.content_disposition,
                                                             &metadata.content_encoding,
                                                             &metadata.content_language,
                                                             &metadata.expires,
                                                             &metadata.website_redirect_location,
                                                             &metadata.storage_class};
  size_t headers_bytes = 0;
  bool is_clean = true;
  for (const std::string* field : headers) {
    headers_bytes += field->size();
    is_clean = is_clean && FitsHeader(*field);
  }
  size_t user_bytes = 0;
  for (const auto& [name, value] : metadata.user) {
    user_bytes += name.size() + value.size();
    is_clean = is_clean && !name.empty() && FitsHeader(name) && FitsHeader(value);
  }
  if (!is_clean) {
    return MakeError(Reason::kInvalidArgument,
                     "metadata holds control characters, or a nameless value");
  }
  if (user_bytes > ObjectLimits::kMaxUserMetadataBytes) {
    return MakeError(Reason::kMetadataTooLarge,
                     absl::StrFormat("user metadata has %d bytes, at most %d are allowed",
                                     user_bytes, ObjectLimits::kMaxUserMetadataBytes));
  }
  if (user_bytes + headers_bytes > kMaxMetadataBytes) {
    return MakeError(Reason::kMetadataTooLarge,
                     absl::StrFormat("the metadata has %d bytes, at most %d are allowed",
                                     user_bytes + headers_bytes, kMaxMetadataBytes));
  }
  return CheckTags(metadata);
}

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
#include "host/uuid.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "strata/base/hex.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"

namespace strata::nvmeof {
namespace {

constexpr size_t kTextBytes = 36;
constexpr size_t kDashes[] = {8, 13, 18, 23};

}  // namespace

absl::StatusOr<Uuid> RandomUuid() {
  Uuid uuid;
  STRATA_RETURN_IF_ERROR(SecureRandomBytes(uuid));
  uuid[6] = (uuid[6] & std::byte{0x0f}) | std::byte{0x40};
  uuid[8] = (uuid[8] & std::byte{0x3f}) | std::byte{0x80};
  return uuid;
}

std::string FormatUuid(const Uuid& uuid) {
  std::string text = ToHex({reinterpret_cast<const char*>(uuid.data()), uuid.size()});
  for (const size_t at : kDashes) text.insert(at, 1, '-');
  return text;
}

absl::StatusOr<Uuid> ParseUuid(std::string_view text) {
  const bool has_dashes = text.size() == kTextBytes &&
                          std::ranges::all_of(kDashes, [&](size_t at) { return text[at] == '-'; });
  std::string digits(text);
  std::erase(digits, '-');
  const std::optional<std::string> bytes = FromHex(digits, HexLetters::kAny);
  Uuid uuid;
  if (!has_dashes || !bytes.has_value() || bytes->size() != uuid.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", absl::string_view(text.data(), text.size()), "' is not a UUID"));
  }
  std::ranges::transform(*bytes, uuid.begin(), [](char c) { return static_cast<std::byte>(c); });
  return uuid;
}

}  // namespace strata::nvmeof

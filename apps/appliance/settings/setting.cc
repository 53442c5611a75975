// SPDX-License-Identifier: Apache-2.0
#include "appliance/settings/setting.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace strata::appliance {

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      absl::StrAppendFormat(&quoted, "\\u%04x", static_cast<unsigned char>(c));
      continue;
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string PrintSize(uint64_t bytes) {
  const char* const suffixes[] = {"", "K", "M", "G", "T"};
  size_t power = 0;
  while (power < 4 && bytes > 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++power;
  }
  return power == 0 ? absl::StrCat(bytes) : absl::StrCat("\"", bytes, suffixes[power], "\"");
}

}  // namespace strata::appliance

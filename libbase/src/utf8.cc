// SPDX-License-Identifier: Apache-2.0
#include "strata/base/utf8.h"

#include <cstdint>

namespace strata {

std::optional<size_t> CountUtf8(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++count) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || text.size() - i < length) return std::nullopt;
    uint32_t code = lead & (0xFF >> (length + 1));
    for (size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0) != 0x80) return std::nullopt;
      code = code << 6 | (next & 0x3F);
    }
    if (length == 3 && (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF))) return std::nullopt;
    if (length == 4 && (code < 0x10000 || code > 0x10FFFF)) return std::nullopt;
    i += length;
  }
  return count;
}

}  // namespace strata

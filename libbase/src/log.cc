// SPDX-License-Identifier: Apache-2.0
#include "strata/base/log.h"

#include <cstddef>
#include <string>

#include "strata/base/hex.h"

namespace strata {
namespace {

// Longer than any line of ours: what makes one longer was sent by somebody.
constexpr size_t kMaxLineBytes = 8 << 10;

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// Of the character that `text` begins with, if it may stand in a line as it is: printable, and
// UTF-8 that is not overlong. 0: it may not.
size_t PrintableBytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return first >= 0x20 && first != 0x7F ? 1 : 0;
  const size_t size = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  const auto second = static_cast<unsigned char>(text[1]);
  if (first == 0xC2 && second < 0xA0) return 0;  // The controls U+0080 to U+009F.
  if ((first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90)) return 0;
  return size;
}

}  // namespace

std::string LogLine(std::string_view text) {
  std::string line;
  size_t i = 0;
  while (i < text.size() && line.size() < kMaxLineBytes) {
    if (const size_t size = PrintableBytes(text.substr(i)); size > 0) {
      line += text.substr(i, size);
      i += size;
      continue;
    }
    const auto byte = static_cast<unsigned char>(text[i++]);
    line += "\\x";
    line += kHexDigits[byte >> 4];
    line += kHexDigits[byte & 15];
  }
  if (i < text.size()) line += "... (" + std::to_string(text.size()) + " bytes)";
  return line;
}

void Log(const LogSink& sink, LogLevel level, std::string_view line) {
  if (sink) sink(level, LogLine(line));
}

}  // namespace strata

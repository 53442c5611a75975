// SPDX-License-Identifier: Apache-2.0
#include "command_line/quoted_text.h"

#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"

namespace strata::appliance {
namespace {

// How many bytes the character at the front has; 0: it is no valid UTF-8 (RFC 3629).
size_t CharacterBytes(std::string_view text, uint32_t* code) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) {
    *code = first;
    return 1;
  }
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  *code = first & (0x7Fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    *code = *code << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kMinCode[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = *code >= 0xD800 && *code <= 0xDFFF;
  return *code < kMinCode[size] || *code > 0x10FFFF || surrogate ? 0 : size;
}

bool Shows(uint32_t code) {
  const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
  const bool turns = code == 0x61C || code == 0x200E || code == 0x200F ||
                     (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  const bool breaks_lines = code == 0x2028 || code == 0x2029;
  return !control && !turns && !breaks_lines && code != 0xFEFF;
}

void AppendEscape(char byte, std::string* out) {
  switch (byte) {
    case '\n':
      *out += "\\n";
      return;
    case '\t':
      *out += "\\t";
      return;
    case '\r':
      *out += "\\r";
      return;
    default:
      *out += absl::StrFormat("\\x%02x", static_cast<uint8_t>(byte));
  }
}

// Calls shown(character) and hidden(byte) for the parts of `text`.
template <typename Shown, typename Hidden>
void ForEachPart(std::string_view text, Shown&& shown, Hidden&& hidden) {
  while (!text.empty()) {
    uint32_t code = 0;
    const size_t size = CharacterBytes(text, &code);
    const std::string_view part = text.substr(0, size == 0 ? 1 : size);
    shown(part, size != 0, code) ? void() : hidden(part);
    text.remove_prefix(part.size());
  }
}

std::string Escaped(std::string_view text, bool quotes, bool* changed) {
  std::string out;
  ForEachPart(
      text,
      [&](std::string_view part, bool valid, uint32_t code) {
        if (!valid || !Shows(code)) return false;
        if (quotes && (code == '\'' || code == '\\')) out += '\\';
        out += part;
        return true;
      },
      [&](std::string_view part) {
        *changed = true;
        for (const char byte : part) AppendEscape(byte, &out);
      });
  return out;
}

}  // namespace

std::string QuotedName(std::string_view name) {
  bool changed = name.empty() || name.front() == ' ' || name.back() == ' ';
  const std::string escaped = Escaped(name, /*quotes=*/true, &changed);
  return changed ? "$'" + escaped + "'" : std::string(name);
}

std::string PrintableText(std::string_view text) {
  bool changed = false;
  return Escaped(text, /*quotes=*/false, &changed);
}

std::string JsonName(std::string_view name) {
  std::string out;
  ForEachPart(
      name,
      [&](std::string_view part, bool valid, uint32_t) {
        if (valid) out += part;
        return valid;
      },
      [&](std::string_view part) {
        out += '\0';
        out += absl::StrFormat("%02x", static_cast<uint8_t>(part.front()));
      });
  return out;
}

std::string NameOfJson(std::string_view json) {
  std::string name;
  for (size_t i = 0; i < json.size(); ++i) {
    const bool escape = json[i] == '\0' && i + 2 < json.size();
    name += escape ? absl::HexStringToBytes(std::string(json.substr(i + 1, 2)))
                   : std::string(1, json[i]);
    if (escape) i += 2;
  }
  return name;
}

}  // namespace strata::appliance

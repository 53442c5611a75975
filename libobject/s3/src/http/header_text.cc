// SPDX-License-Identifier: Apache-2.0
#include "http/header_text.h"

#include <optional>

#include "http/encoding.h"
#include "http/text.h"
#include "strata/base/hex.h"
#include "strata/base/utf8.h"

namespace strata::s3 {
namespace {

constexpr std::string_view kBegin = "=?";
constexpr std::string_view kEnd = "?=";

std::optional<std::string> DecodeQ(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      out += ' ';
    } else if (text[i] == '=') {
      const std::optional<std::string> byte = FromHex(text.substr(i + 1, 2), HexLetters::kAny);
      if (!byte || byte->size() != 1) return std::nullopt;
      out += *byte;
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// One encoded word at the front of `text`, which it is taken off. nullopt: there is none.
std::optional<std::string> TakeEncodedWord(std::string_view& text) {
  if (text.substr(0, kBegin.size()) != kBegin) return std::nullopt;
  const std::string_view rest = text.substr(kBegin.size());
  const size_t charset_end = rest.find('?');
  if (charset_end == std::string_view::npos || rest.size() < charset_end + 3) return std::nullopt;
  if (!EqualsIgnoreCase(rest.substr(0, charset_end), "utf-8")) return std::nullopt;
  const char form = rest[charset_end + 1];
  if (rest[charset_end + 2] != '?') return std::nullopt;
  const std::string_view encoded = rest.substr(charset_end + 3);
  const size_t end = encoded.find(kEnd);
  if (end == std::string_view::npos) return std::nullopt;

  std::optional<std::string> word;
  if (form == 'B' || form == 'b') word = Base64Decode(encoded.substr(0, end));
  if (form == 'Q' || form == 'q') word = DecodeQ(encoded.substr(0, end));
  if (!word || !IsUtf8(*word)) return std::nullopt;
  text = encoded.substr(end + kEnd.size());
  return word;
}

}  // namespace

std::string DecodeHeaderText(std::string_view value) {
  std::string out;
  bool after_word = false;
  while (!value.empty()) {
    if (std::optional<std::string> word = TakeEncodedWord(value)) {
      out += *word;
      after_word = true;
      continue;
    }
    // Blanks between two encoded words are no part of the text (RFC 2047, section 6.2).
    if (after_word) {
      std::string_view next = Trim(value);
      if (next.size() < value.size() && TakeEncodedWord(next).has_value()) {
        value = value.substr(value.find_first_not_of(" \t"));
        continue;
      }
    }
    after_word = false;
    out += value.front();
    value.remove_prefix(1);
  }
  return out;
}

std::string EncodeHeaderText(std::string_view text) {
  bool printable = true;
  for (char c : text) {
    if (c < 0x20 || c > 0x7E) printable = false;
  }
  if (printable) return std::string(text);
  return Concat({"=?UTF-8?B?", Base64Encode(text), "?="});
}

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
//
// The adapter to toml++.
#include "appliance/config_file.h"

#include <toml++/toml.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

absl::Status At(const std::string& path, int line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ":", line, ": ", what));
}

std::optional<std::string> TextOf(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return absl::StrCat(number->get());
  if (const auto* number = node.as_floating_point()) return absl::StrCat(number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  const toml::array* const list = node.as_array();
  if (list == nullptr) return std::nullopt;
  std::vector<std::string> items;
  for (const toml::node& item : *list) {
    if (!item.is_string()) return std::nullopt;
    items.push_back(item.as_string()->get());
  }
  return absl::StrJoin(items, ",");
}

absl::StatusOr<std::vector<FileSetting>> Flatten(const std::string& path,
                                                 const toml::table& document) {
  std::vector<FileSetting> settings;
  for (const auto& [section, node] : document) {
    const int line = static_cast<int>(node.source().begin.line);
    const toml::table* const table = node.as_table();
    if (table == nullptr) {
      return At(path, line,
                absl::StrCat("unknown key '", std::string(section.str()),
                             "'; keys stand in sections, as [s3]"));
    }
    for (const auto& [key, value] : *table) {
      FileSetting setting{absl::StrCat(std::string(section.str()), ".", std::string(key.str())), "",
                          static_cast<int>(value.source().begin.line)};
      std::optional<std::string> text = TextOf(value);
      if (!text.has_value()) {
        return At(path, setting.line,
                  absl::StrCat(setting.name,
                               ": neither a string, a number, true, false nor a list of strings"));
      }
      setting.value = *std::move(text);
      settings.push_back(std::move(setting));
    }
  }
  return settings;
}

constexpr size_t kMaxFileBytes = 1u << 20;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::FILE* const file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  std::string text;
  char buffer[4096];
  size_t got;
  while (text.size() <= kMaxFileBytes && (got = std::fread(buffer, 1, sizeof(buffer), file)) > 0) {
    text.append(buffer, got);
  }
  absl::Status status;
  if (text.size() > kMaxFileBytes) {
    status = absl::InvalidArgumentError(
        absl::StrCat(path, " is longer than the ", kMaxFileBytes, " bytes of a configuration"));
  }
  if (std::ferror(file) != 0) {
    status = ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  }
  std::fclose(file);
  if (!status.ok()) return status;
  return text;
}

}  // namespace

absl::StatusOr<std::vector<FileSetting>> ReadConfigFile(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  try {
    const toml::table document = toml::parse(std::string_view(text), std::string_view(path));
    return Flatten(path, document);
  } catch (const toml::parse_error& error) {
    return At(path, static_cast<int>(error.source().begin.line), std::string(error.description()));
  }
}

}  // namespace strata::appliance

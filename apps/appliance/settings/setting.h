// SPDX-License-Identifier: Apache-2.0
//
// One key of the configuration: its name, what it means, and how its text becomes a field of a
// Config. Rows are made by kind of value; `field` is STRATA_FIELD(path), as in
//
//   Size("s3", "max_body_memory", 1 << 20, 1 << 30, "Memory for ...",
//        STRATA_FIELD(s3.max_body_memory_bytes))
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "appliance/config.h"
#include "strata/base/status_macros.h"
#include "strata/block/registry.h"

namespace strata::appliance {

#define STRATA_FIELD(path) ([](auto& config) -> auto& { return config.path; })

struct Setting {
  const char* section;
  const char* key;
  const char* meaning;
  std::function<absl::Status(Config&, const std::string&)> set;
  std::function<std::string(const Config&)> print;  // As TOML.

  std::string name() const { return absl::StrCat(section, ".", key); }
};

// As TOML has a string.
std::string Quoted(std::string_view text);

// A size as short as it can be said exactly.
std::string PrintSize(uint64_t bytes);

template <typename Field>
Setting Text(const char* section, const char* key, const char* meaning, Field field) {
  return {section, key, meaning,
          [field](Config& config, const std::string& value) {
            field(config) = value;
            return absl::OkStatus();
          },
          [field](const Config& config) { return Quoted(field(config)); }};
}

template <typename Field>
Setting List(const char* section, const char* key, const char* meaning, Field field) {
  return {section, key, meaning,
          [field](Config& config, const std::string& value) {
            field(config) = absl::StrSplit(value, ',', absl::SkipWhitespace());
            return absl::OkStatus();
          },
          [field](const Config& config) {
            return absl::StrCat("[",
                                absl::StrJoin(field(config), ", ",
                                              [](std::string* out, const std::string& item) {
                                                *out += Quoted(item);
                                              }),
                                "]");
          }};
}

template <typename Field>
Setting ListenAddress(const char* section, const char* key, bool optional, const char* meaning,
                      Field field) {
  return {section, key, meaning,
          [field, optional](Config& config, const std::string& value) {
            field(config) = value;
            if (value.empty() && optional) return absl::OkStatus();
            return ParseEndpoint(value).status();
          },
          [field](const Config& config) { return Quoted(field(config)); }};
}

template <typename Field>
Setting Number(const char* section, const char* key, int64_t least, int64_t most,
               const char* meaning, Field field) {
  return {section, key, meaning,
          [field, least, most](Config& config, const std::string& value) {
            int64_t number = 0;
            if (!absl::SimpleAtoi(value, &number) || number < least || number > most) {
              return absl::InvalidArgumentError(
                  absl::StrCat("'", value, "' is not a whole number from ", least, " to ", most));
            }
            using Value = std::remove_reference_t<decltype(field(config))>;
            field(config) = static_cast<Value>(number);
            return absl::OkStatus();
          },
          [field](const Config& config) { return absl::StrCat(field(config)); }};
}

template <typename Field>
Setting Size(const char* section, const char* key, uint64_t least, uint64_t most,
             const char* meaning, Field field) {
  return {section, key, meaning,
          [field, least, most](Config& config, const std::string& value) -> absl::Status {
            STRATA_ASSIGN_OR_RETURN(const uint64_t bytes, block::ParseSizeBytes(value));
            if (bytes < least || bytes > most) {
              return absl::InvalidArgumentError(absl::StrCat(
                  "'", value, "' is not from ", PrintSize(least), " to ", PrintSize(most)));
            }
            using Value = std::remove_reference_t<decltype(field(config))>;
            field(config) = static_cast<Value>(bytes);
            return absl::OkStatus();
          },
          [field](const Config& config) { return PrintSize(field(config)); }};
}

template <typename Field>
Setting Ratio(const char* section, const char* key, const char* meaning, Field field) {
  return {section, key, meaning,
          [field](Config& config, const std::string& value) {
            double ratio = 0;
            if (!absl::SimpleAtod(value, &ratio) || !(ratio >= 0 && ratio <= 1)) {
              return absl::InvalidArgumentError(
                  absl::StrCat("'", value, "' is not a number from 0 to 1"));
            }
            field(config) = ratio;
            return absl::OkStatus();
          },
          [field](const Config& config) {
            const std::string text = absl::StrCat(field(config));
            return text.find('.') == std::string::npos ? text + ".0" : text;
          }};
}

template <typename Field>
Setting Flag(const char* section, const char* key, const char* meaning, Field field) {
  return {section, key, meaning,
          [field](Config& config, const std::string& value) {
            if (value != "true" && value != "false") {
              return absl::InvalidArgumentError(
                  absl::StrCat("'", value, "' is neither true nor false"));
            }
            field(config) = value == "true";
            return absl::OkStatus();
          },
          [field](const Config& config) { return field(config) ? "true" : "false"; }};
}

template <typename Value, typename Field>
Setting OneOf(const char* section, const char* key,
              std::vector<std::pair<const char*, Value>> names, const char* meaning, Field field) {
  return {section, key, meaning,
          [field, names](Config& config, const std::string& value) {
            for (const auto& [name, meant] : names) {
              if (value != name) continue;
              field(config) = meant;
              return absl::OkStatus();
            }
            return absl::InvalidArgumentError(absl::StrCat(
                "'", value, "' is none of ",
                absl::StrJoin(names, ", ",
                              [](std::string* out, const auto& name) { *out += name.first; })));
          },
          [field, names](const Config& config) {
            for (const auto& [name, meant] : names) {
              if (field(config) == meant) return Quoted(name);
            }
            return Quoted("");
          }};
}

}  // namespace strata::appliance

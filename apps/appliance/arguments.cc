// SPDX-License-Identifier: Apache-2.0
#include "appliance/arguments.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {

Arguments::Arguments(Json arguments) : remaining_(std::move(arguments)) {
  if (remaining_.is_null()) remaining_ = Json::object();
  if (remaining_.is_object()) return;
  status_ = absl::InvalidArgumentError("the arguments are not a JSON object");
  remaining_ = Json::object();
}

std::string Arguments::Text(const char* name, std::string otherwise) {
  const Json value = Take(name);
  if (value.is_null()) return otherwise;
  if (value.is_string()) return value.get<std::string>();
  Fail(name, "is not a string");
  return otherwise;
}

bool Arguments::Flag(const char* name, bool otherwise) {
  const Json value = Take(name);
  if (value.is_null()) return otherwise;
  if (value.is_boolean()) return value.get<bool>();
  Fail(name, "is neither true nor false");
  return otherwise;
}

double Arguments::Ratio(const char* name, double otherwise) {
  const Json value = Take(name);
  if (value.is_null()) return otherwise;
  if (value.is_number() && value.get<double>() >= 0 && value.get<double>() <= 1) {
    return value.get<double>();
  }
  Fail(name, "is not a number from 0 to 1");
  return otherwise;
}

uint64_t Arguments::Bytes(const char* name, uint64_t otherwise) {
  const Json value = Take(name);
  if (value.is_null()) return otherwise;
  if (value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() >= 0)) {
    return value.get<uint64_t>();
  }
  Fail(name, "is not a number of bytes");
  return otherwise;
}

uint64_t Arguments::Number(const char* name, uint64_t most, uint64_t otherwise) {
  const Json value = Take(name);
  if (value.is_null()) return otherwise;
  // What was read from text is unsigned, what was put together here may be either.
  const bool is_number =
      value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() >= 0);
  if (is_number && value.get<uint64_t>() <= most) return value.get<uint64_t>();
  Fail(name, absl::StrCat("is not a whole number from 0 to ", most));
  return otherwise;
}

std::vector<std::string> Arguments::Texts(const char* name) {
  const Json value = Take(name);
  std::vector<std::string> texts;
  if (value.is_null()) return texts;
  const auto is_text = [](const Json& item) { return item.is_string(); };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_text)) {
    Fail(name, "is not a list of strings");
    return texts;
  }
  for (const Json& item : value) texts.push_back(item.get<std::string>());
  return texts;
}

bool Arguments::Has(const char* name) const { return remaining_.contains(name); }

absl::StatusOr<std::string> Arguments::RequiredText(const char* name) {
  std::string text = Text(name, "");
  STRATA_RETURN_IF_ERROR(status_);
  if (text.empty())
    return absl::InvalidArgumentError(absl::StrCat("argument '", name, "' is missing"));
  return text;
}

absl::Status Arguments::Finish() const {
  if (!status_.ok() || remaining_.empty()) return status_;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown argument '", remaining_.begin().key(), "'"));
}

Json Arguments::Take(const char* name) {
  const auto it = remaining_.find(name);
  if (it == remaining_.end()) return nullptr;
  Json value = std::move(it.value());
  remaining_.erase(name);
  return value;
}

void Arguments::Fail(const char* name, absl::string_view what) {
  if (!status_.ok()) return;
  status_ = absl::InvalidArgumentError(absl::StrCat("argument '", name, "' ", what));
}

}  // namespace strata::appliance

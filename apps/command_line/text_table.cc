// SPDX-License-Identifier: Apache-2.0
#include "command_line/text_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace strata::appliance {

TextTable::TextTable(std::vector<std::string> head, size_t left_columns)
    : left_columns_(left_columns) {
  rows_.push_back(std::move(head));
}

void TextTable::Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

std::string TextTable::Print() const {
  std::vector<size_t> widths(rows_[0].size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const int width = static_cast<int>(widths[i]);
      absl::StrAppend(&line, i == 0 ? "" : "  ",
                      absl::StrFormat("%*s", i < left_columns_ ? -width : width, row[i]));
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace strata::appliance

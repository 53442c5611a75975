// SPDX-License-Identifier: Apache-2.0
//
// Rows of cells in columns: the first ones to the left, those of numbers to the right. Used by one
// thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace strata::appliance {

class TextTable final {
 public:
  explicit TextTable(std::vector<std::string> head, size_t left_columns = 1);

  // REQUIRES: as many cells as the head has.
  void Add(std::vector<std::string> row);

  // A line per row; nothing stands at its end.
  std::string Print() const;

 private:
  size_t left_columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace strata::appliance

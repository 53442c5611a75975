// SPDX-License-Identifier: Apache-2.0
//
// A matrix over GF(2^8) made ready for one kernel: encoding and repairing are both this.
// Never changes once made; any number of threads may use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels.h"

namespace strata::ec {

class LinearMap final {
 public:
  // `coefficients`: rows x columns, row by row. REQUIRES: 1 <= rows, columns <= kMaxShards.
  LinearMap(const KernelOps* ops, int rows, int columns, std::span<const uint8_t> coefficients);

  int rows() const { return rows_; }
  int columns() const { return columns_; }

  // targets[r] = sum over c of coefficient(r, c) * sources[c], each of size_bytes.
  void Apply(const uint8_t* const* sources, uint8_t* const* targets, size_t size_bytes) const;

 private:
  // Rows that are computed together: the sum of a few sources, or a dense part of the matrix.
  struct Part {
    std::vector<int> rows;
    std::vector<int> columns;
    bool ones = false;
    std::vector<uint8_t> tables;
  };

  void AddPart(std::vector<int> rows, std::span<const uint8_t> coefficients);

  const KernelOps* const ops_;
  const int rows_;
  const int columns_;
  std::vector<Part> parts_;
};

// Expands `coefficients`, rows x columns and row by row, into `tables` in the order of `ops`.
// REQUIRES: tables has room for rows * columns * ops.table_bytes.
void ExpandTables(const KernelOps& ops, int rows, int columns,
                  std::span<const uint8_t> coefficients, uint8_t* tables);

}  // namespace strata::ec

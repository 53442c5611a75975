// SPDX-License-Identifier: Apache-2.0
#include "linear_map.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "strata/base/check.h"
#include "strata/ec/code.h"

namespace strata::ec {
namespace {

// Several parts read the same sources one after the other: in runs that stay in the cache.
constexpr size_t kRunBytes = 16384;

constexpr size_t kUsualCacheBytes = size_t{1} << 20;

// What counts as too large to stay in the second-level cache.
size_t FarBytes() {
  static const size_t bytes = [] {
    const long cache_bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return 2 * (cache_bytes > 0 ? static_cast<size_t>(cache_bytes) : kUsualCacheBytes);
  }();
  return bytes;
}

}  // namespace

void ExpandTables(const KernelOps& ops, int rows, int columns,
                  std::span<const uint8_t> coefficients, uint8_t* tables) {
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      const int row_by_row = r * columns + c;
      const int at = ops.row_by_row ? row_by_row : c * rows + r;
      ops.expand(coefficients[row_by_row], tables + static_cast<size_t>(at) * ops.table_bytes);
    }
  }
}

LinearMap::LinearMap(const KernelOps* ops, int rows, int columns,
                     std::span<const uint8_t> coefficients)
    : ops_(ops), rows_(rows), columns_(columns) {
  STRATA_CHECK(rows >= 1 && rows <= kMaxShards && columns >= 1 && columns <= kMaxShards,
               "the shape of a matrix");
  STRATA_CHECK(coefficients.size() == static_cast<size_t>(rows) * static_cast<size_t>(columns),
               "as many coefficients as the shape has");
  std::vector<int> dense;
  for (int r = 0; r < rows; ++r) {
    const auto row = coefficients.subspan(static_cast<size_t>(r) * columns, columns);
    if (std::all_of(row.begin(), row.end(), [](uint8_t value) { return value <= 1; })) {
      AddPart({r}, coefficients);
    } else {
      dense.push_back(r);
    }
  }
  if (!dense.empty()) AddPart(std::move(dense), coefficients);
}

void LinearMap::AddPart(std::vector<int> rows, std::span<const uint8_t> coefficients) {
  Part part;
  part.rows = std::move(rows);
  std::vector<uint8_t> kept;
  const auto at = [&](int r, int c) {
    return coefficients[static_cast<size_t>(r) * static_cast<size_t>(columns_) + c];
  };
  for (int c = 0; c < columns_; ++c) {
    const bool used =
        std::any_of(part.rows.begin(), part.rows.end(), [&](int r) { return at(r, c) != 0; });
    if (used) part.columns.push_back(c);
  }
  if (part.columns.empty()) part.columns.push_back(0);  // A row of zeros is zero times a shard.
  part.ones = true;
  for (const int r : part.rows) {
    for (const int c : part.columns) {
      kept.push_back(at(r, c));
      part.ones = part.ones && at(r, c) == 1;
    }
  }
  if (!part.ones) {
    part.tables.resize(kept.size() * ops_->table_bytes);
    ExpandTables(*ops_, static_cast<int>(part.rows.size()), static_cast<int>(part.columns.size()),
                 kept, part.tables.data());
  }
  parts_.push_back(std::move(part));
}

void LinearMap::Apply(const uint8_t* const* sources, uint8_t* const* targets,
                      size_t size_bytes) const {
  const bool far = size_bytes * static_cast<size_t>(rows_ + columns_) > FarBytes();
  const size_t run_bytes = parts_.size() == 1 ? size_bytes : kRunBytes;
  std::array<const uint8_t*, kMaxShards> part_sources;
  std::array<uint8_t*, kMaxShards> part_targets;
  for (size_t offset = 0; offset < size_bytes; offset += run_bytes) {
    for (const Part& part : parts_) {
      for (size_t i = 0; i < part.columns.size(); ++i) {
        part_sources[i] = sources[part.columns[i]] + offset;
      }
      for (size_t i = 0; i < part.rows.size(); ++i) {
        part_targets[i] = targets[part.rows[i]] + offset;
      }
      Product product;
      product.rows = static_cast<int>(part.rows.size());
      product.columns = static_cast<int>(part.columns.size());
      product.tables = part.tables.data();
      product.ones = part.ones;
      product.sources = part_sources.data();
      product.targets = part_targets.data();
      product.size_bytes = std::min(run_bytes, size_bytes - offset);
      product.far = far;
      ops_->multiply(product);
    }
  }
}

}  // namespace strata::ec

// SPDX-License-Identifier: Apache-2.0
#include "elimination.h"

#include <algorithm>
#include <utility>

#include "galois.h"

namespace strata::ec {
namespace {

// row += factor * other
void AddMultiple(std::vector<uint8_t>& row, const std::vector<uint8_t>& other, uint8_t factor) {
  if (factor == 0) return;
  for (size_t i = 0; i < row.size(); ++i) row[i] ^= GaloisMultiply(factor, other[i]);
}

void Scale(std::vector<uint8_t>& row, uint8_t factor) {
  for (uint8_t& value : row) value = GaloisMultiply(value, factor);
}

}  // namespace

Elimination::Elimination(int data_shards, int parity_shards, std::span<const uint8_t> matrix,
                         const ShardSet& present)
    : data_shards_(data_shards),
      parity_shards_(parity_shards),
      matrix_(matrix),
      lost_position_(static_cast<size_t>(data_shards), -1) {
  for (int c = 0; c < data_shards; ++c) {
    if (present[c]) continue;
    lost_position_[c] = static_cast<int>(lost_.size());
    lost_.push_back(c);
  }
  for (int r = 0; r < parity_shards && !settles_all(); ++r) {
    if (present[data_shards + r]) Take(EquationOf(r));
  }
}

Elimination::Equation Elimination::EquationOf(int parity) const {
  Equation equation;
  equation.unknowns.resize(lost_.size());
  equation.shards.resize(static_cast<size_t>(data_shards_ + parity_shards_));
  for (int c = 0; c < data_shards_; ++c) {
    const uint8_t coefficient = matrix_[static_cast<size_t>(parity) * data_shards_ + c];
    if (lost_position_[c] >= 0) {
      equation.unknowns[lost_position_[c]] = coefficient;
    } else {
      equation.shards[c] = coefficient;
    }
  }
  equation.shards[data_shards_ + parity] = 1;
  return equation;
}

void Elimination::Take(Equation equation) {
  for (const Equation& known : equations_) {
    const uint8_t factor = equation.unknowns[known.pivot];
    AddMultiple(equation.unknowns, known.unknowns, factor);
    AddMultiple(equation.shards, known.shards, factor);
  }
  const auto pivot = std::find_if(equation.unknowns.begin(), equation.unknowns.end(),
                                  [](uint8_t value) { return value != 0; });
  if (pivot == equation.unknowns.end()) return;  // It says nothing new.
  equation.pivot = static_cast<size_t>(pivot - equation.unknowns.begin());
  const uint8_t inverse = GaloisInverse(*pivot);
  Scale(equation.unknowns, inverse);
  Scale(equation.shards, inverse);
  for (Equation& known : equations_) {
    const uint8_t factor = known.unknowns[equation.pivot];
    AddMultiple(known.unknowns, equation.unknowns, factor);
    AddMultiple(known.shards, equation.shards, factor);
  }
  equations_.push_back(std::move(equation));
}

std::optional<std::vector<uint8_t>> Elimination::Express(int shard) const {
  // The shard as a sum of present shards and unknowns, from which the unknowns are eliminated.
  Equation sum;
  sum.unknowns.resize(lost_.size());
  sum.shards.resize(static_cast<size_t>(data_shards_ + parity_shards_));
  if (shard < data_shards_) {
    sum.unknowns[lost_position_[shard]] = 1;
  } else {
    sum = EquationOf(shard - data_shards_);
    sum.shards[shard] = 0;
  }
  for (const Equation& known : equations_) {
    const uint8_t factor = sum.unknowns[known.pivot];
    AddMultiple(sum.unknowns, known.unknowns, factor);
    AddMultiple(sum.shards, known.shards, factor);
  }
  const bool settled = std::all_of(sum.unknowns.begin(), sum.unknowns.end(),
                                   [](uint8_t value) { return value == 0; });
  if (!settled) return std::nullopt;
  return std::move(sum.shards);
}

}  // namespace strata::ec

// SPDX-License-Identifier: Apache-2.0
//
// Which lost shards can be expressed by those at hand, and how: Gauss-Jordan elimination over
// GF(2^8), on the lost data shards only. Used by one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "strata/ec/code.h"

namespace strata::ec {

// A set of linear equations, one per parity shard at hand, whose unknowns are the lost data shards.
class Elimination final {
 public:
  // `matrix`: Code::ParityMatrix(). Parity shards are taken in order, until they settle everything.
  Elimination(int data_shards, int parity_shards, std::span<const uint8_t> matrix,
              const ShardSet& present);

  // Whether every lost shard can be expressed.
  bool settles_all() const { return equations_.size() == lost_.size(); }

  // Shard number `shard` as a sum over present shards: k + m coefficients, by shard number, zero
  // for those that are not present. Nothing: it cannot be expressed.
  std::optional<std::vector<uint8_t>> Express(int shard) const;

 private:
  // unknowns . coefficients + shards . coefficients = 0; the coefficient at `pivot` is 1 and that
  // unknown occurs in no other equation.
  struct Equation {
    size_t pivot = 0;
    std::vector<uint8_t> unknowns;  // By position in lost_.
    std::vector<uint8_t> shards;    // By shard number.
  };

  Equation EquationOf(int parity) const;
  void Take(Equation equation);

  const int data_shards_;
  const int parity_shards_;
  const std::span<const uint8_t> matrix_;
  std::vector<int> lost_;           // Data shards, ascending.
  std::vector<int> lost_position_;  // By data shard; -1: it is present.
  std::vector<Equation> equations_;
};

}  // namespace strata::ec

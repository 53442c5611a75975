// SPDX-License-Identifier: Apache-2.0
//
// The adapter to ISA-L, whose lengths are ints and whose pointers are not const.
#include <isa-l/erasure_code.h>

#include <algorithm>
#include <array>

#include "kernels.h"
#include "strata/ec/code.h"

namespace strata::ec {
namespace {

constexpr size_t kMaxCallBytes = size_t{1} << 30;
constexpr size_t kDifferenceBytes = 4096;

void Multiply(const Product& product) {
  std::array<uint8_t, kMaxShards * kMaxTableBytes> one_table;
  std::array<unsigned char*, kMaxShards> sources{};
  std::array<unsigned char*, kMaxShards> targets{};
  for (size_t offset = 0; offset < product.size_bytes; offset += kMaxCallBytes) {
    const int size = static_cast<int>(std::min(kMaxCallBytes, product.size_bytes - offset));
    for (int c = 0; c < product.columns; ++c) {
      sources[c] = const_cast<unsigned char*>(product.sources[c]) + offset;
    }
    for (int r = 0; r < product.rows; ++r) targets[r] = product.targets[r] + offset;
    auto* tables = const_cast<unsigned char*>(product.tables);
    if (product.ones) {
      for (int c = 0; c < product.columns; ++c) ExpandNibbles(1, &one_table[c * kMaxTableBytes]);
      tables = one_table.data();
    }
    for (int r = 0; r < (product.ones ? product.rows : 1); ++r) {
      const int rows = product.ones ? 1 : product.rows;
      ec_encode_data(size, product.columns, rows, tables, sources.data(), &targets[r]);
    }
  }
}

void Update(const Change& change) {
  std::array<uint8_t, kMaxShards * kMaxTableBytes> one_table;
  auto* tables = const_cast<unsigned char*>(change.tables);
  if (change.ones) {
    for (int r = 0; r < change.rows; ++r) ExpandNibbles(1, &one_table[r * kMaxTableBytes]);
    tables = one_table.data();
  }
  std::array<unsigned char, kDifferenceBytes> difference;
  std::array<unsigned char*, kMaxShards> targets{};
  for (size_t offset = 0; offset < change.size_bytes; offset += kDifferenceBytes) {
    const size_t size = std::min(kDifferenceBytes, change.size_bytes - offset);
    for (size_t i = 0; i < size; ++i) {
      difference[i] = change.old_source[offset + i] ^ change.new_source[offset + i];
    }
    for (int r = 0; r < change.rows; ++r) targets[r] = change.targets[r] + offset;
    ec_encode_data_update(static_cast<int>(size), 1, change.rows, 0, tables, difference.data(),
                          targets.data());
  }
}

}  // namespace

constexpr KernelOps kIsaLOps = {32, true, ExpandNibbles, Multiply, Update};

}  // namespace strata::ec

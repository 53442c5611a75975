// SPDX-License-Identifier: Apache-2.0
//
// The inner loops: sums of products over whole shards, one implementation per kernel. A file that
// is compiled for a newer CPU includes nothing but this, kernel_loops.h and intrinsics, so that no
// inline function of the standard library can be compiled for that CPU and then used elsewhere.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace strata::ec {

// targets[r] = sum over c of coefficient(r, c) * sources[c].
struct Product {
  int rows = 0;     // Targets; at least 1.
  int columns = 0;  // Sources; at least 1.
  // From KernelOps::expand: each coefficient's table, column by column; row by row for ISA-L.
  const uint8_t* tables = nullptr;
  bool ones = false;  // Every coefficient is 1: `tables` is not read.
  const uint8_t* const* sources = nullptr;
  uint8_t* const* targets = nullptr;
  size_t size_bytes = 0;  // Of each shard.
  // A hint: the shards are larger than the cache. Sources are fetched ahead, targets bypass it.
  bool far = false;
};

// targets[r] += coefficient(r) * (old_source + new_source).
struct Change {
  int rows = 0;                     // Targets; at least 1.
  const uint8_t* tables = nullptr;  // From KernelOps::expand: each row's.
  bool ones = false;                // Every coefficient is 1: `tables` is not read.
  const uint8_t* old_source = nullptr;
  const uint8_t* new_source = nullptr;
  uint8_t* const* targets = nullptr;
  size_t size_bytes = 0;
};

struct KernelOps {
  size_t table_bytes;  // Per coefficient.
  bool row_by_row;     // The order of Product::tables.
  void (*expand)(uint8_t coefficient, uint8_t* table);
  void (*multiply)(const Product& product);
  void (*update)(const Change& change);
};

inline constexpr size_t kMaxTableBytes = 32;

// The products of `coefficient` with 0..15, then with 0, 16, .. 240: the operands of byte shuffles.
void ExpandNibbles(uint8_t coefficient, uint8_t* table);

// The 8 x 8 bit matrix of multiplication by `coefficient`, as GF2P8AFFINEQB wants it.
void ExpandAffine(uint8_t coefficient, uint8_t* table);

extern const KernelOps kPortableOps;
extern const KernelOps kIsaLOps;
#if defined(__x86_64__)
extern const KernelOps kAvx2Ops;
extern const KernelOps kAvx512Ops;
extern const KernelOps kGfniAvx2Ops;
extern const KernelOps kGfniAvx512Ops;
#endif

}  // namespace strata::ec

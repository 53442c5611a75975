// SPDX-License-Identifier: Apache-2.0
//
// What the vector kernels share. MultiplyInTiles() decides the order in which a product is walked:
// shards in tiles that stay in the first-level cache, sources in groups of at most ten, because
// more streams at strides that are multiples of 4 KiB evict each other. When the targets bypass the
// cache, what the groups before the last one add up to waits in a scratch tile. UpdateInBlocks()
// adds the change of one source to all targets.
//
// Every function here is a template over Lanes, a class of the kernel's own file that gives:
//   kBytes, kTableBytes     the vector, a coefficient's table
//   kMaxRows, Width(rows)   the most targets at a time; vectors of each of them at a time
//   kPairs                  whether there is an AddTwo(), which beats two AddOne()
//   Vector, Source, Table   a vector, one made ready to be multiplied, a coefficient
//   Zero Load LoadPart Store StorePart Stream Fence Xor XorTwo Prepare LoadTable AddOne AddTwo
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"

#define STRATA_EC_INLINE inline __attribute__((always_inline))

namespace strata::ec {

// One step: some rows and some columns of a product, over one tile.
struct Strip {
  int rows;
  int columns;
  const uint8_t* tables;       // Of the first row and column.
  size_t column_stride_bytes;  // From one column's tables to the next column's.
  const uint8_t* const* sources;
  size_t source_offset_bytes;
  const uint8_t* const* addends;  // What the sum starts from, per row; null: from zero.
  uint8_t* const* targets;        // Where the sum goes, per row.
  bool far;                       // The sources are not in the cache: fetch ahead.
  bool bypass_cache;              // Only when far. The targets are aligned to kBytes then.
  size_t size_bytes;
};

inline constexpr size_t kTileBytes = 2048;
inline constexpr int kMaxColumnsAtOnce = 10;
// Ahead of what is being read. Further ahead, sources at strides of 4 KiB fill the ways of the
// first-level cache and evict each other before they are read.
inline constexpr size_t kPrefetchBytes = 256;

// Keeps the compiler from taking `pointer` apart: GCC would otherwise keep a register for each of
// the offsets from it, and run out of them.
template <typename T>
STRATA_EC_INLINE T* Opaque(T* pointer) {
  asm("" : "+r"(pointer));
  return pointer;
}

// `part_bytes` of a vector, or (0) all of it.
template <typename Lanes, bool Part>
STRATA_EC_INLINE typename Lanes::Vector LoadVector(const uint8_t* from, size_t part_bytes) {
  if constexpr (Part) {
    return Lanes::LoadPart(from, part_bytes);
  } else {
    return Lanes::Load(from);
  }
}

template <typename Lanes, int Width, bool Part, bool Far>
STRATA_EC_INLINE void LoadSource(const uint8_t* from, size_t part_bytes,
                                 typename Lanes::Source (&source)[Width]) {
#pragma GCC unroll 8
  for (int v = 0; v < Width; ++v) {
    const uint8_t* const at = from + static_cast<size_t>(v) * Lanes::kBytes;
    if constexpr (Far) __builtin_prefetch(at + kPrefetchBytes);
    source[v] = Lanes::Prepare(LoadVector<Lanes, Part>(at, part_bytes));
  }
}

// What the sums start from. One test for all of them: the compiler would keep one for each.
template <typename Lanes, int Rows, int Width, bool Part>
STRATA_EC_INLINE void LoadSums(const Strip& strip, size_t at, size_t part_bytes,
                               typename Lanes::Vector (&sum)[Rows][Width]) {
  if (strip.addends == nullptr) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < Width; ++v) sum[r][v] = Lanes::Zero();
    }
    return;
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    const uint8_t* const addend = strip.addends[r] + at;
#pragma GCC unroll 8
    for (int v = 0; v < Width; ++v) {
      sum[r][v] =
          LoadVector<Lanes, Part>(addend + static_cast<size_t>(v) * Lanes::kBytes, part_bytes);
    }
  }
}

// Writes Width vectors of each of Rows targets, at `at`; with Part, `part_bytes` of one vector.
template <typename Lanes, int Rows, int Width, bool Part, bool Far>
STRATA_EC_INLINE void Block(const Strip& strip, size_t at, size_t part_bytes) {
  typename Lanes::Vector sum[Rows][Width];
  LoadSums<Lanes, Rows, Width, Part>(strip, at, part_bytes, sum);
  const size_t source_at = strip.source_offset_bytes + at;
  const size_t stride = strip.column_stride_bytes;
  const uint8_t* tables = strip.tables;
  const uint8_t* const* source = strip.sources;
  const uint8_t* const* const end = source + strip.columns;
  if constexpr (Lanes::kPairs) {
    for (; source + 1 < end; source += 2, tables += 2 * stride) {
      typename Lanes::Source a[Width];
      typename Lanes::Source b[Width];
      LoadSource<Lanes, Width, Part, Far>(Opaque(source[0] + source_at), part_bytes, a);
      LoadSource<Lanes, Width, Part, Far>(Opaque(source[1] + source_at), part_bytes, b);
      const uint8_t* const next_tables = tables + stride;
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        const typename Lanes::Table by_a = Lanes::LoadTable(tables + r * Lanes::kTableBytes);
        const typename Lanes::Table by_b = Lanes::LoadTable(next_tables + r * Lanes::kTableBytes);
#pragma GCC unroll 8
        for (int v = 0; v < Width; ++v) {
          sum[r][v] = Lanes::AddTwo(sum[r][v], a[v], by_a, b[v], by_b);
        }
      }
    }
  }
  for (; source < end; ++source, tables += stride) {
    typename Lanes::Source a[Width];
    LoadSource<Lanes, Width, Part, Far>(Opaque(source[0] + source_at), part_bytes, a);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const typename Lanes::Table by_a = Lanes::LoadTable(tables + r * Lanes::kTableBytes);
#pragma GCC unroll 8
      for (int v = 0; v < Width; ++v) sum[r][v] = Lanes::AddOne(sum[r][v], a[v], by_a);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < Width; ++v) {
      uint8_t* const to = strip.targets[r] + at + static_cast<size_t>(v) * Lanes::kBytes;
      if constexpr (Part) {
        Lanes::StorePart(to, sum[r][v], part_bytes);
      } else if (Far && strip.bypass_cache) {
        Lanes::Stream(to, sum[r][v]);
      } else {
        Lanes::Store(to, sum[r][v]);
      }
    }
  }
}

// Apart from its callers, so that the compiler keeps what the loop needs in registers.
template <typename Lanes, int Rows, bool Far>
__attribute__((noinline)) void RunStrip(const Strip& strip) {
  constexpr int kWidth = Lanes::Width(Rows);
  constexpr size_t kColumnBytes = kWidth * Lanes::kBytes;
  size_t at = 0;
  for (; at + kColumnBytes <= strip.size_bytes; at += kColumnBytes) {
    Block<Lanes, Rows, kWidth, false, Far>(strip, at, 0);
  }
  for (; at + Lanes::kBytes <= strip.size_bytes; at += Lanes::kBytes) {
    Block<Lanes, Rows, 1, false, Far>(strip, at, 0);
  }
  if (at < strip.size_bytes) Block<Lanes, Rows, 1, true, false>(strip, at, strip.size_bytes - at);
}

// Finds the code for strip.rows, from kMaxRows downwards.
template <typename Lanes, int Rows = Lanes::kMaxRows>
void RunStripOfRows(const Strip& strip) {
  if constexpr (Rows > 1) {
    if (strip.rows < Rows) return RunStripOfRows<Lanes, Rows - 1>(strip);
  }
  strip.far ? RunStrip<Lanes, Rows, true>(strip) : RunStrip<Lanes, Rows, false>(strip);
}

// How many at a time, at most `most` and a multiple of `unit`, when `count` are to be shared out as
// evenly as that allows.
static inline int EvenShare(int count, int most, int unit) {
  const int shares = (count + most - 1) / most;
  const int share = (count + shares - 1) / shares;
  return (share + unit - 1) / unit * unit;
}

template <typename Lanes>
bool AreTargetsAligned(const Product& product) {
  for (int r = 0; r < product.rows; ++r) {
    if (reinterpret_cast<uintptr_t>(product.targets[r]) % Lanes::kBytes != 0) return false;
  }
  return true;
}

template <typename Lanes>
void MultiplyInTiles(const Product& product) {
  const int group_columns = EvenShare(product.columns, kMaxColumnsAtOnce, 2);
  const int group_rows = EvenShare(product.rows, Lanes::kMaxRows, 1);
  const bool one_step = product.columns <= group_columns && product.rows <= group_rows;
  const size_t tile_bytes = one_step ? product.size_bytes : kTileBytes;
  const bool bypass_cache = product.far && AreTargetsAligned<Lanes>(product);
  const bool use_scratch = bypass_cache && product.columns > group_columns;
  alignas(64) uint8_t scratch[Lanes::kMaxRows][kTileBytes];
  for (size_t offset = 0; offset < product.size_bytes; offset += tile_bytes) {
    const size_t left = product.size_bytes - offset;
    for (int row = 0; row < product.rows; row += group_rows) {
      const int rows_left = product.rows - row;
      const int rows = rows_left < group_rows ? rows_left : group_rows;
      uint8_t* targets[Lanes::kMaxRows];
      uint8_t* partial[Lanes::kMaxRows];
      for (int r = 0; r < rows; ++r) {
        targets[r] = product.targets[row + r] + offset;
        partial[r] = use_scratch ? scratch[r] : targets[r];
      }
      Strip strip;
      strip.rows = rows;
      strip.column_stride_bytes = static_cast<size_t>(product.rows) * Lanes::kTableBytes;
      strip.source_offset_bytes = offset;
      strip.far = product.far;
      strip.size_bytes = left < tile_bytes ? left : tile_bytes;
      for (int column = 0; column < product.columns; column += group_columns) {
        const int columns_left = product.columns - column;
        const bool last = columns_left <= group_columns;
        strip.columns = last ? columns_left : group_columns;
        strip.tables = product.tables + static_cast<size_t>(column) * strip.column_stride_bytes +
                       static_cast<size_t>(row) * Lanes::kTableBytes;
        strip.sources = product.sources + column;
        strip.addends = column > 0 ? partial : nullptr;
        strip.targets = last ? targets : partial;
        strip.bypass_cache = last && bypass_cache;
        RunStripOfRows<Lanes>(strip);
      }
    }
  }
  if (bypass_cache) Lanes::Fence();
}

// Multiplication by one: sums alone. It has no tables.
template <typename Lanes>
struct OnesOf : Lanes {
  static constexpr size_t kTableBytes = 0;
  static constexpr int kMaxRows = 1;
  static constexpr bool kPairs = true;
  static constexpr int Width(int) { return 4; }
  using Vector = typename Lanes::Vector;
  using Source = Vector;
  struct Table {};
  static STRATA_EC_INLINE Source Prepare(Vector vector) { return vector; }
  static STRATA_EC_INLINE Table LoadTable(const uint8_t*) { return {}; }
  static STRATA_EC_INLINE Vector AddOne(Vector sum, Source a, Table) { return Lanes::Xor(sum, a); }
  static STRATA_EC_INLINE Vector AddTwo(Vector sum, Source a, Table, Source b, Table) {
    return Lanes::XorTwo(sum, a, b);
  }
};

template <typename Lanes>
void MultiplyWith(const Product& product) {
  if (!product.ones) return MultiplyInTiles<Lanes>(product);
  Product row = product;
  row.rows = 1;
  row.tables = nullptr;
  for (int r = 0; r < product.rows; ++r) {
    row.targets = product.targets + r;
    MultiplyInTiles<OnesOf<Lanes>>(row);
  }
}

// Adds `difference` to Rows targets. All are read before the first is written: a load waits for a
// store at the same offset in another page, and that is how shards lie.
template <typename Lanes, int Rows, int Width, bool Part>
STRATA_EC_INLINE void UpdateRows(const Change& change, int row, size_t at, size_t part_bytes,
                                 const typename Lanes::Source (&difference)[Width]) {
  typename Lanes::Vector sum[Rows][Width];
  uint8_t* target[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    target[r] = Opaque(change.targets[row + r] + at);
#pragma GCC unroll 8
    for (int v = 0; v < Width; ++v) {
      sum[r][v] =
          LoadVector<Lanes, Part>(target[r] + static_cast<size_t>(v) * Lanes::kBytes, part_bytes);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    const typename Lanes::Table by =
        Lanes::LoadTable(change.tables + (row + r) * Lanes::kTableBytes);
#pragma GCC unroll 8
    for (int v = 0; v < Width; ++v) {
      uint8_t* const to = target[r] + static_cast<size_t>(v) * Lanes::kBytes;
      sum[r][v] = Lanes::AddOne(sum[r][v], difference[v], by);
      if constexpr (Part) {
        Lanes::StorePart(to, sum[r][v], part_bytes);
      } else {
        Lanes::Store(to, sum[r][v]);
      }
    }
  }
}

// The change of Width vectors of the source, at `at`, added to all targets; with Part, `part_bytes`
// of one vector.
template <typename Lanes, int Width, bool Part>
STRATA_EC_INLINE void UpdateBlock(const Change& change, size_t at, size_t part_bytes) {
  typename Lanes::Source difference[Width];
#pragma GCC unroll 8
  for (int v = 0; v < Width; ++v) {
    const size_t vector_at = at + static_cast<size_t>(v) * Lanes::kBytes;
    difference[v] = Lanes::Prepare(
        Lanes::Xor(LoadVector<Lanes, Part>(change.old_source + vector_at, part_bytes),
                   LoadVector<Lanes, Part>(change.new_source + vector_at, part_bytes)));
  }
  int row = 0;
  for (; row + 4 <= change.rows; row += 4) {
    UpdateRows<Lanes, 4, Width, Part>(change, row, at, part_bytes, difference);
  }
  for (; row + 2 <= change.rows; row += 2) {
    UpdateRows<Lanes, 2, Width, Part>(change, row, at, part_bytes, difference);
  }
  for (; row < change.rows; ++row) {
    UpdateRows<Lanes, 1, Width, Part>(change, row, at, part_bytes, difference);
  }
}

template <typename Lanes>
void UpdateInBlocks(const Change& change) {
  constexpr int kWidth = Lanes::Width(1);
  constexpr size_t kBlockBytes = kWidth * Lanes::kBytes;
  size_t at = 0;
  for (; at + kBlockBytes <= change.size_bytes; at += kBlockBytes) {
    UpdateBlock<Lanes, kWidth, false>(change, at, 0);
  }
  for (; at + Lanes::kBytes <= change.size_bytes; at += Lanes::kBytes) {
    UpdateBlock<Lanes, 1, false>(change, at, 0);
  }
  if (at < change.size_bytes) UpdateBlock<Lanes, 1, true>(change, at, change.size_bytes - at);
}

template <typename Lanes>
void UpdateWith(const Change& change) {
  change.ones ? UpdateInBlocks<OnesOf<Lanes>>(change) : UpdateInBlocks<Lanes>(change);
}

}  // namespace strata::ec

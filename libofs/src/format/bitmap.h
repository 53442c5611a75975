// SPDX-License-Identifier: Apache-2.0
//
// Which columns of a group, or segments of a disk, are taken. Pure; one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strata/kv/record_codec.h"

namespace strata::ofs {

class Bitmap final {
 public:
  Bitmap() = default;
  explicit Bitmap(uint32_t size) : words_((size + 63) / 64), size_(size) {}

  uint32_t size() const { return size_; }
  uint32_t set_count() const { return set_count_; }
  uint32_t clear_count() const { return size_ - set_count_; }

  // REQUIRES, of all: the bits are within size().
  bool Test(uint32_t index) const { return (words_[index / 64] >> (index % 64) & 1) != 0; }
  void Set(uint32_t begin, uint32_t count);
  void Clear(uint32_t begin, uint32_t count);
  bool AllSet(uint32_t begin, uint32_t count) const;
  bool AllClear(uint32_t begin, uint32_t count) const;

  // The first run of `count` clear bits that begins at `from` or later.
  std::optional<uint32_t> FindClear(uint32_t from, uint32_t count) const;
  // The first bit at `from` or later that is set; size() where none is.
  uint32_t FindSet(uint32_t from) const { return NextWith(true, from); }

  friend bool operator==(const Bitmap&, const Bitmap&) = default;

 private:
  uint32_t NextWith(bool value, uint32_t from) const;  // size(): none.

  std::vector<uint64_t> words_;
  uint32_t size_ = 0;
  uint32_t set_count_ = 0;
};

// As a field of a record: size (varint), form (1 byte), and
//   form 0: the lengths of the runs (varints), a clear one first, up to the last set bit;
//   form 1: the bits, lowest first in each byte, the last byte filled with zeroes.
// The shorter form counts; form 0 when they are equally long. A bitmap of size 0 is not written.
struct BitmapCodec {
  static constexpr uint32_t kMaxBits = 1u << 18;
  static void Append(std::string* out, const Bitmap& bitmap);
  static void Take(kv::ByteParser* parser, Bitmap* bitmap);
};

}  // namespace strata::ofs

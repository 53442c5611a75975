// SPDX-License-Identifier: Apache-2.0
#include "format/bitmap.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include "strata/base/check.h"

namespace strata::ofs {
namespace {

constexpr uint8_t kRuns = 0;
constexpr uint8_t kBits = 1;

// The bits [begin, end) of a word. REQUIRES: begin < end <= 64.
constexpr uint64_t Mask(uint32_t begin, uint32_t end) {
  return (~uint64_t{0} >> (64 - (end - begin))) << begin;
}

// Calls visit(word index, mask) for the words of the bits [begin, begin + count).
template <typename Visit>
void ForWords(uint32_t begin, uint32_t count, Visit visit) {
  const uint32_t end = begin + count;
  while (begin < end) {
    const uint32_t low = begin % 64;
    const uint32_t high = std::min<uint32_t>(64, low + (end - begin));
    visit(begin / 64, Mask(low, high));
    begin += high - low;
  }
}

}  // namespace

void Bitmap::Set(uint32_t begin, uint32_t count) {
  STRATA_CHECK(begin <= size_ && count <= size_ - begin, "bits beyond the bitmap");
  ForWords(begin, count, [this](uint32_t word, uint64_t mask) {
    set_count_ += std::popcount(mask & ~words_[word]);
    words_[word] |= mask;
  });
}

void Bitmap::Clear(uint32_t begin, uint32_t count) {
  STRATA_CHECK(begin <= size_ && count <= size_ - begin, "bits beyond the bitmap");
  ForWords(begin, count, [this](uint32_t word, uint64_t mask) {
    set_count_ -= std::popcount(mask & words_[word]);
    words_[word] &= ~mask;
  });
}

bool Bitmap::AllSet(uint32_t begin, uint32_t count) const {
  bool all = true;
  ForWords(begin, count,
           [&](uint32_t word, uint64_t mask) { all = all && (words_[word] & mask) == mask; });
  return all;
}

bool Bitmap::AllClear(uint32_t begin, uint32_t count) const {
  bool all = true;
  ForWords(begin, count,
           [&](uint32_t word, uint64_t mask) { all = all && (words_[word] & mask) == 0; });
  return all;
}

uint32_t Bitmap::NextWith(bool value, uint32_t from) const {
  while (from < size_) {
    const uint64_t word = value ? words_[from / 64] : ~words_[from / 64];
    const uint64_t rest = word >> (from % 64);
    if (rest != 0) return std::min<uint32_t>(size_, from + std::countr_zero(rest));
    from = (from / 64 + 1) * 64;
  }
  return size_;
}

std::optional<uint32_t> Bitmap::FindClear(uint32_t from, uint32_t count) const {
  if (count == 0 || count > size_) return std::nullopt;
  while (from <= size_ - count) {
    const uint32_t begin = NextWith(false, from);
    if (begin > size_ - count) return std::nullopt;
    const uint32_t end = NextWith(true, begin);
    if (end - begin >= count) return begin;
    from = end;
  }
  return std::nullopt;
}

void BitmapCodec::Append(std::string* out, const Bitmap& bitmap) {
  if (bitmap.size() == 0) return;
  kv::AppendVarint(out, bitmap.size());
  const size_t bits_bytes = (bitmap.size() + 7) / 8;
  std::string runs;
  bool value = false;
  uint32_t run_begin = 0;
  for (uint32_t i = 0; i < bitmap.size() && runs.size() <= bits_bytes; ++i) {
    if (bitmap.Test(i) == value) continue;
    kv::AppendVarint(&runs, i - run_begin);
    run_begin = i;
    value = !value;
  }
  if (value) kv::AppendVarint(&runs, bitmap.size() - run_begin);
  if (runs.size() <= bits_bytes) {
    out->push_back(static_cast<char>(kRuns));
    out->append(runs);
    return;
  }
  out->push_back(static_cast<char>(kBits));
  std::string bits(bits_bytes, '\0');
  for (uint32_t i = 0; i < bitmap.size(); ++i) {
    if (bitmap.Test(i)) bits[i / 8] = static_cast<char>(bits[i / 8] | 1 << (i % 8));
  }
  out->append(bits);
}

void BitmapCodec::Take(kv::ByteParser* parser, Bitmap* bitmap) {
  const uint64_t size = parser->Varint();
  const uint8_t form = parser->Byte();
  if (!parser->status().ok()) return;
  if (size == 0 || size > kMaxBits) return parser->Fail("is a bitmap of a size out of range");
  Bitmap taken(static_cast<uint32_t>(size));
  if (form == kRuns) {
    uint64_t at = 0;
    for (bool value = false; !parser->done(); value = !value) {
      const uint64_t run = parser->Varint();
      if (!parser->status().ok()) return;
      if (run > size - at) return parser->Fail("is a bitmap with runs beyond its size");
      if (run == 0 && at > 0) return parser->Fail("is a bitmap with an empty run");
      if (value) taken.Set(static_cast<uint32_t>(at), static_cast<uint32_t>(run));
      at += run;
    }
  } else if (form == kBits) {
    const std::string_view bits = parser->Bytes((size + 7) / 8);
    if (!parser->status().ok()) return;
    for (uint32_t i = 0; i < bits.size() * 8; ++i) {
      if ((static_cast<uint8_t>(bits[i / 8]) >> (i % 8) & 1) == 0) continue;
      if (i >= size) return parser->Fail("is a bitmap with bits beyond its size");
      taken.Set(i, 1);
    }
  } else {
    return parser->FailNewer("is a bitmap in a form that this program does not know");
  }
  *bitmap = std::move(taken);
}

}  // namespace strata::ofs

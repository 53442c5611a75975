// SPDX-License-Identifier: Apache-2.0
#include "index/summary_filter.h"

#include <algorithm>

#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

constexpr size_t kBitsPerKey = 10;
constexpr size_t kBitsPerLine = 512;
constexpr size_t kMinCapacity = 65536;
constexpr size_t kMaxDoubled = 8u << 20;  // Keys; larger filters grow by less, which wastes less.
constexpr int kProbes = 6;
constexpr size_t kLineBytes = kBitsPerLine / 8;
constexpr size_t kLinesPerPiece = SummaryFilter::kPieceBytes / kLineBytes;

size_t LineCount(uint64_t capacity) { return capacity * kBitsPerKey / kBitsPerLine + 1; }

// A fingerprint is random already: some of its bits choose the line, others the bits in it.
uint64_t LineOf(const Fingerprint& fingerprint, uint64_t line_count) {
  const uint64_t hash = LoadLe64(fingerprint.bytes.data() + 8);
  return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * line_count) >> 64);
}

struct Probes {
  explicit Probes(const Fingerprint& fingerprint) : bits(LoadLe64(fingerprint.bytes.data() + 16)) {}
  uint32_t Next() {
    const uint32_t bit = bits % kBitsPerLine;
    bits /= kBitsPerLine;
    return bit;
  }
  uint64_t bits;
};
static_assert(kProbes * 9 <= 64);

}  // namespace

SummaryFilter::SummaryFilter(size_t expected) { AddLayer(std::max(expected, kMinCapacity)); }

SummaryFilter::SummaryFilter(std::span<const LayerSize> layers) {
  for (const LayerSize& size : layers) {
    AddLayer(size.capacity);
    layers_.back().count = size.count;
  }
}

void SummaryFilter::AddLayer(size_t capacity) {
  Layer layer;
  layer.capacity = capacity;
  layer.lines.resize(LineCount(capacity));
  layer.changed.resize(PieceCount(capacity), true);
  layers_.push_back(std::move(layer));
}

void SummaryFilter::Add(const Fingerprint& fingerprint) {
  if (layers_.back().count >= layers_.back().capacity) {
    const size_t last = layers_.back().capacity;
    size_t total = 0;
    for (const Layer& full : layers_) total += full.capacity;
    AddLayer(total < kMaxDoubled ? last * 2 : total / 3);
  }
  Layer& layer = layers_.back();
  const uint64_t index = LineOf(fingerprint, layer.lines.size());
  Line& line = layer.lines[index];
  layer.changed[index / kLinesPerPiece] = true;
  Probes probes(fingerprint);
  for (int i = 0; i < kProbes; ++i) {
    const uint32_t bit = probes.Next();
    line.words[bit / 64] |= uint64_t{1} << (bit % 64);
  }
  ++layer.count;
}

bool SummaryFilter::MayContain(const Fingerprint& fingerprint) const {
  return std::any_of(layers_.begin(), layers_.end(), [&](const Layer& layer) {
    const Line& line = layer.lines[LineOf(fingerprint, layer.lines.size())];
    Probes probes(fingerprint);
    for (int i = 0; i < kProbes; ++i) {
      const uint32_t bit = probes.Next();
      if ((line.words[bit / 64] >> (bit % 64) & 1) == 0) return false;
    }
    return true;
  });
}

std::vector<SummaryFilter::LayerSize> SummaryFilter::layers() const {
  std::vector<LayerSize> sizes;
  for (const Layer& layer : layers_) sizes.push_back({layer.capacity, layer.count});
  return sizes;
}

uint64_t SummaryFilter::count() const {
  uint64_t count = 0;
  for (const Layer& layer : layers_) count += layer.count;
  return count;
}

size_t SummaryFilter::PieceCount(uint64_t capacity) {
  return (LineCount(capacity) + kLinesPerPiece - 1) / kLinesPerPiece;
}

std::span<SummaryFilter::Line> SummaryFilter::LinesOf(PieceId piece) {
  const std::span<Line> lines(layers_[piece.layer].lines);
  const size_t begin = piece.index * kLinesPerPiece;
  return lines.subspan(begin, std::min(kLinesPerPiece, lines.size() - begin));
}

std::span<const SummaryFilter::Line> SummaryFilter::LinesOf(PieceId piece) const {
  return const_cast<SummaryFilter*>(this)->LinesOf(piece);
}

std::string SummaryFilter::Piece(PieceId piece) const {
  const std::span<const Line> lines = LinesOf(piece);
  std::string bytes(lines.size() * kLineBytes, '\0');
  auto* at = reinterpret_cast<std::byte*>(bytes.data());
  for (const Line& line : lines) {
    for (const uint64_t word : line.words) {
      StoreLe64(at, word);
      at += sizeof(word);
    }
  }
  return bytes;
}

bool SummaryFilter::SetPiece(PieceId piece, std::string_view bytes) {
  const std::span<Line> lines = LinesOf(piece);
  if (bytes.size() != lines.size() * kLineBytes) return false;
  const auto* at = reinterpret_cast<const std::byte*>(bytes.data());
  for (Line& line : lines) {
    for (uint64_t& word : line.words) {
      word = LoadLe64(at);
      at += sizeof(word);
    }
  }
  layers_[piece.layer].changed[piece.index] = false;
  return true;
}

bool SummaryFilter::TakeChanged(PieceId piece) {
  const bool changed = layers_[piece.layer].changed[piece.index];
  layers_[piece.layer].changed[piece.index] = false;
  return changed;
}

void SummaryFilter::MarkAllChanged() {
  for (Layer& layer : layers_) layer.changed.assign(layer.changed.size(), true);
}

size_t SummaryFilter::memory_bytes() const {
  size_t bytes = 0;
  for (const Layer& layer : layers_) bytes += layer.lines.size() * sizeof(Line);
  return bytes;
}

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
#include "index/saved_filter.h"

#include <algorithm>

#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kRecordBytes = 60;  // Before the layers.
constexpr size_t kLayerBytes = 16;
constexpr size_t kCrcBytes = 4;
constexpr size_t kMaxLayers = 64;
constexpr uint64_t kMaxLayerKeys = uint64_t{1} << 40;
constexpr size_t kPieceHeaderBytes = 24;

std::byte* Bytes(std::string& text) { return reinterpret_cast<std::byte*>(text.data()); }
std::span<const std::byte> Span(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

absl::Status CheckVersion(const char* what, std::string_view bytes) {
  if (bytes.empty() || static_cast<uint8_t>(bytes[0]) <= kVersion) return absl::OkStatus();
  return absl::UnimplementedError(std::string(what) + ": a newer format version");
}

}  // namespace

uint64_t FilterRecord::count() const {
  uint64_t count = 0;
  for (const SummaryFilter::LayerSize& layer : layers) count += layer.count;
  return count;
}

uint64_t FilterRecord::capacity() const {
  uint64_t capacity = 0;
  for (const SummaryFilter::LayerSize& layer : layers) capacity += layer.capacity;
  return capacity;
}

size_t FilterRecord::piece_count() const {
  size_t count = 0;
  for (const SummaryFilter::LayerSize& layer : layers) {
    count += SummaryFilter::PieceCount(layer.capacity);
  }
  return count;
}

std::string EncodeFilterRecord(const FilterRecord& record) {
  std::string bytes(kRecordBytes + kLayerBytes * record.layers.size() + kCrcBytes, '\0');
  std::byte* at = Bytes(bytes);
  at[0] = std::byte{kVersion};
  StoreLe32(at + 4, static_cast<uint32_t>(record.layers.size()));
  StoreLe64(at + 8, record.id);
  StoreLe64(at + 16, record.first_unknown_container);
  StoreLe32(at + 24, record.opening);
  std::copy(record.filled_to.bytes.begin(), record.filled_to.bytes.end(), at + 28);
  at += kRecordBytes;
  for (const SummaryFilter::LayerSize& layer : record.layers) {
    StoreLe64(at, layer.capacity);
    StoreLe64(at + 8, layer.count);
    at += kLayerBytes;
  }
  StoreLe32(at, Crc32c(Span(bytes).first(bytes.size() - kCrcBytes)));
  return bytes;
}

absl::StatusOr<FilterRecord> DecodeFilterRecord(std::string_view bytes) {
  if (absl::Status status = CheckVersion("filter record", bytes); !status.ok()) return status;
  const auto damaged = [] { return absl::DataLossError("filter record: cannot be decoded"); };
  if (bytes.size() < kRecordBytes + kCrcBytes) return damaged();
  const std::span<const std::byte> checked = Span(bytes).first(bytes.size() - kCrcBytes);
  const std::byte* at = checked.data();
  const size_t layers = LoadLe32(at + 4);
  if (at[0] != std::byte{kVersion} || layers == 0 || layers > kMaxLayers ||
      checked.size() != kRecordBytes + kLayerBytes * layers ||
      LoadLe32(at + checked.size()) != Crc32c(checked)) {
    return damaged();
  }
  FilterRecord record;
  record.id = LoadLe64(at + 8);
  record.first_unknown_container = LoadLe64(at + 16);
  record.opening = LoadLe32(at + 24);
  std::copy_n(at + 28, record.filled_to.bytes.size(), record.filled_to.bytes.begin());
  at += kRecordBytes;
  for (size_t i = 0; i < layers; ++i, at += kLayerBytes) {
    const SummaryFilter::LayerSize layer{LoadLe64(at), LoadLe64(at + 8)};
    if (layer.capacity == 0 || layer.capacity > kMaxLayerKeys || layer.count > kMaxLayerKeys) {
      return damaged();
    }
    record.layers.push_back(layer);
  }
  return record;
}

std::string FilterPieceKey(SummaryFilter::PieceId piece) {
  std::string key(9, 'p');
  StoreBe32(Bytes(key) + 1, static_cast<uint32_t>(piece.layer));
  StoreBe32(Bytes(key) + 5, static_cast<uint32_t>(piece.index));
  return key;
}

std::string EncodeFilterPiece(uint64_t filter_id, SummaryFilter::PieceId piece,
                              std::string_view lines) {
  std::string bytes(kPieceHeaderBytes, '\0');
  bytes.reserve(kPieceHeaderBytes + lines.size() + kCrcBytes);
  std::byte* at = Bytes(bytes);
  at[0] = std::byte{kVersion};
  StoreLe32(at + 4, static_cast<uint32_t>(piece.layer));
  StoreLe32(at + 8, static_cast<uint32_t>(piece.index));
  StoreLe64(at + 16, filter_id);
  bytes.append(lines);
  const uint32_t crc = Crc32c(Span(bytes));
  bytes.resize(bytes.size() + kCrcBytes);
  StoreLe32(Bytes(bytes) + bytes.size() - kCrcBytes, crc);
  return bytes;
}

absl::StatusOr<std::string_view> DecodeFilterPiece(uint64_t filter_id, SummaryFilter::PieceId piece,
                                                   std::string_view bytes) {
  if (absl::Status status = CheckVersion("filter piece", bytes); !status.ok()) return status;
  const auto damaged = [] { return absl::DataLossError("filter piece: cannot be decoded"); };
  if (bytes.size() < kPieceHeaderBytes + kCrcBytes) return damaged();
  const std::span<const std::byte> checked = Span(bytes).first(bytes.size() - kCrcBytes);
  const std::byte* at = checked.data();
  if (at[0] != std::byte{kVersion} || LoadLe32(at + 4) != piece.layer ||
      LoadLe32(at + 8) != piece.index || LoadLe64(at + 16) != filter_id ||
      LoadLe32(at + checked.size()) != Crc32c(checked)) {
    return damaged();
  }
  return bytes.substr(kPieceHeaderBytes, checked.size() - kPieceHeaderBytes);
}

}  // namespace strata::dedup

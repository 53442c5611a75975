// SPDX-License-Identifier: Apache-2.0
//
// The summary filter as the kv store keeps it, so that an opening need not fill it from the index:
// one record, in "<name>.containers" under kFilterKey, and the pieces of the layers, in
// "<name>.filter". Pure.
//
// Pieces are overwritten in place, while the record still describes an earlier state. That is
// sound, because a filter only gains bits: an older record beside newer pieces says less than it
// could, and never that a chunk is new which is stored.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "index/summary_filter.h"
#include "strata/dedup/fingerprint.h"

namespace strata::dedup {

// No fingerprint's key is greater.
inline constexpr Fingerprint kLastFingerprint = [] {
  Fingerprint last;
  last.bytes.fill(std::byte{0xff});
  return last;
}();

struct FilterRecord {
  uint64_t id = 0;  // Random. The same in all pieces.
  // Number of the newest opening of the store for writing, which every opening that knows of the
  // filter updates. Another number says that the store was opened by a program that did not.
  uint32_t opening = 0;
  // All chunks of containers with smaller ids are in the filter, as far as filled_to says.
  uint64_t first_unknown_container = 0;
  // The filter holds the chunks of the index up to this one.
  Fingerprint filled_to{};
  std::vector<SummaryFilter::LayerSize> layers;
  bool whole() const { return filled_to == kLastFingerprint; }
  uint64_t count() const;
  uint64_t capacity() const;
  size_t piece_count() const;
  friend bool operator==(const FilterRecord&, const FilterRecord&) = default;
};

inline constexpr std::string_view kFilterKey = "filter";
std::string EncodeFilterRecord(const FilterRecord& record);
absl::StatusOr<FilterRecord> DecodeFilterRecord(std::string_view bytes);

std::string FilterPieceKey(SummaryFilter::PieceId piece);
std::string EncodeFilterPiece(uint64_t filter_id, SummaryFilter::PieceId piece,
                              std::string_view lines);
// The lines. DataLoss: damaged, or of another filter or place.
absl::StatusOr<std::string_view> DecodeFilterPiece(uint64_t filter_id, SummaryFilter::PieceId piece,
                                                   std::string_view bytes);

}  // namespace strata::dedup

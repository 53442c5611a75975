// SPDX-License-Identifier: Apache-2.0
//
// Splits bytes into chunks where their content says so, so that an insertion moves only the
// boundaries near it.
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<const Chunker> chunker, CreateChunker({}));
//   std::vector<uint32_t> lengths;
//   size_t consumed = chunker->Split(data, /*last=*/true, &lengths);   // consumed == data.size()
//
// A Chunker has no state: cut points depend on the bytes since the last one alone, however the
// input is handed over. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "strata/base/export.h"

namespace strata::dedup {

enum class ChunkAlgorithm : uint8_t {
  kFixed = 0,  // Every avg_bytes.
  kFastCdc2020 =
      1,  // Xia et al., "The Design of Fast Content-Defined Chunking ...", IEEE TPDS 31(9), 2020.
};

struct ChunkerOptions {
  ChunkAlgorithm algorithm = ChunkAlgorithm::kFastCdc2020;
  uint32_t min_bytes = 4096;
  uint32_t avg_bytes = 8192;  // FastCDC: a power of two.
  uint32_t max_bytes = 16384;
  uint32_t normalization = 2;  // FastCDC: 0..3, how strongly lengths gather around avg_bytes.
  friend bool operator==(const ChunkerOptions&, const ChunkerOptions&) = default;
};

class STRATA_EXPORT Chunker {
 public:
  virtual ~Chunker() = default;

  // Appends the lengths of the chunks at the front of `data`, which starts at a chunk's start.
  // Without `last` it stops where more data could still move the cut (fewer than max_bytes left);
  // with it the rest is cut too. Returns how many bytes the appended chunks cover.
  virtual size_t Split(std::span<const std::byte> data, bool last,
                       std::vector<uint32_t>* lengths) const = 0;

  virtual const ChunkerOptions& options() const = 0;
};

// InvalidArgument names the parameter that is out of its range (FastCDC: min 64..1 MiB, avg 256..4
// MiB, max 1 KiB..16 MiB).
STRATA_EXPORT absl::StatusOr<std::unique_ptr<const Chunker>> CreateChunker(
    const ChunkerOptions& options);

// "fixed", "fastcdc2020", and back. InvalidArgument lists the known names.
STRATA_EXPORT absl::StatusOr<ChunkAlgorithm> ParseChunkAlgorithm(std::string_view name);
STRATA_EXPORT std::string_view ChunkAlgorithmName(ChunkAlgorithm algorithm);

}  // namespace strata::dedup

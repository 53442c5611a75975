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
// input is handed over, and are the same on every CPU. docs/chunkers.md defines each algorithm and
// compares them. Pure; thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "strata/base/export.h"

namespace strata::dedup {

// The values are part of the store's format.
enum class ChunkAlgorithm : uint8_t {
  kFixed = 0,        // Every avg_bytes.
  kFastCdc2020 = 1,  // Xia et al., "The Design of Fast Content-Defined Chunking for Data
                     // Deduplication Based Storage Systems", IEEE TPDS 31(9), 2020.
  kFastCdc2016 = 2,  // Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach
                     // for Data Deduplication", USENIX ATC 2016.
  kGear = 3,         // Xia et al., "Ddelta: A deduplication-inspired fast delta compression
                     // approach", Performance Evaluation 79, 2014.
  kRabin = 4,        // Muthitacharoen et al., "A Low-bandwidth Network File System", SOSP 2001.
  kAe = 5,           // Zhang et al., "AE: An Asymmetric Extremum Content Defined Chunking Algorithm
                     // for Fast and Bandwidth-Efficient Data Deduplication", INFOCOM 2015.
  kRam = 6,          // Widodo, Lim, Atiquzzaman, "A new content-defined chunking algorithm for data
                     // deduplication in cloud storage", FGCS 71, 2017.
  kSeqCdc = 7,       // Udayashankar, Baba, Al-Kiswany, "SeqCDC: Hashless Content-Defined Chunking
                     // for Data Deduplication", Middleware 2024.
  kLinCdc = 8,  // This project's own: a hash linear over GF(2), evaluated for many positions at
                // once, with the normalized cutting of FastCDC. docs/chunkers.md.
};

// A secret of one store. Without it the sizes of chunks tell an observer which known files are
// there; with it they say little to those who cannot choose what is stored.
using ChunkerKey = std::array<std::byte, 32>;

struct ChunkerOptions {
  ChunkAlgorithm algorithm = ChunkAlgorithm::kLinCdc;
  uint32_t min_bytes = 4096;
  uint32_t avg_bytes = 8192;  // A power of two, save for kFixed.
  uint32_t max_bytes = 16384;
  uint32_t normalization = 2;  // FastCDC, LinCDC: 0..3, how strongly lengths gather at avg_bytes.
  // None: the published cut points. kGear, kFastCdc*, kRabin and kLinCdc take one. Never print it.
  std::optional<ChunkerKey> key = std::nullopt;
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

// InvalidArgument names the parameter that is out of its range (min 64..1 MiB, avg 256..4 MiB, max
// 1 KiB..16 MiB, not decreasing; kFixed: avg 64..16 MiB alone), or the key that has no use.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<const Chunker>> CreateChunker(
    const ChunkerOptions& options);

// "fixed", "fastcdc2020", "fastcdc2016", "gear", "rabin", "ae", "ram", "seqcdc", "lincdc", and
// back. InvalidArgument lists the known names.
STRATA_EXPORT absl::StatusOr<ChunkAlgorithm> ParseChunkAlgorithm(std::string_view name);
STRATA_EXPORT std::string_view ChunkAlgorithmName(ChunkAlgorithm algorithm);

// All algorithms, in the order of their values.
STRATA_EXPORT std::span<const ChunkAlgorithm> AllChunkAlgorithms();

}  // namespace strata::dedup

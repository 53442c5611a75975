// SPDX-License-Identifier: Apache-2.0
//
// Compression of regions. lz4, zstd and igzip stay behind this file. A Codec keeps idle compressor
// states, so that a compression does not pay for making one.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "strata/dedup/types.h"

namespace strata::dedup {

class Codec {
 public:
  virtual ~Codec() = default;

  // Compresses `raw` into `out` and returns the size, or 0 when it does not shrink to out.size() or
  // below, or does not look as if it would.
  virtual size_t Compress(Compression method, int level, std::span<const std::byte> raw,
                          std::span<std::byte> out) = 0;

  // Fills `raw` exactly. DataLoss: `stored` is not what Compress() made of raw.size() bytes;
  // Unimplemented: the method.
  virtual absl::Status Decompress(Compression method, std::span<const std::byte> stored,
                                  std::span<std::byte> raw) = 0;
};

// Samples say that compressing would not save even a twentieth: encrypted or compressed before. Of
// less than kMinProbedBytes they say nothing: trying it costs no more.
inline constexpr size_t kMinProbedBytes = 8u << 10;
bool LooksIncompressible(std::span<const std::byte> raw);

std::unique_ptr<Codec> CreateCodec();

// InvalidArgument: names what is out of range.
absl::Status CheckCompression(const CompressionSettings& settings);
// Equal where the same comes out: a level that the method ignores is 0.
CompressionSettings Canonical(CompressionSettings settings);
// What is compressed so is not worth compressing once more.
bool CompressesHard(const CompressionSettings& settings);

}  // namespace strata::dedup

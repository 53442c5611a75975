// SPDX-License-Identifier: Apache-2.0
//
// Splits a stream that is a tar archive also where its files begin and end. The header before each
// file holds its time; where that changes from version to version, the file's chunks stay as they
// are, and a chunk of half a kilobyte is new. Files that are shorter than a chunk stay with their
// headers: to know each of them apart would cost more than storing them again.
//
// Thread safety: none; it belongs to one stream.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "strata/dedup/chunker.h"

namespace strata::dedup {

inline constexpr size_t kTarBlockBytes = 512;

class TarSplitter final {
 public:
  // Keyed chunkers hide sizes, and fixed chunks are what they are: such streams stay whole.
  explicit TarSplitter(const Chunker* chunker);

  // As Chunker::Split(), but each call goes on where the last one ended. The cuts depend on the
  // stream alone, however it is handed over. Of a stream that is no tar, and behind the first bad
  // header of one, they are the chunker's.
  size_t Split(std::span<const std::byte> data, bool last, std::vector<uint32_t>* lengths);

 private:
  // Where the file that the header at header_ stands for ends; it moves on to the next header.
  // Nothing: the archive has ended. REQUIRES: the header ends in `data`.
  struct File {
    uint64_t begin = 0;
    uint64_t end = 0;
  };
  std::optional<File> NextFile(std::span<const std::byte> data);
  // The next place at which the stream is cut whatever the bytes say; 0: none is known yet.
  uint64_t NextCut(std::span<const std::byte> data);
  void Advance(std::span<const std::byte> data, size_t size);

  const Chunker* const chunker_;
  bool follows_ = true;       // There may be a further header.
  uint64_t at_ = 0;           // Of the stream; where the next chunk begins.
  uint64_t header_ = 0;       // Where the next header begins.
  std::optional<File> file_;  // The large file that is not behind at_ yet.
  // What of the next header lies before at_.
  std::array<std::byte, kTarBlockBytes> begun_{};
  size_t begun_bytes_ = 0;
};

}  // namespace strata::dedup

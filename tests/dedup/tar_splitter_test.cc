// SPDX-License-Identifier: Apache-2.0
//
// Streams that are tar archives, and streams that only look like them.
#include "chunking/tar_splitter.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "fixture.h"
#include "format/layout.h"

namespace strata::dedup {
namespace {

struct TarFile {
  std::string name;
  Bytes content;
  uint64_t time = 0;
  char type = '0';
};

void SetChecksum(std::span<std::byte> header) {
  std::memset(header.data() + 148, ' ', 8);
  unsigned sum = 0;
  for (const std::byte byte : header) sum += static_cast<uint8_t>(byte);
  std::snprintf(reinterpret_cast<char*>(header.data()) + 148, 8, "%06o", sum);
}

Bytes HeaderOf(const TarFile& file) {
  Bytes header(kTarBlockBytes);
  char* const at = reinterpret_cast<char*>(header.data());
  std::snprintf(at, 100, "%s", file.name.c_str());
  std::snprintf(at + 124, 12, "%011llo", static_cast<unsigned long long>(file.content.size()));
  std::snprintf(at + 136, 12, "%011llo", static_cast<unsigned long long>(file.time));
  at[156] = file.type;
  std::memcpy(at + 257,
              "ustar\0"
              "00",
              8);
  SetChecksum(header);
  return header;
}

Bytes TarOf(const std::vector<TarFile>& files) {
  Bytes tar;
  for (const TarFile& file : files) {
    const Bytes header = HeaderOf(file);
    tar.insert(tar.end(), header.begin(), header.end());
    tar.insert(tar.end(), file.content.begin(), file.content.end());
    tar.resize(AlignUp(tar.size(), kTarBlockBytes));
  }
  tar.resize(AlignUp(tar.size() + 2 * kTarBlockBytes, 20 * kTarBlockBytes));
  return tar;
}

std::vector<TarFile> SomeFiles(uint64_t seed, size_t count) {
  Random random(seed);
  std::vector<TarFile> files;
  for (size_t i = 0; i < count; ++i) {
    const size_t most = i % 3 == 0 ? 3000 : 60000;
    files.push_back({"file-" + std::to_string(i), RandomBytes(seed + i, random.Uniform(most)), i});
    if (i % 10 == 4) files.push_back({"folder-" + std::to_string(i), {}, i, '5'});
  }
  return files;
}

// Handed over in pieces, of which each begins where the last one's chunks ended.
std::vector<uint32_t> Split(const Chunker& chunker, std::span<const std::byte> stream,
                            size_t piece_bytes) {
  TarSplitter splitter(&chunker);
  std::vector<uint32_t> lengths;
  size_t begin = 0;
  for (size_t end = 0; end < stream.size() || begin < stream.size();) {
    end = std::min(std::max(end, begin) + piece_bytes, stream.size());
    begin += splitter.Split(stream.subspan(begin, end - begin), end == stream.size(), &lengths);
  }
  return lengths;
}

std::vector<uint32_t> PlainSplit(const Chunker& chunker, std::span<const std::byte> stream) {
  std::vector<uint32_t> lengths;
  chunker.Split(stream, /*last=*/true, &lengths);
  return lengths;
}

}  // namespace

TEST_CASE("a tar is cut where its large files begin and end, however it is handed over") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  const std::vector<TarFile> files = SomeFiles(seed, 60);
  const Bytes tar = TarOf(files);
  const auto chunker = CreateChunker({}).value();
  const std::vector<uint32_t> whole = Split(*chunker, tar, tar.size());
  std::vector<uint64_t> ends;
  uint64_t end = 0;
  for (const uint32_t length : whole) ends.push_back(end += length);
  CHECK(end == tar.size());
  uint64_t at = 0;
  for (const TarFile& file : files) {
    const uint64_t begin = at + kTarBlockBytes;
    at = begin + AlignUp(file.content.size(), kTarBlockBytes);
    if (at - begin < chunker->options().min_bytes) continue;
    INFO(file.name);
    CHECK(std::ranges::binary_search(ends, begin));
    CHECK(std::ranges::binary_search(ends, at));
  }
  for (const size_t piece : {1ul, 511ul, 512ul, 4097ul, 20000ul, 100000ul}) {
    INFO("pieces of " << piece);
    CHECK(Split(*chunker, tar, piece) == whole);
  }
}

TEST_CASE("what is no tar is cut as the chunker says") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  const auto chunker = CreateChunker({}).value();
  Bytes stream = TarOf({{"large", RandomBytes(seed, 200000), 1}});
  SECTION("a wrong checksum") { stream[3] ^= std::byte{1}; }
  SECTION("another magic") {
    stream[258] = std::byte{'x'};
    SetChecksum(std::span(stream).first(kTarBlockBytes));
  }
  SECTION("a size that is no number") {
    stream[125] = std::byte{'9'};
    SetChecksum(std::span(stream).first(kTarBlockBytes));
  }
  SECTION("a size that no stream has") {
    std::fill_n(stream.begin() + 124, 12, std::byte{0xff});
    stream[124] = std::byte{0x80};
    SetChecksum(std::span(stream).first(kTarBlockBytes));
  }
  SECTION("shorter than a header") { stream.resize(500); }
  SECTION("empty") { stream.clear(); }
  CHECK(Split(*chunker, stream, 70000) == PlainSplit(*chunker, stream));
}

TEST_CASE("a tar may end anywhere") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  const auto chunker = CreateChunker({}).value();
  const Bytes tar = TarOf(SomeFiles(seed, 12));
  Random random(seed);
  for (int round = 0; round < 100; ++round) {
    const auto cut = std::span(tar).first(random.Uniform(tar.size()));
    const std::vector<uint32_t> lengths = Split(*chunker, cut, 1 + random.Uniform(50000));
    CHECK(lengths == Split(*chunker, cut, cut.size() + 1));
    uint64_t sum = 0;
    for (const uint32_t length : lengths) {
      sum += length;
      CHECK(length > 0);
      CHECK(length <= chunker->options().max_bytes);
    }
    CHECK(sum == cut.size());
  }
}

TEST_CASE("a file too large for octal digits does not end the archive") {
  const uint64_t seed = test::Seed();
  const auto chunker = CreateChunker({}).value();
  Bytes tar =
      TarOf({{"first", RandomBytes(seed, 100000), 1}, {"second", RandomBytes(seed + 1, 9000), 2}});
  const std::vector<uint32_t> octal = Split(*chunker, tar, tar.size());
  std::fill_n(tar.begin() + 124, 12, std::byte{0});
  tar[124] = std::byte{0x80};
  tar[133] = std::byte{100000 >> 16};
  tar[134] = std::byte{(100000 >> 8) & 0xff};
  tar[135] = std::byte{100000 & 0xff};
  SetChecksum(std::span(tar).first(kTarBlockBytes));
  CHECK(Split(*chunker, tar, tar.size()) == octal);
}

TEST_CASE("keyed and fixed chunks do not tell where a tar's files end") {
  const uint64_t seed = test::Seed();
  const Bytes tar = TarOf(SomeFiles(seed, 12));
  for (const ChunkerOptions& options : {ChunkerOptions{.key = ChunkerKey{std::byte{7}}},
                                        ChunkerOptions{.algorithm = ChunkAlgorithm::kFixed}}) {
    const auto chunker = CreateChunker(options).value();
    CHECK(Split(*chunker, tar, tar.size()) == PlainSplit(*chunker, tar));
  }
}

TEST_CASE("a tar whose times alone have changed takes little more room") {
  const uint64_t seed = test::Seed();
  INFO("STRATA_SEED=" << seed);
  std::vector<TarFile> files;
  for (size_t i = 0; i < 100; ++i) {
    files.push_back({"file-" + std::to_string(i), RandomBytes(seed + i, 20000), 1000});
  }
  MemoryHome home;
  home.Open();
  home.Put(TarOf(files));
  for (TarFile& file : files) file.time = 2000;
  const Bytes later = TarOf(files);
  const StreamInfo info = home.Put(later);
  CHECK(info.new_chunk_bytes <= 101 * kTarBlockBytes);
  CHECK(home.Get(info.id) == later);
  CHECK(home.Damages() == 0);
}

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
//
// Any chunker with any sizes over any bytes: against the slow reference, handed over at once and in
// two pieces; LinCDC with every variant. The first eight bytes choose: algorithm; level and key;
// average; minimum (two); maximum; where the input is parted (two). The rest is the data, repeated
// up to 6000 bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "chunking/lincdc.h"
#include "dedup/chunker_reference.h"
#include "strata/base/check.h"
#include "strata/dedup/chunker.h"

namespace strata::dedup {
namespace {

constexpr size_t kHead = 8;
constexpr size_t kMaxData = 6000;

ChunkerOptions OptionsFrom(std::span<const uint8_t> head) {
  ChunkerOptions options;
  const auto algorithms = AllChunkAlgorithms();
  options.algorithm = algorithms[head[0] % algorithms.size()];
  options.normalization = head[1] % 4;
  options.avg_bytes = 256u << (head[2] % 4);
  options.min_bytes = std::min<uint32_t>(64u + (head[3] | head[4] << 8) % 2048, options.avg_bytes);
  options.max_bytes = std::max<uint32_t>(1024, options.avg_bytes + head[5] * 16u);
  if ((head[1] & 4) != 0) options.key.emplace().fill(static_cast<std::byte>(head[1]));
  return options;
}

std::vector<std::byte> DataFrom(std::span<const uint8_t> rest) {
  std::vector<std::byte> data;
  if (rest.empty()) return data;
  const size_t size = std::min(kMaxData, rest.size() * 64);
  for (size_t i = 0; i < size; ++i) data.push_back(static_cast<std::byte>(rest[i % rest.size()]));
  return data;
}

void Try(const ChunkerOptions& options, std::span<const std::byte> data, size_t part) {
  const auto chunker = CreateChunker(options);
  if (!chunker.ok()) {
    STRATA_CHECK(absl::IsInvalidArgument(chunker.status()), chunker.status().ToString());
    return;
  }
  const std::vector<uint32_t> expected = reference::Split(options, data);
  std::vector<uint32_t> whole;
  STRATA_CHECK((*chunker)->Split(data, true, &whole) == data.size(), "all is covered");
  STRATA_CHECK(whole == expected, "cuts as the reference does");

  std::vector<uint32_t> parted;
  const size_t covered = (*chunker)->Split(data.first(part), false, &parted);
  (*chunker)->Split(data.subspan(covered), true, &parted);
  STRATA_CHECK(parted == expected, "cuts alike in two pieces");

  if (options.algorithm != ChunkAlgorithm::kLinCdc) return;
  for (const LinCdcVariant variant : kLinCdcVariants) {
    if (!HasLinCdcVariant(variant)) continue;
    std::vector<uint32_t> lengths;
    CreateLinCdcChunker(options, variant)->Split(data, true, &lengths);
    STRATA_CHECK(lengths == expected, "every variant cuts alike");
  }
}

}  // namespace
}  // namespace strata::dedup

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t size) {
  using namespace strata::dedup;
  if (size < kHead) return 0;
  const std::span<const uint8_t> bytes(input, size);
  const std::vector<std::byte> data = DataFrom(bytes.subspan(kHead));
  const size_t part = static_cast<size_t>(bytes[6] | bytes[7] << 8) % (data.size() + 1);
  Try(OptionsFrom(bytes.first(kHead)), data, part);
  return 0;
}

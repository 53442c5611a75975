// SPDX-License-Identifier: Apache-2.0
//
// Shard files on any bytes. The first byte's lowest bit says whether the checksums are made to fit
// first, so that what lies behind them is reached. What decodes must encode to the same bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"
#include "strata/ec/shard_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata;
  using namespace strata::ec;
  if (size == 0) return 0;
  const bool fix = (data[0] & 1) != 0;
  const auto* begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin + 1, begin + size);
  if (fix && bytes.size() >= kShardHeaderBytes) {
    StoreLe32(&bytes[124], Crc32c(ConstBytes(bytes).first(124)));
  }
  const auto header = DecodeShardHeader(bytes);
  if (!header.ok()) {
    STRATA_CHECK(absl::IsDataLoss(header.status()) || absl::IsUnimplemented(header.status()),
                 header.status().ToString());
    return 0;
  }
  const auto again = EncodeShardHeader(*header);
  STRATA_CHECK(std::equal(again.begin(), again.end(), bytes.begin()), "a header is canonical");
  const ConstBytes rest = ConstBytes(bytes).subspan(kShardHeaderBytes);
  const auto& layout = header->layout;
  const uint64_t stripes = layout.stripe_count();
  if (stripes > 0) {
    STRATA_CHECK(
        layout.FileOffset(stripes - 1) + layout.FileBytes(stripes - 1) == layout.file_bytes,
        "the stripes cover the file");
  }
  if (fix && rest.size() >= 8) {
    StoreLe32(&bytes[bytes.size() - 4], Crc32c(rest.first(rest.size() - 4)));
  }
  const auto trailer = DecodeShardTrailer(*header, rest);
  if (trailer.ok()) {
    const auto same = EncodeShardTrailer(*trailer);
    STRATA_CHECK(std::equal(same.begin(), same.end(), rest.begin(), rest.end()),
                 "checksums are canonical");
  } else {
    STRATA_CHECK(absl::IsDataLoss(trailer.status()), trailer.status().ToString());
  }
  return 0;
}

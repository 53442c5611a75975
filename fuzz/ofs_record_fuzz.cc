// SPDX-License-Identifier: Apache-2.0
//
// Every decoder of a metadata row, on any bytes. What decodes must encode to a record that decodes
// to the same; the first byte says which decoder is meant, all others must refuse it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "format/key_layout.h"
#include "format/records.h"
#include "strata/base/check.h"

namespace strata::ofs {
namespace {

template <typename Record>
void Try(std::string_view input, char kind, absl::StatusOr<Record> (*decode)(std::string_view)) {
  const absl::StatusOr<Record> record = decode(input);
  if (!record.ok()) {
    STRATA_CHECK(absl::IsDataLoss(record.status()) || absl::IsUnimplemented(record.status()),
                 record.status().ToString());
    return;
  }
  STRATA_CHECK(input[0] == kind, "a decoder took another kind of record");
  const std::string encoded = Encode(*record);
  const absl::StatusOr<Record> again = decode(encoded);
  STRATA_CHECK(again.ok(), again.status().ToString());
  STRATA_CHECK(*again == *record, "a record changed on its way");
  STRATA_CHECK(Encode(*again) == encoded, "a record has two encodings");
}

void TryAll(std::string_view input) {
  Try(input, 'F', DecodeFormat);
  Try(input, 'S', DecodeEpoch);
  Try(input, 'V', DecodeDisk);
  Try(input, 'v', DecodePool);
  Try(input, 'B', DecodeSegments);
  Try(input, 'G', DecodeGroup);
  Try(input, 'A', DecodeAllocation);
  Try(input, 'Z', DecodeFreed);
  Try(input, 'N', DecodeSession);
  Try(input, 'n', DecodeHeartbeat);
  Try(input, 'C', DecodeCounter);
  Try(input, 'J', DecodeJob);
  Try(input, 'I', DecodeInode);
  Try(input, 'T', DecodeTouch);
  Try(input, 'D', DecodeEntry);
  Try(input, 'P', DecodeLink);
  Try(input, 'X', DecodeAttribute);
  Try(input, 'O', DecodeOrphan);
  Try(input, 'E', DecodeExtent);
  // Keys as well.
  for (const Table table : {Table::kGroup, Table::kAllocation}) {
    const absl::StatusOr<uint64_t> group = GroupOf(table, input);
    STRATA_CHECK(group.ok() || absl::IsDataLoss(group.status()), group.status().ToString());
  }
  STRATA_CHECK(!DiskOf(input).ok() || DiskKey(*DiskOf(input)) == input, "a disk's key");
  const absl::StatusOr<SegmentsChunk> chunk = SegmentsOf(input);
  STRATA_CHECK(!chunk.ok() || SegmentsKey(chunk->disk, chunk->chunk) == input, "a map's key");
}

}  // namespace
}  // namespace strata::ofs

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::ofs::TryAll({reinterpret_cast<const char*>(data), size});
  return 0;
}

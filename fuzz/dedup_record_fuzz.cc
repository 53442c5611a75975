// SPDX-License-Identifier: Apache-2.0
//
// Recipes and the records of the kv store, on any bytes. What decodes must encode to something that
// decodes to the same.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "format/catalogue_record.h"
#include "format/index_records.h"
#include "format/recipe.h"
#include "index/saved_filter.h"
#include "strata/base/check.h"

namespace strata::dedup {
namespace {

template <typename Record, typename Bytes, typename Encode, typename Decode>
void Try(const Bytes& input, Encode encode, Decode decode) {
  const absl::StatusOr<Record> record = decode(input);
  if (!record.ok()) {
    STRATA_CHECK(absl::IsDataLoss(record.status()) || absl::IsUnimplemented(record.status()),
                 record.status().ToString());
    return;
  }
  const auto encoded = encode(*record);
  STRATA_CHECK(encoded.size() <= input.size(), "a record grew");
  const absl::StatusOr<Record> again = decode(encoded);
  STRATA_CHECK(again.ok(), again.status().ToString());
  STRATA_CHECK(*again == *record, "a record changed on its way");
}

}  // namespace
}  // namespace strata::dedup

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata::dedup;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  Try<RecipeNode>(bytes, EncodeRecipeNode, DecodeRecipeNode);
  Try<StreamRecord>(text, EncodeStreamRecord, DecodeStreamRecord);
  Try<ChunkPlace>(text, EncodeChunkPlace, DecodeChunkPlace);
  Try<ContainerRecord>(text, EncodeContainerRecord, DecodeContainerRecord);
  Try<CatalogueEntry>(text, EncodeCatalogueEntry, DecodeCatalogueEntry);
  Try<StoreRecord>(text, EncodeStoreRecord, DecodeStoreRecord);
  Try<FilterRecord>(text, EncodeFilterRecord, DecodeFilterRecord);
  return 0;
}

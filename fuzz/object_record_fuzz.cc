// SPDX-License-Identifier: Apache-2.0
//
// Every record decoder, on any bytes. What decodes must encode to a record that decodes to the same
// again; the first byte of a record says which decoder is meant, all others must refuse it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "records/records.h"
#include "strata/base/check.h"

namespace strata::object {
namespace {

std::string EncodeAny(const std::vector<ContentPiece>& pieces) { return EncodeManifest(pieces); }
template <typename Record>
std::string EncodeAny(const Record& record) {
  return Encode(record);
}

template <typename Record>
void Try(std::string_view input, char kind, absl::StatusOr<Record> (*decode)(std::string_view)) {
  const absl::StatusOr<Record> record = decode(input);
  if (!record.ok()) {
    STRATA_CHECK(absl::IsDataLoss(record.status()) || absl::IsUnimplemented(record.status()),
                 record.status().ToString());
    return;
  }
  STRATA_CHECK(input[0] == kind, "a decoder took another kind of record");
  const std::string encoded = EncodeAny(*record);
  STRATA_CHECK(encoded.size() <= input.size(), "a record grew");
  const absl::StatusOr<Record> again = decode(encoded);
  STRATA_CHECK(again.ok(), again.status().ToString());
  STRATA_CHECK(EncodeAny(*again) == encoded, "a record has two encodings");
}

void TryAll(std::string_view input) {
  Try(input, 'B', DecodeBucket);
  Try(input, 'O', DecodeObject);
  Try(input, 'L', DecodeUpload);
  Try(input, 'P', DecodePart);
  Try(input, 'D', DecodeCompleted);
  Try(input, 'R', DecodeReap);
  Try(input, 'U', DecodeUser);
  Try(input, 'K', DecodeAccessKey);
  Try(input, 'M', DecodeManifest);
}

}  // namespace
}  // namespace strata::object

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::object::TryAll({reinterpret_cast<const char*>(data), size});
  return 0;
}

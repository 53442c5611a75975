// SPDX-License-Identifier: Apache-2.0
//
// The record codec on any bytes, with a record of every kind of field: it refuses them with an
// error that names the fault, or what it decodes encodes to the same bytes again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kv/sample_record.h"
#include "strata/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata::kv;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  SampleRecord record;
  const absl::Status status = DecodeRecord<SampleFields>(input, &record);
  if (status.ok()) {
    STRATA_CHECK(EncodeRecord<SampleFields>(record) == input, "a record has two encodings");
  } else {
    STRATA_CHECK(absl::IsDataLoss(status) || absl::IsUnimplemented(status), status.ToString());
  }
  return 0;
}

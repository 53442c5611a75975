// SPDX-License-Identifier: Apache-2.0
//
// A key file of any bytes. A refusal says the same whatever stands in the file.
#include <cstddef>
#include <cstdint>
#include <string>

#include "appliance/key_file.h"
#include "strata/base/check.h"
#include "support/input_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const strata::test::InputFile file(data, size);
  const auto key = strata::appliance::ReadKeyFile(file.path());
  if (key.ok()) {
    STRATA_CHECK(size == 32 || (size >= 64 && size <= 66), "a key of a wrong size was taken");
    return 0;
  }
  STRATA_CHECK(absl::IsInvalidArgument(key.status()), key.status().ToString());
  STRATA_CHECK(std::string(key.status().message()) ==
                   file.path() + " does not hold a key: 32 bytes, or 64 hexadecimal digits",
               key.status().ToString());
  return 0;
}

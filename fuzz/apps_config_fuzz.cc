// SPDX-License-Identifier: Apache-2.0
//
// A configuration file of any bytes. What is accepted prints as a file that reads back as the same.
#include <cstddef>
#include <cstdint>
#include <string>

#include "appliance/config.h"
#include "strata/base/check.h"
#include "support/input_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata::appliance;  // NOLINT: a program's own file
  const strata::test::InputFile file(data, size);
  const absl::StatusOr<Config> config = LoadConfig({.file = file.path()});
  if (!config.ok()) {
    STRATA_CHECK(absl::IsInvalidArgument(config.status()), config.status().ToString());
    return 0;
  }
  const std::string printed = PrintConfig(*config);
  const strata::test::InputFile again(reinterpret_cast<const uint8_t*>(printed.data()),
                                      printed.size());
  const absl::StatusOr<Config> back = LoadConfig({.file = again.path()});
  STRATA_CHECK(back.ok(), back.status().ToString());
  STRATA_CHECK(PrintConfig(*back) == printed, "a printed configuration reads back as another");
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
//
// Includes every header of a component (all_headers.h is written by the test) and calls into base.
#include <strata/base/crc32c.h>
#include <strata/base/status_macros.h>

#include <cstdio>
#include <span>
#include <string_view>

#include "all_headers.h"

absl::Status Check() {
  const uint32_t crc = strata::Crc32c(std::as_bytes(std::span(std::string_view("123456789"))));
  std::printf("crc32c %08X\n", crc);
  return crc == 0xE3069283u ? absl::OkStatus() : absl::DataLossError("crc32c");
}

absl::Status Run() {
  STRATA_RETURN_IF_ERROR(Check());
  return UseComponent();
}

int main() {
  const absl::Status status = Run();
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

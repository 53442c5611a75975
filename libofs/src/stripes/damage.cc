// SPDX-License-Identifier: Apache-2.0
#include "stripes/damage.h"

#include "absl/strings/str_cat.h"

namespace strata::ofs {

Damage DescribeDamage(DiskFault fault, const Disk& disk, uint64_t group, uint32_t column, int unit,
                      std::string_view what) {
  const std::string_view name = DiskFaultName(fault);
  return {.fault = fault,
          .disk = disk.number(),
          .group = group,
          .column = column,
          .unit = unit,
          .status = absl::DataLossError(
              absl::StrCat("group ", group, ", column ", column, ", unit ", unit, " on ",
                           disk.name(), ": ", absl::string_view(name.data(), name.size()),
                           what.empty() ? "" : ": ", absl::string_view(what.data(), what.size())))};
}

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
#include "stripes/damage.h"

#include "absl/strings/str_cat.h"

namespace strata::ofs {

Damage DescribeDamage(DiskFault fault, const Disk& disk, const StripeName& stripe, int unit,
                      std::string_view what) {
  const std::string_view name = DiskFaultName(fault);
  return {.fault = fault,
          .disk = disk.number(),
          .stripe = stripe,
          .unit = unit,
          .status = absl::DataLossError(
              absl::StrCat("group ", stripe.group, ", column ", stripe.column, ", unit ", unit,
                           " on ", disk.name(), ": ", absl::string_view(name.data(), name.size()),
                           what.empty() ? "" : ": ", absl::string_view(what.data(), what.size())))};
}

}  // namespace strata::ofs

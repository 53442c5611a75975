// SPDX-License-Identifier: Apache-2.0
#include "data/data_context.h"

namespace strata::ofs {

GroupKind KindOf(const FormatRecord& format, const LayoutRecord& layout) {
  return {.pool = layout.pool != 0 ? layout.pool : kDefaultPool,
          .wanted = layout.protection.value_or(format.default_protection)};
}

}  // namespace strata::ofs

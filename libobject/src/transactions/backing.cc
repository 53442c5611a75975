// SPDX-License-Identifier: Apache-2.0
#include "transactions/backing.h"

#include "strata/base/endian.h"

namespace strata::object {

RecordId Backing::NewRecordId() const {
  RecordId id;
  auto* at = reinterpret_cast<std::byte*>(id.data());
  StoreBe64(at, NowNs());
  StoreBe64(at + 8, ids->Next64());
  return id;
}

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
//
// When a conditional request goes ahead. RFC 9110, section 13.2.2, and Amazon S3's refinements.
// Dates have whole seconds: that is what HTTP can say.
// Pure; thread-safe.
#pragma once

#include "absl/status/status.h"
#include "records/records.h"
#include "strata/object/types.h"

namespace strata::object {

bool AsksNothing(const Conditions& conditions);

// kPreconditionFailed, kNotModified.
absl::Status CheckReadConditions(const Conditions& conditions, const ObjectRecord& object);

// kPreconditionFailed, also where a read would say kNotModified.
absl::Status CheckCopySourceConditions(const Conditions& conditions, const ObjectRecord& object);

// `current`: the object that would be replaced; nullptr: none. kPreconditionFailed; kNoSuchKey: an
// If-Match and no object.
absl::Status CheckWriteConditions(const Conditions& conditions, const ObjectRecord* current);

}  // namespace strata::object

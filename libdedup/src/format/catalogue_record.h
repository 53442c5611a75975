// SPDX-License-Identifier: Apache-2.0
//
// The records of the catalogue (docs/formats/dedup.md). Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/dedup/catalogue.h"

namespace strata::dedup {

inline constexpr size_t kMaxHoles = 4096;

// InvalidArgument: fields that do not belong to the kind, or that no decoder would take.
absl::Status CheckCatalogueEntry(const CatalogueEntry& entry);

// REQUIRES: CheckCatalogueEntry().
std::string EncodeCatalogueEntry(const CatalogueEntry& entry);

// DataLoss: undecodable; Unimplemented: a newer version.
absl::StatusOr<CatalogueEntry> DecodeCatalogueEntry(std::string_view bytes);

}  // namespace strata::dedup

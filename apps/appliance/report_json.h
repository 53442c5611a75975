// SPDX-License-Identifier: Apache-2.0
//
// What the deduplicating store counts and reports, as the JSON that stratad, strata and strata
// dedup answer with. Pure; thread-safe.
#pragma once

#include "appliance/json_fwd.h"
#include "strata/dedup/types.h"

namespace strata::appliance {

// 1 where `after` is 0: an empty store reduces nothing.
double Ratio(uint64_t before, uint64_t after);

// What is stored now, with what deduplication and compression saved.
Json StoredJson(const dedup::Stats& stats);

// What happened since the store was opened. Times are in seconds.
Json ActivityJson(const dedup::Stats& stats);

Json GarbageJson(const dedup::GarbageReport& report);

Json DamageJson(const dedup::Damage& damage);

// `streams` and `objects` are damaged.
Json VerifyJson(const dedup::VerifyReport& report, Json streams, Json objects);

}  // namespace strata::appliance

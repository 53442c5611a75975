// SPDX-License-Identifier: Apache-2.0
//
// What an opening does with the journal's records that it finds in containers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "format/journal_format.h"
#include "format/region_format.h"
#include "store_core.h"

namespace strata::dedup {

struct CollectedPart {
  std::vector<std::byte> bytes;  // What `part` refers to.
  JournalPart part;
};
// Adds the part that a journal region holds; other regions are none of its business. Unimplemented:
// a newer format. What cannot be decoded is named in `damage`.
absl::Status CollectJournal(const DecodedRegion& region, Codec& codec,
                            std::vector<CollectedPart>* parts, std::vector<std::string>* damage);
// Writes what a record did, and where that leaves the journal, to the kv store.
absl::Status ApplyJournalRecord(StoreCore& core, const JournalPlace& place,
                                std::string_view operations);
// What the kv store says of the journal. Nothing: it was never told of one.
absl::StatusOr<std::optional<JournalPlace>> ReadJournalPlace(StoreCore& core);
// The regions that were found in each container that the kv store does not know as sealed.
using UnsealedRegions = absl::flat_hash_map<uint64_t, absl::flat_hash_set<uint32_t>>;
struct ReplayedJournal {
  JournalPlace applied;        // The newest record that the kv store has now.
  bool some_are_void = false;  // Records were found that do not follow from it, and never will.
};
// Brings the kv store to the state of the journal, of which `records` were found in the containers
// `unsealed`.
absl::StatusOr<ReplayedJournal> ReplayJournal(StoreCore& core, const JournalRecords& records,
                                              const UnsealedRegions& unsealed);
// For a read-only opening, which leaves the kv store as it is: says so where it lacks commits that
// the journal has.
void WarnOfUnreplayedJournal(const StoreCore& core, const JournalRecords& records,
                             const UnsealedRegions& unsealed, const JournalPlace& applied);

}  // namespace strata::dedup

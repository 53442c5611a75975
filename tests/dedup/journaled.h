// SPDX-License-Identifier: Apache-2.0
//
// For tests of the journal: what the kv store holds that is logged, and whether the device alone
// gives it back.
#pragma once

#include <map>
#include <string>

#include "fixture.h"

namespace strata::dedup {

using KvContent = std::map<std::string, std::map<std::string, std::string>>;

// Of all spaces but those that are made from the containers. Empty ones are left out.
inline KvContent LoggedContent(kv::Store& kv) {
  KvContent content;
  const auto spaces = kv.ListSpaces();
  REQUIRE(spaces.ok());
  for (const kv::SpaceInfo& space : *spaces) {
    if (space.name == "dedup.containers" || space.name == "dedup.chunks" ||
        space.name == "dedup.filter") {
      continue;
    }
    const auto id = kv.OpenSpace(space.name, space.options);
    REQUIRE(id.ok());
    const auto snapshot = kv.NewSnapshot();
    kv::Range range;
    for (bool more = true; more;) {
      const auto page = snapshot->List(*id, range, {});
      REQUIRE(page.ok());
      for (const kv::KeyValue& item : page->items) content[space.name][item.key] = item.value;
      more = page->more;
      if (more) range.begin = page->items.back().key + '\0';
    }
  }
  return content;
}

// A kv store made from `options.device` alone. REQUIRES: no store is open on the device.
inline std::unique_ptr<kv::Store> Rebuilt(StoreOptions options, MetadataReport* report) {
  std::unique_ptr<kv::Store> made = kv::CreateMemoryStore();
  options.kv = made.get();
  const absl::StatusOr<MetadataReport> outcome = RebuildMetadata(options, nullptr);
  INFO(outcome.status());
  REQUIRE(outcome.ok());
  *report = *outcome;
  return made;
}

inline void CheckRebuild(const StoreOptions& options, bool nothing_lost = true) {
  MetadataReport report;
  const std::unique_ptr<kv::Store> made = Rebuilt(options, &report);
  for (const std::string& lost : report.lost) UNSCOPED_INFO(lost);
  const KvContent expected = LoggedContent(*options.kv);
  const KvContent rebuilt = LoggedContent(*made);
  for (const auto& [space, items] : expected) {
    const auto found = rebuilt.find(space);
    UNSCOPED_INFO(space << ": " << items.size() << " keys, rebuilt "
                        << (found == rebuilt.end() ? 0 : found->second.size()));
  }
  CHECK((report.lost.empty() || !nothing_lost));
  REQUIRE(expected == rebuilt);
}

}  // namespace strata::dedup

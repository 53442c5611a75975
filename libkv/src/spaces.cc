// SPDX-License-Identifier: Apache-2.0
#include "spaces.h"

#include "absl/strings/str_cat.h"
#include "argument_checks.h"
#include "strata/base/status_macros.h"

namespace strata::kv {

absl::StatusOr<SpaceId> Spaces::Open(std::string_view name, const SpaceOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckSpaceName(name));
  MutexLock lock(&mutex_);
  const auto opened = by_name_.find(name);
  if (opened != by_name_.end()) {
    if (opened->second.options.access == options.access) return opened->second.id;
    return absl::InvalidArgumentError(
        absl::StrCat("space ", std::string(name), " was made with other options"));
  }
  const SpaceId id{count_.load(std::memory_order_relaxed) + 1};
  STRATA_RETURN_IF_ERROR(engine_->OpenSpace(id, name, options));
  by_name_.emplace(name, OpenedSpace{id, options});
  count_.store(id.value, std::memory_order_release);
  return id;
}

std::vector<SpaceInfo> Spaces::List() {
  MutexLock lock(&mutex_);
  std::map<std::string, SpaceOptions> all;
  for (const SpaceInfo& space : engine_->ListSpaces()) all[space.name] = space.options;
  for (const auto& [name, opened] : by_name_) all[name] = opened.options;
  std::vector<SpaceInfo> list;
  for (const auto& [name, options] : all) list.push_back({name, options});
  return list;
}

absl::StatusOr<SpaceInfo> Spaces::Find(SpaceId space) {
  STRATA_RETURN_IF_ERROR(Check(space));
  MutexLock lock(&mutex_);
  for (const auto& [name, opened] : by_name_) {
    if (opened.id == space) return SpaceInfo{name, opened.options};
  }
  return absl::InternalError("a space lost its name");
}

absl::Status Spaces::Check(SpaceId space) const {
  if (space.value >= 1 && space.value <= count_.load(std::memory_order_acquire)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("no space has the id ", space.value));
}

}  // namespace strata::kv

// SPDX-License-Identifier: Apache-2.0
//
// The spaces that were opened: names to ids.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine.h"
#include "strata/base/mutex.h"
#include "strata/kv/store.h"

namespace strata::kv {

class Spaces {
 public:
  explicit Spaces(Engine* engine) : engine_(engine) {}

  absl::StatusOr<SpaceId> Open(std::string_view name, const SpaceOptions& options);

  // Those that were opened and those that the engine has, in order of name.
  std::vector<SpaceInfo> List();
  absl::StatusOr<SpaceInfo> Find(SpaceId space);  // InvalidArgument.

  // InvalidArgument: no OpenSpace() has returned this id.
  absl::Status Check(SpaceId space) const;

 private:
  struct OpenedSpace {
    SpaceId id;
    SpaceOptions options;
  };

  Engine* const engine_;
  std::atomic<uint32_t> count_{0};  // Ids are 1..count_.
  Mutex mutex_;
  std::map<std::string, OpenedSpace, std::less<>> by_name_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::kv

// SPDX-License-Identifier: Apache-2.0
//
// What an embedded store needs from the engine beneath it: views of the state after some batch, and
// batches applied whole. Conflicts, versions, limits and watches are none of its business.
//
// Thread safety: everything may be called from any thread, except Apply(), which one thread calls
// at a time. A View is immutable and may be read by any thread; the Engine outlives its Views.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/kv/store.h"

namespace strata::kv {

// The state after one Apply(), whatever is applied later. Spaces, keys and page sizes were checked
// by the caller.
class View {
 public:
  virtual ~View() = default;

  virtual absl::StatusOr<std::optional<std::string>> Get(SpaceId space,
                                                         std::string_view key) const = 0;
  virtual absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      SpaceId space, const std::vector<std::string>& keys) const = 0;
  virtual absl::StatusOr<Page> List(SpaceId space, const Range& range,
                                    const PageOptions& options) const = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;  // REQUIRES: every View is destroyed.

  // Opens the space, making it when absent. REQUIRES: ids come as 1, 2, 3 ... and names differ.
  // InvalidArgument: the space exists with other options.
  virtual absl::Status OpenSpace(SpaceId id, std::string_view name,
                                 const SpaceOptions& options) = 0;

  // The state after the last Apply() that returned. Cheap: one is taken for every group of commits.
  virtual std::shared_ptr<const View> NewView() = 0;

  // Applies the operations of all batches, in order, at once; when `sync`, they and everything
  // before them are durable when it returns. After an error the outcome is unknown: apply nothing
  // more.
  virtual absl::Status Apply(std::span<const WriteBatch* const> batches, bool sync) = 0;

  // FailedPrecondition: it was opened read-only.
  virtual absl::Status CheckWritable() const { return absl::OkStatus(); }

  // Makes everything durable whose Apply() returned before the call.
  virtual absl::Status Sync() = 0;

  // As Store's. Apply() may run at the same time.
  virtual absl::Status VerifyChecksums() { return absl::OkStatus(); }
  virtual absl::Status Compact(uint64_t most_bytes) {
    (void)most_bytes;
    return absl::OkStatus();
  }
  // False: the engine has no way of its own.
  virtual absl::StatusOr<bool> ClearSpace(SpaceId) { return false; }

  virtual absl::Status Checkpoint(const std::string& directory) = 0;

  // The spaces that were there before any OpenSpace(). Called like OpenSpace().
  virtual std::vector<SpaceInfo> ListSpaces() const { return {}; }

  // A number that every operation ever applied made larger: where the versions of a reopened store
  // begin.
  virtual uint64_t applied_count() const = 0;

  // How often the engine has asked the machine to make data durable: what group commit saves on.
  virtual uint64_t sync_count() const = 0;
};

}  // namespace strata::kv

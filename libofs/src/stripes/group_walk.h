// SPDX-License-Identifier: Apache-2.0
//
// Finds the stripes of a group, column after column, by the heads on its disks.
//
//   GroupWalk walk(filesystem, disks, group, record, taken);
//   while (true) {
//     STRATA_ASSIGN_OR_RETURN(const GroupWalk::Step step, walk.Next());
//     if (step.is_end) break;
//     if (step.stripe.has_value()) ...
//   }
//
// Thread safety: one thread. REQUIRES: nobody takes or frees columns of the group meanwhile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "disks/disk.h"
#include "format/records.h"
#include "stripes/stripe_reader.h"

namespace strata::ofs {

class GroupWalk final {
 public:
  // `taken` are the columns in use.
  GroupWalk(const Uuid& filesystem, const DiskSet* disks, uint64_t group, GroupRecord record,
            Bitmap taken)
      : filesystem_(filesystem),
        disks_(disks),
        group_(group),
        record_(std::move(record)),
        taken_(std::move(taken)) {}

  struct Step {
    bool is_end = false;
    std::optional<StripeName> stripe{};
    // Without a stripe: taken columns in which no unit has a head, and why.
    uint32_t begin = 0;
    uint32_t end = 0;
    std::string why{};
  };
  // The next stripe. Unimplemented: a newer format.
  absl::StatusOr<Step> Next();

  // The stripe whose head is in this column; nullopt: no unit has one, and why.
  absl::StatusOr<std::optional<StripeName>> FindHead(uint32_t column, std::string* why) const;

 private:
  const Uuid filesystem_;
  const DiskSet* const disks_;
  const uint64_t group_;
  const GroupRecord record_;
  const Bitmap taken_;
  uint32_t cursor_ = 0;
};

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// Reads stripes from the disks: all heads, all checksums, and whether the parity is that of the
// data. What is lost is named by the paths of files.
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "check/check_context.h"
#include "check/stripe_uses.h"
#include "groups/group_table.h"
#include "stripes/codes.h"
#include "stripes/stripe_reader.h"

namespace strata::ofs {

class DataCheck final {
 public:
  static constexpr size_t kMaxLostStripes = 65'536;  // Of more than these files are not named.

  explicit DataCheck(CheckContext* context);

  // Errors are those of the metadata.
  absl::Status Read(uint64_t group, const GroupRecord& record, const UsedStripe& stripe);
  // After the last stripe: asks the extents which bytes of which files are lost.
  absl::Status NameLost();

 private:
  // Whether everything that is there is right. `parity_is_wrong`: but for that.
  bool ReadsWell(const StripeName& name, const GroupRecord& record, const UsedStripe& stripe,
                 bool* parity_is_wrong);
  absl::Status AddLost(uint64_t inode, uint64_t begin, uint64_t end);

  CheckContext& context_;
  GroupTable groups_;
  Codes codes_;
  std::vector<Damage> damage_;  // Of the stripe in hand.
  StripeReader reader_;
  std::set<StripeName> lost_;
  uint64_t stripes_ = 0;
};

}  // namespace strata::ofs

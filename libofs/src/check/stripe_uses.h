// SPDX-License-Identifier: Apache-2.0
//
// What extents and rows of `Z` use of the stripes of some groups: of as many groups as fit into
// memory. The groups with the highest numbers are dropped when more come.
//
//   StripeUses uses(/*first_group=*/1, memory_bytes);
//   for (...) uses.Add(group, use);
//   for (const Stripe& stripe : uses.Take(group)) ...   // Of groups in [first_group, end()).
//
// Thread safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace strata::ofs {

// Bytes of a stripe's payload that are a file's, or that were freed.
struct StripeUse {
  uint64_t birth = 0;
  uint64_t inode = 0;  // 0: freed; then the offset counts for nothing.
  uint32_t column = 0;
  uint32_t payload_bytes = 0;  // Of the whole stripe.
  uint32_t offset = 0;
  uint32_t bytes = 0;
  uint8_t unit_blocks = 0;
};

struct UsedStripe {
  uint64_t birth = 0;
  uint64_t inode = 0;  // One of those that have bytes in it; 0: there is none.
  uint32_t column = 0;
  uint32_t payload_bytes = 0;
  uint32_t unit_blocks = 0;
  uint64_t live_bytes = 0;
  uint64_t freed_bytes = 0;
  bool has_shared_bytes = false;  // Two extents refer to the same ones.
};

class StripeUses final {
 public:
  StripeUses(uint64_t first_group, uint64_t memory_bytes)
      : first_(first_group), memory_bytes_(memory_bytes) {}

  void Add(uint64_t group, const StripeUse& use);

  // The uses of groups below this number are complete; UINT64_MAX: those of all groups are.
  uint64_t end() const { return end_; }
  // The first group from `group` on that has uses; false: there is none.
  bool FindFrom(uint64_t group, uint64_t* found) const;
  // The stripes of a group by column; its uses are dropped.
  std::vector<UsedStripe> Take(uint64_t group);

 private:
  using Uses = std::vector<StripeUse>;
  static void Join(Uses* uses);
  void Shrink();

  const uint64_t first_;
  const uint64_t memory_bytes_;
  uint64_t end_ = UINT64_MAX;
  std::map<uint64_t, Uses> groups_;
  uint64_t held_bytes_ = 0;  // Of the vectors, with what they have in reserve.
};

}  // namespace strata::ofs

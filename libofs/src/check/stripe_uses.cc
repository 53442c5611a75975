// SPDX-License-Identifier: Apache-2.0
#include "check/stripe_uses.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace strata::ofs {
namespace {

// What tells stripes apart that one column is said to belong to.
auto StripeOf(const StripeUse& use) {
  return std::tuple(use.column, use.birth, use.unit_blocks, use.payload_bytes);
}

bool IsFreed(const StripeUse& use) { return use.inode == 0; }

}  // namespace

void StripeUses::Add(uint64_t group, const StripeUse& use) {
  if (group < first_ || group >= end_) return;
  Uses& uses = groups_[group];
  const size_t before = uses.capacity();
  uses.push_back(use);
  held_bytes_ += (uses.capacity() - before) * sizeof(StripeUse);
  if (held_bytes_ > memory_bytes_) Shrink();
}

bool StripeUses::FindFrom(uint64_t group, uint64_t* found) const {
  const auto it = groups_.lower_bound(group);
  if (it == groups_.end()) return false;
  *found = it->first;
  return true;
}

// Joins neighbours: pieces of one stripe that follow each other without a gap, and what was freed
// of one stripe. Bytes that occur twice stay apart, so that they are seen at the end.
void StripeUses::Join(Uses* uses) {
  std::sort(uses->begin(), uses->end(), [](const StripeUse& a, const StripeUse& b) {
    return std::tuple(StripeOf(a), IsFreed(a), a.offset) <
           std::tuple(StripeOf(b), IsFreed(b), b.offset);
  });
  size_t kept = 0;
  for (size_t i = 0; i < uses->size(); ++i) {
    const StripeUse use = (*uses)[i];
    if (kept > 0) {
      StripeUse& last = (*uses)[kept - 1];
      const bool is_one = StripeOf(last) == StripeOf(use) && IsFreed(last) == IsFreed(use);
      const bool has_room = uint64_t{last.bytes} + use.bytes <= UINT32_MAX;
      if (is_one && has_room && (IsFreed(use) || last.offset + last.bytes == use.offset)) {
        last.bytes += use.bytes;
        continue;
      }
    }
    (*uses)[kept++] = use;
  }
  uses->resize(kept);
}

void StripeUses::Shrink() {
  for (auto& [group, uses] : groups_) {
    const size_t before = uses.capacity();
    Join(&uses);
    // Only where it is worth the copy: what comes next needs some reserve again.
    if (uses.size() < before / 2) uses.shrink_to_fit();
    held_bytes_ -= (before - uses.capacity()) * sizeof(StripeUse);
  }
  while (held_bytes_ > memory_bytes_ / 2 && groups_.size() > 1) {
    const auto last = std::prev(groups_.end());
    held_bytes_ -= last->second.capacity() * sizeof(StripeUse);
    end_ = last->first;
    groups_.erase(last);
  }
}

std::vector<UsedStripe> StripeUses::Take(uint64_t group) {
  std::vector<UsedStripe> stripes;
  const auto it = groups_.find(group);
  if (it == groups_.end()) return stripes;
  Uses& uses = it->second;
  Join(&uses);
  uint64_t live_end = 0;
  for (size_t i = 0; i < uses.size(); ++i) {
    const StripeUse& use = uses[i];
    if (i == 0 || StripeOf(uses[i - 1]) != StripeOf(use)) {
      stripes.push_back({.birth = use.birth,
                         .column = use.column,
                         .payload_bytes = use.payload_bytes,
                         .unit_blocks = use.unit_blocks});
      live_end = 0;
    }
    UsedStripe& stripe = stripes.back();
    if (IsFreed(use)) {
      stripe.freed_bytes += use.bytes;
      continue;
    }
    stripe.inode = use.inode;
    stripe.live_bytes += use.bytes;
    stripe.has_shared_bytes = stripe.has_shared_bytes || use.offset < live_end;
    live_end = std::max(live_end, uint64_t{use.offset} + use.bytes);
  }
  held_bytes_ -= uses.capacity() * sizeof(StripeUse);
  groups_.erase(it);
  return stripes;
}

}  // namespace strata::ofs

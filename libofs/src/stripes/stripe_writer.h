// SPDX-License-Identifier: Apache-2.0
//
// Writes stripes into free columns of groups.
//
//   STRATA_ASSIGN_OR_RETURN(WrittenStripe stripe, writer.Write(content));  // Not durable yet.
//   STRATA_RETURN_IF_ERROR(writer.Flush({&stripe, 1}));                    // Now it is.
//   ... commit the extents that refer to it ...
//   allocator.Keep(stripe.columns);  // Or Drop(), when nothing came to refer to it.
//
// Thread safety: any thread, many at once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "disks/disk.h"
#include "format/stripe_head.h"
#include "groups/allocator.h"
#include "stripes/codes.h"
#include "stripes/damage.h"

namespace strata::ofs {

struct StripeContent {
  GroupKind kind{};
  std::vector<StripeRecord> records{};  // Ascending by payload offset.
  std::span<const std::byte> payload{};
};

struct WrittenStripe {
  Columns columns{};
  uint32_t payload_bytes = 0;
};

struct StripeWriterOptions {
  Uuid filesystem{};
  const DiskSet* disks = nullptr;
  Allocator* allocator = nullptr;
  Codes* codes = nullptr;
  DamageSink on_damage{};
};

class StripeWriter final {
 public:
  explicit StripeWriter(StripeWriterOptions options) : options_(std::move(options)) {}

  // All units are written when it returns. A disk that fails gets no new stripes from then on, and
  // the stripe goes to another group, so that it always has its full protection. Errors are those
  // of Allocator::Take(); ResourceExhausted: also a thin device that found no space, named;
  // Unavailable: group after group failed.
  absl::StatusOr<WrittenStripe> Write(const StripeContent& content);

  // Makes stripes durable on all of their disks. Unavailable: a disk failed, named; it gets no new
  // stripes. The caller drops those stripes that lie on it and writes them again.
  absl::Status Flush(std::span<const WrittenStripe> stripes);

  // Writes and flushes, and does both again for stripes whose disk failed to flush. On an error
  // nothing is left taken.
  absl::StatusOr<std::vector<WrittenStripe>> WriteDurably(std::span<const StripeContent> contents);

 private:
  // False: a disk failed, or is not there.
  absl::StatusOr<bool> WriteTo(const Columns& columns, const StripeContent& content);
  void NoteFault(DiskFault fault, Disk& disk, const Columns& columns, int unit,
                 const absl::Status& status);
  absl::Status Flush(std::span<const WrittenStripe> stripes, std::vector<uint32_t>* failed);

  const StripeWriterOptions options_;
};

}  // namespace strata::ofs

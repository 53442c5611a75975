// SPDX-License-Identifier: Apache-2.0
//
// Takes content in: into a dedup stream, and through the digests that become its ETag, its checksum
// and the proof of what the sender claimed.
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "records/records.h"
#include "strata/object/types.h"
#include "transactions/backing.h"

namespace strata::object {

// What was taken in, durable but not yet referred to.
struct TakenContent {
  ContentPiece piece;
  std::string md5;
  std::optional<Checksum> checksum;
  uint64_t new_bytes = 0;
  uint64_t stored_bytes = 0;
  dedup::Writer* writer = nullptr;  // To commit; nullptr: the content is empty.
};

class ContentIntake final {
 public:
  ContentIntake(dedup::Store* dedup, std::optional<ChecksumAlgorithm> checksum_algorithm);

  // REQUIRES: before the first Write().
  void OmitSha256();

  // kEntityTooLarge, kStorageFull. Any error is final.
  absl::Status Write(std::span<const std::byte> data);

  // kBadDigest. The result's writer lives as long as this. Call it once.
  absl::StatusOr<TakenContent> Finish(const ContentClaims& claims);

 private:
  absl::Status DoWrite(std::span<const std::byte> data);
  absl::Status FinishDigests(const ContentClaims& claims, TakenContent* content);

  dedup::Store* const dedup_;
  const std::unique_ptr<Digest> md5_;
  std::unique_ptr<Digest> sha256_;
  const std::optional<ChecksumAlgorithm> checksum_algorithm_;
  std::unique_ptr<Digest> checksum_;  // nullptr where md5_ or sha256_ is the same.
  std::unique_ptr<dedup::Writer> writer_;
  uint64_t size_bytes_ = 0;
  absl::Status failure_;
};

}  // namespace strata::object

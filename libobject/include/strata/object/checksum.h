// SPDX-License-Identifier: Apache-2.0
//
// The checksums S3 clients send along with content: CRC-32 (ISO 3309), CRC-32C (RFC 3720),
// CRC-64/NVME (NVMe NVM Command Set 1.0, section 5.2.1.3.4), SHA-1 and SHA-256 (FIPS 180-4), MD5
// (RFC 1321). A Digest is used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "strata/base/export.h"

namespace strata::object {

enum class ChecksumAlgorithm : uint8_t {
  kCrc32 = 1,
  kCrc32c = 2,
  kCrc64Nvme = 3,
  kSha1 = 4,
  kSha256 = 5,
  kMd5 = 6
};

// "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "MD5", in any case.
STRATA_EXPORT absl::StatusOr<ChecksumAlgorithm> ParseChecksumAlgorithm(std::string_view name);
STRATA_EXPORT std::string_view ChecksumAlgorithmName(ChecksumAlgorithm algorithm);

class STRATA_EXPORT Digest {
 public:
  static std::unique_ptr<Digest> Create(ChecksumAlgorithm algorithm);
  virtual ~Digest() = default;
  virtual void Update(std::span<const std::byte> data) = 0;

  // The raw value: 4, 8, 16, 20 or 32 bytes, CRCs in network order. REQUIRES: called once, last.
  virtual std::string Finish() = 0;
};

// A checksum value as it is stored with an object.
struct Checksum {
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::kCrc32;
  std::string value;        // Raw bytes.
  uint32_t part_count = 0;  // > 0: composite, the digest of that many parts' digests.
  friend bool operator==(const Checksum&, const Checksum&) = default;
};

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
#include "strata/dedup/fingerprint.h"

#include <openssl/sha.h>

#include "fingerprint/sha256_lanes.h"
#include "strata/base/check.h"
#include "strata/base/hex.h"

namespace strata::dedup {

std::string Fingerprint::ToHex() const {
  return strata::ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Fingerprint FingerprintOf(std::span<const std::byte> chunk) {
  Fingerprint fingerprint;
  SHA256(reinterpret_cast<const unsigned char*>(chunk.data()), chunk.size(),
         reinterpret_cast<unsigned char*>(fingerprint.bytes.data()));
  return fingerprint;
}

void FingerprintMany(std::span<const std::span<const std::byte>> chunks,
                     std::span<Fingerprint> fingerprints) {
  STRATA_CHECK(chunks.size() == fingerprints.size(), "one fingerprint per chunk");
  if (HasSha256Lanes()) {
    Sha256Lanes(BestSha256Engine(), chunks, fingerprints);
    return;
  }
  for (size_t i = 0; i < chunks.size(); ++i) fingerprints[i] = FingerprintOf(chunks[i]);
}

}  // namespace strata::dedup

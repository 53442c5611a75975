// SPDX-License-Identifier: Apache-2.0
//
// The cryptographic digests, from OpenSSL. The only file that knows OpenSSL is openssl_digest.cc.
#pragma once

#include <memory>

#include "strata/object/checksum.h"

namespace strata::object {

// REQUIRES: kMd5, kSha1 or kSha256.
std::unique_ptr<Digest> CreateOpenSslDigest(ChecksumAlgorithm algorithm);

}  // namespace strata::object

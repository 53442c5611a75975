// SPDX-License-Identifier: Apache-2.0
//
// SHA-256, HMAC-SHA-256 and MD5. Digests are those of object::Digest; only the HMAC is OpenSSL's
// own. Values are raw bytes. Functions are safe from any thread; a Sha256 is used by one at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "strata/object/checksum.h"

namespace strata::s3 {

class Sha256 final {
 public:
  void Update(std::span<const std::byte> data) { digest_->Update(data); }
  void Update(std::string_view text) { Update(std::as_bytes(std::span(text))); }

  // 32 bytes. The next Update() begins another digest.
  std::string Finish();

 private:
  std::unique_ptr<object::Digest> digest_ =
      object::Digest::Create(object::ChecksumAlgorithm::kSha256);
};

std::string Sha256Of(std::string_view text);
std::string HmacSha256(std::string_view key, std::string_view text);
std::string Md5Of(std::string_view text);

}  // namespace strata::s3

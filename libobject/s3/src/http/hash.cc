// SPDX-License-Identifier: Apache-2.0
#include "http/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "strata/base/check.h"

namespace strata::s3 {
namespace {

std::string DigestOf(object::ChecksumAlgorithm algorithm, std::string_view text) {
  const std::unique_ptr<object::Digest> digest = object::Digest::Create(algorithm);
  digest->Update(std::as_bytes(std::span(text)));
  return digest->Finish();
}

}  // namespace

std::string Sha256::Finish() {
  std::string value = digest_->Finish();
  digest_ = object::Digest::Create(object::ChecksumAlgorithm::kSha256);
  return value;
}

std::string Sha256Of(std::string_view text) {
  return DigestOf(object::ChecksumAlgorithm::kSha256, text);
}

std::string Md5Of(std::string_view text) { return DigestOf(object::ChecksumAlgorithm::kMd5, text); }

std::string HmacSha256(std::string_view key, std::string_view text) {
  // Looked up once: OpenSSL 3 searches its providers at every use of EVP_sha256().
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  STRATA_CHECK(algorithm != nullptr, "OpenSSL has no SHA-256");
  unsigned char value[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  STRATA_CHECK(HMAC(algorithm, key.data(), static_cast<int>(key.size()),
                    reinterpret_cast<const unsigned char*>(text.data()), text.size(), value,
                    &size) != nullptr,
               "OpenSSL cannot compute an HMAC");
  return std::string(reinterpret_cast<const char*>(value), size);
}

}  // namespace strata::s3

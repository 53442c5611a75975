// SPDX-License-Identifier: Apache-2.0
#include "http/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "strata/base/check.h"

namespace strata::s3 {
namespace {

// Looked up once: OpenSSL 3 searches its providers at every use of EVP_sha256().
const EVP_MD* Sha256Algorithm() {
  static const EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  STRATA_CHECK(algorithm != nullptr, "OpenSSL has no SHA-256");
  return algorithm;
}

std::string DigestOf(const EVP_MD* algorithm, std::string_view text) {
  unsigned char value[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  STRATA_CHECK(EVP_Digest(text.data(), text.size(), value, &size, algorithm, nullptr) == 1,
               "OpenSSL cannot digest");
  return std::string(reinterpret_cast<const char*>(value), size);
}

}  // namespace

struct Sha256::Context {
  Context() : digest(EVP_MD_CTX_new()) { Start(); }
  ~Context() { EVP_MD_CTX_free(digest); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void Start() {
    STRATA_CHECK(digest != nullptr && EVP_DigestInit_ex2(digest, Sha256Algorithm(), nullptr) == 1,
                 "OpenSSL cannot start SHA-256");
  }

  EVP_MD_CTX* digest;
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(std::span<const std::byte> data) {
  STRATA_CHECK(EVP_DigestUpdate(context_->digest, data.data(), data.size()) == 1,
               "OpenSSL cannot digest");
}

std::string Sha256::Finish() {
  unsigned char value[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  STRATA_CHECK(EVP_DigestFinal_ex(context_->digest, value, &size) == 1, "OpenSSL cannot digest");
  context_->Start();
  return std::string(reinterpret_cast<const char*>(value), size);
}

std::string Sha256Of(std::string_view text) { return DigestOf(Sha256Algorithm(), text); }

std::string HmacSha256(std::string_view key, std::string_view text) {
  unsigned char value[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  STRATA_CHECK(HMAC(Sha256Algorithm(), key.data(), static_cast<int>(key.size()),
                    reinterpret_cast<const unsigned char*>(text.data()), text.size(), value,
                    &size) != nullptr,
               "OpenSSL cannot compute an HMAC");
  return std::string(reinterpret_cast<const char*>(value), size);
}

std::string Md5Of(std::string_view text) { return DigestOf(EVP_md5(), text); }

}  // namespace strata::s3

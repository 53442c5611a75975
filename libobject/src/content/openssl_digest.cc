// SPDX-License-Identifier: Apache-2.0
#include "content/openssl_digest.h"

#include <openssl/evp.h>

#include <array>

#include "strata/base/check.h"

namespace strata::object {
namespace {

// Fetching an algorithm by name costs as much as hashing a kilobyte: done once per process.
const EVP_MD* Fetched(ChecksumAlgorithm algorithm) {
  static const EVP_MD* const md5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
  static const EVP_MD* const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  switch (algorithm) {
    case ChecksumAlgorithm::kMd5:
      return md5;
    case ChecksumAlgorithm::kSha1:
      return sha1;
    case ChecksumAlgorithm::kSha256:
      return sha256;
    default:
      return nullptr;
  }
}

class OpenSslDigest final : public Digest {
 public:
  explicit OpenSslDigest(const EVP_MD* algorithm) : context_(EVP_MD_CTX_new()) {
    STRATA_CHECK(context_ != nullptr && EVP_DigestInit_ex2(context_, algorithm, nullptr) == 1,
                 "OpenSSL cannot start a digest");
  }
  ~OpenSslDigest() override { EVP_MD_CTX_free(context_); }
  OpenSslDigest(const OpenSslDigest&) = delete;
  OpenSslDigest& operator=(const OpenSslDigest&) = delete;

  void Update(std::span<const std::byte> data) override {
    STRATA_CHECK(EVP_DigestUpdate(context_, data.data(), data.size()) == 1, "EVP_DigestUpdate");
  }

  std::string Finish() override {
    std::array<unsigned char, EVP_MAX_MD_SIZE> value;
    unsigned int size = 0;
    STRATA_CHECK(EVP_DigestFinal_ex(context_, value.data(), &size) == 1, "EVP_DigestFinal_ex");
    return std::string(reinterpret_cast<const char*>(value.data()), size);
  }

 private:
  EVP_MD_CTX* const context_;
};

}  // namespace

std::unique_ptr<Digest> CreateOpenSslDigest(ChecksumAlgorithm algorithm) {
  const EVP_MD* const fetched = Fetched(algorithm);
  STRATA_CHECK(fetched != nullptr, "OpenSSL does not offer MD5, SHA1 or SHA256 here");
  return std::make_unique<OpenSslDigest>(fetched);
}

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
//
// AES-256-GCM with a random nonce for each secret: there are few, far from the number at which
// random nonces of 96 bits would repeat.
#include "records/secret_seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>
#include <span>

#include "absl/status/status.h"
#include "strata/base/check.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"

namespace strata::object {
namespace {

constexpr std::string_view kPurpose = "strata object secret";
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

unsigned char* Chars(std::string& text, size_t at) {
  return reinterpret_cast<unsigned char*>(text.data()) + at;
}
const unsigned char* Chars(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// What a sealed secret is bound to: neither name holds a zero byte.
std::string About(std::string_view access_key, std::string_view user_id) {
  return std::string(access_key).append(1, '\0').append(user_id);
}

}  // namespace

SecretSeal::SecretSeal(const dedup::EncryptionKey& key) {
  unsigned int size = 0;
  const bool done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Chars(kPurpose),
                         kPurpose.size(), key_.data(), &size) != nullptr;
  STRATA_CHECK(done && size == key_.size(), "OpenSSL knows HMAC-SHA256");
}

SecretSeal::~SecretSeal() { OPENSSL_cleanse(key_.data(), key_.size()); }

absl::StatusOr<std::string> SecretSeal::Seal(std::string_view secret, std::string_view access_key,
                                             std::string_view user_id) const {
  std::string sealed(kNonceBytes + secret.size() + kTagBytes, '\0');
  STRATA_RETURN_IF_ERROR(
      SecureRandomBytes(std::as_writable_bytes(std::span(sealed.data(), kNonceBytes))));
  const std::string about = About(access_key, user_id);
  const Context context(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX* const c = context.get();
  int size = 0;
  const bool done =
      c != nullptr &&
      EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), nullptr, key_.data(), Chars(sealed, 0)) == 1 &&
      EVP_EncryptUpdate(c, nullptr, &size, Chars(about), static_cast<int>(about.size())) == 1 &&
      EVP_EncryptUpdate(c, Chars(sealed, kNonceBytes), &size, Chars(secret),
                        static_cast<int>(secret.size())) == 1 &&
      EVP_EncryptFinal_ex(c, Chars(sealed, kNonceBytes + secret.size()), &size) == 1 &&
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, kTagBytes,
                          Chars(sealed, kNonceBytes + secret.size())) == 1;
  STRATA_CHECK(done, "OpenSSL encrypts");
  return sealed;
}

absl::StatusOr<std::string> SecretSeal::Open(std::string_view sealed, std::string_view access_key,
                                             std::string_view user_id) const {
  if (sealed.size() < kNonceBytes + kTagBytes) {
    return absl::DataLossError("a sealed secret is too short");
  }
  const std::string_view text = sealed.substr(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  std::string secret(text.size(), '\0');
  const std::string about = About(access_key, user_id);
  const Context context(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX* const c = context.get();
  int size = 0;
  unsigned char none = 0;
  const bool done =
      c != nullptr &&
      EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), nullptr, key_.data(), Chars(sealed)) == 1 &&
      EVP_DecryptUpdate(c, nullptr, &size, Chars(about), static_cast<int>(about.size())) == 1 &&
      EVP_DecryptUpdate(c, Chars(secret, 0), &size, Chars(text), static_cast<int>(text.size())) ==
          1 &&
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(c, &none, &size) == 1;
  if (!done) {
    OPENSSL_cleanse(secret.data(), secret.size());
    return absl::DataLossError(
        "a sealed secret does not open: it was changed, or another encryption key sealed it");
  }
  return secret;
}

}  // namespace strata::object

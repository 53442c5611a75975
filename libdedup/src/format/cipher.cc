// SPDX-License-Identifier: Apache-2.0
#include "format/cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"
#include "strata/base/mutex.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr size_t kSaltBytes = 8;
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;
static_assert(kSaltBytes + kNonceBytes + kTagBytes == kSealBytes);

constexpr size_t kMaxIdleContexts = 8;
constexpr size_t kMaxOpenings = 1024;  // Whose keys are remembered.

using Key = std::array<std::byte, 32>;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

unsigned char* Chars(std::byte* at) { return reinterpret_cast<unsigned char*>(at); }
const unsigned char* Chars(const std::byte* at) {
  return reinterpret_cast<const unsigned char*>(at);
}

class AesGcm final : public Cipher {
 public:
  AesGcm(const EncryptionKey& key, const Uuid& store, uint32_t opening, uint64_t salt)
      : key_(key), store_(store), opening_(opening), salt_(salt), own_key_(KeyOf(salt)) {}

  ~AesGcm() override {
    OPENSSL_cleanse(key_.data(), key_.size());
    OPENSSL_cleanse(own_key_.data(), own_key_.size());
    MutexLock lock(&mutex_);
    for (auto& [salt, key] : keys_) OPENSSL_cleanse(key.data(), key.size());
  }

  void Seal(std::span<std::byte> text, std::span<const std::byte> about, std::byte* seal) override {
    StoreLe64(seal, salt_);
    StoreLe32(seal + kSaltBytes, opening_);
    StoreLe64(seal + kSaltBytes + 4, number_.fetch_add(1, std::memory_order_relaxed));
    Context context = TakeContext();
    EVP_CIPHER_CTX* const c = context.get();
    int size = 0;
    const bool done = EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), nullptr, Chars(own_key_.data()),
                                         Chars(seal + kSaltBytes)) == 1 &&
                      EVP_EncryptUpdate(c, nullptr, &size, Chars(about.data()),
                                        static_cast<int>(about.size())) == 1 &&
                      EVP_EncryptUpdate(c, Chars(text.data()), &size, Chars(text.data()),
                                        static_cast<int>(text.size())) == 1 &&
                      EVP_EncryptFinal_ex(c, Chars(seal), &size) == 1 &&
                      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, kTagBytes,
                                          seal + kSaltBytes + kNonceBytes) == 1;
    STRATA_CHECK(done, "OpenSSL encrypts");
    ReturnContext(std::move(context));
  }

  absl::Status Open(std::span<const std::byte> sealed, std::span<const std::byte> about,
                    const std::byte* seal, std::span<std::byte> text) override {
    STRATA_CHECK(sealed.size() == text.size(), "a place for the text");
    const Key key = RememberedKey(LoadLe64(seal));
    std::array<std::byte, kTagBytes> tag;
    std::copy_n(seal + kSaltBytes + kNonceBytes, kTagBytes, tag.begin());
    Context context = TakeContext();
    EVP_CIPHER_CTX* const c = context.get();
    int size = 0;
    std::byte none{};
    const bool done = EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), nullptr, Chars(key.data()),
                                         Chars(seal + kSaltBytes)) == 1 &&
                      EVP_DecryptUpdate(c, nullptr, &size, Chars(about.data()),
                                        static_cast<int>(about.size())) == 1 &&
                      EVP_DecryptUpdate(c, Chars(text.data()), &size, Chars(sealed.data()),
                                        static_cast<int>(sealed.size())) == 1 &&
                      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
                      EVP_DecryptFinal_ex(c, Chars(&none), &size) == 1;
    ReturnContext(std::move(context));
    if (!done) return absl::DataLossError("it does not decrypt: changed, or another key's");
    return absl::OkStatus();
  }

 private:
  Key KeyOf(uint64_t salt) const {
    std::array<std::byte, kSaltBytes> bytes;
    StoreLe64(bytes.data(), salt);
    return DeriveKey(key_, "strata dedup data", store_, bytes);
  }

  Key RememberedKey(uint64_t salt) {
    if (salt == salt_) return own_key_;
    MutexLock lock(&mutex_);
    const auto known = keys_.find(salt);
    if (known != keys_.end()) return known->second;
    if (keys_.size() >= kMaxOpenings) keys_.clear();
    return keys_[salt] = KeyOf(salt);
  }

  Context TakeContext() {
    {
      MutexLock lock(&mutex_);
      if (!idle_.empty()) {
        Context context = std::move(idle_.back());
        idle_.pop_back();
        return context;
      }
    }
    Context context(EVP_CIPHER_CTX_new());
    STRATA_CHECK(context != nullptr, "OpenSSL has memory");
    return context;
  }
  void ReturnContext(Context context) {
    MutexLock lock(&mutex_);
    if (idle_.size() < kMaxIdleContexts) idle_.push_back(std::move(context));
  }

  EncryptionKey key_;
  const Uuid store_;
  const uint32_t opening_;
  const uint64_t salt_;
  Key own_key_;
  std::atomic<uint64_t> number_{0};
  Mutex mutex_;
  std::vector<Context> idle_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, Key> keys_ ABSL_GUARDED_BY(mutex_);  // Of earlier openings.
};

}  // namespace

std::array<std::byte, 32> DeriveKey(const EncryptionKey& key, std::string_view purpose,
                                    const Uuid& store, std::span<const std::byte> more) {
  std::vector<unsigned char> text(purpose.begin(), purpose.end());
  for (const std::byte byte : store) text.push_back(static_cast<unsigned char>(byte));
  for (const std::byte byte : more) text.push_back(static_cast<unsigned char>(byte));
  std::array<std::byte, 32> derived;
  unsigned int size = 0;
  const bool done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), text.data(),
                         text.size(), Chars(derived.data()), &size) != nullptr;
  STRATA_CHECK(done && size == derived.size(), "OpenSSL knows HMAC-SHA256");
  return derived;
}

absl::StatusOr<std::unique_ptr<Cipher>> CreateCipher(const EncryptionKey& key, const Uuid& store,
                                                     uint32_t opening) {
  std::array<std::byte, kSaltBytes> salt;
  STRATA_RETURN_IF_ERROR(SecureRandomBytes(salt));
  return std::make_unique<AesGcm>(key, store, opening, LoadLe64(salt.data()));
}

}  // namespace strata::dedup

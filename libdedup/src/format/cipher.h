// SPDX-License-Identifier: Apache-2.0
//
// Encryption at rest: AES-256-GCM over each region and footer, under keys derived from the one the
// caller gave. OpenSSL stays behind this file. docs/formats/dedup.md says what is derived how, and
// why no nonce is ever used twice.
//
// Thread safety: any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/layout.h"
#include "strata/dedup/types.h"

namespace strata::dedup {

// Follows what was encrypted: salt (8), opening (4), number (8), tag (16).
inline constexpr size_t kSealBytes = 36;

class Cipher {
 public:
  virtual ~Cipher() = default;

  // Encrypts `text` in place and writes kSealBytes at `seal`. `about` is not encrypted, but Open()
  // wants the same.
  virtual void Seal(std::span<std::byte> text, std::span<const std::byte> about,
                    std::byte* seal) = 0;

  // Fills `text`, as long as `sealed`. DataLoss: it was changed, or another key's; `text` is then
  // what it decrypts to, which nothing vouches for.
  virtual absl::Status Open(std::span<const std::byte> sealed, std::span<const std::byte> about,
                            const std::byte* seal, std::span<std::byte> text) = 0;
};

// `opening` is the store's number of openings; the same one is never used twice with a store.
// Unavailable: the kernel gives no random bytes.
absl::StatusOr<std::unique_ptr<Cipher>> CreateCipher(const EncryptionKey& key, const Uuid& store,
                                                     uint32_t opening);

// 32 bytes that only who holds `key` can tell from random ones.
std::array<std::byte, 32> DeriveKey(const EncryptionKey& key, std::string_view purpose,
                                    const Uuid& store, std::span<const std::byte> more = {});

}  // namespace strata::dedup

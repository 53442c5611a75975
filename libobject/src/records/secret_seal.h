// SPDX-License-Identifier: Apache-2.0
//
// Access keys' secrets, encrypted where they are stored. docs/formats/object.md has the layout.
// Thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "strata/dedup/store.h"

namespace strata::object {

class SecretSeal final {
 public:
  explicit SecretSeal(const dedup::EncryptionKey& key);
  ~SecretSeal();
  SecretSeal(const SecretSeal&) = delete;
  SecretSeal& operator=(const SecretSeal&) = delete;

  // The sealed form of `secret`, which opens for the same access key and user only. Unavailable:
  // the kernel gives no random bytes.
  absl::StatusOr<std::string> Seal(std::string_view secret, std::string_view access_key,
                                   std::string_view user_id) const;

  // DataLoss: it was changed, it is another access key's, or another encryption key sealed it.
  absl::StatusOr<std::string> Open(std::string_view sealed, std::string_view access_key,
                                   std::string_view user_id) const;

 private:
  std::array<unsigned char, 32> key_;  // Derived from the encryption key.
};

}  // namespace strata::object

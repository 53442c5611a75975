// SPDX-License-Identifier: Apache-2.0
//
// SHA-256, HMAC-SHA-256 and MD5, by OpenSSL. Values are raw bytes.
// Functions are safe from any thread; a Sha256 is used by one thread at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace strata::s3 {

class Sha256 final {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::span<const std::byte> data);
  void Update(std::string_view text) { Update(std::as_bytes(std::span(text))); }

  // 32 bytes. It starts anew then.
  std::string Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string Sha256Of(std::string_view text);
std::string HmacSha256(std::string_view key, std::string_view text);
std::string Md5Of(std::string_view text);

}  // namespace strata::s3

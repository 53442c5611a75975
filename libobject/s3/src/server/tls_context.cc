// SPDX-License-Identifier: Apache-2.0
#include "server/tls_context.h"

#include <openssl/ssl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include <boost/system/error_code.hpp>

#include "http/text.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

using boost::system::error_code;
using Context = boost::asio::ssl::context;

// Of TLS 1.2: forward secrecy, and nothing but authenticated encryption.
constexpr char kTls12Ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK";

absl::StatusOr<struct stat> Look(std::string_view what, const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0) return info;
  return ErrnoStatus(errno, Concat({"cannot read the TLS ", what, " ", path}));
}

// A key that other users may read is as good as published.
absl::Status CheckGuarded(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(const struct stat info, Look("key", path));
  if ((info.st_mode & (S_IWGRP | S_IRWXO)) == 0) return absl::OkStatus();
  std::array<char, 8> mode;
  std::snprintf(mode.data(), mode.size(), "%04o", static_cast<unsigned>(info.st_mode & 07777));
  return absl::InvalidArgumentError(
      Concat({"the TLS key ", path, " may be read or changed by other users (mode ", mode.data(),
              "): chmod 0600 it"}));
}

absl::Status Unusable(std::string_view what, const std::string& path, std::string_view why) {
  return absl::InvalidArgumentError(Concat({"cannot use the TLS ", what, " ", path, ": ", why}));
}

}  // namespace

absl::StatusOr<std::shared_ptr<Context>> LoadTlsContext(const std::string& certificate_path,
                                                        const std::string& key_path) {
  STRATA_RETURN_IF_ERROR(Look("certificate", certificate_path).status());
  STRATA_RETURN_IF_ERROR(CheckGuarded(key_path));
  auto context = std::make_shared<Context>(Context::tls_server);
  error_code error;
  context->set_options(Context::default_workarounds | Context::no_sslv2 | Context::no_sslv3 |
                           Context::no_tlsv1 | Context::no_tlsv1_1 | Context::no_compression |
                           SSL_OP_NO_RENEGOTIATION,
                       error);
  if (error || SSL_CTX_set_cipher_list(context->native_handle(), kTls12Ciphers) != 1) {
    return absl::InternalError("OpenSSL offers no ECDHE with an AEAD cipher");
  }
  // Nobody is there to be asked for one.
  bool needs_passphrase = false;
  context->set_password_callback(
      [&needs_passphrase](size_t, Context::password_purpose) {
        needs_passphrase = true;
        return std::string();
      },
      error);
  context->use_certificate_chain_file(certificate_path, error);
  if (error) return Unusable("certificate", certificate_path, error.message());
  context->use_private_key_file(key_path, Context::pem, error);
  if (needs_passphrase) return Unusable("key", key_path, "it needs a passphrase");
  if (error) return Unusable("key", key_path, error.message());
  if (SSL_CTX_check_private_key(context->native_handle()) != 1) {
    return Unusable("key", key_path, Concat({"it is not the key of ", certificate_path}));
  }
  context->set_password_callback([](size_t, Context::password_purpose) { return std::string(); },
                                 error);
  return context;
}

}  // namespace strata::s3

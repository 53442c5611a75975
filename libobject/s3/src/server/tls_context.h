// SPDX-License-Identifier: Apache-2.0
//
// A certificate and its key as what TLS connections are made from.
// Pure but for reading the files; thread-safe.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/ssl/context.hpp>

#include "absl/status/statusor.h"

namespace strata::s3 {

// TLS 1.2 with ECDHE and an AEAD cipher, and TLS 1.3. InvalidArgument names the file: it is no
// certificate or no key, the key is another certificate's, needs a passphrase, or may be read by
// every user of the machine or written by its group. NotFound, PermissionDenied: the file.
absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> LoadTlsContext(
    const std::string& certificate_path, const std::string& key_path);

}  // namespace strata::s3

// SPDX-License-Identifier: Apache-2.0
//
// Who sent a request: its signature checked against the keys in the store, its time against the
// clock. Keys and what is derived from them are remembered for a few seconds, so that a busy client
// costs no reads; a key that was removed works for as long.
//
// Thread-safe. Calls may block in the store.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "auth/chunked_body.h"
#include "auth/sigv4.h"
#include "http/request.h"
#include "strata/base/clock.h"
#include "strata/base/mutex.h"
#include "strata/object/store.h"

namespace strata::s3 {

struct Caller {
  std::string user_id;
  std::string display_name;
  bool admin = false;
  uint64_t created_ns = 0;  // With the id, this user and no later one (object::UserRef).
};

// How the body is tied to the signature: x-amz-content-sha256.
struct PayloadRule {
  bool aws_chunked = false;           // The body has the aws-chunked encoding,
  bool trailer = false;               // headers follow it,
  std::optional<ChunkSigner> signer;  // its chunks are signed.
  std::optional<std::string> sha256;  // Raw: the body's digest must be this one.
};

struct Authenticated {
  Caller caller;
  PayloadRule payload;
};

class Authenticator final {
 public:
  struct Options {
    object::Store* store = nullptr;
    const Clock* clock = nullptr;
    std::string region;  // Empty: any.
  };
  explicit Authenticator(Options options);

  // kAccessDenied: not signed, expired, headers left unsigned. kInvalidAccessKeyId.
  // kSignatureDoesNotMatch. kRequestTimeTooSkewed. kAuthorizationHeaderMalformed and its kin.
  // Other errors are the store's.
  absl::StatusOr<Authenticated> Authenticate(const Request& request);

 private:
  struct Entry {
    object::AccessKey key;
    Caller caller;
    int64_t read_at_ns = 0;     // Monotonic.
    std::string signing_scope;  // CredentialScope::Text() of:
    std::string signing_key;
  };
  // What is needed of an Entry to check one request.
  struct Signer {
    Caller caller;
    std::string signing_key;
  };

  absl::StatusOr<Signer> FindSigner(const SignatureClaim& claim);
  absl::Status CheckTime(const SignatureClaim& claim, std::string_view timestamp) const;
  absl::Status CheckScope(const SignatureClaim& claim, std::string_view timestamp) const;

  const Options options_;
  Mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::s3

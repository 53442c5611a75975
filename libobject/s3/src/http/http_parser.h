// SPDX-License-Identifier: Apache-2.0
//
// The heads of HTTP/1.1 requests out of bytes, by Boost.Beast. Bodies in the chunked transfer
// coding are transfer_coding.h's; those with a length need no parser.
// Pure and incremental. A parser is used by one thread at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "http/http.h"

namespace strata::s3 {

class HttpParser final {
 public:
  explicit HttpParser(size_t max_header_bytes);
  ~HttpParser();
  HttpParser(HttpParser&&) noexcept;
  HttpParser& operator=(HttpParser&&) noexcept;

  // Takes bytes of the head from the front of `bytes` and says how many. While head_done() is
  // false, give what was not taken again, with more behind it.
  // kRequestHeaderTooLarge, kMalformedRequest.
  absl::StatusOr<size_t> ParseHead(std::span<const std::byte> bytes);
  bool head_done() const;

  // REQUIRES: head_done(). Moves the head out: call it once.
  HttpHead TakeHead();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata::s3

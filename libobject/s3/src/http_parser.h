// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1.1 requests out of bytes, by Boost.Beast: the head, and bodies in the chunked transfer
// coding. Bodies with a length need no parser.
// Pure and incremental. A parser is used by one thread at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "http.h"

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

  struct Progress {
    size_t taken_bytes = 0;    // Of `in`, from its front.
    size_t written_bytes = 0;  // To `out`, from its front.
  };
  // Decodes the chunked transfer coding. What is not taken is to be given again with more behind
  // it, unless `out` was full. REQUIRES: the head was chunked. kMalformedRequest.
  absl::StatusOr<Progress> ParseChunkedBody(std::span<const std::byte> in,
                                            std::span<std::byte> out);
  bool body_done() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata::s3

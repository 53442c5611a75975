// SPDX-License-Identifier: Apache-2.0
//
// The "aws-chunked" content encoding: a body in chunks, each of which may be signed, with headers
// that may follow it.
//
//   [hex size][;chunk-signature=[64 hex]]\r\n [bytes] \r\n   ...   0[;chunk-signature=...]\r\n
//   [name:value\r\n]... [x-amz-trailer-signature:[64 hex]\r\n] \r\n
//
// Pure and incremental: it may be fed one byte at a time. Used by one thread at a time.
// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header:
// Transferring Payload in Multiple Chunks", and the same with "Including Trailing Headers".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "http/hash.h"
#include "http/http.h"

namespace strata::s3 {

// What chunk signatures are computed with.
struct ChunkSigner {
  std::string signing_key;     // 32 raw bytes.
  std::string timestamp;       // 20130524T000000Z
  std::string scope;           // 20130524/us-east-1/s3/aws4_request
  std::string seed_signature;  // The request's own, in hexadecimal.
};

class ChunkedBodyDecoder final {
 public:
  struct Options {
    std::optional<ChunkSigner> signer;  // nullopt: chunks are not signed.
    bool trailer = false;               // Headers follow the last chunk.
    uint64_t content_size_bytes = 0;    // x-amz-decoded-content-length
  };
  explicit ChunkedBodyDecoder(Options options);

  // Decodes the next bytes of the body and hands out the content in them, in order. A chunk's
  // content comes before its signature can be checked: nothing may be made of it before done().
  // Errors are final: `content`'s own; kSignatureDoesNotMatch; kIncompleteBody when the content is
  // not as long as announced; kMalformedTrailer; kInvalidRequest for anything not well formed.
  absl::Status Decode(std::span<const std::byte> wire,
                      absl::FunctionRef<absl::Status(std::span<const std::byte>)> content);

  // The whole body has come and it was right.
  bool done() const { return state_ == State::kDone; }

  // No more is to come. kIncompleteBody: it was to; kMalformedTrailer: only the trailer was.
  absl::Status End();

  // Names in lower case, without x-amz-trailer-signature. REQUIRES: done().
  const std::vector<HttpHeader>& trailers() const { return trailers_; }

 private:
  enum class State { kSizeLine, kContent, kContentEnd, kTrailerLine, kDone };

  absl::Status OnLine(std::string_view line);
  absl::Status OnSizeLine(std::string_view line);
  absl::Status OnChunkEnd();
  absl::Status OnTrailerLine(std::string_view line);
  absl::Status OnTrailerEnd();
  absl::Status CheckSignature(std::string_view algorithm, std::string_view tail,
                              std::string_view signature);

  const Options options_;
  State state_ = State::kSizeLine;
  std::string line_;  // The part of a line that has come.
  uint64_t chunk_left_bytes_ = 0;
  uint64_t content_bytes_ = 0;   // Of all chunks so far.
  std::string chunk_signature_;  // As claimed by the chunk under way.
  std::string previous_signature_;
  Sha256 chunk_digest_;
  size_t trailer_bytes_ = 0;
  bool empty_line_came_ = false;  // Between the last chunk and the trailer.
  std::vector<HttpHeader> trailers_;
  std::string trailer_signature_;
};

}  // namespace strata::s3

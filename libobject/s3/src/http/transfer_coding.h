// SPDX-License-Identifier: Apache-2.0
//
// HTTP's chunked transfer coding (RFC 9112, section 7.1), taken off a request's body. The
// "aws-chunked" content encoding, which may be inside it, is auth/chunked_body.h.
//
//   TransferDecoder decoder;
//   STRATA_ASSIGN_OR_RETURN(TransferDecoder::Progress progress, decoder.Decode(in, out));
//
// A decoder keeps no bytes: chunk extensions and trailer fields are checked, limited in length and
// dropped. Pure and incremental: it may be fed one byte at a time. Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/statusor.h"

namespace strata::s3 {

class TransferDecoder final {
 public:
  // What the client may send beside the content. Extensions, and zeros before a chunk's size, may
  // together be as long as the content so far, and kMaxExcessBytes longer.
  static constexpr size_t kMaxSizeLineBytes = 1 << 10;
  static constexpr size_t kMaxTrailerBytes = 8 << 10;
  static constexpr size_t kMaxExcessBytes = 64 << 10;

  struct Progress {
    size_t taken_bytes = 0;  // Of `in`, from its front: all, unless `out` is full or the body ends.
    size_t written_bytes = 0;  // To `out`, from its front.
  };
  // kMalformedRequest: not well formed, or a limit. Errors are final.
  absl::StatusOr<Progress> Decode(std::span<const std::byte> in, std::span<std::byte> out);

  // The body has ended, trailer included.
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State : uint8_t {
    kSize,          // Digits of a chunk's size.
    kExtension,     // The rest of that line.
    kSizeEnd,       // Its LF.
    kContent,       //
    kContentCr,     // The two bytes after a chunk.
    kContentLf,     //
    kTrailerStart,  // Of a line.
    kTrailerName,   //
    kTrailerValue,  //
    kTrailerEnd,    // The LF of a line.
    kEnd,           // The last LF.
    kDone,
  };

  absl::Status OnByte(char c);
  absl::Status OnSize(char c);
  absl::Status OnTrailer(char c);
  absl::Status Excess();

  State state_ = State::kSize;
  uint64_t chunk_left_bytes_ = 0;
  uint64_t content_bytes_ = 0;  // Of all chunks announced so far.
  size_t line_bytes_ = 0;       // Of the size line in progress.
  bool has_digit_ = false;
  uint64_t excess_bytes_ = 0;
  size_t trailer_bytes_ = 0;
};

}  // namespace strata::s3

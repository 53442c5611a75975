// SPDX-License-Identifier: Apache-2.0
#include "http/transfer_coding.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "http/errors.h"
#include "http/text.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

// More digits than this would be an exbibyte.
constexpr uint64_t kMaxChunkBytes = (uint64_t{1} << 60) - 1;

absl::Status Malformed(std::string_view what) {
  return MakeError(ErrorCode::kMalformedRequest, Concat({"The chunked body ", what, "."}));
}

// RFC 9110, section 5.6.2.
bool IsTokenChar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c != '\0' && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr);
}

bool IsControl(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; }

}  // namespace

absl::StatusOr<TransferDecoder::Progress> TransferDecoder::Decode(std::span<const std::byte> in,
                                                                  std::span<std::byte> out) {
  Progress progress;
  while (progress.taken_bytes < in.size() && state_ != State::kDone) {
    if (state_ != State::kContent) {
      STRATA_RETURN_IF_ERROR(OnByte(static_cast<char>(in[progress.taken_bytes])));
      ++progress.taken_bytes;
      continue;
    }
    const std::span<const std::byte> rest = in.subspan(progress.taken_bytes);
    const std::span<std::byte> room = out.subspan(progress.written_bytes);
    const size_t size = std::min<uint64_t>(std::min(rest.size(), room.size()), chunk_left_bytes_);
    if (size == 0) break;  // `out` is full.
    std::memcpy(room.data(), rest.data(), size);
    progress.taken_bytes += size;
    progress.written_bytes += size;
    chunk_left_bytes_ -= size;
    if (chunk_left_bytes_ == 0) state_ = State::kContentCr;
  }
  return progress;
}

absl::Status TransferDecoder::OnByte(char c) {
  switch (state_) {
    case State::kSize:
    case State::kExtension:
      return OnSize(c);
    case State::kSizeEnd:
      if (c != '\n') return Malformed("has a chunk size that does not end with CR LF");
      line_bytes_ = 0;
      has_digit_ = false;
      state_ = chunk_left_bytes_ > 0 ? State::kContent : State::kTrailerStart;
      return absl::OkStatus();
    case State::kContentCr:
      if (c != '\r') return Malformed("has a chunk that is longer than it says");
      state_ = State::kContentLf;
      return absl::OkStatus();
    case State::kContentLf:
      if (c != '\n') return Malformed("has a chunk that does not end with CR LF");
      state_ = State::kSize;
      return absl::OkStatus();
    case State::kEnd:
      if (c != '\n') return Malformed("does not end with CR LF");
      state_ = State::kDone;
      return absl::OkStatus();
    default:
      return OnTrailer(c);
  }
}

absl::Status TransferDecoder::OnSize(char c) {
  if (++line_bytes_ > kMaxSizeLineBytes) return Malformed("has a chunk size line that is too long");
  if (c == '\r') {
    if (!has_digit_) return Malformed("has a chunk without a size");
    if (chunk_left_bytes_ > kMaxChunkBytes - content_bytes_) return Malformed("is too long");
    content_bytes_ += chunk_left_bytes_;
    state_ = State::kSizeEnd;
    return absl::OkStatus();
  }
  if (state_ == State::kExtension) {
    if (IsControl(c)) return Malformed("has a control character in a chunk extension");
    return Excess();
  }
  if (const int digit = HexDigitValue(c); digit >= 0) {
    if (chunk_left_bytes_ > kMaxChunkBytes >> 4) return Malformed("has a chunk that is too large");
    if (has_digit_ && chunk_left_bytes_ == 0) STRATA_RETURN_IF_ERROR(Excess());
    has_digit_ = true;
    chunk_left_bytes_ = chunk_left_bytes_ << 4 | static_cast<uint64_t>(digit);
    return absl::OkStatus();
  }
  if (!has_digit_ || (c != ';' && c != ' ' && c != '\t')) {
    return Malformed("has a chunk size that is no hexadecimal number");
  }
  state_ = State::kExtension;
  return Excess();
}

// Counts a byte that carries nothing.
absl::Status TransferDecoder::Excess() {
  if (++excess_bytes_ > kMaxExcessBytes + content_bytes_) {
    return Malformed("has more chunk extensions than content");
  }
  return absl::OkStatus();
}

absl::Status TransferDecoder::OnTrailer(char c) {
  if (++trailer_bytes_ > kMaxTrailerBytes) return Malformed("has a trailer that is too long");
  switch (state_) {
    case State::kTrailerStart:
      if (c == '\r') {
        state_ = State::kEnd;
        return absl::OkStatus();
      }
      if (!IsTokenChar(c)) return Malformed("has a trailer field without a name");
      state_ = State::kTrailerName;
      return absl::OkStatus();
    case State::kTrailerName:
      if (c == ':') {
        state_ = State::kTrailerValue;
      } else if (!IsTokenChar(c)) {
        return Malformed("has a trailer field whose name is not valid");
      }
      return absl::OkStatus();
    case State::kTrailerValue:
      if (c == '\r') {
        state_ = State::kTrailerEnd;
      } else if (IsControl(c)) {
        return Malformed("has a control character in its trailer");
      }
      return absl::OkStatus();
    default:
      if (c != '\n') return Malformed("has a trailer field that does not end with CR LF");
      state_ = State::kTrailerStart;
      return absl::OkStatus();
  }
}

}  // namespace strata::s3

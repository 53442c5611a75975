// SPDX-License-Identifier: Apache-2.0
#include "auth/chunked_body.h"

#include <algorithm>
#include <utility>

#include "auth/sigv4.h"
#include "http/encoding.h"
#include "http/errors.h"
#include "http/text.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

constexpr size_t kMaxSizeLineBytes = 256;
constexpr size_t kMaxTrailerBytes = 8 << 10;
constexpr size_t kMaxTrailers = 16;  // Each costs memory of its own, however short.
constexpr size_t kMaxSizeDigits = 15;
constexpr std::string_view kChunkSignature = "chunk-signature=";
constexpr std::string_view kTrailerSignature = "x-amz-trailer-signature";
constexpr std::string_view kChunkAlgorithm = "AWS4-HMAC-SHA256-PAYLOAD";
constexpr std::string_view kTrailerAlgorithm = "AWS4-HMAC-SHA256-TRAILER";

absl::Status Malformed(std::string_view what) {
  return MakeError(ErrorCode::kInvalidRequest, Concat({"The aws-chunked body ", what, "."}));
}

std::optional<uint64_t> ParseHexSize(std::string_view text) {
  if (text.empty() || text.size() > kMaxSizeDigits) return std::nullopt;
  const std::optional<std::string> bytes =
      FromHex(text.size() % 2 == 0 ? std::string(text) : Concat({"0", text}), HexLetters::kAny);
  if (!bytes) return std::nullopt;
  uint64_t value = 0;
  for (char c : *bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

ChunkedBodyDecoder::ChunkedBodyDecoder(Options options) : options_(std::move(options)) {
  if (options_.signer) previous_signature_ = options_.signer->seed_signature;
}

absl::Status ChunkedBodyDecoder::Decode(
    std::span<const std::byte> wire,
    absl::FunctionRef<absl::Status(std::span<const std::byte>)> content) {
  while (!wire.empty()) {
    if (state_ == State::kDone) return Malformed("goes on behind its end");
    if (state_ == State::kContent) {
      const size_t size = std::min<uint64_t>(wire.size(), chunk_left_bytes_);
      if (options_.signer) chunk_digest_.Update(wire.first(size));
      STRATA_RETURN_IF_ERROR(content(wire.first(size)));
      wire = wire.subspan(size);
      chunk_left_bytes_ -= size;
      if (chunk_left_bytes_ == 0) {
        STRATA_RETURN_IF_ERROR(OnChunkEnd());
        state_ = State::kContentEnd;
      }
      continue;
    }
    // The other states read lines.
    const char* text = reinterpret_cast<const char*>(wire.data());
    const size_t end = std::string_view(text, wire.size()).find('\n');
    const size_t size = std::min(end, wire.size());
    const size_t limit = state_ == State::kTrailerLine ? kMaxTrailerBytes : kMaxSizeLineBytes;
    if (line_.size() + size > limit) return Malformed("has a line that is too long");
    line_.append(text, size);
    if (end == std::string_view::npos) return absl::OkStatus();
    wire = wire.subspan(size + 1);
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    STRATA_RETURN_IF_ERROR(OnLine(line_));
    line_.clear();
  }
  return absl::OkStatus();
}

absl::Status ChunkedBodyDecoder::OnLine(std::string_view line) {
  switch (state_) {
    case State::kSizeLine:
      return OnSizeLine(line);
    case State::kContentEnd:
      if (!line.empty()) return Malformed("has a chunk that is longer than it says");
      state_ = State::kSizeLine;
      return absl::OkStatus();
    default:
      return OnTrailerLine(line);
  }
}

absl::Status ChunkedBodyDecoder::OnSizeLine(std::string_view line) {
  const auto [size_text, extension] = SplitOnce(line, ';');
  const std::optional<uint64_t> size = ParseHexSize(Trim(size_text));
  if (!size) return Malformed("has a chunk size that is no hexadecimal number");
  if (options_.signer) {
    const std::string_view given = Trim(extension);
    if (given.substr(0, kChunkSignature.size()) != kChunkSignature) {
      return Malformed("has a chunk without a signature");
    }
    chunk_signature_ = ToLower(given.substr(kChunkSignature.size()));
  }
  if (*size > options_.content_size_bytes - content_bytes_) {
    return MakeError(ErrorCode::kIncompleteBody,
                     "The content is longer than x-amz-decoded-content-length.");
  }
  content_bytes_ += *size;
  chunk_left_bytes_ = *size;
  if (*size > 0) {
    state_ = State::kContent;
    return absl::OkStatus();
  }
  STRATA_RETURN_IF_ERROR(OnChunkEnd());
  if (content_bytes_ != options_.content_size_bytes) {
    return MakeError(ErrorCode::kIncompleteBody,
                     "The content is shorter than x-amz-decoded-content-length.");
  }
  state_ = State::kTrailerLine;
  return absl::OkStatus();
}

absl::Status ChunkedBodyDecoder::OnChunkEnd() {
  if (!options_.signer) return absl::OkStatus();
  const std::string tail = Concat({ToHex(Sha256Of("")), "\n", ToHex(chunk_digest_.Finish())});
  return CheckSignature(kChunkAlgorithm, tail, chunk_signature_);
}

absl::Status ChunkedBodyDecoder::OnTrailerLine(std::string_view line) {
  trailer_bytes_ += line.size();
  if (trailer_bytes_ > kMaxTrailerBytes) {
    return MakeError(ErrorCode::kMalformedTrailer, "The trailer is too long.");
  }
  if (line.empty()) {
    // Some senders put an empty line between the last chunk and its trailer.
    if (options_.trailer && trailers_.empty() && trailer_signature_.empty() && !empty_line_came_) {
      empty_line_came_ = true;
      return absl::OkStatus();
    }
    return OnTrailerEnd();
  }
  const size_t colon = line.find(':');
  if (!options_.trailer || colon == std::string_view::npos || colon == 0) {
    return MakeError(ErrorCode::kMalformedTrailer);
  }
  if (trailers_.size() == kMaxTrailers) {
    return MakeError(ErrorCode::kMalformedTrailer, "The trailer has too many headers.");
  }
  std::string name = ToLower(Trim(line.substr(0, colon)));
  const std::string_view value = Trim(line.substr(colon + 1));
  if (!trailer_signature_.empty()) {
    return MakeError(ErrorCode::kMalformedTrailer, "A header follows the trailer's signature.");
  }
  if (name == kTrailerSignature) {
    trailer_signature_ = ToLower(value);
  } else {
    trailers_.push_back({std::move(name), std::string(value)});
  }
  return absl::OkStatus();
}

absl::Status ChunkedBodyDecoder::End() {
  // The line that may precede a trailer was the end of one without headers.
  if (state_ == State::kTrailerLine && empty_line_came_ && trailers_.empty() && line_.empty() &&
      trailer_signature_.empty()) {
    STRATA_RETURN_IF_ERROR(OnTrailerEnd());
  }
  if (done()) return absl::OkStatus();
  if (state_ != State::kTrailerLine) return MakeError(ErrorCode::kIncompleteBody);
  return MakeError(ErrorCode::kMalformedTrailer, "The trailer is not complete.");
}

absl::Status ChunkedBodyDecoder::OnTrailerEnd() {
  if (options_.trailer && options_.signer) {
    std::string canonical;
    for (const HttpHeader& header : trailers_) {
      canonical += Concat({header.name, ":", header.value, "\n"});
    }
    STRATA_RETURN_IF_ERROR(
        CheckSignature(kTrailerAlgorithm, ToHex(Sha256Of(canonical)), trailer_signature_));
  }
  state_ = State::kDone;
  return absl::OkStatus();
}

absl::Status ChunkedBodyDecoder::CheckSignature(std::string_view algorithm, std::string_view tail,
                                                std::string_view signature) {
  const ChunkSigner& signer = *options_.signer;
  std::string expected =
      Sign(signer.signing_key, Concat({algorithm, "\n", signer.timestamp, "\n", signer.scope, "\n",
                                       previous_signature_, "\n", tail}));
  if (!EqualsConstantTime(expected, signature)) {
    return MakeError(ErrorCode::kSignatureDoesNotMatch);
  }
  previous_signature_ = std::move(expected);
  return absl::OkStatus();
}

}  // namespace strata::s3

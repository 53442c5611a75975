// SPDX-License-Identifier: Apache-2.0
//
// A head and a body in the chunked transfer coding, whole and in pieces: splitting changes nothing
// that comes of them, and no size of a field, an extension or a trailer does harm. The input's
// first byte chooses the pieces' size and how large a head may be; the rest is the wire.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "http/http_parser.h"
#include "http/transfer_coding.h"
#include "strata/base/check.h"

namespace {

using namespace strata::s3;  // NOLINT: a program's own file

constexpr std::array<size_t, 8> kPieces = {1, 2, 3, 7, 64, 1000, 16 << 10, 65'535};

struct Head {
  std::optional<HttpHead> head;
  size_t taken_bytes = 0;
};

Head ParseHead(std::span<const std::byte> wire, size_t piece_bytes, size_t max_header_bytes) {
  HttpParser parser(max_header_bytes);
  size_t begin = 0;
  for (size_t end = 0; !parser.head_done() && end < wire.size();) {
    end = std::min(wire.size(), end + piece_bytes);
    const absl::StatusOr<size_t> taken = parser.ParseHead(wire.subspan(begin, end - begin));
    if (!taken.ok()) return {};
    STRATA_CHECK(*taken <= end - begin, "more taken than given");
    begin += *taken;
  }
  if (!parser.head_done()) return {};
  return {parser.TakeHead(), begin};
}

struct Body {
  bool ok = true;
  bool done = false;
  std::string content;
  size_t taken_bytes = 0;
};

Body Decode(std::span<const std::byte> wire, size_t piece_bytes, size_t room_bytes) {
  TransferDecoder decoder;
  Body body;
  std::vector<std::byte> out(room_bytes);
  for (size_t end = 0; end < wire.size() && body.ok && !decoder.done();) {
    end = std::min(wire.size(), end + piece_bytes);
    while (body.taken_bytes < end && !decoder.done()) {
      const absl::StatusOr<TransferDecoder::Progress> progress =
          decoder.Decode(wire.subspan(body.taken_bytes, end - body.taken_bytes), out);
      body.ok = progress.ok();
      if (!body.ok) break;
      STRATA_CHECK(progress->taken_bytes > 0, "no progress though there is room");
      STRATA_CHECK(progress->written_bytes <= out.size(), "more written than there is room");
      body.taken_bytes += progress->taken_bytes;
      body.content.append(reinterpret_cast<const char*>(out.data()), progress->written_bytes);
    }
  }
  body.done = decoder.done();
  return body;
}

void CheckBody(std::span<const std::byte> wire, size_t piece_bytes) {
  const Body whole = Decode(wire, wire.size(), 1 << 17);
  const Body pieces = Decode(wire, piece_bytes, 100);
  STRATA_CHECK(whole.ok == pieces.ok && whole.done == pieces.done, "splitting changed the verdict");
  if (!whole.ok) return;
  STRATA_CHECK(whole.content == pieces.content, "splitting changed the content");
  STRATA_CHECK(whole.taken_bytes == pieces.taken_bytes, "splitting changed the body's end");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t piece_bytes = kPieces[data[0] % kPieces.size()];
  const size_t max_header_bytes = (data[0] & 8) != 0 ? 1 << 20 : 8 << 10;
  const auto wire = std::as_bytes(std::span(data + 1, size - 1));
  CheckBody(wire, piece_bytes);
  const Head whole = ParseHead(wire, wire.size(), max_header_bytes);
  const Head pieces = ParseHead(wire, piece_bytes, max_header_bytes);
  if (!whole.head || !pieces.head) return 0;  // A limit may be met by one of them only.
  STRATA_CHECK(whole.taken_bytes == pieces.taken_bytes, "splitting changed the head's length");
  STRATA_CHECK(whole.head->headers.size() == pieces.head->headers.size(), "or its fields");
  if (whole.head->chunked) CheckBody(wire.subspan(whole.taken_bytes), piece_bytes);
  return 0;
}

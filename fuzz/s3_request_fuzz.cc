// SPDX-License-Identifier: Apache-2.0
//
// A whole request as it stands on the wire: its head, in one piece and byte by byte, what S3 reads
// out of it, and its body in the chunked transfer coding.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "auth/sigv4.h"
#include "http/http_parser.h"
#include "http/request.h"
#include "http/transfer_coding.h"
#include "operations/operations.h"
#include "protocol/checksum_headers.h"
#include "protocol/listing_parameters.h"
#include "protocol/object_headers.h"
#include "strata/base/check.h"

namespace {

using namespace strata::s3;  // NOLINT: a program's own file

constexpr size_t kMaxHeaderBytes = 8 << 10;

void ReadAsS3(HttpHead head) {
  const absl::StatusOr<Request> request = ParseRequest(std::move(head), {"s3.example.org"});
  if (!request.ok()) return;
  STRATA_CHECK(!request->bucket.empty() || request->key.empty(), "a key without a bucket");
  if (const auto operation = FindOperation(*request); operation.ok()) {
    (void)CheckRequest(*request, **operation);
  }
  (void)ParseContentChecksum(*request);
  (void)ParseMetadata(*request);
  (void)ParseConditions(*request, "");
  (void)ParseConditions(*request, "x-amz-copy-source-");
  (void)ParseEncodingType(*request);
  (void)ParseMaxItems(*request, "max-keys");
  std::vector<std::string> names;
  for (const HttpHeader& header : request->head.headers) names.push_back(header.name);
  (void)CanonicalRequest(request->head, request->path, request->query, names, "");
}

// Whether a head came out, and how many bytes it took.
std::pair<bool, size_t> ParseHead(HttpParser& parser, std::span<const std::byte> wire,
                                  size_t step) {
  size_t begin = 0, end = 0;
  while (!parser.head_done() && end < wire.size()) {
    end = std::min(wire.size(), end + step);
    const absl::StatusOr<size_t> taken = parser.ParseHead(wire.subspan(begin, end - begin));
    if (!taken.ok()) return {false, begin};
    begin += *taken;
  }
  return {parser.head_done(), begin};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto wire = std::as_bytes(std::span(data, size));
  HttpParser parser(kMaxHeaderBytes);
  const auto [complete, taken] = ParseHead(parser, wire, size);
  if (size < 2048) {
    HttpParser slow(kMaxHeaderBytes);
    const auto [slow_complete, slow_taken] = ParseHead(slow, wire, 1);
    if (complete && slow_complete) {
      STRATA_CHECK(taken == slow_taken, "splitting changed the head's length");
    }
  }
  if (!complete) return 0;
  HttpHead head = parser.TakeHead();
  const bool chunked = head.chunked;
  ReadAsS3(std::move(head));
  if (!chunked) return 0;
  std::span<const std::byte> body = wire.subspan(taken);
  std::array<std::byte, 64> out;
  TransferDecoder decoder;
  while (!decoder.done()) {
    const absl::StatusOr<TransferDecoder::Progress> progress = decoder.Decode(body, out);
    if (!progress.ok()) break;
    STRATA_CHECK(progress->taken_bytes <= body.size(), "more taken than given");
    STRATA_CHECK(progress->written_bytes <= out.size(), "more written than there is room");
    if (progress->taken_bytes == 0 && progress->written_bytes == 0) break;
    body = body.subspan(progress->taken_bytes);
  }
  return 0;
}

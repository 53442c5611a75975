// SPDX-License-Identifier: Apache-2.0
//
// The aws-chunked decoder, signed and not: it decodes the same whether a body comes whole or byte
// by byte, and never more than announced. The input's first byte chooses the form.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "auth/chunked_body.h"
#include "strata/base/check.h"

namespace {

using strata::s3::ChunkedBodyDecoder;

struct Result {
  bool ok = true;
  bool done = false;
  std::string content;
  size_t trailer_count = 0;
};

Result Decode(const ChunkedBodyDecoder::Options& options, std::span<const std::byte> wire,
              size_t step) {
  ChunkedBodyDecoder decoder(options);
  Result result;
  while (!wire.empty() && result.ok) {
    const size_t size = std::min(step, wire.size());
    result.ok = decoder
                    .Decode(wire.first(size),
                            [&result](std::span<const std::byte> content) {
                              result.content.append(reinterpret_cast<const char*>(content.data()),
                                                    content.size());
                              return absl::OkStatus();
                            })
                    .ok();
    wire = wire.subspan(size);
  }
  result.done = result.ok && decoder.done();
  if (result.done) result.trailer_count = decoder.trailers().size();
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  ChunkedBodyDecoder::Options options;
  options.trailer = (data[0] & 1) != 0;
  if ((data[0] & 2) != 0) options.signer.emplace();
  options.content_size_bytes = data[1];
  const auto wire = std::as_bytes(std::span(data + 2, size - 2));
  const Result whole = Decode(options, wire, size);
  const Result bytes = Decode(options, wire, 1);
  STRATA_CHECK(whole.ok == bytes.ok && whole.done == bytes.done, "splitting changed the verdict");
  STRATA_CHECK(whole.content == bytes.content, "splitting changed the content");
  STRATA_CHECK(whole.trailer_count == bytes.trailer_count, "splitting changed the trailer");
  STRATA_CHECK(whole.content.size() <= options.content_size_bytes, "more content than announced");
  if (whole.done) {
    STRATA_CHECK(whole.content.size() == options.content_size_bytes, "less than announced");
  }
  return 0;
}

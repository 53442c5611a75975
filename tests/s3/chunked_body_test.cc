// SPDX-License-Identifier: Apache-2.0
//
// The streaming examples of the Amazon S3 API Reference (65 KiB of 'a' in chunks of 64 KiB), split
// at every byte, and everything that may be wrong with such a body.
#include "auth/chunked_body.h"

#include <catch2/catch.hpp>

#include "auth/sigv4.h"
#include "http/errors.h"
#include "http/text.h"

namespace strata::s3 {
namespace {

constexpr std::string_view kSecretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const CredentialScope kScope = {"20130524", "us-east-1", "s3"};

constexpr std::string_view kSeed =
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
constexpr std::string_view kTrailerSeed =
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";

ChunkSigner Signer(std::string_view seed) {
  return {DeriveSigningKey(kSecretKey, kScope), "20130524T000000Z", kScope.Text(),
          std::string(seed)};
}

// The content, or what was wrong.
absl::StatusOr<std::string> Decode(ChunkedBodyDecoder& decoder,
                                   const std::vector<std::string_view>& pieces) {
  std::string content;
  for (std::string_view piece : pieces) {
    const absl::Status status = decoder.Decode(
        std::as_bytes(std::span(piece)), [&content](std::span<const std::byte> bytes) {
          content.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          return absl::OkStatus();
        });
    if (!status.ok()) return status;
  }
  if (!decoder.done()) return absl::UnavailableError("not done");
  return content;
}

absl::StatusOr<std::string> Decode(ChunkedBodyDecoder::Options options, std::string_view wire) {
  ChunkedBodyDecoder decoder(std::move(options));
  return Decode(decoder, {wire});
}

std::string SignedBody() {
  return Concat(
      {"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n",
       std::string(65536, 'a'), "\r\n",
       "400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n",
       std::string(1024, 'a'), "\r\n",
       "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n",
       "\r\n"});
}

std::string SignedBodyWithTrailer() {
  return Concat(
      {"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n",
       std::string(65536, 'a'), "\r\n",
       "400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n",
       std::string(1024, 'a'), "\r\n",
       "0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n",
       "x-amz-checksum-crc32c:sOO8/Q==\r\n"
       "x-amz-trailer-signature:"
       "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"});
}

ChunkedBodyDecoder::Options Unsigned(uint64_t size, bool trailer = true) {
  return {.signer = std::nullopt, .trailer = trailer, .content_size_bytes = size};
}

TEST_CASE("the reference's signed chunks") {
  const absl::StatusOr<std::string> content = Decode(
      {.signer = Signer(kSeed), .trailer = false, .content_size_bytes = 66560}, SignedBody());
  REQUIRE(content.ok());
  CHECK(*content == std::string(66560, 'a'));
}

TEST_CASE("the reference's signed chunks with a signed trailer") {
  ChunkedBodyDecoder decoder(
      {.signer = Signer(kTrailerSeed), .trailer = true, .content_size_bytes = 66560});
  const std::string wire = SignedBodyWithTrailer();
  const absl::StatusOr<std::string> content = Decode(decoder, {wire});
  REQUIRE(content.ok());
  CHECK(content->size() == 66560);
  REQUIRE(decoder.trailers().size() == 1);
  CHECK(decoder.trailers()[0].name == "x-amz-checksum-crc32c");
  CHECK(decoder.trailers()[0].value == "sOO8/Q==");
}

TEST_CASE("a trailer that does not come") {
  ChunkedBodyDecoder none(Unsigned(3));
  const std::string whole = "3\r\nabc\r\n0\r\n\r\n";
  (void)Decode(none, {whole});
  CHECK(none.End().ok());
  CHECK(none.done());
  CHECK(none.trailers().empty());
  for (std::string_view wire : {"", "3\r\nab", "3\r\nabc\r\n"}) {
    ChunkedBodyDecoder decoder(Unsigned(3));
    (void)Decode(decoder, {wire});
    CHECK(ErrorCodeOf(decoder.End()) == ErrorCode::kIncompleteBody);
  }
  for (std::string_view wire :
       {"3\r\nabc\r\n0\r\n", "3\r\nabc\r\n0\r\n\r\nx-a", "3\r\nabc\r\n0\r\nx-a:b\r\n"}) {
    ChunkedBodyDecoder decoder(Unsigned(3));
    (void)Decode(decoder, {wire});
    CHECK(ErrorCodeOf(decoder.End()) == ErrorCode::kMalformedTrailer);
  }
  // A signed body without its trailer lacks the trailer's signature.
  std::string wire = SignedBodyWithTrailer();
  wire.resize(wire.find("x-amz-checksum"));
  ChunkedBodyDecoder decoder(
      {.signer = Signer(kTrailerSeed), .trailer = true, .content_size_bytes = 66560});
  (void)Decode(decoder, {wire + "\r\n"});
  CHECK(ErrorCodeOf(decoder.End()) == ErrorCode::kSignatureDoesNotMatch);
}

TEST_CASE("it does not matter where the network splits a body") {
  const std::string wire =
      "3\r\nabc\r\n5;x=y\r\nde\r\nf\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
  for (size_t first = 0; first <= wire.size(); ++first) {
    for (size_t second = first; second <= wire.size(); ++second) {
      ChunkedBodyDecoder decoder(Unsigned(8));
      const std::string_view text = wire;
      const absl::StatusOr<std::string> content =
          Decode(decoder,
                 {text.substr(0, first), text.substr(first, second - first), text.substr(second)});
      INFO("split at " << first << " and " << second);
      REQUIRE(content.ok());
      REQUIRE(*content == "abcde\r\nf");
      REQUIRE(decoder.trailers().size() == 1);
    }
  }
}

TEST_CASE("signed bodies may be split at every byte too") {
  const std::string wire = SignedBodyWithTrailer();
  ChunkedBodyDecoder decoder(
      {.signer = Signer(kTrailerSeed), .trailer = true, .content_size_bytes = 66560});
  std::vector<std::string_view> pieces;
  for (size_t i = 0; i < wire.size(); ++i) pieces.push_back(std::string_view(wire).substr(i, 1));
  const absl::StatusOr<std::string> content = Decode(decoder, pieces);
  REQUIRE(content.ok());
  CHECK(content->size() == 66560);
}

TEST_CASE("a changed byte of signed content or of a signature is found") {
  const std::string good = SignedBodyWithTrailer();
  const size_t content = good.find("\r\n") + 2;
  for (size_t at : {content, content + 65535, good.find("1c1344"), good.find("2ca2ab"),
                    good.find("sOO8"), good.find("d81f82")}) {
    std::string wire = good;
    wire[at] = wire[at] == 'x' ? 'y' : 'x';
    INFO("changed at " << at);
    const absl::StatusOr<std::string> result = Decode(
        {.signer = Signer(kTrailerSeed), .trailer = true, .content_size_bytes = 66560}, wire);
    REQUIRE_FALSE(result.ok());
    CHECK(ErrorCodeOf(result.status()) == ErrorCode::kSignatureDoesNotMatch);
  }
}

TEST_CASE("chunks cannot change places, be left out or come unsigned") {
  const std::string good = SignedBody();
  const size_t second = good.find("400;");
  const size_t last = good.find("0;chunk-signature=b6c6");
  const ChunkedBodyDecoder::Options options = {
      .signer = Signer(kSeed), .trailer = false, .content_size_bytes = 66560};
  const std::vector<std::string> bodies = {
      Concat({good.substr(second, last - second), good.substr(0, second), good.substr(last)}),
      Concat({good.substr(0, second), good.substr(last)}), good.substr(last),
      Concat({"10000\r\n", std::string(65536, 'a'), "\r\n"})};
  for (const std::string& body : bodies) {
    INFO(body.substr(0, 90));
    CHECK_FALSE(Decode(options, body).ok());
  }
}

TEST_CASE("the content is as long as announced") {
  CHECK(Decode(Unsigned(3), "3\r\nabc\r\n0\r\n\r\n").status().code() ==
        absl::StatusCode::kUnavailable);  // A trailer was announced: its end is still to come.
  CHECK(Decode(Unsigned(3, false), "3\r\nabc\r\n0\r\n\r\n").ok());
  for (uint64_t size : {0, 2, 4}) {
    INFO(size);
    const absl::Status status = Decode(Unsigned(size, false), "3\r\nabc\r\n0\r\n\r\n").status();
    CHECK(ErrorCodeOf(status) == ErrorCode::kIncompleteBody);
  }
  CHECK(Decode(Unsigned(0, false), "0\r\n\r\n").ok());
}

TEST_CASE("bodies that are not well formed are refused") {
  const std::vector<std::string> bodies = {
      "\r\n",
      "x\r\n",
      "-1\r\n",
      " \r\n",
      "0x3\r\nabc\r\n",
      "3\r\nabcd\r\n0\r\n\r\n",
      "1000000000000000\r\n",
      "fffffffffffffff\r\n",
      std::string(300, '0') + "\r\n",
      "3\r\nabc\r\n0\r\nno colon\r\n\r\n",
      "3\r\nabc\r\n0\r\n:no name\r\n\r\n",
      "3\r\nabc\r\n0\r\na:1\r\n\r\nmore",
      "3\r\nabc\r\n0\r\n" + std::string(9000, 'a') + ":1\r\n\r\n",
      "3\r\nabc\r\n0\r\nx-amz-trailer-signature:00\r\nlate:1\r\n\r\n",
  };
  for (const std::string& body : bodies) {
    INFO(body.substr(0, 60));
    const absl::StatusOr<std::string> result = Decode(Unsigned(3), body);
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("a trailer that nobody announced is refused") {
  const absl::StatusOr<std::string> result =
      Decode(Unsigned(3, false), "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
  REQUIRE_FALSE(result.ok());
  CHECK(ErrorCodeOf(result.status()) == ErrorCode::kMalformedTrailer);
}

TEST_CASE("an error of the content's taker ends the decoding") {
  ChunkedBodyDecoder decoder(Unsigned(3));
  const std::string_view wire = "3\r\nabc\r\n";
  const absl::Status status = decoder.Decode(
      std::as_bytes(std::span(wire)),
      [](std::span<const std::byte>) { return absl::ResourceExhaustedError("full"); });
  CHECK(absl::IsResourceExhausted(status));
}

}  // namespace
}  // namespace strata::s3

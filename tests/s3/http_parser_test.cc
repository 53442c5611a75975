// SPDX-License-Identifier: Apache-2.0
//
// Heads, whole and in pieces; and the replies' heads.
#include "http/http_parser.h"

#include <catch2/catch.hpp>

#include "http/errors.h"
#include "http/http_reply.h"
#include "http/text.h"

namespace strata::s3 {
namespace {

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

// Feeds `text` as the session does: what was not taken is offered again with more behind it.
absl::StatusOr<HttpHead> ParseInPieces(std::string_view text, size_t piece_bytes,
                                       size_t max_header_bytes = 8192) {
  HttpParser parser(max_header_bytes);
  size_t begin = 0;
  for (size_t end = 0; !parser.head_done();) {
    if (end == text.size()) return absl::UnavailableError("not complete");
    end = std::min(text.size(), end + piece_bytes);
    const absl::StatusOr<size_t> taken = parser.ParseHead(Bytes(text.substr(begin, end - begin)));
    if (!taken.ok()) return taken.status();
    begin += *taken;
  }
  return parser.TakeHead();
}

ErrorCode ErrorOf(std::string_view text) {
  const absl::StatusOr<HttpHead> head = ParseInPieces(text, text.size());
  REQUIRE_FALSE(head.ok());
  return ErrorCodeOf(head.status());
}

constexpr std::string_view kRequest =
    "PUT /bucket/key?a=b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\nX-Amz-Meta-A:  x y \r\n"
    "Expect: 100-Continue\r\n\r\n";

TEST_CASE("a head is read in pieces of any size") {
  for (size_t piece = 1; piece <= kRequest.size(); ++piece) {
    const absl::StatusOr<HttpHead> head = ParseInPieces(kRequest, piece);
    INFO("pieces of " << piece);
    REQUIRE(head.ok());
    CHECK(head->method == "PUT");
    CHECK(head->target == "/bucket/key?a=b");
    CHECK(head->content_length == 5);
    CHECK(head->Value("x-amz-meta-a") == "x y");
    CHECK(head->keep_alive);
    CHECK(head->expect_continue);
    CHECK_FALSE(head->chunked);
  }
}

TEST_CASE("keep-alive and its versions") {
  auto keeps = [](std::string_view text) {
    const absl::StatusOr<HttpHead> head = ParseInPieces(text, text.size());
    REQUIRE(head.ok());
    return head->keep_alive;
  };
  CHECK(keeps("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  CHECK_FALSE(keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  CHECK_FALSE(keeps("GET / HTTP/1.0\r\nHost: h\r\n\r\n"));
  CHECK(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}

TEST_CASE("what is not HTTP, or could mean two things") {
  CHECK(ErrorOf("hello\r\n\r\n") == ErrorCode::kMalformedRequest);
  CHECK(ErrorOf("GET / HTTP/1.1\r\n\r\n") == ErrorCode::kMalformedRequest);
  CHECK(ErrorOf("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == ErrorCode::kMalformedRequest);
  CHECK(ErrorOf("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n") ==
        ErrorCode::kMalformedRequest);
  CHECK(ErrorOf("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n") ==
        ErrorCode::kMalformedRequest);
  CHECK(ErrorOf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n") ==
        ErrorCode::kMalformedRequest);
  CHECK(ErrorOf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                "Transfer-Encoding: chunked\r\n\r\n") == ErrorCode::kMalformedRequest);
  CHECK(ErrorOf("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n") ==
        ErrorCode::kMalformedRequest);
  CHECK(ErrorOf("GET / HTTP/1.1\r\nHo st: a\r\n\r\n") == ErrorCode::kMalformedRequest);
}

TEST_CASE("a head that is too large") {
  const std::string large =
      Concat({"GET / HTTP/1.1\r\nHost: h\r\nA: ", std::string(9000, 'a'), "\r\n\r\n"});
  CHECK(ErrorOf(large) == ErrorCode::kRequestHeaderTooLarge);
  CHECK(ErrorOf(Concat({"GET /", std::string(9000, 'a'), " HTTP/1.1\r\nHost: h\r\n\r\n"})) ==
        ErrorCode::kRequestHeaderTooLarge);
  CHECK(ParseInPieces(large, 1, 16384).ok());
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 600; ++i) many += "a:1\r\n";
  many += "\r\n";
  CHECK(ErrorOf(many) == ErrorCode::kRequestHeaderTooLarge);
}

// Beast throws std::length_error at such a field.
TEST_CASE("a header field of 64 KiB in a head that may be larger") {
  for (size_t size : {65'532, 65'533, 65'534, 65'535, 65'536, 120'000}) {
    INFO(size << " bytes");
    const std::string text =
        Concat({"GET / HTTP/1.1\r\nHost: h\r\nA: ", std::string(size, 'a'), "\r\n\r\n"});
    const absl::StatusOr<HttpHead> head = ParseInPieces(text, 16 << 10, 1 << 20);
    if (head.ok()) {
      CHECK(head->Value("a").size() == size);
    } else {
      CHECK(ErrorCodeOf(head.status()) == ErrorCode::kRequestHeaderTooLarge);
    }
  }
}

TEST_CASE("the head of a reply") {
  Reply reply;
  reply.Add("ETag", "\"x\"");
  reply.body = "12345";
  CHECK(FormatReplyHead(reply, {.date = "D"}) ==
        "HTTP/1.1 200 OK\r\nServer: Strata\r\nDate: D\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n");
  CHECK(FormatReplyHead(reply, {.date = "D", .is_head = true, .close = true}) ==
        "HTTP/1.1 200 OK\r\nServer: Strata\r\nDate: D\r\nETag: \"x\"\r\nConnection: close\r\n\r\n");
  reply.status = 204;
  CHECK(FormatReplyHead(reply, {.date = "D"}).find("Content-Length") == std::string::npos);
}

TEST_CASE("no value can begin another header") {
  Reply reply;
  reply.Add("Content-Type", "a\r\nSet-Cookie: b");
  CHECK(FormatReplyHead(reply, {.date = "D"}).find("\r\nContent-Type: a  Set-Cookie: b\r\n") !=
        std::string::npos);
}

}  // namespace
}  // namespace strata::s3

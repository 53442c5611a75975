// SPDX-License-Identifier: Apache-2.0
//
// Heads and chunked bodies, whole and in pieces; and the replies' heads.
#include "http_parser.h"

#include <catch2/catch.hpp>

#include "errors.h"
#include "http_reply.h"
#include "text.h"

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

TEST_CASE("a chunked body is decoded wherever it is split, and the next request stays") {
  const std::string_view head = "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string_view body = "3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\ntrailer: 1\r\n\r\n";
  const std::string wire = Concat({head, body, "GET"});
  for (size_t piece : {1, 2, 3, 5, 7, 100}) {
    for (size_t room : {1, 2, 3, 100}) {
      INFO("pieces of " << piece << " into " << room);
      HttpParser parser(8192);
      size_t begin = 0, end = 0;
      std::string content;
      std::vector<std::byte> out(room);
      while (!parser.head_done() || !parser.body_done()) {
        const std::string_view offered = std::string_view(wire).substr(begin, end - begin);
        size_t taken = 0;
        if (!parser.head_done()) {
          const absl::StatusOr<size_t> parsed = parser.ParseHead(Bytes(offered));
          REQUIRE(parsed.ok());
          taken = *parsed;
        } else {
          const absl::StatusOr<HttpParser::Progress> progress =
              parser.ParseChunkedBody(Bytes(offered), out);
          REQUIRE(progress.ok());
          taken = progress->taken_bytes;
          content.append(reinterpret_cast<const char*>(out.data()), progress->written_bytes);
        }
        begin += taken;
        if (taken == 0) {
          REQUIRE(end < wire.size());
          end = std::min(wire.size(), end + piece);
        }
      }
      CHECK(content == "abcdefgh");
      CHECK(wire.substr(begin) == "GET");
    }
  }
}

TEST_CASE("a chunked body that is not well formed") {
  HttpParser parser(8192);
  const std::string_view wire =
      "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
  const absl::StatusOr<size_t> taken = parser.ParseHead(Bytes(wire));
  REQUIRE(taken.ok());
  std::vector<std::byte> out(10);
  CHECK_FALSE(parser.ParseChunkedBody(Bytes(wire.substr(*taken)), out).ok());
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

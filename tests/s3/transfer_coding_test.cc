// SPDX-License-Identifier: Apache-2.0
//
// The chunked transfer coding: split anywhere, malformed, and with more beside the content than is
// good.
#include "http/transfer_coding.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "http/errors.h"
#include "http/text.h"

namespace strata::s3 {
namespace {

struct Decoded {
  absl::Status status;
  bool done = false;
  std::string content;
  std::string rest;  // What was not taken.
};

// Offers `wire` in pieces, each as long as it takes until nothing more is taken of it.
Decoded Decode(std::string_view wire, size_t piece_bytes, size_t room_bytes) {
  TransferDecoder decoder;
  Decoded decoded;
  std::vector<std::byte> out(room_bytes);
  size_t begin = 0;
  for (size_t end = 0; end < wire.size() && !decoder.done();) {
    end = std::min(wire.size(), end + piece_bytes);
    while (begin < end && !decoder.done()) {
      const absl::StatusOr<TransferDecoder::Progress> progress =
          decoder.Decode(std::as_bytes(std::span(wire.substr(begin, end - begin))), out);
      if (!progress.ok()) {
        decoded.status = progress.status();
        return decoded;
      }
      REQUIRE(progress->taken_bytes > 0);
      begin += progress->taken_bytes;
      decoded.content.append(reinterpret_cast<const char*>(out.data()), progress->written_bytes);
    }
  }
  decoded.done = decoder.done();
  decoded.rest = wire.substr(begin);
  return decoded;
}

bool IsMalformed(std::string_view wire) {
  const Decoded whole = Decode(wire, wire.size(), 100);
  const Decoded bytes = Decode(wire, 1, 100);
  CHECK(whole.status.ok() == bytes.status.ok());
  if (whole.status.ok()) return false;
  CHECK(ErrorCodeOf(whole.status) == ErrorCode::kMalformedRequest);
  return true;
}

TEST_CASE("a chunked body is decoded wherever it is split, and the next request stays") {
  const std::string_view body =
      "3\r\nabc\r\n5;x=y\r\ndefgh\r\n00A \t;q=\"1\"\r\n0123456789\r\n0\r\ntrailer: 1\r\nb:\r\n\r\n";
  const std::string wire = Concat({body, "GET"});
  for (size_t piece = 1; piece <= wire.size(); ++piece) {
    for (size_t room : {1, 2, 3, 100}) {
      INFO("pieces of " << piece << " into " << room);
      const Decoded decoded = Decode(wire, piece, room);
      REQUIRE(decoded.status.ok());
      CHECK(decoded.done);
      CHECK(decoded.content == "abcdefgh0123456789");
      CHECK(std::string_view("GET").starts_with(decoded.rest));
    }
  }
}

// A debug build of Boost.Beast 1.81 aborts when it is given "0\r\n" and one byte more.
TEST_CASE("the last chunk and one byte after it") {
  for (std::string_view rest : {"\r\n", "a: b\r\n\r\n"}) {
    TransferDecoder decoder;
    std::vector<std::byte> out(10);
    const std::string wire = Concat({"0\r\n", rest});
    for (std::string_view piece :
         {std::string_view(wire).substr(0, 4), std::string_view(wire).substr(4)}) {
      const auto progress = decoder.Decode(std::as_bytes(std::span(piece)), out);
      REQUIRE(progress.ok());
      CHECK(progress->taken_bytes == piece.size());
    }
    CHECK(decoder.done());
  }
}

TEST_CASE("chunked bodies that are not well formed") {
  for (std::string_view wire : {"zz\r\n",
                                "\r\n",
                                ";a\r\n",
                                " 1\r\na\r\n",
                                "-1\r\n",
                                "0x1\r\na\r\n",
                                "1\na\n0\n\n",
                                "1\r\nab\r\n",
                                "1\r\na\n0\r\n\r\n",
                                "1\ra",
                                "1;a\nb\r\na",
                                "0\r\n\n",
                                "0\r\n: b\r\n\r\n",
                                "0\r\na b: c\r\n\r\n",
                                "0\r\na\r\n\r\n",

                                "0\r\n a: b\r\n\r\n",
                                "0\r\na: b\n\r\n",
                                "0\r\n\r\r",
                                "10000000000000000\r\n",
                                "fffffffffffffffff\r\n"}) {
    INFO(wire);
    CHECK(IsMalformed(wire));
  }
  CHECK(IsMalformed(std::string_view("0\r\na: \0\r\n\r\n", 11)));
  CHECK_FALSE(IsMalformed("fffffffffffff\r\nabc"));
  // Two chunks that are together longer than any body.
  CHECK(IsMalformed("1\r\na\r\nfffffffffffffff\r\n"));
}

TEST_CASE("trailers, extensions and zeros have limits") {
  const auto trailer = [](size_t size) {
    return Concat({"0\r\na:", std::string(size, 'b'), "\r\n\r\n"});
  };
  CHECK_FALSE(IsMalformed(trailer(TransferDecoder::kMaxTrailerBytes - 10)));
  for (size_t size : {TransferDecoder::kMaxTrailerBytes, size_t{65'532}, size_t{65'533},
                      size_t{65'534}, size_t{65'535}, size_t{1 << 20}}) {
    CHECK(IsMalformed(trailer(size)));
  }
  std::string many = "0\r\n";
  while (many.size() <= TransferDecoder::kMaxTrailerBytes + 3) many += "a:\r\n";
  CHECK(IsMalformed(many));

  const auto padded = [](std::string_view before, std::string_view after) {
    return Concat({before, "1", after, "\r\na\r\n"});
  };
  const std::string zeros(1000, '0');
  const std::string extension = Concat({";", std::string(1000, 'x')});
  CHECK_FALSE(IsMalformed(padded(zeros, "")));
  CHECK_FALSE(IsMalformed(padded("", extension)));
  CHECK(IsMalformed(padded(std::string(1100, '0'), "")));
  CHECK(IsMalformed(padded("", Concat({";", std::string(1100, 'x')}))));
  // And all of them together.
  std::string wire;
  for (int i = 0; i < 64; ++i) wire += i % 2 == 0 ? padded(zeros, "") : padded("", extension);
  CHECK_FALSE(IsMalformed(wire));
  for (int i = 0; i < 4; ++i) wire += padded(zeros, "");
  CHECK(IsMalformed(wire));
}

}  // namespace
}  // namespace strata::s3

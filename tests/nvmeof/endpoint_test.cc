// SPDX-License-Identifier: Apache-2.0
#include "strata/nvmeof/endpoint.h"

#include <catch2/catch.hpp>
#include <string>

namespace strata::nvmeof {
namespace {

TEST_CASE("Numeric addresses are read and written") {
  const struct {
    const char* text;
    const char* written;
  } kCases[] = {
      {"127.0.0.1:4420", "127.0.0.1:4420"}, {"127.0.0.1", "127.0.0.1:8009"},
      {"[::1]:4420", "[::1]:4420"},         {"[fe80::1:0]", "[fe80::1:0]:8009"},
      {"0.0.0.0:0", "0.0.0.0:0"},           {"[::]:65535", "[::]:65535"},
  };
  for (const auto& test : kCases) {
    CAPTURE(test.text);
    const absl::StatusOr<Endpoint> endpoint = ParseEndpoint(test.text, kDiscoveryPort);
    REQUIRE(endpoint.ok());
    CHECK(ToString(*endpoint) == test.written);
    CHECK(ParseEndpoint(test.written).value() == *endpoint);
  }
}

TEST_CASE("Anything else is refused by its name") {
  for (const std::string_view text :
       {"", ":", ":4420", "localhost:4420", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:+1", "127.0.0.1:4420 ", " 127.0.0.1", "127.0.0", "127.0.0.1:4420:1", "::1",
        "[::1", "[::1]4420", "[::1]:", "[127.0.0.1]:1", "[::1%lo]:1", "[]:1"}) {
    CAPTURE(text);
    const absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
    REQUIRE_FALSE(endpoint.ok());
    CHECK(endpoint.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(endpoint.status().message()).find(text) != std::string::npos);
  }
  CHECK_FALSE(ParseEndpoint(std::string_view("127.0.0.1\0x:1", 13)).ok());
}

TEST_CASE("loopback addresses are known in each of their forms") {
  const auto is_loopback = [](const char* text) { return IsLoopback(*ParseEndpoint(text)); };
  CHECK(is_loopback("127.0.0.1"));
  CHECK(is_loopback("127.255.0.9:1"));
  CHECK(is_loopback("[::1]"));
  CHECK(is_loopback("[::ffff:127.0.0.1]"));
  CHECK_FALSE(is_loopback("0.0.0.0"));
  CHECK_FALSE(is_loopback("128.0.0.1"));
  CHECK_FALSE(is_loopback("[::]"));
  CHECK_FALSE(is_loopback("[::ffff:10.0.0.1]"));
  CHECK_FALSE(is_loopback("[fe80::1]"));
}

}  // namespace
}  // namespace strata::nvmeof

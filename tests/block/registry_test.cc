// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "strata/block/devices.h"
#include "strata/block/registry.h"

namespace strata::block {
namespace {

absl::StatusCode CodeOf(std::string_view uri) {
  return Registry::WithDefaults().Open(uri).status().code();
}

TEST_CASE("sizes") {
  CHECK(*ParseSizeBytes("0") == 0);
  CHECK(*ParseSizeBytes("4096") == 4096);
  CHECK(*ParseSizeBytes("3K") == 3072);
  CHECK(*ParseSizeBytes("64G") == 68719476736);
  CHECK(*ParseSizeBytes("2T") == 2199023255552);
  CHECK(*ParseSizeBytes("18446744073709551615") == 18446744073709551615u);
  for (const char* bad : {"", "K", "1k", "1KB", "-1", " 1", "1 ", "0x10", "18446744073709551616",
                          "16777216T", "99999999999999999999"}) {
    INFO(bad);
    const absl::Status status = ParseSizeBytes(bad).status();
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(status.message()).find("'" + std::string(bad) + "'") != std::string::npos);
  }
}

TEST_CASE("URIs are taken apart") {
  const Uri file = *ParseUri("file:/var/lib/x?size=64G&create=1");
  CHECK(file.scheme == "file");
  CHECK(file.target == "/var/lib/x");
  CHECK(file.options.size() == 2);
  CHECK(file.options.at("size") == "64G");
  CHECK(file.options.at("create") == "1");

  const Uri bare = *ParseUri("mem:");
  CHECK(bare.scheme == "mem");
  CHECK(bare.target.empty());
  CHECK(bare.options.empty());

  const Uri nested = *ParseUri("delay:file:/tmp/x?size=1G;read_us=100&write_us=200");
  CHECK(nested.scheme == "delay");
  CHECK(nested.target == "file:/tmp/x?size=1G");
  CHECK(nested.options.at("read_us") == "100");
  CHECK(nested.options.at("write_us") == "200");

  const Uri twice = *ParseUri("delay:delay:mem:?size=1G;read_us=1;flush_us=2");
  CHECK(twice.target == "delay:mem:?size=1G;read_us=1");
  CHECK(twice.options.at("flush_us") == "2");

  CHECK(ParseUri("file:/a;b?size=1")->target == "/a;b");
  CHECK(ParseUri("file:x?k=v=w")->options.at("k") == "v=w");
}

TEST_CASE("malformed URIs are refused") {
  using namespace std::string_view_literals;
  for (const std::string_view bad : {""sv, ":"sv, "/tmp/x"sv, "File:/x"sv, "9p:/x"sv, "file"sv,
                                     "file:/x?"sv
                                     "size"sv,
                                     "file:/x?=1"sv, "file:/x?a=1&"sv, "file:/x?a=1&&b=2"sv,
                                     "file:/x?a=1&a=2"sv, "file:/x\0y"sv}) {
    INFO(std::string(bad));
    CHECK(ParseUri(bad).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(ParseUri("file:" + std::string(10000, 'x')).status().code() ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE("the registry opens what it knows") {
  const Registry registry = Registry::WithDefaults();
  auto memory = registry.Open("mem:?size=1M&block=512");
  REQUIRE(memory.ok());
  CHECK((*memory)->geometry().block_count == 2048);
  CHECK((*memory)->geometry().block_size_bytes == 512);
  auto null = registry.Open("null:?size=1T");
  REQUIRE(null.ok());
  CHECK((*null)->geometry().block_count == uint64_t{1} << 28);
  CHECK((*null)->name() == "null:?size=1099511627776");
  auto delayed = registry.Open("delay:mem:?size=1M;read_us=1");
  REQUIRE(delayed.ok());
  CHECK((*delayed)->geometry().block_count == 256);
  CHECK((*delayed)->name() == "delay:mem:?size=1048576");
}

TEST_CASE("the registry names what is wrong") {
  const absl::Status unknown = Registry::WithDefaults().Open("tape:/dev/st0").status();
  CHECK(unknown.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(unknown.message()).find("tape:") != std::string::npos);
  const absl::Status option = Registry::WithDefaults().Open("mem:?size=1M&colour=red").status();
  CHECK(option.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(option.message()).find("colour") != std::string::npos);
  CHECK(CodeOf("mem:") == absl::StatusCode::kInvalidArgument);
  CHECK(CodeOf("mem:/x?size=1M") == absl::StatusCode::kInvalidArgument);
  CHECK(CodeOf("mem:?size=1M&block=1000") == absl::StatusCode::kInvalidArgument);
  CHECK(CodeOf("mem:?size=1000") == absl::StatusCode::kInvalidArgument);
  CHECK(CodeOf("null:") == absl::StatusCode::kInvalidArgument);
  CHECK(CodeOf("null:?size=1M&block=1000") == absl::StatusCode::kInvalidArgument);
  CHECK(CodeOf("null:?size=1M&colour=red") == absl::StatusCode::kInvalidArgument);
  CHECK(CodeOf("delay:mem:?size=1M;read_us=x") == absl::StatusCode::kInvalidArgument);
  CHECK(CodeOf("delay:tape:;read_us=1") == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("applications add schemes of their own") {
  Registry registry = Registry::WithDefaults();
  const auto factory = [](const Uri& uri, const Registry&) {
    return CreateMemoryDevice({.block_count = uri.target.size(), .name = "test:" + uri.target});
  };
  CHECK(registry.Register("test", factory) == absl::OkStatus());
  CHECK(registry.Register("test", factory).code() == absl::StatusCode::kAlreadyExists);
  CHECK(registry.Register("mem", factory).code() == absl::StatusCode::kAlreadyExists);
  auto device = registry.Open("delay:test:four;flush_us=1");
  REQUIRE(device.ok());
  CHECK((*device)->name() == "delay:test:four");
  CHECK((*device)->geometry().block_count == 4);
}

}  // namespace
}  // namespace strata::block

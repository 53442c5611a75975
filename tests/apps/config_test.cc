// SPDX-License-Identifier: Apache-2.0
#include "appliance/config.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace strata::appliance {
namespace {

// A file that goes when the test ends.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& text) {
    char name[] = "/tmp/strata_config_XXXXXX";
    const int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    close(fd);
    path_ = name;
    std::ofstream(path_) << text;
  }
  ~ScratchFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

absl::StatusOr<Config> Load(const std::string& text) {
  const ScratchFile file(text);
  return LoadConfig({.file = file.path()});
}

std::string ErrorOf(const std::string& text) {
  const absl::StatusOr<Config> config = Load(text);
  INFO("the file:\n" << text);
  REQUIRE(!config.ok());
  CHECK(absl::IsInvalidArgument(config.status()));
  return std::string(config.status().message());
}

TEST_CASE("nothing set gives the defaults") {
  const absl::StatusOr<Config> config = LoadConfig({});
  REQUIRE(config.ok());
  CHECK(config->s3.listen == "127.0.0.1:9000");
  CHECK(config->metrics.listen == "127.0.0.1:9090");
  CHECK(config->storage.store.chunker.avg_bytes == 8192);
}

TEST_CASE("the file sets keys, by every kind of value") {
  const absl::StatusOr<Config> config = Load(R"(
[s3]
listen = "[::1]:9001"
domains = ["s3.example.org", "s3.local"]
max_connections = 10
max_body_memory = "8M"
[storage]
compression = "lz4"
compression_level = -3
defer_compression = true
mode = "post-process"
worker_threads = 2
encryption_key_file = "/etc/strata/key"
data_cache = 1048576
[maintenance]
gc_garbage_ratio = 0.5
[log]
level = "error"
json = true
)");
  REQUIRE(config.status() == absl::OkStatus());
  CHECK(config->s3.listen == "[::1]:9001");
  CHECK(config->s3.domains == std::vector<std::string>{"s3.example.org", "s3.local"});
  CHECK(config->s3.max_connections == 10);
  CHECK(config->s3.max_body_memory_bytes == 8u << 20);
  CHECK(config->storage.store.compression == dedup::Compression::kLz4);
  CHECK(config->storage.store.compression_level == -3);
  CHECK(config->storage.store.defer_compression);
  CHECK(config->storage.store.mode == dedup::Mode::kPostProcess);
  CHECK(config->storage.store.worker_threads == 2);
  CHECK(config->storage.encryption_key_file == "/etc/strata/key");
  CHECK(!config->storage.store.encryption_key.has_value());
  CHECK(config->storage.store.data_cache_bytes == 1u << 20);
  CHECK(config->maintenance.gc_garbage_ratio == 0.5);
  CHECK(config->log.level == LogLevel::kError);
  CHECK(config->log.json);
}

TEST_CASE("the environment wins over the file, overrides win over both") {
  const ScratchFile file("[s3]\nregion = \"file\"\nlisten = \"127.0.0.1:1\"\nio_threads = 5\n");
  const char* const environment[] = {"PATH=/bin",
                                     "STRATA_S3_REGION=environment",
                                     "STRATA_S3_LISTEN=127.0.0.1:2",
                                     "STRATA_S3_DOMAINS=a.org,b.org",
                                     "STRATA_SEED=4",
                                     nullptr};
  const absl::StatusOr<Config> config = LoadConfig({.file = file.path(),
                                                    .environment = environment,
                                                    .overrides = {{"s3.listen", "127.0.0.1:3"}}});
  REQUIRE(config.status() == absl::OkStatus());
  CHECK(config->s3.io_threads == 5);
  CHECK(config->s3.region == "environment");
  CHECK(config->s3.listen == "127.0.0.1:3");
  CHECK(config->s3.domains == std::vector<std::string>{"a.org", "b.org"});
}

TEST_CASE("errors name the place, the key and what is wrong") {
  CHECK_THAT(
      ErrorOf("[s3]\n\nlisten_on = \"x\"\n"),
      Catch::Contains(":3: unknown key 's3.listen_on'") && Catch::Contains("listen, region"));
  CHECK_THAT(ErrorOf("[s4]\nlisten = \"x\"\n"), Catch::Contains(":2: unknown key 's4.listen'"));
  CHECK_THAT(ErrorOf("listen = \"x\"\n"), Catch::Contains(":1: unknown key 'listen'"));
  CHECK_THAT(ErrorOf("[s3]\nlisten = \n"), Catch::Contains(":2: "));
  CHECK_THAT(ErrorOf("[s3]\nio_threads = 0\n"),
             Catch::Contains(":2: s3.io_threads: '0' is not a whole number from 1 to 64"));
  CHECK_THAT(ErrorOf("[s3]\nio_threads = \"many\"\n"), Catch::Contains("'many'"));
  CHECK_THAT(ErrorOf("[s3]\nlisten = \"nowhere:1\"\n"), Catch::Contains("s3.listen: 'nowhere:1'"));
  CHECK_THAT(ErrorOf("[s3]\nlisten = \"\"\n"), Catch::Contains("s3.listen"));
  CHECK_THAT(ErrorOf("[s3]\ndomains = [1]\n"), Catch::Contains(":2: s3.domains"));
  CHECK_THAT(ErrorOf("[storage]\ncompression = \"rar\"\n"),
             Catch::Contains("'rar' is none of zstd, lz4, gzip, none"));
  CHECK_THAT(ErrorOf("[storage]\ncompression = \"gzip\"\ncompression_level = 9\n"),
             Catch::Contains("storage.compression_level: 9 is not from 0 to 3"));
  CHECK_THAT(ErrorOf("[storage]\nmode = \"later\"\n"),
             Catch::Contains("'later' is none of inline, hybrid, post-process"));
  CHECK_THAT(ErrorOf("[storage]\nworker_threads = 65\n"),
             Catch::Contains("storage.worker_threads: '65' is not a whole number from 0 to 64"));
  CHECK_THAT(ErrorOf("[storage]\ndata_cache = \"lots\"\n"), Catch::Contains("storage.data_cache"));
  CHECK_THAT(ErrorOf("[storage]\nregion_size = \"1G\"\n"), Catch::Contains("storage.region_size"));
  CHECK_THAT(ErrorOf("[storage]\ncontainer_size = \"3M\"\n"),
             Catch::Contains("storage.container_size: not a power of two"));
  CHECK_THAT(ErrorOf("[storage]\nchunk_min = 8192\nchunk_avg = 4096\n"),
             Catch::Contains("chunk_min"));
  CHECK_THAT(ErrorOf("[maintenance]\ngc_garbage_ratio = 1.5\n"),
             Catch::Contains("'1.5' is not a number from 0 to 1"));
  CHECK_THAT(ErrorOf("[log]\njson = \"yes\"\n"), Catch::Contains("neither true nor false"));
  CHECK_THAT(ErrorOf("[s3]\ntls_key = \"k.pem\"\n"), Catch::Contains("s3.tls_certificate"));

  const char* const environment[] = {"STRATA_LOG_LEVEL=loud", nullptr};
  const absl::Status from_environment = LoadConfig({.environment = environment}).status();
  CHECK_THAT(std::string(from_environment.message()),
             Catch::Contains("environment STRATA_LOG_LEVEL: log.level: 'loud'"));
  const absl::Status absent = LoadConfig({.file = "/nonexistent/strata.toml"}).status();
  CHECK(absl::IsNotFound(absent));
  CHECK_THAT(std::string(absent.message()), Catch::Contains("/nonexistent/strata.toml"));
}

TEST_CASE("a file without an end is refused, not read into memory") {
  const absl::StatusOr<Config> config = LoadConfig({.file = "/dev/zero"});
  REQUIRE(absl::IsInvalidArgument(config.status()));
  CHECK_THAT(std::string(config.status().message()), Catch::Contains("/dev/zero is longer"));
}

TEST_CASE("what is printed reads back as the same") {
  absl::StatusOr<Config> config =
      LoadConfig({.overrides = {{"s3.domains", "a.org,b.org"},
                                {"s3.max_body_memory", "65M"},
                                {"storage.max_size", "5T"},
                                {"storage.compression", "none"},
                                {"storage.device", "file:/dev/s\n\"d\\b\x7f"},
                                {"maintenance.gc_garbage_ratio", "1"},
                                {"log.level", "debug"},
                                {"log.requests", "true"}}});
  REQUIRE(config.status() == absl::OkStatus());
  const std::string printed = PrintConfig(*config);
  const absl::StatusOr<Config> again = Load(printed);
  INFO(printed);
  REQUIRE(again.status() == absl::OkStatus());
  CHECK(PrintConfig(*again) == printed);
  CHECK(again->storage.max_size_bytes == uint64_t{5} << 40);
}

TEST_CASE("endpoints") {
  for (const char* text : {"127.0.0.1:9000", "0.0.0.0:0", "[::1]:65535"}) {
    const absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
    INFO(text);
    REQUIRE(endpoint.ok());
    CHECK(PrintEndpoint(*endpoint) == text);
  }
  CHECK(ParseEndpoint("localhost:80")->address == "127.0.0.1");
  for (const char* text :
       {"", ":", "9000", ":9000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1: 1", "::1:9000", "[::1]", "[127.0.0.1]:1", "host:1", "127.0.0.1:+5"}) {
    INFO(text);
    CHECK(absl::IsInvalidArgument(ParseEndpoint(text).status()));
  }
}

}  // namespace
}  // namespace strata::appliance

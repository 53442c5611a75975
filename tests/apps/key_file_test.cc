// SPDX-License-Identifier: Apache-2.0
#include "appliance/key_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <string>

namespace strata::appliance {
namespace {

constexpr char kHex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";

// A file that goes when the test ends.
class KeyFile {
 public:
  explicit KeyFile(const std::string& content, mode_t mode = 0600) {
    char name[] = "/tmp/strata_key_XXXXXX";
    const int fd = mkstemp(name);
    REQUIRE(fd >= 0);
    close(fd);
    path_ = name;
    std::ofstream(path_, std::ios::binary) << content;
    REQUIRE(chmod(path_.c_str(), mode) == 0);
  }
  ~KeyFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string RawKey() {
  std::string key;
  for (char c = 0; c < 32; ++c) key += c;
  return key;
}

TEST_CASE("no path, no key") {
  const auto key = ReadKeyFile("");
  REQUIRE(key.ok());
  CHECK(!key->has_value());
}

TEST_CASE("a key as bytes and as digits is the same key") {
  for (const std::string& content :
       {RawKey(), std::string(kHex), kHex + std::string("\n"), kHex + std::string("\r\n")}) {
    const KeyFile file(content, 0400);
    const auto key = ReadKeyFile(file.path());
    REQUIRE(key.status() == absl::OkStatus());
    REQUIRE(key->has_value());
    for (int i = 0; i < 32; ++i) CHECK((*key)->at(i) == static_cast<std::byte>(i));
  }
}

TEST_CASE("what is not a key is refused by its path, and never shown") {
  const std::string hex = kHex;
  for (const std::string& content :
       {std::string(), RawKey().substr(1), RawKey() + "x", hex.substr(2), hex + "00", hex + "\n\n",
        "zz" + hex.substr(2), "\n" + hex}) {
    const KeyFile file(content);
    const absl::Status status = ReadKeyFile(file.path()).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()), Catch::Contains(file.path()));
    CHECK_THAT(std::string(status.message()), !Catch::Contains("0b0c0d"));
  }
}

TEST_CASE("a key that others may read or change is refused") {
  for (const mode_t mode : {0644, 0604, 0660, 0602, 0601}) {
    const KeyFile file(kHex, mode);
    const absl::Status status = ReadKeyFile(file.path()).status();
    CHECK(absl::IsInvalidArgument(status));
    CHECK_THAT(std::string(status.message()),
               Catch::Contains(file.path()) && Catch::Contains("chmod 0600"));
  }
  CHECK(ReadKeyFile(KeyFile(kHex, 0440).path()).ok());  // A group of the service's own.
}

TEST_CASE("what cannot be read is named") {
  CHECK(absl::IsNotFound(ReadKeyFile("/nonexistent/key").status()));
  CHECK_THAT(std::string(ReadKeyFile("/nonexistent/key").status().message()),
             Catch::Contains("/nonexistent/key"));
  CHECK(absl::IsInvalidArgument(ReadKeyFile("/tmp").status()));
  CHECK(absl::IsInvalidArgument(ReadKeyFile("/dev/null").status()));
}

}  // namespace
}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
#include "command_line/dedup/source_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "strata/base/random.h"
#include "support/block/temp_file.h"
#include "support/seed.h"

namespace strata::appliance {
namespace {

constexpr size_t kMiB = 1u << 20;

std::vector<std::byte> RandomBytes(size_t size) {
  std::vector<std::byte> bytes(size);
  Random(test::Seed()).Fill(bytes);
  return bytes;
}

void WriteFile(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

// Drops from the page cache what is clean of the file.
void Forget(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  REQUIRE(fdatasync(fd) == 0);
  REQUIRE(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
  close(fd);
}

std::vector<std::byte> ReadAll(SourceFile& file) {
  std::vector<std::byte> bytes;
  for (;;) {
    const auto piece = file.NextPiece();
    REQUIRE(piece.ok());
    if (piece->empty()) return bytes;
    bytes.insert(bytes.end(), piece->begin(), piece->end());
  }
}

TEST_CASE("source file: the bytes of the file, whether the page cache has them or not") {
  const block::TempFile file;
  for (const size_t size :
       {size_t{0}, size_t{1}, 4 * kMiB, 9 * kMiB + 1, 9 * kMiB + 4096, 6 * kMiB - 511}) {
    const std::vector<std::byte> data = RandomBytes(size);
    WriteFile(file.path(), data);
    for (const bool cached : {true, false}) {
      if (!cached) Forget(file.path());
      INFO("STRATA_SEED=" << test::Seed() << ", " << size << " bytes, cached: " << cached);
      const auto source = SourceFile::Open(file.path());
      REQUIRE(source.ok());
      CHECK(ReadAll(**source) == data);
      const auto again = (*source)->NextPiece();
      REQUIRE(again.ok());
      CHECK(again->empty());
    }
  }
}

TEST_CASE("source file: one that is partly cached") {
  const block::TempFile file;
  const std::vector<std::byte> data = RandomBytes(11 * kMiB + 77);
  WriteFile(file.path(), data);
  Forget(file.path());
  std::ifstream some(file.path(), std::ios::binary);
  some.seekg(5 * kMiB + 4096).get();
  const auto source = SourceFile::Open(file.path());
  REQUIRE(source.ok());
  CHECK(ReadAll(**source) == data);
}

TEST_CASE("source file: the end is where the file ends when it is reached") {
  const block::TempFile file;
  const std::vector<std::byte> data = RandomBytes(24 * kMiB + 100);
  WriteFile(file.path(), std::span(data).first(16 * kMiB + 3));
  Forget(file.path());
  const auto source = SourceFile::Open(file.path());
  REQUIRE(source.ok());
  std::vector<std::byte> read;
  SECTION("it grows") {
    std::ofstream(file.path(), std::ios::binary | std::ios::app)
        .write(reinterpret_cast<const char*>(data.data()) + 16 * kMiB + 3, 8 * kMiB);
    read = ReadAll(**source);
    // As much as was there when the reader came there, with nothing left out.
    REQUIRE(read.size() >= 16 * kMiB + 3);
    REQUIRE(read.size() <= data.size());
    CHECK(std::equal(read.begin(), read.end(), data.begin()));
  }
  SECTION("it is cut") {
    std::filesystem::resize_file(file.path(), 8 * kMiB + 5);
    read = ReadAll(**source);
    REQUIRE(read.size() >= 8 * kMiB + 5);
    CHECK(read.size() <= 16 * kMiB + 3);
    CHECK(std::equal(read.begin(), read.end(), data.begin()));
  }
}

TEST_CASE("source file: it may be left in the middle") {
  const block::TempFile file;
  WriteFile(file.path(), RandomBytes(12 * kMiB));
  for (int pieces = 0; pieces < 4; ++pieces) {
    const auto source = SourceFile::Open(file.path());
    REQUIRE(source.ok());
    for (int i = 0; i < pieces; ++i) REQUIRE((*source)->NextPiece().ok());
  }
}

TEST_CASE("source file: errors name the path") {
  const auto absent = SourceFile::Open("/nowhere/at-all");
  CHECK(absent.status().code() == absl::StatusCode::kNotFound);
  CHECK(absent.status().message().find("/nowhere/at-all") != std::string::npos);
  const auto folder = SourceFile::Open("/");
  REQUIRE(folder.ok());
  const auto piece = (*folder)->NextPiece();
  CHECK(piece.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(piece.status().message() == "/: Is a directory");
}

}  // namespace
}  // namespace strata::appliance

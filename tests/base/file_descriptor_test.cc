// SPDX-License-Identifier: Apache-2.0
#include "strata/base/file_descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>

namespace strata {
namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("a descriptor is closed once, by whoever owns it last") {
  int fd;
  {
    FileDescriptor first(open("/dev/null", O_RDONLY | O_CLOEXEC));
    fd = first.get();
    REQUIRE(first.is_open());
    FileDescriptor second(std::move(first));
    CHECK(second.get() == fd);
    FileDescriptor third;
    third = std::move(second);
    CHECK(IsOpen(fd));
  }
  CHECK_FALSE(IsOpen(fd));
}

TEST_CASE("a descriptor that was released stays open") {
  FileDescriptor owner(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int fd = owner.Release();
  CHECK_FALSE(owner.is_open());
  owner = FileDescriptor();
  CHECK(IsOpen(fd));
  close(fd);
}

TEST_CASE("a folder that is not there cannot be flushed") {
  CHECK(SyncFolder("/").ok());
  CHECK(SyncFolder("/nonexistent").code() == absl::StatusCode::kNotFound);
  CHECK(SyncFolder("/dev/null").code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace strata

// SPDX-License-Identifier: Apache-2.0
#include "strata/base/fork.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "support/forked_child.h"
#include "support/scratch_folder.h"

namespace strata {
namespace {

using test::ChildReport;
using test::RunInChild;

TEST_CASE("a mark tells the process that made it from its forked children") {
  const ProcessMark mark;
  const ProcessMark copy = mark;
  CHECK(mark.Check().ok());
  CHECK(RunInChild([&](ChildReport& report) {
          report.Refused(mark.Check(), "the parent's mark");
          report.Refused(copy.Check(), "a copy of it");
          const ProcessMark own;
          report.Succeeded(own.Check(), "the child's own mark");
          report.Expect(RunInChild([&](ChildReport& inner) {
                          inner.Refused(own.Check(), "the mark of the middle process");
                          inner.Expect(mark.InForkedChild(), "the first mark, two forks down");
                        }) == 0,
                        "a child of the child");
        }) == 0);
  CHECK(mark.Check().ok());
}

TEST_CASE("what a process owns is not destroyed in its forked child") {
  struct Destroyed {
    explicit Destroyed(bool* flag) : flag(flag) {}
    ~Destroyed() { *flag = true; }
    bool* flag;
  };
  bool destroyed = false;
  auto owned = std::make_unique<ParentOwned<Destroyed>>(std::make_unique<Destroyed>(&destroyed));
  CHECK(RunInChild([&](ChildReport& report) {
          report.Refused(owned->Check(), "what the parent owns");
          owned.reset();
          report.Expect(!destroyed, "the child destroyed what is the parent's");
        }) == 0);
  owned.reset();
  CHECK(destroyed);
}

TEST_CASE("a forked child keeps neither a descriptor nor the lock on it") {
  const test::ScratchFolder scratch;
  const std::string path = scratch / "lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  REQUIRE(flock(fd, LOCK_EX | LOCK_NB) == 0);
  const int other = open(path.c_str(), O_RDWR | O_CLOEXEC);
  {
    const CloseInChild first(fd);
    auto second = std::make_unique<CloseInChild>(other);
    second.reset();  // Of two, one is left.
    CHECK(RunInChild([&](ChildReport& report) {
            report.Expect(fcntl(fd, F_GETFD) < 0, "the child has the descriptor");
            report.Expect(fcntl(other, F_GETFD) >= 0, "the child lacks one that it may have");
          }) == 0);
    CHECK(flock(other, LOCK_EX | LOCK_NB) != 0);  // The parent's lock outlived its child.
  }
  int ready[2];
  int done[2];
  REQUIRE(pipe(ready) == 0);
  REQUIRE(pipe(done) == 0);
  const auto held = std::make_unique<CloseInChild>(fd);
  const pid_t child = fork();
  if (child == 0) {
    char byte = 0;
    (void)!write(ready[1], "r", 1);
    (void)!read(done[0], &byte, 1);
    _exit(0);
  }
  char byte = 0;
  REQUIRE(read(ready[0], &byte, 1) == 1);
  close(fd);                                    // As at the end of the process,
  CHECK(flock(other, LOCK_EX | LOCK_NB) == 0);  // though a child lives on.
  REQUIRE(write(done[1], "d", 1) == 1);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  for (const int end : {ready[0], ready[1], done[0], done[1], other}) close(end);
}

}  // namespace
}  // namespace strata

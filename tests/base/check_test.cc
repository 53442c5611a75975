// SPDX-License-Identifier: Apache-2.0
#include "strata/base/check.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>

namespace strata {
namespace {

struct Ending {
  int wait_status = 0;
  std::string stderr_text;
};

// Runs `body` in a child process whose stderr is captured.
Ending RunInChild(const std::function<void()>& body) {
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    dup2(pipe_ends[1], STDERR_FILENO);
    body();
    _exit(0);
  }
  close(pipe_ends[1]);
  Ending ending;
  char buffer[512];
  for (ssize_t got; (got = read(pipe_ends[0], buffer, sizeof(buffer))) > 0;) {
    ending.stderr_text.append(buffer, static_cast<size_t>(got));
  }
  close(pipe_ends[0]);
  REQUIRE(waitpid(child, &ending.wait_status, 0) == child);
  return ending;
}

TEST_CASE("a broken invariant aborts and says what and where") {
  const Ending ending = RunInChild([] {
    const int references = 0;
    STRATA_CHECK(references > 0, std::string("Unref ") + "without Ref");
  });
  INFO(ending.stderr_text);
  REQUIRE(WIFSIGNALED(ending.wait_status));
  CHECK(WTERMSIG(ending.wait_status) == SIGABRT);
  CHECK(ending.stderr_text.find("tests/base/check_test.cc:") != std::string::npos);
  CHECK(ending.stderr_text.find("check failed: references > 0: Unref without Ref\n") !=
        std::string::npos);
}

TEST_CASE("an invariant that holds costs no message") {
  const Ending ending =
      RunInChild([] { STRATA_CHECK(true, (std::abort(), "this is never evaluated")); });
  CHECK(WIFEXITED(ending.wait_status));
  CHECK(ending.stderr_text.empty());
}

}  // namespace
}  // namespace strata

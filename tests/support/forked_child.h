// SPDX-License-Identifier: Apache-2.0
//
// Runs a piece of a test in a forked child, which has what its parent has open.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace strata::test {

// What was not as it should be in the child, where the test framework's checks are of no use.
class ChildReport final {
 public:
  void Expect(bool holds, const std::string& what) {
    if (!holds) wrong_ += what + "\n";
  }
  // The call was refused since it is the parent's to make.
  void Refused(const absl::Status& status, const std::string& call) {
    const bool names_opener =
        status.message().find("opened by process " + std::to_string(getppid())) !=
        absl::string_view::npos;
    Expect(absl::IsFailedPrecondition(status) && names_opener, call + ": " + status.ToString());
  }
  template <typename T>
  void Refused(const absl::StatusOr<T>& result, const std::string& call) {
    Refused(result.status(), call);
  }
  void Succeeded(const absl::Status& status, const std::string& call) {
    Expect(status.ok(), call + ": " + status.ToString());
  }

  const std::string& wrong() const { return wrong_; }

 private:
  std::string wrong_;
};

enum class ChildEnd {
  kExit,  // By way of exit handlers and static destructors.
  kQuickly,
  kExec,
};

// Whether a test may fork while its other threads allocate. The C library's allocator takes its
// locks around a fork; AddressSanitizer's (GCC 12) does not, and the child of a busy process waits
// for ever for one of them: a quarter of the runs hung in it.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kMayForkBesideBusyThreads = false;
#else
inline constexpr bool kMayForkBesideBusyThreads = true;
#endif

// Time ends only a child that hangs.
inline constexpr unsigned kMaxChildSeconds = 120;

// The child's exit status, 0 when `body` found everything as it should be; negative: a signal.
inline int RunInChild(const std::function<void(ChildReport&)>& body,
                      ChildEnd end = ChildEnd::kExit) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    alarm(kMaxChildSeconds);
    ChildReport report;
    body(report);
    std::fputs(report.wrong().c_str(), stderr);
    const int status = report.wrong().empty() ? 0 : 1;
    if (end == ChildEnd::kQuickly || status != 0) _exit(status);
    if (end == ChildEnd::kExec) {
      execl("/bin/true", "true", nullptr);
      _exit(127);
    }
    std::exit(status);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace strata::test

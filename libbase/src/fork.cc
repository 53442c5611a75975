// SPDX-License-Identifier: Apache-2.0
#include "strata/base/fork.h"

#include <pthread.h>
#include <unistd.h>

#include <mutex>
#include <vector>

#include "absl/strings/str_format.h"
#include "strata/base/check.h"

namespace strata {
namespace fork_internal {

std::atomic<uint64_t> generation{0};

void Keep(void* object) {
  static std::vector<void*>* const kept = new std::vector<void*>;
  static std::mutex* const mutex = new std::mutex;
  if (object == nullptr) return;
  const std::lock_guard lock(*mutex);
  kept->push_back(object);
}

}  // namespace fork_internal

namespace {

// Held across a fork, so that the child finds the list whole.
std::mutex list_mutex;
CloseInChild* first_to_close = nullptr;

}  // namespace

struct ForkHandlers {
  static void Before() { list_mutex.lock(); }
  static void AfterInParent() { list_mutex.unlock(); }

  // Does nothing but what is allowed in the child of a process with threads.
  static void AfterInChild() {
    fork_internal::generation.fetch_add(1, std::memory_order_relaxed);
    for (const CloseInChild* at = first_to_close; at != nullptr; at = at->next_) close(at->fd_);
    first_to_close = nullptr;
    list_mutex.unlock();
  }

  static void Register() {
    static const int result = pthread_atfork(&Before, &AfterInParent, &AfterInChild);
    STRATA_CHECK(result == 0, "no memory for a fork handler");
  }
};

ProcessMark::ProcessMark() {
  ForkHandlers::Register();
  generation_ = fork_internal::generation.load(std::memory_order_relaxed);
  process_id_ = getpid();
}

absl::Status ProcessMark::Refusal() const {
  return absl::FailedPreconditionError(absl::StrFormat(
      "this was opened by process %d; a forked child, as process %d is one, must open its own",
      process_id_, getpid()));
}

CloseInChild::CloseInChild(int fd) : fd_(fd) {
  const std::lock_guard lock(list_mutex);
  next_ = first_to_close;
  if (next_ != nullptr) next_->before_ = this;
  first_to_close = this;
}

CloseInChild::~CloseInChild() {
  if (opener_.InForkedChild()) return;  // The list no longer holds it.
  const std::lock_guard lock(list_mutex);
  (before_ == nullptr ? first_to_close : before_->next_) = next_;
  if (next_ != nullptr) next_->before_ = before_;
}

}  // namespace strata

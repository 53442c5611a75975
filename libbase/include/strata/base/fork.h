// SPDX-License-Identifier: Apache-2.0
//
// What a process has open, its forked children must leave alone. A child of fork() has a copy of
// the memory and shares the descriptors, but it has none of the other threads: a lock that one of
// them held stays locked for ever, and a destructor that waits for them never returns. So what is
// opened here notes its process, every call of it compares, and in a child it is left as it is.
//
//   absl::Status Store::Write() {
//     STRATA_RETURN_IF_ERROR(opener_.Check());
//     ...
//   ProcessMark opener_;
//
// The first ProcessMark registers one handler with pthread_atfork(). Only fork() runs it: a child
// made by _Fork() or by the bare system call is not noticed.
//
// Thread safety: any thread; a ParentOwned as what it holds.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "strata/base/export.h"

namespace strata {

namespace fork_internal {

// How many forks lie between this process and the one that loaded the library.
STRATA_EXPORT extern std::atomic<uint64_t> generation;

// Keeps an object that a child does not destroy within reach of leak checkers.
STRATA_EXPORT void Keep(void* object);

}  // namespace fork_internal

// Remembers the process that made it; a copy remembers the same one.
class STRATA_EXPORT ProcessMark final {
 public:
  ProcessMark();

  // One load and one comparison.
  bool InForkedChild() const {
    return generation_ != fork_internal::generation.load(std::memory_order_relaxed);
  }

  // FailedPrecondition in a forked child; names the process that opened it.
  absl::Status Check() const { return InForkedChild() ? Refusal() : absl::OkStatus(); }

 private:
  absl::Status Refusal() const;

  uint64_t generation_;
  int64_t process_id_;
};

// Has forked children close a descriptor at once, so that what it locks or holds ends with the
// process that opened it, however long a child lives. In the child the number is free for other
// files. REQUIRES: destroyed before the owner closes the descriptor.
class STRATA_EXPORT CloseInChild final {
 public:
  explicit CloseInChild(int fd);
  ~CloseInChild();
  CloseInChild(const CloseInChild&) = delete;
  CloseInChild& operator=(const CloseInChild&) = delete;

 private:
  friend struct ForkHandlers;

  const ProcessMark opener_;
  const int fd_;
  CloseInChild* before_ = nullptr;
  CloseInChild* next_ = nullptr;
};

// Owns *T as a unique_ptr does, but in a forked child does not destroy it.
template <typename T>
class ParentOwned final {
 public:
  explicit ParentOwned(std::unique_ptr<T> object) : object_(std::move(object)) {}
  ParentOwned(std::unique_ptr<T> object, const ProcessMark& opener)
      : opener_(opener), object_(std::move(object)) {}
  ~ParentOwned() {
    if (opener_.InForkedChild()) fork_internal::Keep(object_.release());
  }
  ParentOwned(const ParentOwned&) = delete;
  ParentOwned& operator=(const ParentOwned&) = delete;

  const ProcessMark& opener() const { return opener_; }
  absl::Status Check() const { return opener_.Check(); }
  bool InForkedChild() const { return opener_.InForkedChild(); }

  T* get() const { return object_.get(); }
  T* operator->() const { return object_.get(); }
  T& operator*() const { return *object_; }

 private:
  ProcessMark opener_;
  std::unique_ptr<T> object_;
};

}  // namespace strata

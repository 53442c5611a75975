// SPDX-License-Identifier: Apache-2.0
//
// A writer or reader that several threads may hold, with what it was opened on: one call at a time,
// and closing waits for the call in progress. Knows nothing of Python, so that sanitizers can look
// at it without an interpreter.
//
// Thread-safe. Call it without the GIL: a thread that waits here with it would stop the thread that
// it waits for.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "strata/base/mutex.h"

namespace strata::python {

template <typename Owner, typename Stream>
class SharedStream {
 public:
  // `name`: "writer", for the error of calls after the end.
  SharedStream(const char* name, std::shared_ptr<Owner> owner, std::unique_ptr<Stream> stream)
      : name_(name), owner_(std::move(owner)), stream_(std::move(stream)) {}

  // What `call(Owner&, Stream&)` returns. Throws std::invalid_argument, which is Python's
  // ValueError, once the stream is closed.
  template <typename Call>
  auto Use(Call&& call) {
    MutexLock lock(&mutex_);
    if (stream_ == nullptr) {
      throw std::invalid_argument(std::string("the ") + name_ + " is closed");
    }
    return call(*owner_, *stream_);
  }

  // The same, and closes where the result is ok().
  template <typename Call>
  auto UseLast(Call&& call) {
    std::shared_ptr<Owner> owner;  // Outlives the lock: the last one closes a whole store.
    MutexLock lock(&mutex_);
    if (stream_ == nullptr) {
      throw std::invalid_argument(std::string("the ") + name_ + " is closed");
    }
    auto result = call(*owner_, *stream_);
    if (result.ok()) {
      stream_.reset();
      owner = std::move(owner_);
    }
    return result;
  }

  // Again and again, if need be.
  void Close() {
    std::shared_ptr<Owner> owner;
    MutexLock lock(&mutex_);
    stream_.reset();
    owner = std::move(owner_);
  }

 private:
  const char* const name_;
  Mutex mutex_;
  std::shared_ptr<Owner> owner_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Stream> stream_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::python

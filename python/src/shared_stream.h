// SPDX-License-Identifier: Apache-2.0
//
// A writer or reader that several threads may hold, with what it was opened on: one call at a time,
// and closing waits for the call in progress. In a forked child nobody waits, since a thread of the
// parent may have had its turn when it forked; the streams refuse all calls there. Knows nothing of
// Python, so that sanitizers can look at it without an interpreter.
//
// Thread-safe. Call it without the GIL: a thread that waits here with it would stop the thread that
// it waits for.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "strata/base/fork.h"
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
    const Turn turn(this);
    Stream& stream = Open();
    return call(*owner_, stream);
  }

  // The same, and closes where the result is ok().
  template <typename Call>
  auto UseLast(Call&& call) {
    std::shared_ptr<Owner> owner;  // Outlives the turn: the last one closes a whole store.
    const Turn turn(this);
    Stream& stream = Open();
    auto result = call(*owner_, stream);
    if (result.ok()) {
      stream_.reset();
      owner = std::move(owner_);
    }
    return result;
  }

  // Again and again, if need be.
  void Close() {
    std::shared_ptr<Owner> owner;
    const Turn turn(this);
    stream_.reset();
    owner = std::move(owner_);
  }

 private:
  class Turn {
   public:
    explicit Turn(SharedStream* stream) ABSL_NO_THREAD_SAFETY_ANALYSIS
        : mutex_(stream->opener_.InForkedChild() ? nullptr : &stream->mutex_) {
      if (mutex_ != nullptr) mutex_->Lock();
    }
    ~Turn() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (mutex_ != nullptr) mutex_->Unlock();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Mutex* const mutex_;
  };

  Stream& Open() {
    if (stream_ != nullptr) return *stream_;
    throw std::invalid_argument(std::string("the ") + name_ + " is closed");
  }

  const ProcessMark opener_;
  const char* const name_;
  Mutex mutex_;  // Guards what follows, in the process that opened the stream.
  std::shared_ptr<Owner> owner_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace strata::python

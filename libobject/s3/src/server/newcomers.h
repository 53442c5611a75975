// SPDX-License-Identifier: Apache-2.0
//
// The connections of which it is not known who is at the other end, in the order in which they were
// last of use. When there are too many connections the first of them gives way: connections that
// cost nothing to open must not keep out clients that have a key.
//
// Newcomers is thread-safe. A Place is used in its connection's one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>

#include "server/connection.h"
#include "strata/base/mutex.h"

namespace strata::s3 {

class Newcomers final {
 public:
  class Place;

  // Cancels the connection that has been a newcomer for longest. False: there is none.
  bool DismissFirst() {
    Entry first;
    {
      MutexLock lock(&mutex_);
      if (entries_.empty()) return false;
      first = std::move(entries_.begin()->second);
      entries_.erase(entries_.begin());
    }
    asio::post(first.executor, [target = first.target, number = first.number] {
      // It may have ended, or become known, since.
      const std::shared_ptr<Target> still = target.lock();
      if (still != nullptr && still->number == number) still->connection->Cancel();
    });
    return true;
  }

 private:
  struct Target {
    Connection* connection;
    std::optional<uint64_t> number;  // nullopt: no newcomer now.
  };
  struct Entry {
    asio::any_io_executor executor;
    std::weak_ptr<Target> target;
    uint64_t number = 0;
  };

  Mutex mutex_;
  std::map<uint64_t, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_number_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A connection's place among the newcomers, if it has one. `connection` outlives it.
class Newcomers::Place final {
 public:
  Place(Newcomers& newcomers, Connection* connection)
      : newcomers_(newcomers), target_(std::make_shared<Target>(Target{connection, {}})) {}
  ~Place() { Leave(); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  // As the last of them. REQUIRES: it has left.
  void Enter() {
    MutexLock lock(&newcomers_.mutex_);
    target_->number = newcomers_.next_number_++;
    newcomers_.entries_[*target_->number] = {target_->connection->executor(), target_,
                                             *target_->number};
  }

  void Leave() {
    if (!target_->number) return;
    MutexLock lock(&newcomers_.mutex_);
    newcomers_.entries_.erase(*target_->number);
    target_->number.reset();
  }

 private:
  Newcomers& newcomers_;
  const std::shared_ptr<Target> target_;
};

}  // namespace strata::s3

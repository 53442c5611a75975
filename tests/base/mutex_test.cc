// SPDX-License-Identifier: Apache-2.0
#include "strata/base/mutex.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace strata {
namespace {

TEST_CASE("increments under the lock are not lost") {
  constexpr int kThreads = 4;
  constexpr int kIncrements = 20'000;
  Mutex mutex;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kIncrements; ++j) {
        MutexLock lock(&mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(count == kThreads * kIncrements);
}

TEST_CASE("a held lock cannot be taken by another thread") {
  Mutex mutex;
  bool taken_while_held = true;
  {
    MutexLock lock(&mutex);
    std::thread([&] {
      if (mutex.TryLock()) {
        mutex.Unlock();
      } else {
        taken_while_held = false;
      }
    }).join();
  }
  CHECK_FALSE(taken_while_held);
  bool taken_when_free = false;
  if (mutex.TryLock()) {
    taken_when_free = true;
    mutex.Unlock();
  }
  CHECK(taken_when_free);
}

TEST_CASE("a waiter wakes and holds the lock again") {
  Mutex mutex;
  CondVar changed;
  int turn = 0;
  std::thread other([&] {
    MutexLock lock(&mutex);
    while (turn != 1) changed.Wait(&mutex);
    turn = 2;
    changed.NotifyAll();
  });
  int seen = 0;
  {
    MutexLock lock(&mutex);
    turn = 1;
    changed.NotifyOne();
    while (turn != 2) changed.Wait(&mutex);
    seen = turn;
  }
  other.join();
  CHECK(seen == 2);
}

TEST_CASE("a wait with nobody to notify reports that the time ran out") {
  Mutex mutex;
  CondVar never;
  MutexLock lock(&mutex);
  bool notified = true;
  // Spurious wake-ups are allowed, endless ones are not.
  for (int i = 0; i < 1000 && notified; ++i) notified = never.WaitForNanos(&mutex, 1'000'000);
  CHECK_FALSE(notified);
}

}  // namespace
}  // namespace strata

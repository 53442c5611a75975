// SPDX-License-Identifier: Apache-2.0
//
// What a RocksDB database takes from its process: background threads and the lock of its directory.
// RocksDB's own threads and lock table are the process's: in a forked child they say that threads
// run which the child does not have, so that its first flush waits for ever, and that the parent's
// directories are locked by the child. Here each database has its own.
//
// Thread safety: any thread.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "rocksdb/env.h"
#include "strata/base/mutex.h"

namespace strata::kv {

class RocksDbThreads final : public rocksdb::EnvWrapper {
 public:
  RocksDbThreads();
  ~RocksDbThreads() override;  // Ends the threads. REQUIRES: the database is closed.

  void Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                void (*dropped)(void*)) override;
  int UnSchedule(void* tag, Priority priority) override;
  void StartThread(void (*function)(void*), void* argument) override;
  void WaitForJoin() override;
  unsigned int GetThreadPoolQueueLen(Priority priority) const override;
  void SetBackgroundThreads(int count, Priority priority) override;
  int GetBackgroundThreads(Priority priority) override;
  void IncBackgroundThreadsIfNeeded(int count, Priority priority) override;
  void LowerThreadPoolIOPriority(Priority) override {}
  void LowerThreadPoolCPUPriority(Priority) override {}
  rocksdb::Status LowerThreadPoolCPUPriority(Priority, rocksdb::CpuPriority) override {
    return rocksdb::Status::OK();
  }

  rocksdb::Status LockFile(const std::string& path, rocksdb::FileLock** lock) override;
  rocksdb::Status UnlockFile(rocksdb::FileLock* lock) override;

 private:
  struct Job {
    void (*function)(void*);
    void* argument;
    void* tag;
    void (*dropped)(void*);
  };
  struct Pool {
    int most_threads = 1;
    int idle_threads = 0;
    std::deque<Job> jobs;
    CondVar added;
    std::vector<std::thread> threads;
  };

  void Work(Pool* pool);

  mutable Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::array<Pool, Priority::TOTAL> pools_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> started_ ABSL_GUARDED_BY(mutex_);  // By StartThread().
};

}  // namespace strata::kv

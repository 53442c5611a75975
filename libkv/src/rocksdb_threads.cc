// SPDX-License-Identifier: Apache-2.0
#include "rocksdb_threads.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace strata::kv {
namespace {

class OwnFileLock final : public rocksdb::FileLock {
 public:
  explicit OwnFileLock(int fd) : fd_(fd) {}
  int fd() const { return fd_; }

 private:
  const int fd_;
};

rocksdb::Status LockError(const std::string& path, int error) {
  return rocksdb::Status::IOError("While lock file: " + path, std::strerror(error));
}

}  // namespace

RocksDbThreads::RocksDbThreads() : rocksdb::EnvWrapper(rocksdb::Env::Default()) {
  // As they are, without the wrapper's detour by way of this class.
  file_system_ = target()->GetFileSystem();
  system_clock_ = target()->GetSystemClock();
}

RocksDbThreads::~RocksDbThreads() {
  std::vector<std::thread> ending;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    for (Pool& pool : pools_) {
      pool.added.NotifyAll();
      std::move(pool.threads.begin(), pool.threads.end(), std::back_inserter(ending));
    }
  }
  for (std::thread& thread : ending) thread.join();
  WaitForJoin();
}

void RocksDbThreads::Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                              void (*dropped)(void*)) {
  MutexLock lock(&mutex_);
  Pool& pool = pools_[priority];
  pool.jobs.push_back({function, argument, tag, dropped});
  const bool all_busy = pool.jobs.size() > static_cast<size_t>(pool.idle_threads);
  if (all_busy && pool.threads.size() < static_cast<size_t>(pool.most_threads)) {
    pool.threads.emplace_back([this, &pool] { Work(&pool); });
  }
  pool.added.NotifyOne();
}

void RocksDbThreads::Work(Pool* pool) {
  mutex_.Lock();
  for (;;) {
    while (pool->jobs.empty() && !stopping_) {
      ++pool->idle_threads;
      pool->added.Wait(&mutex_);
      --pool->idle_threads;
    }
    if (stopping_) break;
    const Job job = pool->jobs.front();
    pool->jobs.pop_front();
    mutex_.Unlock();
    job.function(job.argument);
    mutex_.Lock();
  }
  mutex_.Unlock();
}

int RocksDbThreads::UnSchedule(void* tag, Priority priority) {
  std::vector<Job> dropped;
  {
    MutexLock lock(&mutex_);
    std::deque<Job>& jobs = pools_[priority].jobs;
    std::copy_if(jobs.begin(), jobs.end(), std::back_inserter(dropped),
                 [tag](const Job& job) { return job.tag == tag; });
    std::erase_if(jobs, [tag](const Job& job) { return job.tag == tag; });
  }
  for (const Job& job : dropped) {
    if (job.dropped != nullptr) job.dropped(job.argument);
  }
  return static_cast<int>(dropped.size());
}

void RocksDbThreads::StartThread(void (*function)(void*), void* argument) {
  MutexLock lock(&mutex_);
  started_.emplace_back([=] { function(argument); });
}

void RocksDbThreads::WaitForJoin() {
  std::vector<std::thread> started;
  {
    MutexLock lock(&mutex_);
    started.swap(started_);
  }
  for (std::thread& thread : started) thread.join();
}

unsigned int RocksDbThreads::GetThreadPoolQueueLen(Priority priority) const {
  MutexLock lock(&mutex_);
  return static_cast<unsigned int>(pools_[priority].jobs.size());
}

void RocksDbThreads::SetBackgroundThreads(int count, Priority priority) {
  MutexLock lock(&mutex_);
  pools_[priority].most_threads = count;  // Threads that are more than that stay.
}

int RocksDbThreads::GetBackgroundThreads(Priority priority) {
  MutexLock lock(&mutex_);
  return pools_[priority].most_threads;
}

void RocksDbThreads::IncBackgroundThreadsIfNeeded(int count, Priority priority) {
  MutexLock lock(&mutex_);
  pools_[priority].most_threads = std::max(pools_[priority].most_threads, count);
}

// A lock of the process, which its children do not inherit. Openers in the same process are kept
// apart by DirectoryMark.
rocksdb::Status RocksDbThreads::LockFile(const std::string& path, rocksdb::FileLock** lock) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return LockError(path, errno);
  struct flock whole = {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (fcntl(fd, F_SETLK, &whole) != 0) {
    const int error = errno;
    close(fd);
    return LockError(path, error);
  }
  *lock = new OwnFileLock(fd);
  return rocksdb::Status::OK();
}

rocksdb::Status RocksDbThreads::UnlockFile(rocksdb::FileLock* lock) {
  const auto* const own = static_cast<OwnFileLock*>(lock);
  close(own->fd());
  delete own;
  return rocksdb::Status::OK();
}

}  // namespace strata::kv

// SPDX-License-Identifier: Apache-2.0
#include "strata/ofs_fuse/mount.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mount_point.h"
#include "operations.h"
#include "strata/base/errno_status.h"
#include "strata/base/fork.h"
#include "strata/base/range_check.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr int64_t kMilli = 1'000'000;
constexpr int64_t kRetryNanos = 50 * kMilli;  // Between attempts to unmount.
constexpr int kReadAheadKib = 1024;

// libfuse has one place for its messages in a process: they go to the newest mount's log. The last
// one says why a call failed.
class FuseMessages {
 public:
  static void SetLog(const LogSink& log) {
    MutexLock lock(&Get().mutex_);
    Get().log_ = log;
    Get().last_.clear();
    fuse_set_log_func(Take);
  }
  static std::string Last() {
    MutexLock lock(&Get().mutex_);
    return Get().last_;
  }

 private:
  static FuseMessages& Get() {
    static FuseMessages messages;
    return messages;
  }
  static void Take(fuse_log_level, const char* format, va_list arguments) {
    char line[512];
    std::vsnprintf(line, sizeof(line), format, arguments);
    std::string text = line;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    LogSink log;
    {
      MutexLock lock(&Get().mutex_);
      Get().last_ = text;
      log = Get().log_;
    }
    Log(log, LogLevel::kWarning, text);
  }

  Mutex mutex_;
  LogSink log_ ABSL_GUARDED_BY(mutex_);
  std::string last_ ABSL_GUARDED_BY(mutex_);
};

absl::Status CheckOptions(const MountOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckRange("threads", options.threads, 1, 64));
  constexpr int64_t kDayMs = 86'400'000;
  STRATA_RETURN_IF_ERROR(
      CheckRange("attribute_timeout_ms", options.attribute_timeout_ms, 0, kDayMs));
  STRATA_RETURN_IF_ERROR(CheckRange("entry_timeout_ms", options.entry_timeout_ms, 0, kDayMs));
  STRATA_RETURN_IF_ERROR(CheckRange("upkeep_interval_ms", options.upkeep_interval_ms, 10, 60'000));
  STRATA_RETURN_IF_ERROR(CheckRange("patience_ms", options.patience_ms, 0, 3'600'000));
  const bool is_plain = std::none_of(options.source.begin(), options.source.end(),
                                     [](unsigned char c) { return c < ' ' || c == 127; });
  if (options.source.empty() || options.source.size() > 255 || !is_plain) {
    return absl::InvalidArgumentError("source: 1 to 255 bytes without control characters");
  }
  return absl::OkStatus();
}

// The words of mount -o.
std::string OptionWords(const MountOptions& options) {
  std::string words = "default_permissions,subtype=strata,fsname=";
  for (const char c : options.source) {
    if (c == ',' || c == '\\') words.push_back('\\');
    words.push_back(c);
  }
  if (options.read_only) words += ",ro";
  if (options.allow_other) words += ",allow_other";
  if (options.allow_set_id) words += ",suid";
  if (options.allow_devices) words += ",dev";
  return words;
}

// Threads of the mount take no signals: those are the application's.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

// A mount, from a session of libfuse to threads that serve it. A forked child leaves it alone.
class Serving final {
 public:
  Serving(FileSystem* filesystem, const MountOptions& options) : served_(filesystem, options) {}
  ~Serving() {
    if (const absl::Status status = Stop(); !status.ok()) {
      Log(served_.options.log, LogLevel::kError, absl::StrCat("mount: ", status.message()));
    }
  }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  absl::Status Start() {
    STRATA_ASSIGN_OR_RETURN(mount_point_, PrepareMountPoint(served_.options.mount_point));
    FuseMessages::SetLog(served_.options.log);
    std::string words = OptionWords(served_.options);
    std::string program = "strata";
    std::string flag = "-o";
    char* arguments[] = {program.data(), flag.data(), words.data(), nullptr};
    fuse_args args = FUSE_ARGS_INIT(3, arguments);
    session_ = fuse_session_new(&args, &Operations(), sizeof(fuse_lowlevel_ops), &served_);
    fuse_opt_free_args(&args);
    if (session_ == nullptr) return Refusal("no session");
    if (fuse_session_mount(session_, mount_point_.c_str()) != 0) return Refusal("cannot mount");
    is_mounted_ = true;
    closed_in_child_.emplace(fuse_session_fd(session_));
    served_.seeks = std::make_unique<SeekQueue>(&served_.filesystem, session_);
    STRATA_RETURN_IF_ERROR(StartThreads());
    // The first answer is to this: from here on the mount is known to work.
    struct stat status;
    if (stat(mount_point_.c_str(), &status) != 0) {
      return ErrnoStatus(errno, absl::StrCat(mount_point_, " does not answer"));
    }
    // What the kernel reads ahead is little for disks side by side. Where it may not be changed, it
    // stays.
    std::ofstream(absl::StrCat("/sys/class/bdi/", major(status.st_dev), ":", minor(status.st_dev),
                               "/read_ahead_kb"))
        << kReadAheadKib;
    return absl::OkStatus();
  }

  bool WaitUntilUnmounted(int64_t timeout_ms) {
    const int64_t end_ns = SystemClock().MonotonicNanos() + timeout_ms * kMilli;
    MutexLock lock(&mutex_);
    while (running_ > 0) {
      const int64_t left_ns = end_ns - SystemClock().MonotonicNanos();
      if (left_ns <= 0) return false;
      ended_.WaitForNanos(&mutex_, left_ns);
    }
    return true;
  }

  absl::Status Stop() {
    MutexLock lock(&stopping_);
    if (session_ == nullptr) return absl::OkStatus();
    if (is_mounted_ && !WaitUntilUnmounted(0)) STRATA_RETURN_IF_ERROR(Leave());
    JoinThreads();
    closed_in_child_.reset();
    // libfuse would unmount what is below, if this connection has not ended by itself.
    if (HasEnded()) fuse_session_unmount(session_);
    // Where the mount still has users, they get errors from here on.
    fuse_session_destroy(std::exchange(session_, nullptr));
    if (is_mounted_ && IsAbandoned(mount_point_)) {
      Unmount(mount_point_, UnmountMode::kDetach).IgnoreError();
    }
    served_.known.ForgetAll();
    return absl::OkStatus();
  }

 private:
  // Whether the kernel has ended the connection.
  bool HasEnded() const {
    pollfd end = {.fd = fuse_session_fd(session_), .events = 0, .revents = 0};
    return poll(&end, 1, 0) == 1 && (end.revents & POLLERR) != 0;
  }

  absl::Status Refusal(std::string_view what) {
    const std::string why = FuseMessages::Last();
    return absl::UnavailableError(absl::StrCat("mount point ", served_.options.mount_point, ": ",
                                               std::string(what), why.empty() ? "" : ": ", why));
  }

  absl::Status StartThreads() {
    const SignalsBlocked blocked;
    const uint32_t count = served_.options.threads;
    buffers_.resize(count);
    for (fuse_buf& buffer : buffers_) {
      Worker& worker = *workers_.emplace_back(std::make_unique<Worker>());
      worker = {this, &buffer, {}};
      {
        MutexLock lock(&mutex_);
        ++running_;
      }
      const int error = pthread_create(
          &worker.thread, nullptr,
          [](void* argument) -> void* {
            pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
            const Worker& self = *static_cast<Worker*>(argument);
            self.serving->Work(*self.buffer);
            return nullptr;
          },
          &worker);
      if (error != 0) {
        workers_.pop_back();
        MutexLock lock(&mutex_);
        --running_;
        return ErrnoStatus(error, "a thread of the mount");
      }
    }
    upkeep_ = std::thread([this] { KeepUp(); });
    return absl::OkStatus();
  }

  void Work(fuse_buf& buffer) {
    while (fuse_session_exited(session_) == 0) {
      // Only here, where nothing is in hand, Stop() may end the thread.
      pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
      const int bytes = fuse_session_receive_buf(session_, &buffer);
      pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
      if (bytes == -EINTR) continue;
      if (bytes <= 0) break;
      fuse_session_process_buf(session_, &buffer);
    }
    MutexLock lock(&mutex_);
    --running_;
    ended_.NotifyAll();
  }

  void KeepUp() {
    std::string last_error;
    for (;;) {
      {
        MutexLock lock(&mutex_);
        if (!is_stopping_) {
          ended_.WaitForNanos(&mutex_, served_.options.upkeep_interval_ms * kMilli);
        }
        if (is_stopping_) return;
      }
      const absl::Status status = served_.filesystem.Upkeep();
      const std::string error(status.message());
      if (!status.ok() && error != last_error) {
        Log(served_.options.log, LogLevel::kWarning, absl::StrCat("mount: upkeep: ", error));
      }
      last_error = error;
    }
  }

  // Takes the mount away, first so that nobody loses anything.
  absl::Status Leave() {
    const int64_t end_ns = SystemClock().MonotonicNanos() + served_.options.patience_ms * kMilli;
    absl::Status left;
    for (;;) {
      left = Unmount(mount_point_, UnmountMode::kWhenUnused);
      if (!absl::IsFailedPrecondition(left) || SystemClock().MonotonicNanos() >= end_ns) break;
      MutexLock lock(&mutex_);
      ended_.WaitForNanos(&mutex_, kRetryNanos);
    }
    if (absl::IsFailedPrecondition(left)) {
      Log(served_.options.log, LogLevel::kWarning,
          absl::StrCat("mount: ", mount_point_, " is in use: its users get errors from now on"));
      const absl::Status synced = SyncMount(mount_point_);
      if (!synced.ok()) {
        Log(served_.options.log, LogLevel::kWarning, absl::StrCat("mount: ", synced.message()));
      }
      left = Unmount(mount_point_, UnmountMode::kDetach);
    }
    if (!left.ok() && !WaitUntilUnmounted(0)) {
      return absl::UnavailableError(left.message());
    }
    // Other views of it, as in a container, may keep it.
    WaitUntilUnmounted(served_.options.patience_ms);
    return absl::OkStatus();
  }

  void JoinThreads() {
    if (served_.seeks != nullptr) served_.seeks->End();  // It needs the others.
    for (const auto& worker : workers_) pthread_cancel(worker->thread);
    for (const auto& worker : workers_) pthread_join(worker->thread, nullptr);
    workers_.clear();
    for (fuse_buf& buffer : buffers_) std::free(buffer.mem);
    buffers_.clear();
    {
      MutexLock lock(&mutex_);
      running_ = 0;
      is_stopping_ = true;
      ended_.NotifyAll();
    }
    if (upkeep_.joinable()) upkeep_.join();
  }

  struct Worker {
    Serving* serving;
    fuse_buf* buffer;
    pthread_t thread;
  };

  Served served_;
  std::string mount_point_;
  fuse_session* session_ = nullptr;
  bool is_mounted_ = false;
  std::optional<CloseInChild> closed_in_child_;
  std::vector<fuse_buf> buffers_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::thread upkeep_;

  Mutex stopping_;  // Held by the one who stops it.
  Mutex mutex_;
  CondVar ended_;
  uint32_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

class FuseMount final : public Mount {
 public:
  explicit FuseMount(std::unique_ptr<Serving> serving) : serving_(std::move(serving)) {}

  bool WaitUntilUnmounted(int64_t timeout_ms) override {
    return serving_.InForkedChild() || serving_->WaitUntilUnmounted(timeout_ms);
  }
  absl::Status Stop() override {
    STRATA_RETURN_IF_ERROR(serving_.Check());
    return serving_->Stop();
  }

 private:
  const ParentOwned<Serving> serving_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Mount>> Mount::Start(FileSystem& filesystem,
                                                    const MountOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckOptions(options));
  auto serving = std::make_unique<Serving>(&filesystem, options);
  STRATA_RETURN_IF_ERROR(serving->Start());
  return std::make_unique<FuseMount>(std::move(serving));
}

}  // namespace strata::ofs

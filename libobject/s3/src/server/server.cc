// SPDX-License-Identifier: Apache-2.0
//
// The listener, the I/O threads and their sessions' lives.
#include "strata/s3/server.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <set>
#include <thread>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http/text.h"
#include "server/session.h"
#include "server/tls_context.h"
#include "strata/base/mutex.h"
#include "strata/base/status_macros.h"

// GCC 12 takes the coroutine frames' own pair of operators for a mismatch.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace strata::s3 {
namespace {

using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::milliseconds kDeadlineTick{250};
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr size_t kMaxDismissals = 64;  // Connections that are ending so that others have room.
constexpr size_t kMaxRefusals = 64;    // Connections over the limit that are told so at one time.

// One thread and the sessions that live in it.
struct IoThread {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
  asio::steady_timer tick{context};
  std::set<Session*> sessions;  // Touched in the thread only.
  std::thread thread;
};

class AsioServer final : public Server {
 public:
  explicit AsioServer(const ServerOptions& options)
      : options_(options),
        clock_(options.clock != nullptr ? *options.clock : SystemClock()),
        memory_(options.limits.max_body_memory_bytes),
        service_({.store = options.store,
                  .region = options.region,
                  .domains = options.domains,
                  .max_xml_bytes = options.limits.max_xml_bytes,
                  .memory = &memory_,
                  .tls = !options.tls_certificate_path.empty()},
                 &clock_, options.log),
        workers_(static_cast<size_t>(options.worker_threads)),
        environment_{.service = service_,
                     .workers = workers_,
                     .memory = memory_,
                     .counters = counters_,
                     .newcomers = newcomers_,
                     .limits = options_.limits,
                     .clock = clock_,
                     .log_requests = options_.log_requests} {
    for (int i = 0; i < options_.io_threads; ++i) threads_.push_back(std::make_unique<IoThread>());
    acceptor_ = std::make_unique<tcp::acceptor>(threads_[0]->context);
  }

  ~AsioServer() override { Stop(std::chrono::milliseconds(0)); }

  absl::Status Listen();
  absl::Status LoadTls();
  absl::Status ReloadTls(const std::string& certificate_path, const std::string& key_path) override;
  void StartThreads();

  uint16_t port() const override { return port_; }
  size_t Stop(std::chrono::milliseconds deadline) override;
  ServerStats Stats() const override;

 private:
  using TlsContext = std::shared_ptr<asio::ssl::context>;

  TlsContext CurrentTls();
  asio::awaitable<void> AcceptLoop();
  class Admission;
  asio::awaitable<void> AcceptOne(size_t& next);
  asio::awaitable<void> RunSession(IoThread& thread, tcp::socket socket, Admission admission);
  asio::awaitable<void> ServeSession(IoThread& thread, tcp::socket socket, bool refused);
  asio::awaitable<void> TickLoop(IoThread& thread);
  void RunThread(IoThread& thread);
  void LogFailure(std::string_view where, const std::exception_ptr& failure);
  void OnEachThread(const std::function<void(IoThread&)>& act);

  const ServerOptions options_;
  const Clock& clock_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::unique_ptr<tcp::acceptor> acceptor_;
  BodyMemory memory_;
  Service service_;
  WorkerPool workers_;  // Ends before threads_: workers post to them to the very end.
  OperationCounters counters_;
  Newcomers newcomers_;
  SessionEnvironment environment_;
  uint16_t port_ = 0;

  std::atomic<uint64_t> accepted_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> dismissed_{0};
  mutable Mutex mutex_;
  CondVar session_ended_;
  TlsContext tls_ ABSL_GUARDED_BY(mutex_);  // Of the connections to come; nullptr: plain HTTP.
  size_t session_count_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t refusal_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

absl::Status AsioServer::Listen() {
  error_code error;
  const asio::ip::address address = asio::ip::make_address(options_.address, error);
  if (error) {
    return absl::InvalidArgumentError(
        Concat({"the S3 address '", options_.address, "' is not an IP address"}));
  }
  const tcp::endpoint endpoint(address, options_.port);
  acceptor_->open(endpoint.protocol(), error);
  if (!error) acceptor_->set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && address.is_v6()) {
    acceptor_->set_option(asio::ip::v6_only(false), error);
  }
  if (!error) acceptor_->bind(endpoint, error);
  if (!error) acceptor_->listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(Concat({"cannot listen for S3 on ", options_.address, ":",
                                          std::to_string(options_.port), ": ", error.message()}));
  }
  port_ = acceptor_->local_endpoint(error).port();
  return absl::OkStatus();
}

absl::Status AsioServer::LoadTls() {
  if (options_.tls_certificate_path.empty()) return absl::OkStatus();
  STRATA_ASSIGN_OR_RETURN(TlsContext tls,
                          LoadTlsContext(options_.tls_certificate_path, options_.tls_key_path));
  MutexLock lock(&mutex_);
  tls_ = std::move(tls);
  return absl::OkStatus();
}

absl::Status AsioServer::ReloadTls(const std::string& certificate_path,
                                   const std::string& key_path) {
  if (options_.tls_certificate_path.empty()) {
    return absl::FailedPreconditionError("the S3 server was started without TLS");
  }
  STRATA_ASSIGN_OR_RETURN(TlsContext tls, LoadTlsContext(certificate_path, key_path));
  MutexLock lock(&mutex_);
  tls_ = std::move(tls);
  return absl::OkStatus();
}

AsioServer::TlsContext AsioServer::CurrentTls() {
  MutexLock lock(&mutex_);
  return tls_;
}

void AsioServer::StartThreads() {
  for (const std::unique_ptr<IoThread>& thread : threads_) {
    asio::co_spawn(thread->context, TickLoop(*thread), asio::detached);
  }
  asio::co_spawn(threads_[0]->context, AcceptLoop(), asio::detached);
  for (const std::unique_ptr<IoThread>& thread : threads_) {
    thread->thread = std::thread([this, io = thread.get()] { RunThread(*io); });
  }
}

// Nothing of ours throws out of a handler. Should it happen, the other connections stay.
void AsioServer::RunThread(IoThread& thread) {
  while (true) {
    try {
      thread.context.run();
      return;
    } catch (...) {
      LogFailure("an I/O thread", std::current_exception());
    }
  }
}

// An exception is a failure of this program's, or memory that is not there.
void AsioServer::LogFailure(std::string_view where, const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    Log(options_.log, LogLevel::kError, Concat({"s3: ", where, " failed: ", error.what()}));
  } catch (...) {
    Log(options_.log, LogLevel::kError, Concat({"s3: ", where, " failed"}));
  }
}

// A session's place among those that Stop() waits for. It is given up when the last trace of the
// session is gone, however it ended.
class AsioServer::Admission final {
 public:
  Admission(AsioServer& server, bool refused) : server_(&server), refused_(refused) {}
  Admission(Admission&& other) noexcept
      : server_(std::exchange(other.server_, nullptr)), refused_(other.refused_) {}
  Admission& operator=(Admission&&) = delete;
  ~Admission() {
    if (server_ == nullptr) return;
    MutexLock lock(&server_->mutex_);
    --(refused_ ? server_->refusal_count_ : server_->session_count_);
    server_->session_ended_.NotifyAll();
  }

  bool refused() const { return refused_; }

 private:
  AsioServer* server_;
  const bool refused_;
};

asio::awaitable<void> AsioServer::AcceptLoop() {
  size_t next = 0;
  while (acceptor_->is_open()) {
    std::exception_ptr failure;
    try {
      co_await AcceptOne(next);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) continue;
    LogFailure("accepting a connection", failure);
    std::this_thread::sleep_for(kAcceptPause);
  }
}

asio::awaitable<void> AsioServer::AcceptOne(size_t& next) {
  IoThread& thread = *threads_[next];
  error_code error;
  tcp::socket socket = co_await acceptor_->async_accept(
      thread.context, asio::redirect_error(asio::use_awaitable, error));
  if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
    acceptor_->close(error);
    co_return;
  }
  if (error) {
    // Most likely out of file descriptors: some will be free again.
    Log(options_.log, LogLevel::kWarning, Concat({"s3: accept: ", error.message()}));
    asio::steady_timer pause(threads_[0]->context, kAcceptPause);
    co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    co_return;
  }
  next = (next + 1) % threads_.size();
  accepted_.fetch_add(1, std::memory_order_relaxed);
  bool refused = false;
  {
    MutexLock lock(&mutex_);
    if (stopped_) co_return;
    const size_t limit = options_.limits.max_connections;
    refused = session_count_ >= limit;
    if (refused && session_count_ < limit + kMaxDismissals && newcomers_.DismissFirst()) {
      dismissed_.fetch_add(1, std::memory_order_relaxed);
      refused = false;
    }
    if (refused) {
      refused_.fetch_add(1, std::memory_order_relaxed);
      if (refusal_count_ >= kMaxRefusals) co_return;
    }
    ++(refused ? refusal_count_ : session_count_);
  }
  Admission admission(*this, refused);
  asio::co_spawn(thread.context, RunSession(thread, std::move(socket), std::move(admission)),
                 asio::detached);
}

asio::awaitable<void> AsioServer::RunSession(IoThread& thread, tcp::socket socket,
                                             Admission admission) {
  const Admission admitted = std::move(admission);
  try {
    co_await ServeSession(thread, std::move(socket), admitted.refused());
  } catch (...) {
    LogFailure("a connection", std::current_exception());
  }
}

asio::awaitable<void> AsioServer::ServeSession(IoThread& thread, tcp::socket socket, bool refused) {
  // Registered in its thread for as long as it lives.
  struct Registered {
    Registered(IoThread& thread, Session* session) : thread(thread), session(session) {
      thread.sessions.insert(session);
    }
    ~Registered() { thread.sessions.erase(session); }
    IoThread& thread;
    Session* const session;
  };
  Session session(environment_, std::make_unique<Connection>(std::move(socket), CurrentTls()));
  const Registered registered(thread, &session);
  try {
    if (refused) {
      co_await session.Refuse();
    } else {
      co_await session.Run();
    }
  } catch (...) {
    session.connection().Reset();
    throw;
  }
}

// Ends what has waited for a client for too long.
asio::awaitable<void> AsioServer::TickLoop(IoThread& thread) {
  error_code error;
  while (!error) {
    std::exception_ptr failure;
    try {
      thread.tick.expires_after(kDeadlineTick);
      co_await thread.tick.async_wait(asio::redirect_error(asio::use_awaitable, error));
      const Connection::Clock::time_point now = Connection::Clock::now();
      for (Session* session : thread.sessions) session->connection().CheckDeadline(now);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) continue;
    LogFailure("looking at deadlines", failure);
    std::this_thread::sleep_for(kDeadlineTick);
  }
}

void AsioServer::OnEachThread(const std::function<void(IoThread&)>& act) {
  for (const std::unique_ptr<IoThread>& thread : threads_) {
    asio::post(thread->context, [io = thread.get(), act] { act(*io); });
  }
}

size_t AsioServer::Stop(std::chrono::milliseconds deadline) {
  {
    MutexLock lock(&mutex_);
    if (stopped_) return 0;
    stopped_ = true;
  }
  environment_.draining = true;
  asio::post(threads_[0]->context, [this] {
    error_code ignored;
    acceptor_->close(ignored);
  });
  OnEachThread([](IoThread& io) {
    for (Session* session : io.sessions) {
      if (session->idle()) session->connection().Cancel();
    }
  });

  size_t cut_count = 0;
  {
    const int64_t until_ns = SystemClock().MonotonicNanos() +
                             std::chrono::duration_cast<std::chrono::nanoseconds>(deadline).count();
    MutexLock lock(&mutex_);
    while (session_count_ + refusal_count_ > 0) {
      const int64_t remaining_ns = until_ns - SystemClock().MonotonicNanos();
      if (remaining_ns <= 0) break;
      session_ended_.WaitForNanos(&mutex_, remaining_ns);
    }
    cut_count = session_count_;
  }
  // What is left is cut from its client; a call into the store, if there is one, ends by itself.
  OnEachThread([](IoThread& io) {
    for (Session* session : io.sessions) session->connection().Cancel();
  });
  {
    MutexLock lock(&mutex_);
    while (session_count_ + refusal_count_ > 0) session_ended_.Wait(&mutex_);
  }
  OnEachThread([](IoThread& io) {
    io.tick.cancel();
    io.guard.reset();
    io.context.stop();
  });
  for (const std::unique_ptr<IoThread>& thread : threads_) {
    if (thread->thread.joinable()) thread->thread.join();
  }
  return cut_count;
}

ServerStats AsioServer::Stats() const {
  ServerStats stats;
  stats.operations = counters_.Snapshot();
  stats.connections_accepted = accepted_.load(std::memory_order_relaxed);
  stats.connections_refused = refused_.load(std::memory_order_relaxed);
  stats.connections_dismissed = dismissed_.load(std::memory_order_relaxed);
  stats.body_memory_bytes = memory_.used_bytes();
  stats.worker_threads = workers_.thread_count();
  stats.queued_jobs = workers_.queued_count();
  MutexLock lock(&mutex_);
  stats.connections = session_count_;
  return stats;
}

absl::Status CheckOptions(const ServerOptions& options) {
  if (options.store == nullptr)
    return absl::InvalidArgumentError("ServerOptions::store is not set");
  if (options.io_threads < 1 || options.io_threads > 256) {
    return absl::InvalidArgumentError("ServerOptions::io_threads must be from 1 to 256");
  }
  if (options.worker_threads < 1 || options.worker_threads > 4096) {
    return absl::InvalidArgumentError("ServerOptions::worker_threads must be from 1 to 4096");
  }
  if (options.limits.max_connections < 1) {
    return absl::InvalidArgumentError("ServerLimits::max_connections must be at least 1");
  }
  if (options.limits.max_header_bytes < 4096 || options.limits.max_header_bytes > 16 << 20) {
    return absl::InvalidArgumentError("ServerLimits::max_header_bytes must be 4 KiB to 16 MiB");
  }
  if (options.limits.max_body_memory_bytes < 2 * BodyMemory::kFullBytes) {
    return absl::InvalidArgumentError(
        "ServerLimits::max_body_memory_bytes must be 512 KiB or more");
  }
  if (options.tls_certificate_path.empty() != options.tls_key_path.empty()) {
    return absl::InvalidArgumentError("TLS needs both a certificate and a key");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  STRATA_RETURN_IF_ERROR(CheckOptions(options));
  auto server = std::make_unique<AsioServer>(options);
  STRATA_RETURN_IF_ERROR(server->LoadTls());
  STRATA_RETURN_IF_ERROR(server->Listen());
  server->StartThreads();
  return server;
}

}  // namespace strata::s3

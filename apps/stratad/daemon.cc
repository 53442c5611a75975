// SPDX-License-Identifier: Apache-2.0
#include "stratad/daemon.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "appliance/admin_server.h"
#include "appliance/appliance.h"
#include "appliance/http_server.h"
#include "appliance/key_file.h"
#include "appliance/local_socket.h"
#include "appliance/nvme/exports.h"
#include "appliance/root_keys.h"
#include "strata/s3/server.h"
#include "stratad/heap.h"
#include "stratad/logger.h"
#include "stratad/maintenance.h"
#include "stratad/process_figures.h"
#include "stratad/service_notice.h"
#include "stratad/status_server.h"

namespace strata::appliance {
namespace {

// The signals that the main thread waits for; blocked in all threads.
sigset_t OurSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  return signals;
}

// While it lives, a signal to end ends the process at once. What was acknowledged is durable.
class SecondSignalExit {
 public:
  SecondSignalExit() : thread_([this] { Run(); }) {}
  ~SecondSignalExit() {
    over_ = true;
    thread_.join();
  }

 private:
  void Run() {
    const sigset_t signals = OurSignals();
    const timespec pause{.tv_sec = 0, .tv_nsec = 100'000'000};
    while (!over_) {
      const int signal = sigtimedwait(&signals, nullptr, &pause);
      if (signal != SIGTERM && signal != SIGINT) continue;
      ProcessLog()(LogLevel::kWarning, "a second signal: ending at once");
      _exit(kExitFailed);
    }
  }

  std::atomic<bool> over_{false};
  std::thread thread_;
};

class Daemon {
 public:
  explicit Daemon(const DaemonOptions& options) : options_(options), log_(ProcessLog()) {}

  ExitCode Run() {
    const ExitCode started = Start();
    if (started != kExitStopped) {
      Stop(std::chrono::milliseconds(0));
      return started;
    }
    NotifyServiceManager("READY=1");
    WaitForTheEnd();
    const SecondSignalExit second_signal;
    NotifyServiceManager("STOPPING=1");
    Log(log_, LogLevel::kInfo, "stopping");
    Stop(std::chrono::seconds(options_.config.s3.drain_s));
    Log(log_, LogLevel::kInfo, "stopped");
    return kExitStopped;
  }

 private:
  // kExitStopped: all is up.
  ExitCode Start() {
    Log(log_, LogLevel::kInfo,
        absl::StrCat("stratad ", STRATA_VERSION, " opens ", options_.data, ", process ", getpid()));
    // The health is there before the stores are. Should the address be taken, a data directory in
    // use is the better thing to hear of.
    const absl::Status status_started = StartStatusServer();
    const absl::Status key = ReadKeyFile(options_.config.storage.encryption_key_file).status();
    if (!key.ok()) return Fail(kExitConfig, key);
    absl::StatusOr<std::unique_ptr<Appliance>> appliance = Appliance::Open(
        {.data = options_.data, .create = true, .config = options_.config, .log = log_});
    if (!appliance.ok()) return Fail(kExitData, appliance.status());
    appliance_ = *std::move(appliance);
    if (!status_started.ok()) return Fail(kExitAddress, status_started);

    const absl::Status root =
        EnsureRootUser(appliance_->objects(), options_.data, options_.root_keys, log_);
    if (!root.ok()) return Fail(absl::IsInvalidArgument(root) ? kExitConfig : kExitData, root);

    const absl::Status exported = appliance_->exports().Serve();
    if (!exported.ok()) return Fail(kExitAddress, exported);

    absl::StatusOr<std::unique_ptr<HttpServer>> admin = StartAdminServer(appliance_.get());
    if (!admin.ok()) return Fail(kExitData, admin.status());
    admin_ = *std::move(admin);

    absl::StatusOr<std::unique_ptr<s3::Server>> s3 = StartS3();
    if (!s3.ok()) {
      return Fail(absl::IsUnavailable(s3.status()) ? kExitAddress : kExitConfig, s3.status());
    }
    s3_ = *std::move(s3);
    maintenance_ = Maintenance::Start(appliance_.get(), log_);
    if (status_ != nullptr) status_->SetReady(appliance_.get(), s3_.get());
    LogAddresses();
    return kExitStopped;
  }

  absl::Status StartStatusServer() {
    if (options_.config.metrics.listen.empty()) return absl::OkStatus();
    const absl::StatusOr<Endpoint> endpoint = ParseEndpoint(options_.config.metrics.listen);
    if (!endpoint.ok()) return endpoint.status();
    absl::StatusOr<std::unique_ptr<StatusServer>> server = StatusServer::Start(*endpoint);
    if (!server.ok()) return server.status();
    status_ = *std::move(server);
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<s3::Server>> StartS3() {
    const Config::S3& config = options_.config.s3;
    const absl::StatusOr<Endpoint> endpoint = ParseEndpoint(config.listen);
    if (!endpoint.ok()) return endpoint.status();
    s3::ServerOptions options;
    options.address = endpoint->address;
    options.port = endpoint->port;
    options.store = &appliance_->objects();
    options.io_threads = static_cast<int>(config.io_threads);
    options.worker_threads = static_cast<int>(config.worker_threads);
    options.limits.max_connections = config.max_connections;
    options.limits.max_body_memory_bytes = config.max_body_memory_bytes;
    options.region = config.region;
    options.domains = config.domains;
    options.tls_certificate_path = config.tls_certificate;
    options.tls_key_path = config.tls_key;
    options.log = log_;
    options.log_requests = options_.config.log.requests;
    return s3::Server::Start(options);
  }

  void LogAddresses() {
    const auto with_port = [](const std::string& listen, uint16_t port) {
      Endpoint endpoint = ParseEndpoint(listen).value_or(Endpoint{});
      endpoint.port = port;
      return PrintEndpoint(endpoint);
    };
    const bool tls = !options_.config.s3.tls_certificate.empty();
    Log(log_, LogLevel::kInfo,
        absl::StrCat("s3 on ", tls ? "https://" : "http://",
                     with_port(options_.config.s3.listen, s3_->port())));
    if (status_ == nullptr) return;
    Log(log_, LogLevel::kInfo,
        absl::StrCat("metrics on http://",
                     with_port(options_.config.metrics.listen, status_->port()), "/metrics"));
  }

  // Returns at SIGTERM or SIGINT.
  void WaitForTheEnd() {
    const sigset_t signals = OurSignals();
    while (true) {
      const int signal = sigwaitinfo(&signals, nullptr);
      if (signal == SIGTERM || signal == SIGINT) return;
      if (signal == SIGHUP) Reload();
    }
  }

  void Reload() {
    const absl::StatusOr<Config> config = LoadConfig(options_.sources);
    if (!config.ok()) {
      Log(log_, LogLevel::kError,
          absl::StrCat("the configuration stays as it was: ", config.status().message()));
      return;
    }
    SetUpLog(config->log.level, config->log.json);
    Log(log_, LogLevel::kInfo, "read the log's level and form again");
    ReloadCertificate(config->s3);
  }

  void ReloadCertificate(const Config::S3& config) {
    const bool before = !options_.config.s3.tls_certificate.empty();
    const bool now = !config.tls_certificate.empty();
    if (before != now) {
      Log(log_, LogLevel::kWarning,
          absl::StrCat("s3.tls_certificate: to switch TLS ", now ? "on" : "off",
                       " takes a restart; S3 is served as before"));
    }
    if (!before || !now) return;
    const absl::Status status = s3_->ReloadTls(config.tls_certificate, config.tls_key);
    if (status.ok()) {
      Log(log_, LogLevel::kInfo,
          absl::StrCat("new connections get the certificate that ", config.tls_certificate,
                       " holds now"));
    } else {
      Log(log_, LogLevel::kError,
          absl::StrCat("the former TLS certificate stays in use: ", status.message()));
    }
  }

  // Ends what was started, in the order in which one uses the other.
  void Stop(std::chrono::milliseconds drain) {
    if (status_ != nullptr) status_->SetStopping();
    // Both drain at the same time, each within its own limit.
    std::thread exports([this, drain] {
      if (appliance_ == nullptr) return;
      const std::chrono::milliseconds limit =
          drain.count() == 0 ? drain : std::chrono::seconds(options_.config.nvme.drain_s);
      appliance_->exports().Stop(limit);
    });
    if (s3_ != nullptr) {
      const size_t cut = s3_->Stop(drain);
      if (cut > 0) Log(log_, LogLevel::kWarning, absl::StrCat(cut, " requests were cut off"));
    }
    exports.join();
    if (appliance_ != nullptr) appliance_->Stop();
    maintenance_.reset();
    if (admin_ != nullptr) RemoveLocal(options_.data, kAdminSocket);
    admin_.reset();
    if (status_ != nullptr) status_->Forget();
    s3_.reset();
    appliance_.reset();
    status_.reset();
  }

  ExitCode Fail(ExitCode code, const absl::Status& why) {
    Log(log_, LogLevel::kError, why.message());
    return code;
  }

  static void Log(const LogSink& sink, LogLevel level, absl::string_view line) {
    strata::Log(sink, level, std::string_view(line.data(), line.size()));
  }

  const DaemonOptions& options_;
  const LogSink log_;
  std::unique_ptr<StatusServer> status_;
  std::unique_ptr<Appliance> appliance_;
  std::unique_ptr<HttpServer> admin_;
  std::unique_ptr<s3::Server> s3_;
  std::unique_ptr<Maintenance> maintenance_;
};

}  // namespace

ExitCode RunDaemon(const DaemonOptions& options) {
  SetUpLog(options.config.log.level, options.config.log.json);
  const sigset_t signals = OurSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  RaiseFileLimit();
  const std::unique_ptr<HeapTrimmer> heap = HeapTrimmer::Start();
  return Daemon(options).Run();
}

}  // namespace strata::appliance

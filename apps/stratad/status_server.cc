// SPDX-License-Identifier: Apache-2.0
#include "stratad/status_server.h"

#include <atomic>
#include <chrono>
#include <shared_mutex>
#include <string>
#include <utility>

#include "appliance/commands.h"
#include "appliance/http_server.h"
#include "appliance/json.h"
#include "appliance/nvme/nvme_commands.h"
#include "strata/base/status_macros.h"
#include "stratad/console.h"
#include "stratad/metrics.h"

namespace strata::appliance {
namespace {

constexpr char kPlainText[] = "text/plain; charset=utf-8";

enum class State { kStarting, kReady, kStopping };

const char* NameOf(State state) {
  switch (state) {
    case State::kStarting:
      return "starting";
    case State::kReady:
      return "ready";
    case State::kStopping:
      return "stopping";
  }
  return "";
}

class Status final : public StatusServer {
 public:
  absl::Status Listen(const Endpoint& endpoint) {
    HttpServerOptions options;
    options.handler = [this](const HttpRequest& request, HttpReply& reply) {
      Answer(request, reply);
    };
    // Whether the process lives is asked when all else waits: for a disk, or for many who ask.
    options.prompt = [this](const HttpRequest& request, HttpReply& reply) {
      return AnswerAtOnce(request, reply);
    };
    STRATA_ASSIGN_OR_RETURN(server_, HttpServer::Listen(endpoint, std::move(options)));
    return absl::OkStatus();
  }

  uint16_t port() const override { return server_->port(); }

  void SetReady(Appliance* appliance, const s3::Server* server) override {
    const std::unique_lock lock(mutex_);
    appliance_ = appliance;
    s3_ = server;
    state_ = State::kReady;
  }

  void SetStopping() override {
    const std::unique_lock lock(mutex_);
    state_ = State::kStopping;
  }

  void Forget() override {
    const std::unique_lock lock(mutex_);
    appliance_ = nullptr;
    s3_ = nullptr;
  }

 private:
  bool AnswerAtOnce(const HttpRequest& request, HttpReply& reply) {
    const bool reads = request.method == "GET" || request.method == "HEAD";
    if (reads && request.path == "/health") {
      reply.Send(200, kPlainText, "alive\n");
    } else if (reads && request.path == "/ready") {
      const State state = state_;
      reply.Send(state == State::kReady ? 200 : 503, kPlainText, std::string(NameOf(state)) + "\n");
    } else {
      return false;
    }
    return true;
  }

  void Answer(const HttpRequest& request, HttpReply& reply) {
    if (request.method != "GET" && request.method != "HEAD") {
      return reply.Send(405, "text/plain", "GET and HEAD only\n");
    }
    std::string body;
    const char* type = kPlainText;
    int status = 200;
    {
      // Held while figures are gathered, not while they are sent: a slow client holds nobody up.
      const std::shared_lock lock(mutex_);
      if (request.path == "/metrics") {
        type = "text/plain; version=0.0.4; charset=utf-8";
        body = MetricsText(appliance_, s3_);
      } else if (request.path == "/status.json") {
        type = "application/json";
        body = ShowJson(StatusJson());
      } else if (request.path == "/") {
        type = "text/html; charset=utf-8";
        body = std::string(ConsolePage());
      } else {
        status = 404;
        body = "there are /, /metrics, /health, /ready, /status.json\n";
      }
    }
    reply.Send(status, type, body);
  }

  // REQUIRES: mutex_ is held.
  Json StatusJson() const {
    using std::chrono::steady_clock;
    const std::chrono::duration<double> uptime = steady_clock::now() - started_;
    Json json = {{"state", NameOf(state_)},
                 {"version", STRATA_VERSION},
                 {"uptime_s", static_cast<uint64_t>(uptime.count())},
                 {"operations", Json::array()}};
    if (appliance_ != nullptr) {
      json["store"] = StatJson(*appliance_);
      json["nvme"] = NvmeStatusJson(appliance_->exports());
    }
    if (s3_ == nullptr) return json;
    for (const s3::OperationStats& operation : s3_->Stats().operations) {
      if (operation.requests + operation.in_flight == 0) continue;
      const auto answered = static_cast<double>(operation.requests == 0 ? 1 : operation.requests);
      json["operations"].push_back(
          {{"operation", std::string(operation.operation)},
           {"requests", operation.requests},
           {"errors", operation.client_errors + operation.server_errors},
           {"mean_ms", static_cast<double>(operation.latency_sum_ns) / 1e6 / answered},
           {"bytes_in", operation.bytes_in},
           {"bytes_out", operation.bytes_out}});
    }
    return json;
  }

  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::shared_mutex mutex_;
  std::atomic<State> state_ = State::kStarting;
  Appliance* appliance_ = nullptr;
  const s3::Server* s3_ = nullptr;      // Under mutex_, as the one before.
  std::unique_ptr<HttpServer> server_;  // Last: its threads use the others.
};

}  // namespace

absl::StatusOr<std::unique_ptr<StatusServer>> StatusServer::Start(const Endpoint& endpoint) {
  auto server = std::make_unique<Status>();
  STRATA_RETURN_IF_ERROR(server->Listen(endpoint));
  return server;
}

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// One connection from its first request to its last. It reads a head, makes an Exchange of it,
// feeds the exchange its body and writes its reply; all calls that may block go to the workers.
//
// Used in its connection's one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "http/body_memory.h"
#include "http/http_parser.h"
#include "http/transfer_coding.h"
#include "operations/exchange.h"
#include "operations/operation_counters.h"
#include "server/connection.h"
#include "server/inbox.h"
#include "server/newcomers.h"
#include "server/worker_job.h"
#include "server/worker_pool.h"
#include "strata/s3/server.h"

namespace strata::s3 {

// What all sessions of a server share.
struct SessionEnvironment {
  Service& service;
  WorkerPool& workers;
  BodyMemory& memory;
  OperationCounters& counters;
  Newcomers& newcomers;
  const ServerLimits& limits;
  const Clock& clock;
  const bool log_requests;
  std::atomic<bool> draining{false};  // Requests in progress are a connection's last.
};

class Session final {
 public:
  Session(SessionEnvironment& environment, std::unique_ptr<Connection> connection);

  // Serves until the connection ends. What it throws was not meant to happen: the connection is to
  // be reset. No work of this session's is in progress then.
  asio::awaitable<void> Run();

  // Answers the first request with 503 SlowDown and ends the connection.
  asio::awaitable<void> Refuse();

  Connection& connection() { return *connection_; }

  // Between requests: the connection may be ended without harm.
  bool idle() const { return idle_; }

 private:
  // The body of the request in progress, as far as it has not been read.
  struct Body {
    std::optional<TransferDecoder> coding;  // Where it is chunked.
    uint64_t remaining_bytes = 0;           // Where it is not.
    bool done = false;
    uint64_t read_bytes = 0;
    std::chrono::nanoseconds waited{0};
    absl::Status malformed;  // Why, after kMalformed.
  };
  enum class ReadOutcome { kOk, kGone, kTooSlow, kMalformed };
  struct Filled {
    ReadOutcome outcome = ReadOutcome::kOk;
    size_t size_bytes = 0;  // Less than asked for only at the body's end.
  };
  // A reply and the beginning of its content, if that was read in the same stay at a worker.
  struct Answer {
    std::optional<Reply> reply;
    BodyMemory::Buffer first;
    size_t first_bytes = 0;
    BodyMemory::Claim document;  // Of a reply that is a large document.
  };

  asio::awaitable<bool> ServeOne();
  asio::awaitable<std::optional<HttpHead>> ReadHead();
  asio::awaitable<void> Serve(Exchange& exchange, Answer& answer);
  asio::awaitable<void> Abandon(Exchange& exchange);
  asio::awaitable<void> ServeSmallBody(Exchange& exchange, Answer& answer,
                                       BodyMemory::Buffer buffer);
  asio::awaitable<bool> SendContinue();
  asio::awaitable<void> ServeStream(Exchange& exchange, Answer& answer);
  asio::awaitable<Filled> FillFromBody(std::span<std::byte> out);
  asio::awaitable<bool> SendAnswer(Exchange& exchange, Answer& answer, bool close);
  asio::awaitable<bool> SendSource(Exchange& exchange, Answer& answer, std::string head);
  asio::awaitable<void> OnWorker(absl::AnyInvocable<void()> work);
  asio::awaitable<bool> SendError(const absl::Status& status);

  void ReadFirst(Exchange& exchange, Answer& answer);
  void ClaimDocument(Exchange& exchange, Answer& answer);
  void GrowBuffer(BodyMemory::Buffer& buffer, size_t size_bytes);
  Connection::Timeout BodyTimeout() const;
  std::string NewRequestId();
  std::string Date() const;
  void LogRequest(const Exchange& exchange, const OperationCounters::Outcome& outcome) const;

  SessionEnvironment& environment_;
  const std::unique_ptr<Connection> connection_;
  Newcomers::Place place_;  // While the client is waited for and is not known.
  WorkerJob job_;
  Inbox inbox_;
  BodyMemory::Claim large_head_;  // While the request in progress had one.
  bool idle_ = false;

  // Of the request in progress.
  Body body_;
  bool says_keep_alive_ = false;
  bool expects_continue_ = false;  // And has not been answered yet.
  OperationCounters::Outcome outcome_;
};

}  // namespace strata::s3

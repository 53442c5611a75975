// SPDX-License-Identifier: Apache-2.0
//
// The S3 protocol over HTTP/1.1, in front of an object::Store.
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<s3::Server> server,
//                           s3::Server::Start({.port = 9000, .store = store.get()}));
//   ...
//   server->Stop(std::chrono::seconds(30));
//
// A server starts the threads its options ask for: io_threads that never block, and up to
// worker_threads, made as they are needed, in which the store is called.
// Thread safety: all methods may be called from any thread that is not one of the server's own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "strata/base/clock.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/object/store.h"

namespace strata::s3 {

// What one client, or all of them together, may take. Beyond a limit waits an S3 error or, where a
// client is only early, back-pressure: the server stops reading from its socket.
struct ServerLimits {
  size_t max_connections = 4096;            // Then the longest idle unauthenticated one is closed,
                                            // or there is none: 503 SlowDown.
  size_t max_header_bytes = 64 << 10;       // Request line and headers; then 431.
  size_t max_xml_bytes = 4 << 20;           // Request bodies that are documents; then MalformedXML.
  size_t max_body_memory_bytes = 64 << 20;  // All that is between sockets and the store. Used up,
                                            // content gets 8 KiB a connection beyond it; documents
                                            // and large heads are refused, 503 SlowDown.
  std::chrono::milliseconds idle_timeout{75'000};    // Between requests.
  std::chrono::milliseconds header_timeout{20'000};  // From the first byte of a head to its last.
  std::chrono::milliseconds read_timeout{60'000};    // A body that stands still.
  std::chrono::milliseconds write_timeout{60'000};   // A client that does not take its answer.
  uint64_t min_body_bytes_per_s = 512;               // A body slower than this is cut off.
};

struct ServerOptions {
  std::string address = "127.0.0.1";  // An IP address; "::" and "0.0.0.0" are all of them.
  uint16_t port = 0;                  // 0: any free one, see Server::port().
  object::Store* store = nullptr;     // Outlives the server.
  int io_threads = 2;
  int worker_threads = 64;  // At most; concurrent commits share a flush.
  ServerLimits limits;
  std::string region = "us-east-1";  // What signatures must name. Empty: any.
  std::vector<std::string> domains;  // "s3.example.org": BUCKET.s3.example.org is a bucket too.
  std::string tls_certificate_path;  // PEM, the chain. Empty: plain HTTP.
  std::string tls_key_path;          // PEM.
  const Clock* clock = nullptr;      // nullptr: the system's. For signatures; time-outs are real.
  LogSink log;
  bool log_requests = false;  // One line per request at LogLevel::kInfo.
};

// Since the start. `operation` is S3's name ("PutObject"), "Unknown" for requests that have none.
struct OperationStats {
  std::string_view operation;  // Lives as long as the process.
  uint64_t requests = 0;       // That have ended.
  uint64_t client_errors = 0;  // Of these, with 4xx.
  uint64_t server_errors = 0;  // Of these, with 5xx, or cut off as the content could not be read.
  uint64_t aborted = 0;        // Of these, those whose client went before the end.
  uint64_t bytes_in = 0;       // Bodies.
  uint64_t bytes_out = 0;
  uint64_t in_flight = 0;       // Now.
  uint64_t latency_sum_ns = 0;  // From the end of the head to the end of the answer.
};

struct ServerStats {
  std::vector<OperationStats> operations;  // All that there are.
  uint64_t connections = 0;                // Now.
  uint64_t connections_accepted = 0;
  uint64_t connections_refused = 0;    // Over max_connections.
  uint64_t connections_dismissed = 0;  // Closed for others, before it was known whose they were.
  uint64_t body_memory_bytes = 0;      // Now.
  uint64_t worker_threads = 0;         // Now.
  uint64_t queued_jobs = 0;            // Now: work that waits for a worker.
};

class STRATA_EXPORT Server {
 public:
  // InvalidArgument: an option, named. Unavailable: the address cannot be listened on (in use, not
  // ours). NotFound, PermissionDenied, InvalidArgument: the certificate or its key, which other
  // users must not be able to read.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options);

  // Stops at once if Stop() was not called.
  virtual ~Server() = default;

  // Where it listens.
  virtual uint16_t port() const = 0;

  // Takes another certificate and key for the connections to come. Those that are open keep theirs.
  // FailedPrecondition: the server was started without TLS. What Start() says of certificates and
  // keys: then the former ones stay.
  virtual absl::Status ReloadTls(const std::string& certificate_path,
                                 const std::string& key_path) = 0;

  // Takes no new connections, lets requests in progress end for at most `deadline`, then cuts those
  // that are left. No call into the store is in progress when it returns. Returns how many requests
  // were cut. Once stopped, a server stays so.
  virtual size_t Stop(std::chrono::milliseconds deadline) = 0;

  virtual ServerStats Stats() const = 0;
};

}  // namespace strata::s3

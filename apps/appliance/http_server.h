// SPDX-License-Identifier: Apache-2.0
//
// A small HTTP/1.1 server for the few: metrics, health, the console, and operators' commands. One
// request per connection. One thread reads requests and writes answers and waits for no client; a
// fixed number of threads run the handler. Of too many connections the oldest is closed, and of too
// many requests the newest is answered with 503. (S3 has its own server, strata::s3.)
//
// Thread safety: the handler runs in any of the server's threads, several at a time; all methods
// may be called from any other thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "appliance/config.h"

namespace strata::appliance {

struct HttpRequest {
  std::string method;
  std::string path;  // Without a query.
  std::string body;
};

// The answer to one request: Send() once, or SendLine() any number of times.
class HttpReply {
 public:
  virtual ~HttpReply() = default;
  virtual void Send(int status, std::string_view content_type, std::string_view body) = 0;

  // One line of JSON of an answer that takes its time. False: the client is gone.
  virtual bool SendLine(std::string_view line) = 0;
  virtual bool client_is_gone() const = 0;
};

using HttpHandler = std::function<void(const HttpRequest&, HttpReply&)>;

// True: it has answered with Send(). It must not block: it runs in the thread that reads.
using PromptHandler = std::function<bool(const HttpRequest&, HttpReply&)>;

struct HttpServerOptions {
  int threads = 4;  // That answer; one more accepts.
  size_t max_body_bytes = 64 << 10;
  HttpHandler handler;
  PromptHandler prompt;  // Asked first; may be empty. What it answers waits for no other request.
};

class HttpServer {
 public:
  // Unavailable: the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(const Endpoint& endpoint,
                                                            HttpServerOptions options);

  // Takes the listening descriptor over.
  static std::unique_ptr<HttpServer> Serve(int listening_fd, HttpServerOptions options);

  virtual ~HttpServer() = default;  // Stop()s.
  virtual uint16_t port() const = 0;

  // Takes nothing new and waits for the handlers that run.
  virtual void Stop() = 0;
};

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
//
// One request served, from its head to its reply, without I/O of its own: the session that holds
// the socket calls Begin(), then Write() with the body if it is wanted, then Finish(). Every call
// may block in the store.
//
//   Exchange exchange(service, std::move(head), request_id);
//   std::optional<Reply> reply = exchange.Begin();
//   if (!reply) reply = exchange.Write(body);
//   if (!reply) reply = exchange.Finish();
//
// An Exchange is used by one thread at a time; a Service by any number.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "auth/authenticator.h"
#include "auth/chunked_body.h"
#include "http/http.h"
#include "operations/call.h"
#include "operations/operations.h"
#include "operations/service.h"

namespace strata::s3 {

// An error as S3 writes it, for a request that may not even be one. No body when `is_head`.
Reply ErrorReply(const absl::Status& status, std::string_view resource, std::string_view request_id,
                 bool is_head);

class Exchange final {
 public:
  // Does not block.
  Exchange(Service& service, HttpHead head, std::string request_id);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Checks who asks and what, and does it unless the body is needed for it: nullopt then.
  std::optional<Reply> Begin();

  // The next bytes of the body as they are on the wire. A reply: it failed, no more is wanted.
  std::optional<Reply> Write(std::span<const std::byte> wire);

  // The body is complete.
  Reply Finish();

  // Why a reply's source failed, for the log: the client can only be cut off.
  void LogSourceError(const absl::Status& status) const;

  // The answer when the body did not come as it should, or when a reply's source failed before any
  // of the reply was sent. What was written is dropped, which may block.
  Reply Reject(const absl::Status& status);

  // Lets go of what an unfinished body left behind. It may block, as the destructor does then.
  void Drop() { sink_.reset(); }

  // nullptr: the request asks for none that is known.
  const Operation* operation() const { return operation_; }
  const std::string& request_id() const { return request_id_; }
  bool is_head() const { return is_head_; }
  bool is_authenticated() const { return is_authenticated_; }  // It is known who asks.

  // Only reads: nothing is lost when its answer is not given.
  bool is_safe() const { return is_safe_; }
  const std::string& resource() const { return request_.path; }

 private:
  absl::StatusOr<std::optional<Reply>> BeginChecked();
  absl::Status WriteChecked(std::span<const std::byte> wire);
  absl::StatusOr<Reply> FinishChecked();
  absl::Status PrepareBody();
  Reply Completed(Reply reply);

  Service& service_;
  const std::string request_id_;
  const bool is_head_;
  const bool is_safe_;
  absl::Status parsed_;  // Why the head is not request_.
  absl::Status routed_;  // Why there is no operation_.
  Request request_;
  Authenticated authenticated_;
  bool is_authenticated_ = false;
  const Operation* operation_ = nullptr;
  std::optional<Call> call_;
  std::unique_ptr<BodySink> sink_;
  std::optional<ChunkedBodyDecoder> decoder_;
  std::optional<Sha256> digest_;  // Where the whole body's is signed.
};

}  // namespace strata::s3

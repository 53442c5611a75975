// SPDX-License-Identifier: Apache-2.0
//
// What an S3 operation is given and what it gives back. Operations are plain functions that may
// block; exchange.h runs them, operations.h lists them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "auth/authenticator.h"
#include "http/http.h"
#include "http/request.h"
#include "operations/service.h"
#include "protocol/xml.h"
#include "strata/object/store.h"

namespace strata::s3 {

// One authenticated and authorized request.
struct Call {
  const ServiceOptions& options;
  const Request& request;
  const Caller& caller;
  // The bucket that the caller may use, where the request names one that must exist. Handlers give
  // it to the store, and never its name: by the end of the body the name may be another bucket's.
  object::BucketInfo bucket;
  std::optional<uint64_t> content_size_bytes;  // Of the body, without its aws-chunked encoding.

  object::Store& store() const { return *options.store; }
};

// Takes the content of a request's body. Dropping it unfinished leaves no trace in the store.
class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual absl::Status Write(std::span<const std::byte> content) = 0;

  // All content has come, and it is what the request's signature says. Called at most once.
  virtual absl::StatusOr<Reply> Finish(const std::vector<HttpHeader>& trailers) = 0;
};

// An operation is done, or it wants the request's body first.
struct Step {
  Reply reply;
  std::unique_ptr<BodySink> sink;  // Set: the body is wanted, `reply` means nothing.

  Step(Reply done) : reply(std::move(done)) {}                         // NOLINT
  Step(std::unique_ptr<BodySink> wanted) : sink(std::move(wanted)) {}  // NOLINT
};

// The Call lives until the Step's sink is gone.
using Handler = absl::StatusOr<Step> (*)(const Call& call);

// ---- For operations

Reply XmlReply(std::string document);
Reply EmptyReply(int status);

// A user in a document. The display name is the id where the user has no other.
struct Owner {
  std::string id;
  std::string display_name;
};
Owner OwnerOf(const Call& call, const std::string& user_id);
void AddOwner(std::string_view element, const Owner& owner, XmlWriter& xml);

// What an operation's document may be. ServiceOptions::max_xml_bytes holds beside it.
struct DocumentLimits {
  size_t max_bytes = 128 << 10;
  size_t max_elements = 1000;  // And comments; counted before the document is parsed.
};
// A thousand keys, or ten thousand parts, of the longest names and with all that belongs to them.
inline constexpr DocumentLimits kDeleteLimits{8 << 20, 10'000};
inline constexpr DocumentLimits kCompleteLimits{8 << 20, 100'000};

// A sink for bodies that are documents: collects a body within the limits, checks Content-MD5 and
// the checksum headers, then calls `act`. kSlowDown: there is no memory for the document now.
using DocumentAction = std::function<absl::StatusOr<Reply>(const Call&, const std::string& body)>;
absl::StatusOr<Step> TakeDocument(const Call& call, DocumentAction act,
                                  const DocumentLimits& limits = {});

// The same where the checksum headers are not about the document.
absl::StatusOr<Step> TakeUncheckedDocument(const Call& call, DocumentAction act,
                                           const DocumentLimits& limits = {});

}  // namespace strata::s3

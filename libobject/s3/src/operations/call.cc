// SPDX-License-Identifier: Apache-2.0
#include "operations/call.h"

#include <algorithm>
#include <utility>

#include "http/errors.h"
#include "http/hash.h"
#include "http/text.h"
#include "protocol/checksum_headers.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

// Of an element while its document is parsed and acted upon: its place in the tree, its text, and
// what an operation makes of it.
constexpr size_t kElementBytes = 400;

size_t CountElements(std::string_view document) {
  size_t count = 0;
  for (size_t i = document.find('<'); i != std::string_view::npos; i = document.find('<', i + 1)) {
    count += i + 1 < document.size() && document[i + 1] != '/';
  }
  return count;
}

absl::Status TooLarge() {
  return MakeError(ErrorCode::kMalformedXml, "The document is too large.");
}

class DocumentSink final : public BodySink {
 public:
  DocumentSink(const Call& call, ContentChecksum checksum, DocumentAction act,
               const DocumentLimits& limits, BodyMemory::Claim room)
      : call_(call),
        checksum_(std::move(checksum)),
        act_(std::move(act)),
        limits_(limits),
        room_(std::move(room)) {
    body_.reserve(call.content_size_bytes.value_or(0));
  }

  absl::Status Write(std::span<const std::byte> content) override {
    if (content.size() > limits_.max_bytes - body_.size()) return TooLarge();
    body_.append(reinterpret_cast<const char*>(content.data()), content.size());
    return absl::OkStatus();
  }

  absl::StatusOr<Reply> Finish(const std::vector<HttpHeader>& trailers) override {
    STRATA_ASSIGN_OR_RETURN(const object::ContentClaims claims, ClaimsOf(checksum_, trailers));
    if (claims.md5 && *claims.md5 != Md5Of(body_)) return MakeError(ErrorCode::kBadDigest);
    if (claims.checksum) {
      const std::unique_ptr<object::Digest> digest = object::Digest::Create(*checksum_.algorithm);
      digest->Update(std::as_bytes(std::span(body_)));
      if (digest->Finish() != *claims.checksum) return MakeError(ErrorCode::kBadDigest);
    }
    const size_t element_count = CountElements(body_);
    if (element_count > limits_.max_elements) {
      return MakeError(ErrorCode::kMalformedXml, "The XML has too many elements.");
    }
    BodyMemory::Claim work;
    if (BodyMemory* memory = call_.options.memory) {
      work = memory->ClaimForWork(element_count * kElementBytes);
    }
    return act_(call_, body_);
  }

 private:
  const Call& call_;
  const ContentChecksum checksum_;
  const DocumentAction act_;
  const DocumentLimits limits_;
  const BodyMemory::Claim room_;  // Of all of the body, before its first byte comes.
  std::string body_;
};

absl::StatusOr<Step> TakeBody(const Call& call, ContentChecksum checksum, DocumentAction act,
                              DocumentLimits limits) {
  limits.max_bytes = std::min(limits.max_bytes, call.options.max_xml_bytes);
  const uint64_t size_bytes = call.content_size_bytes.value_or(0);
  if (size_bytes > limits.max_bytes) return TooLarge();
  BodyMemory::Claim room;
  if (BodyMemory* memory = call.options.memory; memory != nullptr && size_bytes > 0) {
    room = memory->TryClaim(size_bytes, BodyMemory::Use::kDocument);
    if (!room) {
      return MakeError(ErrorCode::kSlowDown, "There are too many documents in progress.");
    }
  }
  return Step(std::make_unique<DocumentSink>(call, std::move(checksum), std::move(act), limits,
                                             std::move(room)));
}

}  // namespace

Reply XmlReply(std::string document) {
  Reply reply;
  reply.Add("Content-Type", "application/xml");
  reply.body = std::move(document);
  return reply;
}

Reply EmptyReply(int status) {
  Reply reply;
  reply.status = status;
  return reply;
}

Owner OwnerOf(const Call& call, const std::string& user_id) {
  Owner owner{.id = user_id, .display_name = {}};
  if (user_id == call.caller.user_id) {
    owner.display_name = call.caller.display_name;
  } else if (const absl::StatusOr<object::User> user = call.store().GetUser(user_id); user.ok()) {
    owner.display_name = user->display_name;
  }
  if (owner.display_name.empty()) owner.display_name = user_id;
  return owner;
}

void AddOwner(std::string_view element, const Owner& owner, XmlWriter& xml) {
  xml.Open(element);
  xml.Text("ID", owner.id);
  xml.Text("DisplayName", owner.display_name);
  xml.Close();
}

absl::StatusOr<Step> TakeDocument(const Call& call, DocumentAction act,
                                  const DocumentLimits& limits) {
  STRATA_ASSIGN_OR_RETURN(ContentChecksum checksum, ParseContentChecksum(call.request));
  return TakeBody(call, std::move(checksum), std::move(act), limits);
}

absl::StatusOr<Step> TakeUncheckedDocument(const Call& call, DocumentAction act,
                                           const DocumentLimits& limits) {
  return TakeBody(call, ContentChecksum(), std::move(act), limits);
}

}  // namespace strata::s3

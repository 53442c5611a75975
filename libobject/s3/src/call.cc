// SPDX-License-Identifier: Apache-2.0
#include "call.h"

#include "checksum_headers.h"
#include "errors.h"
#include "hash.h"
#include "strata/base/status_macros.h"
#include "text.h"

namespace strata::s3 {
namespace {

class DocumentSink final : public BodySink {
 public:
  DocumentSink(const Call& call, ContentChecksum checksum, DocumentAction act)
      : call_(call), checksum_(std::move(checksum)), act_(std::move(act)) {}

  absl::Status Write(std::span<const std::byte> content) override {
    if (content.size() > call_.options.max_xml_bytes - body_.size()) {
      return MakeError(ErrorCode::kMalformedXml, "The document is too large.");
    }
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
    return act_(call_, body_);
  }

 private:
  const Call& call_;
  const ContentChecksum checksum_;
  const DocumentAction act_;
  std::string body_;
};

absl::StatusOr<Step> TakeBody(const Call& call, ContentChecksum checksum, DocumentAction act) {
  if (call.content_size_bytes.value_or(0) > call.options.max_xml_bytes) {
    return MakeError(ErrorCode::kMalformedXml, "The document is too large.");
  }
  return Step(std::make_unique<DocumentSink>(call, std::move(checksum), std::move(act)));
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

std::string QuotedEtag(std::string_view etag) { return Concat({"\"", etag, "\""}); }

absl::StatusOr<Step> TakeDocument(const Call& call, DocumentAction act) {
  STRATA_ASSIGN_OR_RETURN(ContentChecksum checksum, ParseContentChecksum(call.request));
  return TakeBody(call, std::move(checksum), std::move(act));
}

absl::StatusOr<Step> TakeUncheckedDocument(const Call& call, DocumentAction act) {
  return TakeBody(call, ContentChecksum(), std::move(act));
}

}  // namespace strata::s3

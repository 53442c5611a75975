// SPDX-License-Identifier: Apache-2.0
//
// Takes the body of a PUT into an object, or into a part of one.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "operations/operations.h"
#include "protocol/checksum_headers.h"
#include "protocol/object_headers.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {

class ObjectSink final : public BodySink {
 public:
  enum class Kind { kObject, kPart };  // A part has no version.

  ObjectSink(Kind kind, const Call& call, ContentChecksum checksum,
             std::unique_ptr<object::ObjectWriter> writer)
      : kind_(kind), call_(call), checksum_(std::move(checksum)), writer_(std::move(writer)) {}

  absl::Status Write(std::span<const std::byte> content) override {
    return writer_->Write(content);
  }

  absl::StatusOr<Reply> Finish(const std::vector<HttpHeader>& trailers) override {
    STRATA_ASSIGN_OR_RETURN(object::ContentClaims claims, ClaimsOf(checksum_, trailers));
    claims.size_bytes = call_.content_size_bytes;
    STRATA_ASSIGN_OR_RETURN(const object::ObjectInfo info, writer_->Finish(claims));
    writer_.reset();
    Reply reply;
    reply.Add("ETag", QuotedEtag(info.etag));
    if (kind_ == Kind::kObject) AddVersionHeader(call_.bucket, info.version_id, reply);
    if (info.checksum) AddChecksumHeaders(*info.checksum, reply);
    return reply;
  }

 private:
  const Kind kind_;
  const Call& call_;
  const ContentChecksum checksum_;
  std::unique_ptr<object::ObjectWriter> writer_;
};

}  // namespace strata::s3

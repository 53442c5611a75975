// SPDX-License-Identifier: Apache-2.0
#include "operations/exchange.h"

#include <utility>

#include "auth/access.h"
#include "http/errors.h"
#include "http/http_date.h"
#include "http/text.h"
#include "http/uri_coding.h"
#include "protocol/xml.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "strata/object/error.h"

namespace strata::s3 {
namespace {

// A page of a listing while it is made: a thousand names of 1 KiB, as records and as XML.
constexpr size_t kListBytes = 4 << 20;

// Longer than any resource that there is; of what a client sent as one the error tells the
// beginning.
std::string_view Shortened(std::string_view resource) {
  constexpr size_t kMaxBytes = 2048;
  if (resource.size() <= kMaxBytes) return resource;
  size_t size = kMaxBytes;
  while (size > 0 && (static_cast<unsigned char>(resource[size]) & 0xC0) == 0x80) --size;
  return resource.substr(0, size);
}

}  // namespace

Reply ErrorReply(const absl::Status& status, std::string_view resource, std::string_view request_id,
                 bool is_head) {
  const ErrorInfo& info = InfoOf(ErrorCodeOf(status));
  Reply reply;
  if (info.http_status != 304 && !is_head) {
    XmlWriter xml("Error", XmlWriter::Namespace::kNone);
    xml.Text("Code", info.name);
    xml.Text("Message", ClientMessageOf(status));
    if (const std::string region = ExpectedRegionOf(status); !region.empty()) {
      xml.Text("Region", region);
    }
    if (const std::optional<RangeFault> fault = RangeFaultOf(status)) {
      xml.Text("RangeRequested", fault->range);
      xml.Text("ActualObjectSize", fault->object_size_bytes);
    }
    xml.Text("Resource", Shortened(resource));
    xml.Text("RequestId", request_id);
    reply = XmlReply(xml.Finish());
  }
  reply.status = info.http_status;
  reply.Add("x-amz-request-id", request_id);
  if (const std::optional<RangeFault> fault = RangeFaultOf(status)) {
    reply.Add("Content-Range", Concat({"bytes */", fault->object_size_bytes}));
  }
  if (const std::optional<object::DeleteMarker> marker = object::DeleteMarkerOf(status)) {
    reply.Add("x-amz-delete-marker", "true");
    reply.Add("x-amz-version-id", marker->version_id);
    if (object::ReasonOf(status) == object::Reason::kIsDeleteMarker) {
      reply.Add("Last-Modified", FormatHttpDate(marker->modified_ns));
      reply.Add("Allow", "DELETE");
    }
  }
  return reply;
}

Exchange::Exchange(Service& service, HttpHead head, std::string request_id)
    : service_(service),
      request_id_(std::move(request_id)),
      is_head_(head.method == "HEAD"),
      is_safe_(is_head_ || head.method == "GET") {
  if (head.unknown_expectation) {
    parsed_ = MakeError(ErrorCode::kExpectationFailed);
    return;
  }
  absl::StatusOr<Request> request = ParseRequest(std::move(head), service.options().domains);
  parsed_ = request.status();
  if (!request.ok()) return;
  request_ = *std::move(request);
  const absl::StatusOr<const Operation*> operation = FindOperation(request_);
  routed_ = operation.status();
  if (operation.ok()) operation_ = *operation;
}

Exchange::~Exchange() = default;

std::optional<Reply> Exchange::Begin() {
  absl::StatusOr<std::optional<Reply>> reply = BeginChecked();
  if (!reply.ok()) return Reject(reply.status());
  if (reply->has_value()) return Completed(std::move(**reply));
  return std::nullopt;
}

std::optional<Reply> Exchange::Write(std::span<const std::byte> wire) {
  absl::Status status = WriteChecked(wire);
  if (!status.ok()) return Reject(status);
  return std::nullopt;
}

Reply Exchange::Finish() {
  absl::StatusOr<Reply> reply = FinishChecked();
  if (!reply.ok()) return Reject(reply.status());
  return Completed(*std::move(reply));
}

absl::StatusOr<std::optional<Reply>> Exchange::BeginChecked() {
  STRATA_RETURN_IF_ERROR(parsed_);
  STRATA_ASSIGN_OR_RETURN(authenticated_, service_.authenticator().Authenticate(request_));
  is_authenticated_ = true;
  STRATA_RETURN_IF_ERROR(routed_);
  STRATA_RETURN_IF_ERROR(CheckRequest(request_, *operation_));

  call_.emplace(Call{.options = service_.options(),
                     .request = request_,
                     .caller = authenticated_.caller,
                     .bucket = {},
                     .content_size_bytes = {}});
  STRATA_RETURN_IF_ERROR(PrepareBody());
  if (operation_->needs == Needs::kBucket) {
    STRATA_ASSIGN_OR_RETURN(call_->bucket, service_.options().store->GetBucket(request_.bucket));
    STRATA_RETURN_IF_ERROR(Authorize(authenticated_.caller, call_->bucket,
                                     request_.Header("x-amz-expected-bucket-owner")));
  }
  BodyMemory::Claim work;
  if (operation_->name.starts_with("List") && service_.options().memory != nullptr) {
    work = service_.options().memory->ClaimForWork(kListBytes);
  }
  STRATA_ASSIGN_OR_RETURN(Step step, operation_->handler(*call_));
  if (step.sink != nullptr) {
    sink_ = std::move(step.sink);
    return std::nullopt;
  }
  return std::move(step.reply);
}

// Finds out how long the content will be and sets up what checks it on its way.
absl::Status Exchange::PrepareBody() {
  PayloadRule& rule = authenticated_.payload;
  const HttpHead& head = request_.head;
  if (!rule.aws_chunked) {
    if (head.chunked) return MakeError(ErrorCode::kMissingContentLength);
    call_->content_size_bytes = head.content_length;
    if (rule.sha256) digest_.emplace();
    return absl::OkStatus();
  }
  const std::string* text = head.Find("x-amz-decoded-content-length");
  if (text == nullptr) return MakeError(ErrorCode::kMissingContentLength);
  call_->content_size_bytes = ParseDecimal(*text);
  if (!call_->content_size_bytes) {
    return MakeError(ErrorCode::kInvalidArgument, "x-amz-decoded-content-length is no number.");
  }
  decoder_.emplace(ChunkedBodyDecoder::Options{.signer = std::move(rule.signer),
                                               .trailer = rule.trailer,
                                               .content_size_bytes = *call_->content_size_bytes});
  return absl::OkStatus();
}

absl::Status Exchange::WriteChecked(std::span<const std::byte> wire) {
  STRATA_CHECK(sink_ != nullptr, "a body nobody asked for");
  if (decoder_) {
    return decoder_->Decode(
        wire, [this](std::span<const std::byte> content) { return sink_->Write(content); });
  }
  if (digest_) digest_->Update(wire);
  return sink_->Write(wire);
}

absl::StatusOr<Reply> Exchange::FinishChecked() {
  STRATA_CHECK(sink_ != nullptr, "a body nobody asked for");
  std::vector<HttpHeader> trailers;
  if (decoder_) {
    STRATA_RETURN_IF_ERROR(decoder_->End());
    trailers = decoder_->trailers();
  }
  if (digest_ && digest_->Finish() != *authenticated_.payload.sha256) {
    return MakeError(ErrorCode::kXAmzContentSha256Mismatch);
  }
  absl::StatusOr<Reply> reply = sink_->Finish(trailers);
  sink_.reset();
  return reply;
}

Reply Exchange::Completed(Reply reply) {
  reply.Add("x-amz-request-id", request_id_);
  return reply;
}

Reply Exchange::Reject(const absl::Status& status) {
  sink_.reset();
  if (InfoOf(ErrorCodeOf(status)).http_status >= 500) {
    Log(service_.log(), LogLevel::kWarning,
        Concat({"s3: request ", request_id_, " (",
                operation_ == nullptr ? "Unknown" : operation_->name, " ", request_.bucket,
                "): ", status.ToString()}));
  }
  return ErrorReply(status, request_.path, request_id_, is_head_);
}

void Exchange::LogSourceError(const absl::Status& status) const {
  Log(service_.log(), LogLevel::kError,
      Concat({"s3: request ", request_id_, " (", operation_ == nullptr ? "?" : operation_->name,
              " ", request_.bucket, ") was cut off: ", status.ToString()}));
}

}  // namespace strata::s3

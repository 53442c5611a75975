// SPDX-License-Identifier: Apache-2.0
#include "content/content_intake.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"
#include "strata/object/error.h"
#include "transactions/storage_error.h"

namespace strata::object {
namespace {

absl::Status CheckClaim(const std::optional<std::string>& claim, const std::string& value,
                        ChecksumAlgorithm algorithm) {
  if (!claim.has_value() || *claim == value) return absl::OkStatus();
  return MakeError(Reason::kBadDigest, absl::StrFormat("the content's %s is not the one announced",
                                                       ChecksumAlgorithmName(algorithm)));
}

}  // namespace

ContentIntake::ContentIntake(dedup::Store* dedup,
                             std::optional<ChecksumAlgorithm> checksum_algorithm)
    : dedup_(dedup),
      md5_(Digest::Create(ChecksumAlgorithm::kMd5)),
      sha256_(Digest::Create(ChecksumAlgorithm::kSha256)),
      checksum_algorithm_(checksum_algorithm) {
  if (checksum_algorithm.has_value() && checksum_algorithm != ChecksumAlgorithm::kMd5 &&
      checksum_algorithm != ChecksumAlgorithm::kSha256) {
    checksum_ = Digest::Create(*checksum_algorithm);
  }
}

void ContentIntake::OmitSha256() {
  STRATA_CHECK(size_bytes_ == 0, "OmitSha256() comes before the first Write()");
  if (checksum_algorithm_ != ChecksumAlgorithm::kSha256) sha256_.reset();
}

absl::Status ContentIntake::Write(std::span<const std::byte> data) {
  if (failure_.ok()) failure_ = DoWrite(data);
  return failure_;
}

absl::Status ContentIntake::DoWrite(std::span<const std::byte> data) {
  if (data.empty()) return absl::OkStatus();
  if (data.size() > ObjectLimits::kMaxPutBytes - size_bytes_) {
    return MakeError(Reason::kEntityTooLarge, absl::StrFormat("more than %d bytes in one piece",
                                                              ObjectLimits::kMaxPutBytes));
  }
  if (writer_ == nullptr) writer_ = dedup_->NewWriter();
  size_bytes_ += data.size();
  for (Digest* digest : {md5_.get(), sha256_.get(), checksum_.get()}) {
    if (digest != nullptr) digest->Update(data);
  }
  return FromStorage(writer_->Write(data), "storing content");
}

absl::StatusOr<TakenContent> ContentIntake::Finish(const ContentClaims& claims) {
  STRATA_RETURN_IF_ERROR(failure_);
  failure_ = absl::FailedPreconditionError("the content was finished already");
  TakenContent content;
  content.piece.size_bytes = size_bytes_;
  STRATA_RETURN_IF_ERROR(FinishDigests(claims, &content));
  if (writer_ == nullptr) return content;

  const absl::StatusOr<dedup::StreamInfo> stream = writer_->Prepare();
  if (!stream.ok()) return FromStorage(stream.status(), "making content durable");
  STRATA_CHECK(stream->size_bytes == size_bytes_, "a stream lost bytes on its way");
  content.piece.stream = stream->id;
  content.new_bytes = stream->new_chunk_bytes;
  content.stored_bytes = stream->new_stored_bytes;
  content.writer = writer_.get();
  return content;
}

absl::Status ContentIntake::FinishDigests(const ContentClaims& claims, TakenContent* content) {
  if (claims.size_bytes.has_value() && *claims.size_bytes != size_bytes_) {
    return MakeError(Reason::kBadDigest,
                     absl::StrFormat("the content has %d bytes, %d were announced", size_bytes_,
                                     *claims.size_bytes));
  }
  if (claims.sha256.has_value() && sha256_ == nullptr) {
    return MakeError(Reason::kInvalidArgument, "a SHA-256 was sent after OmitSha256()");
  }
  if (claims.checksum.has_value() && !checksum_algorithm_.has_value()) {
    return MakeError(Reason::kInvalidArgument, "a checksum was sent without its algorithm");
  }

  content->md5 = md5_->Finish();
  STRATA_RETURN_IF_ERROR(CheckClaim(claims.md5, content->md5, ChecksumAlgorithm::kMd5));
  std::string sha256;
  if (sha256_ != nullptr &&
      (claims.sha256.has_value() || checksum_algorithm_ == ChecksumAlgorithm::kSha256)) {
    sha256 = sha256_->Finish();
    STRATA_RETURN_IF_ERROR(CheckClaim(claims.sha256, sha256, ChecksumAlgorithm::kSha256));
  }
  if (!checksum_algorithm_.has_value()) return absl::OkStatus();

  const ChecksumAlgorithm algorithm = *checksum_algorithm_;
  std::string value = checksum_ != nullptr                   ? checksum_->Finish()
                      : algorithm == ChecksumAlgorithm::kMd5 ? content->md5
                                                             : std::move(sha256);
  STRATA_RETURN_IF_ERROR(CheckClaim(claims.checksum, value, algorithm));
  content->checksum = Checksum{algorithm, std::move(value), 0};
  return absl::OkStatus();
}

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
#include "strata/object/error.h"

#include <array>
#include <string>

#include "absl/strings/cord.h"
#include "absl/types/optional.h"
#include "strata/base/endian.h"

namespace strata::object {
namespace {

constexpr char kPayloadUrl[] = "strata.object/reason";
constexpr char kMarkerUrl[] = "strata.object/delete-marker";

struct ReasonRow {
  Reason reason;
  absl::StatusCode code;
  std::string_view name;
};

constexpr std::array kReasons = {
    ReasonRow{Reason::kNone, absl::StatusCode::kUnknown, "None"},
    ReasonRow{Reason::kNoSuchBucket, absl::StatusCode::kNotFound, "NoSuchBucket"},
    ReasonRow{Reason::kNoSuchKey, absl::StatusCode::kNotFound, "NoSuchKey"},
    ReasonRow{Reason::kNoSuchVersion, absl::StatusCode::kNotFound, "NoSuchVersion"},
    ReasonRow{Reason::kNoSuchUpload, absl::StatusCode::kNotFound, "NoSuchUpload"},
    ReasonRow{Reason::kNoSuchUser, absl::StatusCode::kNotFound, "NoSuchUser"},
    ReasonRow{Reason::kNoSuchAccessKey, absl::StatusCode::kNotFound, "NoSuchAccessKey"},
    ReasonRow{Reason::kBucketAlreadyOwnedByYou, absl::StatusCode::kAlreadyExists,
              "BucketAlreadyOwnedByYou"},
    ReasonRow{Reason::kBucketAlreadyExists, absl::StatusCode::kAlreadyExists,
              "BucketAlreadyExists"},
    ReasonRow{Reason::kUserAlreadyExists, absl::StatusCode::kAlreadyExists, "UserAlreadyExists"},
    ReasonRow{Reason::kBucketNotEmpty, absl::StatusCode::kFailedPrecondition, "BucketNotEmpty"},
    ReasonRow{Reason::kPreconditionFailed, absl::StatusCode::kFailedPrecondition,
              "PreconditionFailed"},
    ReasonRow{Reason::kNotModified, absl::StatusCode::kFailedPrecondition, "NotModified"},
    ReasonRow{Reason::kConditionalConflict, absl::StatusCode::kAborted, "ConditionalConflict"},
    ReasonRow{Reason::kIsDeleteMarker, absl::StatusCode::kFailedPrecondition, "IsDeleteMarker"},
    ReasonRow{Reason::kInvalidRange, absl::StatusCode::kOutOfRange, "InvalidRange"},
    ReasonRow{Reason::kInvalidBucketName, absl::StatusCode::kInvalidArgument, "InvalidBucketName"},
    ReasonRow{Reason::kKeyTooLong, absl::StatusCode::kInvalidArgument, "KeyTooLong"},
    ReasonRow{Reason::kInvalidPart, absl::StatusCode::kInvalidArgument, "InvalidPart"},
    ReasonRow{Reason::kInvalidPartOrder, absl::StatusCode::kInvalidArgument, "InvalidPartOrder"},
    ReasonRow{Reason::kInvalidPartNumber, absl::StatusCode::kInvalidArgument, "InvalidPartNumber"},
    ReasonRow{Reason::kEntityTooSmall, absl::StatusCode::kInvalidArgument, "EntityTooSmall"},
    ReasonRow{Reason::kEntityTooLarge, absl::StatusCode::kInvalidArgument, "EntityTooLarge"},
    ReasonRow{Reason::kMetadataTooLarge, absl::StatusCode::kInvalidArgument, "MetadataTooLarge"},
    ReasonRow{Reason::kBadDigest, absl::StatusCode::kInvalidArgument, "BadDigest"},
    ReasonRow{Reason::kWrongSize, absl::StatusCode::kInvalidArgument, "WrongSize"},
    ReasonRow{Reason::kInvalidArgument, absl::StatusCode::kInvalidArgument, "InvalidArgument"},
    ReasonRow{Reason::kStorageFull, absl::StatusCode::kResourceExhausted, "StorageFull"},
    ReasonRow{Reason::kDamaged, absl::StatusCode::kDataLoss, "Damaged"},
};

constexpr bool RowsAreInOrder() {
  for (size_t i = 0; i < kReasons.size(); ++i) {
    if (static_cast<size_t>(kReasons[i].reason) != i) return false;
  }
  return true;
}
static_assert(RowsAreInOrder() && kReasons.size() == static_cast<size_t>(Reason::kDamaged) + 1);

}  // namespace

absl::Status MakeError(Reason reason, std::string_view message) {
  const ReasonRow& row = kReasons[static_cast<size_t>(reason)];
  absl::Status status(row.code, absl::string_view(message.data(), message.size()));
  if (reason != Reason::kNone) {
    status.SetPayload(kPayloadUrl, absl::Cord(std::string(1, static_cast<char>(reason))));
  }
  return status;
}

Reason ReasonOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value() || payload->size() != 1) return Reason::kNone;
  const auto index = static_cast<unsigned char>((*payload)[0]);
  return index < kReasons.size() ? kReasons[index].reason : Reason::kNone;
}

absl::Status WithDeleteMarker(absl::Status status, const DeleteMarker& marker) {
  std::string payload(sizeof(uint64_t), '\0');
  StoreLe64(reinterpret_cast<std::byte*>(payload.data()), marker.modified_ns);
  status.SetPayload(kMarkerUrl, absl::Cord(payload + marker.version_id));
  return status;
}

std::optional<DeleteMarker> DeleteMarkerOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kMarkerUrl);
  if (!payload.has_value() || payload->size() < sizeof(uint64_t)) return std::nullopt;
  const std::string text(*payload);
  return DeleteMarker{.version_id = text.substr(sizeof(uint64_t)),
                      .modified_ns = LoadLe64(reinterpret_cast<const std::byte*>(text.data()))};
}

std::string_view ReasonName(Reason reason) { return kReasons[static_cast<size_t>(reason)].name; }

}  // namespace strata::object

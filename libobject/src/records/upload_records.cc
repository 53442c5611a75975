// SPDX-License-Identifier: Apache-2.0
//
// Multipart uploads, their parts and ends, and the reap queue.
#include "records/record_fields.h"
#include "records/records.h"
#include "strata/base/status_macros.h"

namespace strata::object {
namespace {

struct UploadFields {
  static constexpr kv::RecordKind kKind = {.kind = 'L', .version = 1, .name = "upload"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& upload) {
    fields.Text(1, upload.owner);
    fields.Integer(2, upload.created_ns);
    fields.Enum(3, upload.checksum_algorithm, kLastChecksumAlgorithm);
    fields.Truth(4, upload.full_object_checksum);
    fields.Nested(5, upload.metadata, MetadataFields());
  }
};

struct PartFields {
  static constexpr kv::RecordKind kKind = {.kind = 'P', .version = 1, .name = "part"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& part) {
    fields.Value(1, part.piece, PieceCodec());
    fields.Require(1);
    fields.Sized(2, part.md5, kMd5Bytes);
    fields.Require(2);
    fields.Integer(3, part.modified_ns);
    fields.Value(4, part.checksum, ChecksumCodec());
    fields.Integer(0x81, part.new_bytes);
    fields.Integer(0x82, part.stored_bytes);
  }
};

struct CompletedFields {
  static constexpr kv::RecordKind kKind = {.kind = 'D', .version = 1, .name = "completed upload"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& completed) {
    fields.Text(1, completed.key);
    fields.Text(2, completed.parts_digest);
    fields.Text(3, completed.object);
  }
};

struct ReapFields {
  static constexpr kv::RecordKind kKind = {.kind = 'R', .version = 1, .name = "reap"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& reap) {
    fields.Value(1, reap.streams, RowOf<StreamCodec>());
    fields.Id(2, reap.manifest_id);
    fields.Text(3, reap.expired_key);
  }
};

}  // namespace

std::string Encode(const UploadRecord& record) { return kv::EncodeRecord<UploadFields>(record); }

absl::StatusOr<UploadRecord> DecodeUpload(std::string_view value) {
  UploadRecord record;
  STRATA_RETURN_IF_ERROR(kv::DecodeRecord<UploadFields>(value, &record));
  return record;
}

std::string Encode(const PartRecord& record) { return kv::EncodeRecord<PartFields>(record); }

absl::StatusOr<PartRecord> DecodePart(std::string_view value) {
  PartRecord record;
  STRATA_RETURN_IF_ERROR(kv::DecodeRecord<PartFields>(value, &record));
  return record;
}

std::string Encode(const CompletedRecord& record) {
  return kv::EncodeRecord<CompletedFields>(record);
}

absl::StatusOr<CompletedRecord> DecodeCompleted(std::string_view value) {
  CompletedRecord record;
  STRATA_RETURN_IF_ERROR(kv::DecodeRecord<CompletedFields>(value, &record));
  return record;
}

std::string Encode(const ReapRecord& record) { return kv::EncodeRecord<ReapFields>(record); }

absl::StatusOr<ReapRecord> DecodeReap(std::string_view value) {
  ReapRecord record;
  STRATA_RETURN_IF_ERROR(kv::DecodeRecord<ReapFields>(value, &record));
  return record;
}

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
//
// Versions of objects and their manifests.
#include "absl/strings/str_format.h"
#include "records/record_fields.h"
#include "records/records.h"
#include "strata/base/status_macros.h"

namespace strata::object {
namespace {

struct ObjectFields {
  static constexpr kv::RecordKind kKind = {.kind = 'O', .version = 1, .name = "object"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& object) {
    fields.Keep(object.newer_fields);
    fields.Integer(1, object.sequence);
    fields.Require(1);
    fields.Integer(2, object.nonce);
    fields.Flags(3, object.is_null, object.is_delete_marker);
    fields.Integer(4, object.size_bytes);
    fields.Sized(5, object.md5, kMd5Bytes);
    fields.Integer(6, object.part_count);
    fields.Integer(7, object.modified_ns);
    fields.Text(8, object.owner);
    fields.Value(9, object.pieces, RowOf<PieceCodec>());
    fields.Id(10, object.manifest_id);
    fields.Value(11, object.checksum, ChecksumCodec());
    fields.Integer(12, object.older_null_sequence);
    fields.Nested(13, object.metadata, MetadataFields());
    fields.Integer(0x81, object.new_bytes);
    fields.Integer(0x82, object.stored_bytes);
    fields.Value(0x83, object.pieces, PartChecksumsCodec());
  }
};

struct ManifestFields {
  static constexpr kv::RecordKind kKind = {.kind = 'M', .version = 1, .name = "manifest"};
  template <typename Fields, typename Pieces>
  static void List(Fields& fields, Pieces& pieces) {
    fields.Value(1, pieces, RowOf<PieceCodec>());
    fields.Value(0x81, pieces, PartChecksumsCodec());
  }
};

absl::Status CheckContent(const ObjectRecord& record) {
  const auto malformed = [](std::string_view what) {
    return absl::DataLossError(absl::StrFormat("malformed object record: %s", what));
  };
  if (!record.is_delete_marker && record.md5.empty()) return malformed("it has no MD5");
  if (record.pieces.empty()) return absl::OkStatus();
  if (record.manifest_id.has_value()) return malformed("it has pieces and a manifest");
  uint64_t piece_bytes = 0;
  for (const ContentPiece& piece : record.pieces) {
    if (__builtin_add_overflow(piece_bytes, piece.size_bytes, &piece_bytes)) {
      return malformed("its pieces exceed any size");
    }
  }
  if (piece_bytes != record.size_bytes) return malformed("its pieces do not add up to its size");
  return absl::OkStatus();
}

}  // namespace

std::string Encode(const ObjectRecord& record) { return kv::EncodeRecord<ObjectFields>(record); }

absl::StatusOr<ObjectRecord> DecodeObject(std::string_view value) {
  absl::StatusOr<ObjectRecord> record{ObjectRecord()};
  absl::Status status = kv::DecodeRecord<ObjectFields>(value, &*record);
  if (status.ok()) status = CheckContent(*record);
  if (!status.ok()) return status;
  return record;
}

std::string EncodeManifest(const std::vector<ContentPiece>& pieces) {
  return kv::EncodeRecord<ManifestFields>(pieces);
}

absl::StatusOr<std::vector<ContentPiece>> DecodeManifest(std::string_view value) {
  std::vector<ContentPiece> pieces;
  STRATA_RETURN_IF_ERROR(kv::DecodeRecord<ManifestFields>(value, &pieces));
  return pieces;
}

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
#include "records/records.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "absl/strings/str_format.h"
#include "records/digests.h"
#include "records/field_codec.h"
#include "strata/base/endian.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"

namespace strata::object {
namespace {

constexpr uint8_t kVersion = 1;

constexpr char kBucketKind = 'B';
constexpr char kObjectKind = 'O';
constexpr char kUploadKind = 'L';
constexpr char kPartKind = 'P';
constexpr char kCompletedKind = 'D';
constexpr char kReapKind = 'R';
constexpr char kUserKind = 'U';
constexpr char kAccessKeyKind = 'K';
constexpr char kManifestKind = 'M';

namespace bucket_tag {
enum : uint8_t { kId = 1, kOwner, kCreated, kVersioning };
}
namespace object_tag {
enum : uint8_t {
  kSequence = 1,
  kNonce,
  kFlags,
  kSize,
  kMd5,
  kPartCount,
  kModified,
  kOwner,
  kPieces,
  kManifest,
  kChecksum,
  kOlderNull,
  kMetadata,
  kNewBytes = kIgnorableTag | 1,
  kStoredBytes = kIgnorableTag | 2,
  kPartChecksums = kIgnorableTag | 3,
};
}
namespace upload_tag {
enum : uint8_t { kOwner = 1, kCreated, kAlgorithm, kFullObject, kMetadata };
}
namespace part_tag {
enum : uint8_t {
  kPiece = 1,
  kMd5,
  kModified,
  kChecksum,
  kNewBytes = kIgnorableTag | 1,
  kStoredBytes = kIgnorableTag | 2,
};
}
namespace completed_tag {
enum : uint8_t { kKey = 1, kPartsDigest, kObject };
}
namespace reap_tag {
enum : uint8_t { kStreams = 1, kManifest, kExpiredKey };
}
namespace user_tag {
enum : uint8_t { kDisplayName = 1, kAdmin, kCreated };
}
namespace access_key_tag {
enum : uint8_t { kSecret = 1, kUser, kCreated, kSealedSecret };
}
namespace manifest_tag {
enum : uint8_t { kPieces = 1, kPartChecksums = kIgnorableTag | 1 };
}
namespace metadata_tag {
enum : uint8_t {
  kContentType = 1,
  kCacheControl,
  kContentDisposition,
  kContentEncoding,
  kContentLanguage,
  kExpires,
  kRedirect,
  kStorageClass,
  kUser,
  kTags,
};
}

constexpr uint64_t kNullFlag = 1;
constexpr uint64_t kDeleteMarkerFlag = 2;

constexpr std::string_view kDefaultContentType = "binary/octet-stream";
constexpr std::string_view kDefaultStorageClass = "STANDARD";

absl::Status Malformed(std::string_view what) {
  return absl::DataLossError(absl::StrFormat("malformed record: %s", what));
}

// Calls on_field(FieldParser&) -> Status for each field.
template <typename OnField>
absl::Status ForEachField(std::string_view value, char kind, OnField on_field) {
  STRATA_ASSIGN_OR_RETURN(FieldParser parser, FieldParser::Open(value, kind, kVersion));
  for (;;) {
    STRATA_ASSIGN_OR_RETURN(const bool found, parser.Next());
    if (!found) return absl::OkStatus();
    STRATA_RETURN_IF_ERROR(on_field(parser));
  }
}

template <typename T>
absl::Status TakeInteger(const FieldParser& field, T* out) {
  STRATA_ASSIGN_OR_RETURN(const uint64_t value, field.Integer());
  if (value > std::numeric_limits<T>::max()) return Malformed("an integer is too large");
  *out = static_cast<T>(value);
  return absl::OkStatus();
}

absl::Status TakeText(const FieldParser& field, std::string* out) {
  *out = field.bytes();
  return absl::OkStatus();
}

absl::Status TakeMd5(const FieldParser& field, std::string* out) {
  if (field.bytes().size() != 16) return Malformed("an MD5 has 16 bytes");
  *out = field.bytes();
  return absl::OkStatus();
}

absl::Status TakeRecordId(const FieldParser& field, std::optional<RecordId>* out) {
  RecordId id;
  if (field.bytes().size() != id.size()) return Malformed("an id has 16 bytes");
  std::memcpy(id.data(), field.bytes().data(), id.size());
  *out = id;
  return absl::OkStatus();
}

absl::Status TakeTrue(const FieldParser& field, bool* out) {
  STRATA_ASSIGN_OR_RETURN(const uint64_t value, field.Integer());
  if (value != 1) return Malformed("a truth value is 0 or 1");
  *out = true;
  return absl::OkStatus();
}

// ---- Streams and pieces

void AppendStream(std::string* out, const dedup::StreamId& id) {
  out->append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

absl::StatusOr<dedup::StreamId> ParseStream(ByteParser* parser) {
  dedup::StreamId id;
  STRATA_ASSIGN_OR_RETURN(const std::string_view bytes, parser->Bytes(id.bytes.size()));
  std::memcpy(id.bytes.data(), bytes.data(), id.bytes.size());
  return id;
}

void AppendPiece(std::string* out, const ContentPiece& piece) {
  AppendVarint(out, piece.size_bytes);
  if (piece.size_bytes > 0) AppendStream(out, piece.stream);
}

absl::StatusOr<ContentPiece> ParsePiece(ByteParser* parser) {
  ContentPiece piece;
  STRATA_ASSIGN_OR_RETURN(piece.size_bytes, parser->Varint());
  if (piece.size_bytes > 0) {
    STRATA_ASSIGN_OR_RETURN(piece.stream, ParseStream(parser));
  }
  return piece;
}

std::string PiecesToBytes(const std::vector<ContentPiece>& pieces) {
  std::string bytes;
  for (const ContentPiece& piece : pieces) AppendPiece(&bytes, piece);
  return bytes;
}

absl::Status TakePieces(const FieldParser& field, std::vector<ContentPiece>* out) {
  ByteParser parser(field.bytes());
  while (!parser.done()) {
    STRATA_ASSIGN_OR_RETURN(const ContentPiece piece, ParsePiece(&parser));
    out->push_back(piece);
  }
  return absl::OkStatus();
}

// The pieces' checksums in a row. Either each piece has one or none has.
std::string PartChecksumsToBytes(const std::vector<ContentPiece>& pieces) {
  std::string bytes;
  for (const ContentPiece& piece : pieces) bytes += piece.checksum;
  return bytes;
}

absl::Status TakePartChecksums(const FieldParser& field, std::vector<ContentPiece>* pieces) {
  const std::string_view bytes = field.bytes();
  if (pieces->empty() || bytes.size() % pieces->size() != 0) {
    return Malformed("checksums of parts do not go with the pieces");
  }
  const size_t size = bytes.size() / pieces->size();
  for (size_t i = 0; i < pieces->size(); ++i) (*pieces)[i].checksum = bytes.substr(i * size, size);
  return absl::OkStatus();
}

// ---- Checksums: algorithm (1 byte), part count (varint), value

std::string ChecksumToBytes(const std::optional<Checksum>& checksum) {
  std::string bytes;
  if (!checksum.has_value()) return bytes;
  bytes.push_back(static_cast<char>(checksum->algorithm));
  AppendVarint(&bytes, checksum->part_count);
  return bytes.append(checksum->value);
}

absl::StatusOr<ChecksumAlgorithm> ToAlgorithm(uint64_t value) {
  if (value < static_cast<uint64_t>(ChecksumAlgorithm::kCrc32) ||
      value > static_cast<uint64_t>(ChecksumAlgorithm::kMd5)) {
    return absl::UnimplementedError(absl::StrFormat("checksum algorithm %d is unknown", value));
  }
  return static_cast<ChecksumAlgorithm>(value);
}

absl::Status TakeChecksum(const FieldParser& field, std::optional<Checksum>* out) {
  ByteParser parser(field.bytes());
  Checksum checksum;
  STRATA_ASSIGN_OR_RETURN(const uint8_t algorithm, parser.Byte());
  STRATA_ASSIGN_OR_RETURN(checksum.algorithm, ToAlgorithm(algorithm));
  STRATA_ASSIGN_OR_RETURN(const uint64_t part_count, parser.Varint());
  if (part_count > ObjectLimits::kMaxPartNumber) return Malformed("a checksum's part count");
  checksum.part_count = static_cast<uint32_t>(part_count);
  checksum.value = parser.rest();
  if (checksum.value.size() != ChecksumBytes(checksum.algorithm)) {
    return Malformed("a checksum's length");
  }
  *out = std::move(checksum);
  return absl::OkStatus();
}

// ---- Metadata: fields like a record's, nested

std::string MapToBytes(const std::map<std::string, std::string>& map) {
  std::string bytes;
  for (const auto& [name, value] : map) {
    AppendCounted(&bytes, name);
    AppendCounted(&bytes, value);
  }
  return bytes;
}

absl::Status TakeMap(const FieldParser& field, std::map<std::string, std::string>* out) {
  ByteParser parser(field.bytes());
  while (!parser.done()) {
    STRATA_ASSIGN_OR_RETURN(const std::string_view name, parser.Counted());
    STRATA_ASSIGN_OR_RETURN(const std::string_view value, parser.Counted());
    if (!out->empty() && name <= out->rbegin()->first) return Malformed("a map is out of order");
    out->emplace_hint(out->end(), name, value);
  }
  return absl::OkStatus();
}

constexpr char kMetadataKind = 'T';

std::string MetadataToBytes(const Metadata& metadata) {
  FieldWriter writer(kMetadataKind, kVersion);
  // The usual values take no room; "" is written as a lone zero byte.
  const auto text = [&](uint8_t tag, const std::string& value, std::string_view usual) {
    if (value == usual) return;
    writer.Bytes(tag, value.empty() ? std::string_view("\0", 1) : std::string_view(value));
  };
  text(metadata_tag::kContentType, metadata.content_type, kDefaultContentType);
  writer.Bytes(metadata_tag::kCacheControl, metadata.cache_control);
  writer.Bytes(metadata_tag::kContentDisposition, metadata.content_disposition);
  writer.Bytes(metadata_tag::kContentEncoding, metadata.content_encoding);
  writer.Bytes(metadata_tag::kContentLanguage, metadata.content_language);
  writer.Bytes(metadata_tag::kExpires, metadata.expires);
  writer.Bytes(metadata_tag::kRedirect, metadata.website_redirect_location);
  text(metadata_tag::kStorageClass, metadata.storage_class, kDefaultStorageClass);
  writer.Bytes(metadata_tag::kUser, MapToBytes(metadata.user));
  writer.Bytes(metadata_tag::kTags, MapToBytes(metadata.tags));
  std::string bytes = writer.Take();
  return bytes.size() == 2 ? std::string() : bytes;
}

absl::Status TakeMetadata(const FieldParser& field, Metadata* out) {
  const auto unusual = [](const FieldParser& f, std::string* text, std::string_view usual) {
    if (f.bytes() == usual) return Malformed("a usual value was written");
    *text = f.bytes() == std::string_view("\0", 1) ? std::string_view() : f.bytes();
    return absl::OkStatus();
  };
  return ForEachField(field.bytes(), kMetadataKind, [&](const FieldParser& f) -> absl::Status {
    switch (f.tag()) {
      case metadata_tag::kContentType:
        return unusual(f, &out->content_type, kDefaultContentType);
      case metadata_tag::kCacheControl:
        return TakeText(f, &out->cache_control);
      case metadata_tag::kContentDisposition:
        return TakeText(f, &out->content_disposition);
      case metadata_tag::kContentEncoding:
        return TakeText(f, &out->content_encoding);
      case metadata_tag::kContentLanguage:
        return TakeText(f, &out->content_language);
      case metadata_tag::kExpires:
        return TakeText(f, &out->expires);
      case metadata_tag::kRedirect:
        return TakeText(f, &out->website_redirect_location);
      case metadata_tag::kStorageClass:
        return unusual(f, &out->storage_class, kDefaultStorageClass);
      case metadata_tag::kUser:
        return TakeMap(f, &out->user);
      case metadata_tag::kTags:
        return TakeMap(f, &out->tags);
      default:
        return f.Unknown();
    }
  });
}

}  // namespace

// ---- Buckets

std::string Encode(const BucketRecord& record) {
  FieldWriter writer(kBucketKind, kVersion);
  writer.Integer(bucket_tag::kId, record.id);
  writer.Bytes(bucket_tag::kOwner, record.owner);
  writer.Integer(bucket_tag::kCreated, record.created_ns);
  writer.Integer(bucket_tag::kVersioning, static_cast<uint64_t>(record.versioning));
  return writer.Take();
}

absl::StatusOr<BucketRecord> DecodeBucket(std::string_view value) {
  BucketRecord record;
  STRATA_RETURN_IF_ERROR(ForEachField(value, kBucketKind, [&](const FieldParser& field) {
    switch (field.tag()) {
      case bucket_tag::kId:
        return TakeInteger(field, &record.id);
      case bucket_tag::kOwner:
        return TakeText(field, &record.owner);
      case bucket_tag::kCreated:
        return TakeInteger(field, &record.created_ns);
      case bucket_tag::kVersioning: {
        uint8_t versioning = 0;
        STRATA_RETURN_IF_ERROR(TakeInteger(field, &versioning));
        if (versioning > static_cast<uint8_t>(Versioning::kSuspended)) {
          return absl::UnimplementedError(
              absl::StrFormat("versioning state %d is unknown", versioning));
        }
        record.versioning = static_cast<Versioning>(versioning);
        return absl::OkStatus();
      }
      default:
        return field.Unknown();
    }
  }));
  if (record.id == 0) return Malformed("a bucket has no id");
  return record;
}

// ---- Objects

std::string Encode(const ObjectRecord& record) {
  FieldWriter writer(kObjectKind, kVersion);
  writer.Integer(object_tag::kSequence, record.sequence);
  writer.Integer(object_tag::kNonce, record.nonce);
  writer.Integer(object_tag::kFlags, (record.is_null ? kNullFlag : 0) |
                                         (record.is_delete_marker ? kDeleteMarkerFlag : 0));
  writer.Integer(object_tag::kSize, record.size_bytes);
  writer.Bytes(object_tag::kMd5, record.md5);
  writer.Integer(object_tag::kPartCount, record.part_count);
  writer.Integer(object_tag::kModified, record.modified_ns);
  writer.Bytes(object_tag::kOwner, record.owner);
  writer.Bytes(object_tag::kPieces, PiecesToBytes(record.pieces));
  if (record.manifest_id.has_value()) {
    writer.Bytes(object_tag::kManifest, AsText(*record.manifest_id));
  }
  writer.Bytes(object_tag::kChecksum, ChecksumToBytes(record.checksum));
  writer.Integer(object_tag::kOlderNull, record.older_null_sequence);
  writer.Bytes(object_tag::kMetadata, MetadataToBytes(record.metadata));
  writer.Integer(object_tag::kNewBytes, record.new_bytes);
  writer.Integer(object_tag::kStoredBytes, record.stored_bytes);
  writer.Bytes(object_tag::kPartChecksums, PartChecksumsToBytes(record.pieces));
  return writer.Take();
}

absl::StatusOr<ObjectRecord> DecodeObject(std::string_view value) {
  ObjectRecord record;
  const auto take_flags = [&](const FieldParser& field) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(const uint64_t flags, field.Integer());
    if (flags > (kNullFlag | kDeleteMarkerFlag)) {
      return absl::UnimplementedError(absl::StrFormat("object flags %d are unknown", flags));
    }
    record.is_null = flags & kNullFlag;
    record.is_delete_marker = flags & kDeleteMarkerFlag;
    return absl::OkStatus();
  };
  STRATA_RETURN_IF_ERROR(
      ForEachField(value, kObjectKind, [&](const FieldParser& field) -> absl::Status {
        switch (field.tag()) {
          case object_tag::kSequence:
            return TakeInteger(field, &record.sequence);
          case object_tag::kNonce:
            return TakeInteger(field, &record.nonce);
          case object_tag::kFlags:
            return take_flags(field);
          case object_tag::kSize:
            return TakeInteger(field, &record.size_bytes);
          case object_tag::kMd5:
            return TakeMd5(field, &record.md5);
          case object_tag::kPartCount:
            return TakeInteger(field, &record.part_count);
          case object_tag::kModified:
            return TakeInteger(field, &record.modified_ns);
          case object_tag::kOwner:
            return TakeText(field, &record.owner);
          case object_tag::kPieces:
            return TakePieces(field, &record.pieces);
          case object_tag::kManifest:
            return TakeRecordId(field, &record.manifest_id);
          case object_tag::kChecksum:
            return TakeChecksum(field, &record.checksum);
          case object_tag::kOlderNull:
            return TakeInteger(field, &record.older_null_sequence);
          case object_tag::kMetadata:
            return TakeMetadata(field, &record.metadata);
          case object_tag::kNewBytes:
            return TakeInteger(field, &record.new_bytes);
          case object_tag::kStoredBytes:
            return TakeInteger(field, &record.stored_bytes);
          case object_tag::kPartChecksums:
            return TakePartChecksums(field, &record.pieces);
          default:
            return field.Unknown();
        }
      }));
  if (record.sequence == 0) return Malformed("an object has no sequence");
  if (!record.is_delete_marker && record.md5.empty()) return Malformed("an object has no MD5");
  uint64_t piece_bytes = 0;
  for (const ContentPiece& piece : record.pieces) {
    if (__builtin_add_overflow(piece_bytes, piece.size_bytes, &piece_bytes)) {
      return Malformed("the pieces exceed any size");
    }
  }
  if (record.manifest_id.has_value() ? !record.pieces.empty()
                                     : !record.pieces.empty() && piece_bytes != record.size_bytes) {
    return Malformed("an object's pieces do not add up to its size");
  }
  return record;
}

std::string EncodeManifest(const std::vector<ContentPiece>& pieces) {
  FieldWriter writer(kManifestKind, kVersion);
  writer.Bytes(manifest_tag::kPieces, PiecesToBytes(pieces));
  writer.Bytes(manifest_tag::kPartChecksums, PartChecksumsToBytes(pieces));
  return writer.Take();
}

absl::StatusOr<std::vector<ContentPiece>> DecodeManifest(std::string_view value) {
  std::vector<ContentPiece> pieces;
  STRATA_RETURN_IF_ERROR(ForEachField(value, kManifestKind, [&](const FieldParser& field) {
    switch (field.tag()) {
      case manifest_tag::kPieces:
        return TakePieces(field, &pieces);
      case manifest_tag::kPartChecksums:
        return TakePartChecksums(field, &pieces);
      default:
        return field.Unknown();
    }
  }));
  return pieces;
}

// ---- Uploads

std::string Encode(const UploadRecord& record) {
  FieldWriter writer(kUploadKind, kVersion);
  writer.Bytes(upload_tag::kOwner, record.owner);
  writer.Integer(upload_tag::kCreated, record.created_ns);
  writer.Integer(upload_tag::kAlgorithm, record.checksum_algorithm.has_value()
                                             ? static_cast<uint64_t>(*record.checksum_algorithm)
                                             : 0);
  writer.Integer(upload_tag::kFullObject, record.full_object_checksum ? 1 : 0);
  writer.Bytes(upload_tag::kMetadata, MetadataToBytes(record.metadata));
  return writer.Take();
}

absl::StatusOr<UploadRecord> DecodeUpload(std::string_view value) {
  UploadRecord record;
  STRATA_RETURN_IF_ERROR(
      ForEachField(value, kUploadKind, [&](const FieldParser& field) -> absl::Status {
        switch (field.tag()) {
          case upload_tag::kOwner:
            return TakeText(field, &record.owner);
          case upload_tag::kCreated:
            return TakeInteger(field, &record.created_ns);
          case upload_tag::kAlgorithm: {
            STRATA_ASSIGN_OR_RETURN(const uint64_t algorithm, field.Integer());
            STRATA_ASSIGN_OR_RETURN(record.checksum_algorithm, ToAlgorithm(algorithm));
            return absl::OkStatus();
          }
          case upload_tag::kFullObject:
            return TakeTrue(field, &record.full_object_checksum);
          case upload_tag::kMetadata:
            return TakeMetadata(field, &record.metadata);
          default:
            return field.Unknown();
        }
      }));
  return record;
}

std::string Encode(const PartRecord& record) {
  FieldWriter writer(kPartKind, kVersion);
  std::string piece;
  AppendPiece(&piece, record.piece);
  writer.Bytes(part_tag::kPiece, piece);
  writer.Bytes(part_tag::kMd5, record.md5);
  writer.Integer(part_tag::kModified, record.modified_ns);
  writer.Bytes(part_tag::kChecksum, ChecksumToBytes(record.checksum));
  writer.Integer(part_tag::kNewBytes, record.new_bytes);
  writer.Integer(part_tag::kStoredBytes, record.stored_bytes);
  return writer.Take();
}

absl::StatusOr<PartRecord> DecodePart(std::string_view value) {
  PartRecord record;
  bool has_piece = false;
  const auto take_piece = [&](const FieldParser& field) -> absl::Status {
    ByteParser parser(field.bytes());
    STRATA_ASSIGN_OR_RETURN(record.piece, ParsePiece(&parser));
    if (!parser.done()) return Malformed("bytes follow a part's piece");
    has_piece = true;
    return absl::OkStatus();
  };
  STRATA_RETURN_IF_ERROR(
      ForEachField(value, kPartKind, [&](const FieldParser& field) -> absl::Status {
        switch (field.tag()) {
          case part_tag::kPiece:
            return take_piece(field);
          case part_tag::kMd5:
            return TakeMd5(field, &record.md5);
          case part_tag::kModified:
            return TakeInteger(field, &record.modified_ns);
          case part_tag::kChecksum:
            return TakeChecksum(field, &record.checksum);
          case part_tag::kNewBytes:
            return TakeInteger(field, &record.new_bytes);
          case part_tag::kStoredBytes:
            return TakeInteger(field, &record.stored_bytes);
          default:
            return field.Unknown();
        }
      }));
  if (!has_piece || record.md5.empty()) return Malformed("a part lacks its content");
  return record;
}

std::string Encode(const CompletedRecord& record) {
  FieldWriter writer(kCompletedKind, kVersion);
  writer.Bytes(completed_tag::kKey, record.key);
  writer.Bytes(completed_tag::kPartsDigest, record.parts_digest);
  writer.Bytes(completed_tag::kObject, record.object);
  return writer.Take();
}

absl::StatusOr<CompletedRecord> DecodeCompleted(std::string_view value) {
  CompletedRecord record;
  STRATA_RETURN_IF_ERROR(ForEachField(value, kCompletedKind, [&](const FieldParser& field) {
    switch (field.tag()) {
      case completed_tag::kKey:
        return TakeText(field, &record.key);
      case completed_tag::kPartsDigest:
        return TakeText(field, &record.parts_digest);
      case completed_tag::kObject:
        return TakeText(field, &record.object);
      default:
        return field.Unknown();
    }
  }));
  return record;
}

// ---- The reap queue

std::string Encode(const ReapRecord& record) {
  FieldWriter writer(kReapKind, kVersion);
  std::string streams;
  for (const dedup::StreamId& id : record.streams) AppendStream(&streams, id);
  writer.Bytes(reap_tag::kStreams, streams);
  if (record.manifest_id.has_value()) {
    writer.Bytes(reap_tag::kManifest, AsText(*record.manifest_id));
  }
  writer.Bytes(reap_tag::kExpiredKey, record.expired_key);
  return writer.Take();
}

absl::StatusOr<ReapRecord> DecodeReap(std::string_view value) {
  ReapRecord record;
  const auto take_streams = [&](const FieldParser& field) -> absl::Status {
    ByteParser parser(field.bytes());
    while (!parser.done()) {
      STRATA_ASSIGN_OR_RETURN(const dedup::StreamId id, ParseStream(&parser));
      record.streams.push_back(id);
    }
    return absl::OkStatus();
  };
  STRATA_RETURN_IF_ERROR(
      ForEachField(value, kReapKind, [&](const FieldParser& field) -> absl::Status {
        switch (field.tag()) {
          case reap_tag::kStreams:
            return take_streams(field);
          case reap_tag::kManifest:
            return TakeRecordId(field, &record.manifest_id);
          case reap_tag::kExpiredKey:
            return TakeText(field, &record.expired_key);
          default:
            return field.Unknown();
        }
      }));
  return record;
}

// ---- Users

std::string Encode(const User& user) {
  FieldWriter writer(kUserKind, kVersion);
  writer.Bytes(user_tag::kDisplayName, user.display_name);
  writer.Integer(user_tag::kAdmin, user.admin ? 1 : 0);
  writer.Integer(user_tag::kCreated, user.created_ns);
  return writer.Take();
}

absl::StatusOr<User> DecodeUser(std::string_view value) {
  User user;
  STRATA_RETURN_IF_ERROR(ForEachField(value, kUserKind, [&](const FieldParser& field) {
    switch (field.tag()) {
      case user_tag::kDisplayName:
        return TakeText(field, &user.display_name);
      case user_tag::kAdmin:
        return TakeTrue(field, &user.admin);
      case user_tag::kCreated:
        return TakeInteger(field, &user.created_ns);
      default:
        return field.Unknown();
    }
  }));
  return user;
}

std::string Encode(const AccessKeyRecord& record) {
  FieldWriter writer(kAccessKeyKind, kVersion);
  writer.Bytes(access_key_tag::kSecret, record.secret_key);
  writer.Bytes(access_key_tag::kUser, record.user_id);
  writer.Integer(access_key_tag::kCreated, record.created_ns);
  writer.Bytes(access_key_tag::kSealedSecret, record.sealed_secret);
  return writer.Take();
}

absl::StatusOr<AccessKeyRecord> DecodeAccessKey(std::string_view value) {
  AccessKeyRecord record;
  STRATA_RETURN_IF_ERROR(ForEachField(value, kAccessKeyKind, [&](const FieldParser& field) {
    switch (field.tag()) {
      case access_key_tag::kSecret:
        return TakeText(field, &record.secret_key);
      case access_key_tag::kUser:
        return TakeText(field, &record.user_id);
      case access_key_tag::kCreated:
        return TakeInteger(field, &record.created_ns);
      case access_key_tag::kSealedSecret:
        return TakeText(field, &record.sealed_secret);
      default:
        return field.Unknown();
    }
  }));
  if (!record.secret_key.empty() && !record.sealed_secret.empty()) {
    return absl::DataLossError("an access key has its secret twice");
  }
  return record;
}

// ---- What callers see

std::string VersionText(uint64_t sequence, uint64_t nonce) {
  std::array<std::byte, 16> bytes;
  StoreBe64(bytes.data(), sequence);
  StoreBe64(bytes.data() + 8, nonce);
  return ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string VersionIdOf(const ObjectRecord& record) {
  return record.is_null ? "null" : VersionText(record.sequence, record.nonce);
}

std::optional<VersionRef> ParseVersionId(std::string_view text) {
  if (text == "null") return VersionRef{.is_null = true};
  const std::optional<std::string> bytes = FromHex(text, HexLetters::kLower);
  if (!bytes.has_value() || bytes->size() != 16) return std::nullopt;
  const auto* at = reinterpret_cast<const std::byte*>(bytes->data());
  return VersionRef{.sequence = LoadBe64(at), .nonce = LoadBe64(at + 8)};
}

std::string EtagOf(const ObjectRecord& record) {
  std::string etag = ToHex(record.md5);
  if (record.part_count > 0) etag += absl::StrFormat("-%d", record.part_count);
  return etag;
}

ObjectInfo InfoOf(std::string_view key, const ObjectRecord& record, bool is_latest) {
  ObjectInfo info;
  info.key = key;
  info.version_id = VersionIdOf(record);
  info.is_latest = is_latest;
  info.is_delete_marker = record.is_delete_marker;
  info.size_bytes = record.size_bytes;
  info.etag = EtagOf(record);
  info.modified_ns = record.modified_ns;
  info.owner = record.owner;
  info.metadata = record.metadata;
  info.checksum = record.checksum;
  info.part_count = record.part_count;
  return info;
}

}  // namespace strata::object

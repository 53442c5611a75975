// SPDX-License-Identifier: Apache-2.0
//
// The layouts that several records share: streams, pieces, checksums, metadata.
// docs/formats/object.md gives each. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "records/records.h"
#include "strata/kv/record_codec.h"

namespace strata::object {

inline constexpr ChecksumAlgorithm kLastChecksumAlgorithm = ChecksumAlgorithm::kMd5;
inline constexpr size_t kMd5Bytes = 16;

struct StreamCodec {
  static void Append(std::string* out, const dedup::StreamId& id);
  static void Take(kv::ByteParser* parser, dedup::StreamId* id);
};

struct PieceCodec {
  static void Append(std::string* out, const ContentPiece& piece);
  static void Take(kv::ByteParser* parser, ContentPiece* piece);
};

// Values in a row, to the end of the field.
template <typename Codec>
struct RowOf {
  template <typename T>
  static void Append(std::string* out, const std::vector<T>& values) {
    for (const T& value : values) Codec::Append(out, value);
  }
  template <typename T>
  static void Take(kv::ByteParser* parser, std::vector<T>* values) {
    while (!parser->done()) Codec::Take(parser, &values->emplace_back());
  }
};

// The pieces' checksums in a row. Either each piece has one or none has. The pieces are decoded
// before.
struct PartChecksumsCodec {
  static void Append(std::string* out, const std::vector<ContentPiece>& pieces);
  static void Take(kv::ByteParser* parser, std::vector<ContentPiece>* pieces);
};

// Algorithm (1 byte), part count (varint), value.
struct ChecksumCodec {
  static void Append(std::string* out, const std::optional<Checksum>& checksum);
  static void Take(kv::ByteParser* parser, std::optional<Checksum>* checksum);
};

struct MetadataFields {
  static constexpr kv::RecordKind kKind = {.kind = 'T', .version = 1, .name = "metadata"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& metadata) {
    fields.Text(1, metadata.content_type, "binary/octet-stream");
    fields.Text(2, metadata.cache_control);
    fields.Text(3, metadata.content_disposition);
    fields.Text(4, metadata.content_encoding);
    fields.Text(5, metadata.content_language);
    fields.Text(6, metadata.expires);
    fields.Text(7, metadata.website_redirect_location);
    fields.Text(8, metadata.storage_class, "STANDARD");
    fields.Map(9, metadata.user);
    fields.Map(10, metadata.tags);
  }
};

}  // namespace strata::object

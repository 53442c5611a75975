// SPDX-License-Identifier: Apache-2.0
#include "records/record_fields.h"

#include <cstring>

#include "absl/strings/str_format.h"
#include "records/digests.h"

namespace strata::object {

void StreamCodec::Append(std::string* out, const dedup::StreamId& id) {
  out->append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

void StreamCodec::Take(kv::ByteParser* parser, dedup::StreamId* id) {
  const std::string_view bytes = parser->Bytes(id->bytes.size());
  if (bytes.size() == id->bytes.size()) std::memcpy(id->bytes.data(), bytes.data(), bytes.size());
}

void PieceCodec::Append(std::string* out, const ContentPiece& piece) {
  kv::AppendVarint(out, piece.size_bytes);
  if (piece.size_bytes > 0) StreamCodec::Append(out, piece.stream);
}

void PieceCodec::Take(kv::ByteParser* parser, ContentPiece* piece) {
  piece->size_bytes = parser->Varint();
  if (piece->size_bytes > 0) StreamCodec::Take(parser, &piece->stream);
}

void PartChecksumsCodec::Append(std::string* out, const std::vector<ContentPiece>& pieces) {
  for (const ContentPiece& piece : pieces) out->append(piece.checksum);
}

void PartChecksumsCodec::Take(kv::ByteParser* parser, std::vector<ContentPiece>* pieces) {
  const std::string_view bytes = parser->Rest();
  if (pieces->empty() || bytes.size() % pieces->size() != 0) {
    return parser->Fail("does not go with the pieces");
  }
  const size_t size = bytes.size() / pieces->size();
  for (size_t i = 0; i < pieces->size(); ++i) (*pieces)[i].checksum = bytes.substr(i * size, size);
}

void ChecksumCodec::Append(std::string* out, const std::optional<Checksum>& checksum) {
  if (!checksum.has_value()) return;
  out->push_back(static_cast<char>(checksum->algorithm));
  kv::AppendVarint(out, checksum->part_count);
  out->append(checksum->value);
}

void ChecksumCodec::Take(kv::ByteParser* parser, std::optional<Checksum>* checksum) {
  const uint8_t algorithm = parser->Byte();
  if (algorithm < static_cast<uint8_t>(ChecksumAlgorithm::kCrc32) ||
      algorithm > static_cast<uint8_t>(kLastChecksumAlgorithm)) {
    return parser->FailNewer(absl::StrFormat("checksum algorithm %d is unknown", algorithm));
  }
  Checksum& taken = checksum->emplace();
  taken.algorithm = static_cast<ChecksumAlgorithm>(algorithm);
  const uint64_t part_count = parser->Varint();
  if (part_count > ObjectLimits::kMaxPartNumber) return parser->Fail("has too many parts");
  taken.part_count = static_cast<uint32_t>(part_count);
  taken.value = parser->Rest();
  if (taken.value.size() != ChecksumBytes(taken.algorithm)) {
    parser->Fail("has a value of another length than its algorithm's");
  }
}

}  // namespace strata::object

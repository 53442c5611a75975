// SPDX-License-Identifier: Apache-2.0
#include "records/field_codec.h"

#include "absl/strings/str_format.h"
#include "strata/base/check.h"
#include "strata/base/status_macros.h"

namespace strata::object {

void AppendVarint(std::string* out, uint64_t value) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

void AppendCounted(std::string* out, std::string_view bytes) {
  AppendVarint(out, bytes.size());
  out->append(bytes);
}

FieldWriter::FieldWriter(char kind, uint8_t version) {
  record_.reserve(160);
  record_.push_back(kind);
  record_.push_back(static_cast<char>(version));
}

void FieldWriter::StartField(uint8_t tag) {
  STRATA_CHECK(tag > last_tag_, "a record's tags ascend");
  last_tag_ = tag;
  record_.push_back(static_cast<char>(tag));
}

void FieldWriter::Integer(uint8_t tag, uint64_t value) {
  if (value == 0) return;
  StartField(tag);
  const size_t length_at = record_.size();
  record_.push_back(0);
  AppendVarint(&record_, value);
  record_[length_at] = static_cast<char>(record_.size() - length_at - 1);
}

void FieldWriter::Bytes(uint8_t tag, std::string_view value) {
  if (value.empty()) return;
  StartField(tag);
  AppendCounted(&record_, value);
}

absl::StatusOr<uint8_t> ByteParser::Byte() {
  STRATA_ASSIGN_OR_RETURN(const std::string_view byte, Bytes(1));
  return static_cast<uint8_t>(byte[0]);
}

absl::StatusOr<uint64_t> ByteParser::Varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    STRATA_ASSIGN_OR_RETURN(const uint8_t byte, Byte());
    if (shift == 63 && byte > 1) return absl::DataLossError("a varint exceeds 64 bits");
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) {
      if (byte == 0 && shift > 0) return absl::DataLossError("a varint is not in shortest form");
      return value;
    }
  }
  return absl::DataLossError("a varint exceeds 64 bits");
}

absl::StatusOr<std::string_view> ByteParser::Bytes(size_t count) {
  if (count > rest_.size()) return absl::DataLossError("a record ends early");
  const std::string_view bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return bytes;
}

absl::StatusOr<std::string_view> ByteParser::Counted() {
  STRATA_ASSIGN_OR_RETURN(const uint64_t count, Varint());
  return Bytes(count);
}

absl::StatusOr<FieldParser> FieldParser::Open(std::string_view record, char kind, uint8_t version) {
  if (record.size() < 2 || record[0] != kind) {
    return absl::DataLossError(absl::StrFormat("not a record of kind '%c'", kind));
  }
  if (static_cast<uint8_t>(record[1]) != version) {
    return absl::UnimplementedError(absl::StrFormat("record kind '%c' has version %d, known is %d",
                                                    kind, static_cast<uint8_t>(record[1]),
                                                    version));
  }
  return FieldParser(record.substr(2), kind);
}

absl::StatusOr<bool> FieldParser::Next() {
  if (parser_.done()) return false;
  STRATA_ASSIGN_OR_RETURN(tag_, parser_.Byte());
  if (tag_ <= last_tag_) return absl::DataLossError("a record's tags do not ascend");
  last_tag_ = tag_;
  STRATA_ASSIGN_OR_RETURN(value_, parser_.Counted());
  if (value_.empty()) return absl::DataLossError("a record has an empty field");
  return true;
}

absl::StatusOr<uint64_t> FieldParser::Integer() const {
  ByteParser parser(value_);
  STRATA_ASSIGN_OR_RETURN(const uint64_t value, parser.Varint());
  if (!parser.done()) return absl::DataLossError("bytes follow an integer");
  if (value == 0) return absl::DataLossError("an integer 0 was written");
  return value;
}

absl::Status FieldParser::Unknown() const {
  if (tag_ & kIgnorableTag) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrFormat("record kind '%c' has field %d, which a newer version wrote", kind_, tag_));
}

}  // namespace strata::object

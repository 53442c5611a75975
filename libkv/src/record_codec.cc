// SPDX-License-Identifier: Apache-2.0
#include "strata/kv/record_codec.h"

#include "absl/strings/str_format.h"
#include "strata/base/check.h"

namespace strata::kv {
namespace {

constexpr std::string_view kEmptyText("\0", 1);
constexpr size_t kUsualRecordBytes = 192;

// 0: fewer bytes than it says, over 64 bits, or not in the shortest form.
size_t ParseVarint(std::string_view bytes, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < bytes.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (i == 9 && byte > 1) return 0;
    *value |= uint64_t{byte & 0x7Fu} << (7 * i);
    if (byte < 0x80) return byte == 0 && i > 0 ? 0 : i + 1;
  }
  return 0;
}

}  // namespace

void AppendVarint(std::string* out, uint64_t value) {
  char bytes[10];
  size_t count = 0;
  for (; value >= 0x80; value >>= 7) bytes[count++] = static_cast<char>(value | 0x80);
  bytes[count++] = static_cast<char>(value);
  out->append(bytes, count);
}

void AppendCounted(std::string* out, std::string_view bytes) {
  AppendVarint(out, bytes.size());
  out->append(bytes);
}

// ---- ByteParser

void ByteParser::SetError(absl::Status error) {
  if (status_.ok()) status_ = std::move(error);
  rest_ = {};
}

void ByteParser::Fail(std::string_view what) {
  SetError(absl::DataLossError(absl::string_view(what.data(), what.size())));
}

void ByteParser::FailNewer(std::string_view what) {
  SetError(absl::UnimplementedError(absl::string_view(what.data(), what.size())));
}

uint8_t ByteParser::Byte() {
  const std::string_view byte = Bytes(1);
  return byte.empty() ? 0 : static_cast<uint8_t>(byte[0]);
}

uint64_t ByteParser::Varint() {
  uint64_t value = 0;
  const size_t count = ParseVarint(rest_, &value);
  if (count == 0) {
    Fail("has no varint in its shortest form where one belongs");
    return 0;
  }
  rest_.remove_prefix(count);
  return value;
}

std::string_view ByteParser::Bytes(size_t count) {
  if (count > rest_.size()) {
    Fail("ends early");
    return {};
  }
  const std::string_view bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return bytes;
}

std::string_view ByteParser::Counted() {
  const uint64_t count = Varint();
  return Bytes(count);
}

// ---- RecordEncoder

RecordEncoder::RecordEncoder(const RecordKind& kind) {
  record_.push_back(kind.kind);
  record_.push_back(static_cast<char>(kind.version));
}

void RecordEncoder::PutKept(int below_tag) {
  while (!kept_.empty() && static_cast<uint8_t>(kept_[0]) < below_tag) {
    ByteParser parser(kept_.substr(1));
    parser.Counted();
    const size_t size = kept_.size() - (parser.status().ok() ? parser.Rest().size() : 0);
    record_.append(kept_.substr(0, size));
    kept_.remove_prefix(size);
  }
}

void RecordEncoder::StartField(uint8_t tag) {
  STRATA_CHECK(tag > last_tag_, "a record's tags ascend");
  if (last_tag_ < 0) record_.reserve(kUsualRecordBytes);
  if (!kept_.empty()) PutKept(tag);
  last_tag_ = tag;
  record_.push_back(static_cast<char>(tag));
}

void RecordEncoder::PutInteger(uint8_t tag, uint64_t value) {
  if (value == 0) return;
  const size_t start = BeginValue(tag);
  AppendVarint(&record_, value);
  EndValue(start);
}

void RecordEncoder::PutBytes(uint8_t tag, std::string_view value) {
  if (value.empty()) return;
  StartField(tag);
  AppendCounted(&record_, value);
}

void RecordEncoder::Text(uint8_t tag, std::string_view value, std::string_view usual) {
  if (value != usual) PutBytes(tag, value.empty() ? kEmptyText : value);
}

void RecordEncoder::Map(uint8_t tag, const std::map<std::string, std::string>& map) {
  if (map.empty()) return;
  const size_t start = BeginValue(tag);
  for (const auto& [name, value] : map) {
    AppendCounted(&record_, name);
    AppendCounted(&record_, value);
  }
  EndValue(start);
}

// Leaves room for a length of one byte, which is enough for most values.
size_t RecordEncoder::BeginValue(uint8_t tag) {
  StartField(tag);
  record_.push_back(0);
  return record_.size();
}

void RecordEncoder::EndValue(size_t start) {
  const size_t size = record_.size() - start;
  if (size == 0) {
    record_.resize(start - 2);
  } else if (size < 0x80) {
    record_[start - 1] = static_cast<char>(size);
  } else {
    std::string length;
    AppendVarint(&length, size);
    record_.replace(start - 1, 1, length);
  }
}

std::string RecordEncoder::Take() {
  PutKept(256);
  return std::move(record_);
}

// ---- RecordDecoder

RecordDecoder::RecordDecoder(const RecordKind& kind, std::string_view record) : kind_(kind) {
  if (record.size() < 2 || record[0] != kind.kind) {
    SetError(absl::DataLossError(absl::StrFormat("not a %s record", kind.name)));
  } else if (static_cast<uint8_t>(record[1]) != kind.version) {
    SetError(
        absl::UnimplementedError(absl::StrFormat("%s record has version %d, known is %d", kind.name,
                                                 static_cast<uint8_t>(record[1]), kind.version)));
  } else {
    rest_ = record.substr(2);
    Load();
  }
}

void RecordDecoder::SetError(absl::Status error) {
  if (error.ok()) return;
  if (status_.ok()) status_ = std::move(error);
  next_tag_ = kEnd;
  rest_ = value_ = {};
}

void RecordDecoder::Fail(int tag, std::string_view what) {
  SetError(absl::DataLossError(
      absl::StrFormat("malformed %s record: field %d %s", kind_.name, tag, what)));
}

void RecordDecoder::Load() {
  if (rest_.empty()) {
    next_tag_ = kEnd;
    return;
  }
  const int tag = static_cast<uint8_t>(rest_[0]);
  if (tag <= next_tag_) return Fail(tag, "is out of order");
  uint64_t size = 0;
  const size_t length_bytes = ParseVarint(rest_.substr(1), &size);
  if (length_bytes == 0) return Fail(tag, "has no length");
  rest_.remove_prefix(1 + length_bytes);
  if (size == 0) return Fail(tag, "is empty");
  if (size > rest_.size()) return Fail(tag, "ends early");
  value_ = rest_.substr(0, size);
  rest_.remove_prefix(size);
  next_tag_ = tag;
}

void RecordDecoder::PassOver() {
  if ((next_tag_ & kIgnorableTag) == 0) {
    return SetError(absl::UnimplementedError(absl::StrFormat(
        "%s record has field %d, which a newer version wrote", kind_.name, next_tag_)));
  }
  if (kept_ != nullptr) {
    kept_->push_back(static_cast<char>(next_tag_));
    AppendCounted(kept_, value_);
  }
  Load();
}

std::string_view RecordDecoder::TakeBytes() {
  const std::string_view value = value_;
  Load();
  return value;
}

std::string_view RecordDecoder::TakeSized(size_t size) {
  if (value_.size() != size) {
    Fail(next_tag_, absl::StrFormat("has %d bytes instead of %d", value_.size(), size));
    return {};
  }
  return TakeBytes();
}

uint64_t RecordDecoder::TakeInteger(uint64_t max) {
  uint64_t value = 0;
  if (ParseVarint(value_, &value) != value_.size() || value == 0) {
    Fail(next_tag_, "is no integer in its shortest form");
    return 0;
  }
  if (value > max) {
    Fail(next_tag_, absl::StrFormat("is %d, over %d", value, max));
    return 0;
  }
  Load();
  return value;
}

uint64_t RecordDecoder::TakeKnown(uint64_t largest) {
  const int tag = next_tag_;
  const uint64_t value = TakeInteger(std::numeric_limits<uint64_t>::max());
  if (value <= largest) return value;
  SetError(absl::UnimplementedError(
      absl::StrFormat("%s record: value %d of field %d is unknown", kind_.name, value, tag)));
  return 0;
}

void RecordDecoder::Text(uint8_t tag, std::string& value, std::string_view usual) {
  if (!Enter(tag)) return;
  if (value_ == usual) return Fail(tag, "has the usual value");
  value = value_ == kEmptyText ? std::string_view() : value_;
  Load();
}

void RecordDecoder::Map(uint8_t tag, std::map<std::string, std::string>& map) {
  if (!Enter(tag)) return;
  ByteParser parser(TakeBytes());
  while (!parser.done()) {
    const std::string_view name = parser.Counted();
    const std::string_view value = parser.Counted();
    if (!parser.status().ok()) break;
    if (!map.empty() && name <= map.rbegin()->first) return Fail(tag, "is out of order");
    map.emplace_hint(map.end(), name, value);
  }
  Finish(tag, parser);
}

void RecordDecoder::Finish(uint8_t tag, const ByteParser& parser) {
  if (absl::IsDataLoss(parser.status())) {
    const absl::string_view what = parser.status().message();
    return Fail(tag, {what.data(), what.size()});
  }
  if (!parser.status().ok()) return SetError(parser.status());
  if (!parser.done()) Fail(tag, "is longer than its content");
}

absl::Status RecordDecoder::Finish() {
  while (next_tag_ < kEnd) PassOver();
  return status_;
}

}  // namespace strata::kv

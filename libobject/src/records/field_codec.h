// SPDX-License-Identifier: Apache-2.0
//
// The shape every record shares; docs/formats/object.md, "Records", is the specification.
//
//   record := kind (1 byte)  version (1 byte)  field*
//   field  := tag (1 byte)  length (varint)  value (length bytes)
//
// Tags ascend and occur once. A reader that meets a tag it does not know refuses the record, unless
// the tag's high bit says that it may be passed over. Integers are varints (LEB128, shortest form);
// an integer 0 and an empty value are not written.
// One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace strata::object {

inline constexpr uint8_t kIgnorableTag = 0x80;

void AppendVarint(std::string* out, uint64_t value);
void AppendCounted(std::string* out, std::string_view bytes);  // Its length, then the bytes.

class FieldWriter final {
 public:
  FieldWriter(char kind, uint8_t version);

  // REQUIRES: tags ascend.
  void Integer(uint8_t tag, uint64_t value);
  void Bytes(uint8_t tag, std::string_view value);

  std::string Take() { return std::move(record_); }

 private:
  void StartField(uint8_t tag);

  std::string record_;
  int last_tag_ = -1;
};

// Takes values off the front of a byte string. Running out is DataLoss.
class ByteParser final {
 public:
  explicit ByteParser(std::string_view bytes) : rest_(bytes) {}

  bool done() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  absl::StatusOr<uint8_t> Byte();
  absl::StatusOr<uint64_t> Varint();  // DataLoss also: over 64 bits, or not the shortest form.
  absl::StatusOr<std::string_view> Bytes(size_t count);
  absl::StatusOr<std::string_view> Counted();

 private:
  std::string_view rest_;
};

class FieldParser final {
 public:
  // DataLoss: too short, or another kind. Unimplemented: a newer version. `record` outlives this.
  static absl::StatusOr<FieldParser> Open(std::string_view record, char kind, uint8_t version);

  // Moves to the next field; false at the end. DataLoss.
  absl::StatusOr<bool> Next();

  uint8_t tag() const { return tag_; }
  std::string_view bytes() const { return value_; }
  absl::StatusOr<uint64_t> Integer() const;

  // For the tags a parser does not know: OK when it may be passed over, else Unimplemented.
  absl::Status Unknown() const;

 private:
  FieldParser(std::string_view fields, char kind) : parser_(fields), kind_(kind) {}

  ByteParser parser_;
  char kind_;
  int last_tag_ = -1;
  uint8_t tag_ = 0;
  std::string_view value_;
};

}  // namespace strata::object

// SPDX-License-Identifier: Apache-2.0
//
// The values that libraries keep in a kv::Store: one shape for every record, and one list of fields
// from which both directions are made.
//
//   record := kind (1 byte)  version (1 byte)  field*
//   field  := tag (1 byte)  length (varint)  value (length bytes, not 0)
//
// Tags ascend and occur once. A reader that meets a tag it does not know refuses the record, unless
// the tag's high bit says that it may be passed over. Integers are varints (LEB128, shortest form);
// an integer 0, false and an empty value are not written. Every record has exactly one encoding.
//
//   struct LeaseFields {
//     static constexpr RecordKind kKind = {.kind = 'L', .version = 1, .name = "lease"};
//     template <typename Fields, typename Record>
//     static void List(Fields& fields, Record& lease) {
//       fields.Text(1, lease.holder);
//       fields.Integer(2, lease.expires_ns);
//     }
//   };
//   std::string value = EncodeRecord<LeaseFields>(lease);
//   STRATA_RETURN_IF_ERROR(DecodeRecord<LeaseFields>(value, &lease));  // Into an empty Lease.
//
// A field is never given another meaning, and its tag is never used again. What an older program
// may pass over gets a tag from 0x80 up; a change that it must not misread gets a tag below, or
// another version. libkv/README.md says why this is not protobuf.
//
// Decoding never trusts its input: DataLoss names what is malformed, Unimplemented what a newer
// version wrote. One thread at a time; the functions are thread-safe.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "strata/base/export.h"

namespace strata::kv {

inline constexpr uint8_t kIgnorableTag = 0x80;

struct RecordKind {
  char kind = '\0';
  uint8_t version = 0;
  std::string_view name;  // In error messages.
};

STRATA_EXPORT void AppendVarint(std::string* out, uint64_t value);
STRATA_EXPORT void AppendCounted(std::string* out, std::string_view bytes);  // Length, then bytes.

// Takes values off the front of a byte string. The first one that is not there, or is malformed, is
// an error that stays: from then on values are 0 or empty, and status() says DataLoss.
class STRATA_EXPORT ByteParser final {
 public:
  explicit ByteParser(std::string_view bytes) : rest_(bytes) {}

  bool done() const { return rest_.empty(); }  // Also after an error.
  const absl::Status& status() const { return status_; }

  uint8_t Byte();
  uint64_t Varint();  // Malformed: over 64 bits, or not the shortest form.
  std::string_view Bytes(size_t count);
  std::string_view Counted();
  std::string_view Rest() { return std::exchange(rest_, {}); }

  void Fail(std::string_view what);       // DataLoss.
  void FailNewer(std::string_view what);  // Unimplemented.

 private:
  void SetError(absl::Status error);

  std::string_view rest_;
  absl::Status status_;
};

// Writes the fields that a list names. REQUIRES: the list's tags ascend.
class STRATA_EXPORT RecordEncoder final {
 public:
  explicit RecordEncoder(const RecordKind& kind);

  template <std::unsigned_integral T>
  void Integer(uint8_t tag, const T& value) {
    PutInteger(tag, value);
  }
  void Truth(uint8_t tag, bool value) { PutInteger(tag, value ? 1 : 0); }

  // An enumeration without a value 0, or whose 0 is the usual value. nullopt is not written.
  template <typename E>
  void Enum(uint8_t tag, E value, E /*largest*/) {
    PutInteger(tag, static_cast<uint64_t>(value));
  }
  template <typename E>
  void Enum(uint8_t tag, const std::optional<E>& value, E /*largest*/) {
    if (value.has_value()) PutInteger(tag, static_cast<uint64_t>(*value));
  }

  // Truth values in one integer, the first in its lowest bit.
  template <typename... Bools>
  void Flags(uint8_t tag, const Bools&... flags) {
    uint64_t value = 0, bit = 1;
    ((value |= flags ? bit : 0, bit <<= 1), ...);
    PutInteger(tag, value);
  }

  void Text(uint8_t tag, std::string_view value) { PutBytes(tag, value); }
  // A text that is mostly `usual`, which is not written; the empty text is a single byte 00.
  void Text(uint8_t tag, std::string_view value, std::string_view usual);
  // Bytes of this size, or none.
  void Sized(uint8_t tag, std::string_view value, size_t /*size*/) { PutBytes(tag, value); }
  template <size_t kSize>
  void Id(uint8_t tag, const std::optional<std::array<char, kSize>>& id) {
    if (id.has_value()) PutBytes(tag, {id->data(), id->size()});
  }
  // Pairs of counted name and counted value, names ascending.
  void Map(uint8_t tag, const std::map<std::string, std::string>& map);

  // A layout of the caller's. Codec::Append(std::string*, const T&) and Codec::Take(ByteParser*,
  // T*) are static; what Append writes nothing for, Take never sees.
  template <typename Codec, typename T>
  void Value(uint8_t tag, const T& value, Codec /*codec*/) {
    const size_t start = BeginValue(tag);
    Codec::Append(&record_, value);
    EndValue(start);
  }

  // A record within the record. One without fields is not written.
  template <typename FieldList, typename Record>
  void Nested(uint8_t tag, const Record& record, FieldList /*list*/) {
    RecordEncoder nested(FieldList::kKind);
    FieldList::List(nested, record);
    const std::string value = nested.Take();
    if (value.size() > 2) PutBytes(tag, value);
  }

  // DataLoss on decoding when field `tag`, which stands before this in the list, is absent.
  void Require(uint8_t /*tag*/) {}

  // Fields that a newer program wrote and that were passed over: they are decoded into `kept` and
  // written again. Stands first in a list.
  void Keep(const std::string& kept) { kept_ = kept; }

  std::string Take();

 private:
  void StartField(uint8_t tag);
  void PutKept(int below_tag);
  void PutInteger(uint8_t tag, uint64_t value);
  void PutBytes(uint8_t tag, std::string_view value);
  size_t BeginValue(uint8_t tag);
  void EndValue(size_t start);

  std::string record_;
  int last_tag_ = -1;
  std::string_view kept_;
};

// Reads the fields that a list names into a record whose members still have their first values.
// After the first error nothing more is read.
class STRATA_EXPORT RecordDecoder final {
 public:
  RecordDecoder(const RecordKind& kind, std::string_view record);  // `record` outlives this.

  template <std::unsigned_integral T>
  void Integer(uint8_t tag, T& value) {
    if (Enter(tag)) value = static_cast<T>(TakeInteger(std::numeric_limits<T>::max()));
  }
  void Truth(uint8_t tag, bool& value) {
    if (Enter(tag)) value = TakeInteger(1) == 1;
  }

  // Unimplemented: larger than `largest`.
  template <typename E>
  void Enum(uint8_t tag, E& value, E largest) {
    if (Enter(tag)) value = static_cast<E>(TakeKnown(static_cast<uint64_t>(largest)));
  }
  template <typename E>
  void Enum(uint8_t tag, std::optional<E>& value, E largest) {
    if (Enter(tag)) value = static_cast<E>(TakeKnown(static_cast<uint64_t>(largest)));
  }
  template <typename... Bools>
  void Flags(uint8_t tag, Bools&... flags) {
    if (!Enter(tag)) return;
    const uint64_t value = TakeKnown((uint64_t{1} << sizeof...(flags)) - 1);
    uint64_t bit = 1;
    ((flags = (value & bit) != 0, bit <<= 1), ...);
  }

  void Text(uint8_t tag, std::string& value) {
    if (Enter(tag)) value = TakeBytes();
  }
  void Text(uint8_t tag, std::string& value, std::string_view usual);
  void Sized(uint8_t tag, std::string& value, size_t size) {
    if (Enter(tag)) value = TakeSized(size);
  }
  template <size_t kSize>
  void Id(uint8_t tag, std::optional<std::array<char, kSize>>& id) {
    if (!Enter(tag)) return;
    const std::string_view bytes = TakeSized(kSize);
    if (bytes.size() == kSize) std::memcpy(id.emplace().data(), bytes.data(), kSize);
  }
  void Map(uint8_t tag, std::map<std::string, std::string>& map);

  template <typename Codec, typename T>
  void Value(uint8_t tag, T& value, Codec /*codec*/) {
    if (!Enter(tag)) return;
    ByteParser parser(TakeBytes());
    Codec::Take(&parser, &value);
    Finish(tag, parser);
  }

  template <typename FieldList, typename Record>
  void Nested(uint8_t tag, Record& record, FieldList /*list*/) {
    if (!Enter(tag)) return;
    if (value_.size() <= 2) return Fail(tag, "is empty");
    RecordDecoder nested(FieldList::kKind, TakeBytes());
    FieldList::List(nested, record);
    SetError(nested.Finish());
  }

  void Require(uint8_t tag) {
    if (last_tag_ != tag) Fail(tag, "is absent");
  }
  void Keep(std::string& kept) { kept_ = &kept; }

  absl::Status Finish();  // Also refuses fields that the list does not name.

 private:
  static constexpr int kEnd = 256;

  // Moves to field `tag`, past those that may be passed over. False: the record does not have it.
  bool Enter(uint8_t tag) {
    while (next_tag_ < tag) PassOver();
    if (next_tag_ != tag) return false;
    last_tag_ = tag;
    return true;
  }
  // The value of the field that was entered; moves on.
  std::string_view TakeBytes();
  std::string_view TakeSized(size_t size);
  uint64_t TakeInteger(uint64_t max);
  uint64_t TakeKnown(uint64_t largest);

  void Load();
  void PassOver();
  void Finish(uint8_t tag, const ByteParser& parser);
  void Fail(int tag, std::string_view what);
  void SetError(absl::Status error);

  const RecordKind kind_;
  std::string_view rest_;   // After the next field.
  std::string_view value_;  // The next field's.
  int next_tag_ = -1;
  int last_tag_ = -1;  // Taken last.
  std::string* kept_ = nullptr;
  absl::Status status_;
};

template <typename FieldList, typename Record>
std::string EncodeRecord(const Record& record) {
  RecordEncoder encoder(FieldList::kKind);
  FieldList::List(encoder, record);
  return encoder.Take();
}

template <typename FieldList, typename Record>
absl::Status DecodeRecord(std::string_view value, Record* record) {
  RecordDecoder decoder(FieldList::kKind, value);
  FieldList::List(decoder, *record);
  return decoder.Finish();
}

// A record without fields, which says what a space holds and in which version.
inline std::string EncodeMark(const RecordKind& kind) { return RecordEncoder(kind).Take(); }
inline absl::Status CheckMark(const RecordKind& kind, std::string_view value) {
  return RecordDecoder(kind, value).Finish();
}

}  // namespace strata::kv

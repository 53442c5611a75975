// SPDX-License-Identifier: Apache-2.0
//
// The layouts that several records share. docs/formats/ofs.md gives each. Pure.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "strata/kv/record_codec.h"
#include "strata/ofs/types.h"

namespace strata::ofs {

// Kind, k, m, local groups: a byte each.
struct ProtectionCodec {
  static void Append(std::string* out, const Protection& protection);
  static void Take(kv::ByteParser* parser, Protection* protection);
};

template <typename Codec>
struct OptionalOf {
  template <typename T>
  static void Append(std::string* out, const std::optional<T>& value) {
    if (value.has_value()) Codec::Append(out, *value);
  }
  template <typename T>
  static void Take(kv::ByteParser* parser, std::optional<T>* value) {
    Codec::Take(parser, &value->emplace());
  }
};

// Signed, as a varint: 0, -1, 1, -2 ... are 0, 1, 2, 3 ... A zero is not written.
struct SignedCodec {
  static void Append(std::string* out, int64_t value);
  static void Take(kv::ByteParser* parser, int64_t* value);
};

// Bytes of a fixed size that are always there.
struct BytesCodec {
  template <typename Bytes>
  static void Append(std::string* out, const Bytes& bytes) {
    out->append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  template <typename Bytes>
  static void Take(kv::ByteParser* parser, Bytes* bytes) {
    const std::string_view taken = parser->Bytes(bytes->size());
    if (taken.size() == bytes->size()) std::memcpy(bytes->data(), taken.data(), taken.size());
  }
};

// Decodes a record and then checks its ranges: `what_is_wrong` returns an empty text for a record
// that makes sense.
template <typename FieldList, typename Record, typename WhatIsWrong>
absl::StatusOr<Record> DecodeChecked(std::string_view value, WhatIsWrong what_is_wrong) {
  Record record;
  if (absl::Status status = kv::DecodeRecord<FieldList>(value, &record); !status.ok()) {
    return status;
  }
  const absl::string_view wrong = what_is_wrong(record);
  if (!wrong.empty()) {
    constexpr std::string_view kName = FieldList::kKind.name;
    return absl::DataLossError(
        absl::StrCat("malformed ", absl::string_view(kName.data(), kName.size()), ": ", wrong));
  }
  return record;
}

// Of a record whose fields may have any values.
template <typename FieldList, typename Record>
absl::StatusOr<Record> DecodeAny(std::string_view value) {
  return DecodeChecked<FieldList, Record>(value, [](const Record&) { return absl::string_view(); });
}

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
//
// A record with every kind of field that the codec knows, for its test and its fuzzer.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "strata/kv/record_codec.h"

namespace strata::kv {

enum class SampleState : uint8_t { kIdle = 0, kBusy = 1, kGone = 2 };

struct SampleInner {
  std::string newer_fields{};
  std::string name = "usual";
  uint64_t count = 0;
};

struct SampleRecord {
  std::string newer_fields;
  uint64_t number = 0;
  uint16_t small = 0;
  bool truth = false;
  SampleState state = SampleState::kIdle;
  std::optional<SampleState> last_state;
  bool first = false, second = false;
  std::string text;
  std::string digest;
  std::optional<std::array<char, 4>> id;
  std::map<std::string, std::string> map;
  std::vector<uint64_t> numbers;
  SampleInner inner;
};

struct VarintsCodec {
  static void Append(std::string* out, const std::vector<uint64_t>& numbers) {
    for (const uint64_t number : numbers) AppendVarint(out, number);
  }
  static void Take(ByteParser* parser, std::vector<uint64_t>* numbers) {
    while (!parser->done()) numbers->push_back(parser->Varint());
  }
};

struct SampleInnerFields {
  static constexpr RecordKind kKind = {.kind = 'I', .version = 1, .name = "inner"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& inner) {
    fields.Keep(inner.newer_fields);
    fields.Text(1, inner.name, "usual");
    fields.Integer(2, inner.count);
  }
};

struct SampleFields {
  static constexpr RecordKind kKind = {.kind = 'S', .version = 3, .name = "sample"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& sample) {
    fields.Keep(sample.newer_fields);
    fields.Integer(1, sample.number);
    fields.Integer(2, sample.small);
    fields.Truth(3, sample.truth);
    fields.Enum(4, sample.state, SampleState::kGone);
    fields.Enum(5, sample.last_state, SampleState::kGone);
    fields.Flags(6, sample.first, sample.second);
    fields.Text(7, sample.text);
    fields.Sized(8, sample.digest, 3);
    fields.Id(9, sample.id);
    fields.Map(10, sample.map);
    fields.Value(11, sample.numbers, VarintsCodec());
    fields.Nested(0x90, sample.inner, SampleInnerFields());
  }
};

}  // namespace strata::kv

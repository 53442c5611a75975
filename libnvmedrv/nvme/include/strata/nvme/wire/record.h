// SPDX-License-Identifier: Apache-2.0
//
// A structure of the NVMe specifications as bytes with named fields. The list of fields is the
// offset table: each is a constant with its type and its offset, and no compiler lays anything out.
//
//   struct DsmRange : Record<DsmRange, 16> {
//     static constexpr Field<uint32_t> kBlockCount{4};
//     static constexpr Field<uint64_t> kStartLba{8};
//   };
//   range.Set(DsmRange::kStartLba, lba);
//
// All integers are little-endian. A field of one structure is no argument for another. Pure values,
// safe from any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string_view>
#include <type_traits>

#include "strata/base/endian.h"

namespace strata::nvme {

template <typename Self, size_t kBytes>
class Record {
 public:
  static constexpr size_t kSizeBytes = kBytes;

  template <typename T>
  struct Field {
    static constexpr size_t kFieldBytes = sizeof(T);
    constexpr Field(size_t at) : offset(at) {  // NOLINT(google-explicit-constructor): a table row.
      if (at + sizeof(T) > kBytes) throw std::out_of_range("a field past its structure");
    }
    size_t offset;
  };

  // Bytes without an integer meaning: text, identifiers, and the parts of a structure.
  template <size_t kCount>
  struct Bytes {
    static constexpr size_t kFieldBytes = kCount;
    constexpr Bytes(size_t at) : offset(at) {  // NOLINT(google-explicit-constructor): a table row.
      if (at + kCount > kBytes) throw std::out_of_range("a field past its structure");
    }
    size_t offset;
  };

  template <typename T>
  T Get(Field<T> field) const {
    const std::byte* at = bytes.data() + field.offset;
    if constexpr (sizeof(T) == 1) return static_cast<T>(*at);
    if constexpr (sizeof(T) == 2) return static_cast<T>(LoadLe16(at));
    if constexpr (sizeof(T) == 4) return static_cast<T>(LoadLe32(at));
    if constexpr (sizeof(T) == 8) return static_cast<T>(LoadLe64(at));
  }

  template <typename T>
  void Set(Field<T> field, std::type_identity_t<T> value) {
    std::byte* at = bytes.data() + field.offset;
    if constexpr (sizeof(T) == 1) *at = static_cast<std::byte>(value);
    if constexpr (sizeof(T) == 2) StoreLe16(at, static_cast<uint16_t>(value));
    if constexpr (sizeof(T) == 4) StoreLe32(at, static_cast<uint32_t>(value));
    if constexpr (sizeof(T) == 8) StoreLe64(at, static_cast<uint64_t>(value));
  }

  template <size_t kCount>
  std::span<const std::byte, kCount> Get(Bytes<kCount> field) const {
    return std::span<const std::byte, kCount>(bytes.data() + field.offset, kCount);
  }
  template <size_t kCount>
  std::span<std::byte, kCount> At(Bytes<kCount> field) {
    return std::span<std::byte, kCount>(bytes.data() + field.offset, kCount);
  }

  // Text as the specifications keep it: cut to the field's size, the rest filled with `padding`.
  template <size_t kCount>
  void SetText(Bytes<kCount> field, std::string_view text, char padding) {
    const size_t size = std::min(text.size(), kCount);
    std::memcpy(bytes.data() + field.offset, text.data(), size);
    std::memset(bytes.data() + field.offset + size, padding, kCount - size);
  }
  // Up to the first zero byte, without trailing spaces. It points into this record.
  template <size_t kCount>
  std::string_view GetText(Bytes<kCount> field) const {
    const char* text = reinterpret_cast<const char*>(bytes.data() + field.offset);
    size_t size = strnlen(text, kCount);
    while (size > 0 && text[size - 1] == ' ') --size;
    return {text, size};
  }

  std::array<std::byte, kBytes> bytes{};
};

}  // namespace strata::nvme

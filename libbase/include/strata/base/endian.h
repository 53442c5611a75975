// SPDX-License-Identifier: Apache-2.0
//
// Fixed-endian integers in wire and disk structures, at any alignment. Le is little-endian, Be is
// big-endian (network order). Pure functions, safe from any thread.
// REQUIRES, throughout: the 2, 4 or 8 bytes at `at` are readable (Load) or writable (Store).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace strata {
namespace endian_internal {

static_assert(std::endian::native == std::endian::little ||
              std::endian::native == std::endian::big);

inline constexpr bool kNativeIsLittle = std::endian::native == std::endian::little;

constexpr uint16_t Swap(uint16_t value) { return __builtin_bswap16(value); }
constexpr uint32_t Swap(uint32_t value) { return __builtin_bswap32(value); }
constexpr uint64_t Swap(uint64_t value) { return __builtin_bswap64(value); }

template <typename T>
T Load(const std::byte* at, bool swap) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return swap ? Swap(value) : value;
}

template <typename T>
void Store(std::byte* at, T value, bool swap) {
  if (swap) value = Swap(value);
  std::memcpy(at, &value, sizeof(value));
}

}  // namespace endian_internal

inline uint16_t LoadLe16(const std::byte* at) {
  return endian_internal::Load<uint16_t>(at, !endian_internal::kNativeIsLittle);
}
inline uint32_t LoadLe32(const std::byte* at) {
  return endian_internal::Load<uint32_t>(at, !endian_internal::kNativeIsLittle);
}
inline uint64_t LoadLe64(const std::byte* at) {
  return endian_internal::Load<uint64_t>(at, !endian_internal::kNativeIsLittle);
}
inline void StoreLe16(std::byte* at, uint16_t value) {
  endian_internal::Store(at, value, !endian_internal::kNativeIsLittle);
}
inline void StoreLe32(std::byte* at, uint32_t value) {
  endian_internal::Store(at, value, !endian_internal::kNativeIsLittle);
}
inline void StoreLe64(std::byte* at, uint64_t value) {
  endian_internal::Store(at, value, !endian_internal::kNativeIsLittle);
}

inline uint16_t LoadBe16(const std::byte* at) {
  return endian_internal::Load<uint16_t>(at, endian_internal::kNativeIsLittle);
}
inline uint32_t LoadBe32(const std::byte* at) {
  return endian_internal::Load<uint32_t>(at, endian_internal::kNativeIsLittle);
}
inline uint64_t LoadBe64(const std::byte* at) {
  return endian_internal::Load<uint64_t>(at, endian_internal::kNativeIsLittle);
}
inline void StoreBe16(std::byte* at, uint16_t value) {
  endian_internal::Store(at, value, endian_internal::kNativeIsLittle);
}
inline void StoreBe32(std::byte* at, uint32_t value) {
  endian_internal::Store(at, value, endian_internal::kNativeIsLittle);
}
inline void StoreBe64(std::byte* at, uint64_t value) {
  endian_internal::Store(at, value, endian_internal::kNativeIsLittle);
}

}  // namespace strata

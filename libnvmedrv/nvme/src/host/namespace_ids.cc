// SPDX-License-Identifier: Apache-2.0
#include "host/namespace_ids.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/endian.h"
#include "strata/base/hex.h"

namespace strata::nvme {

uint32_t BlockBytes(const IdentifyNamespace& space) {
  const uint8_t flbas = space.Get(IdentifyNamespace::kFormat);
  const size_t index = (flbas & 0xfu) | (flbas >> 5 & 3u) << 4;
  const uint32_t format = LoadLe32(&space.bytes[IdentifyNamespace::kFormat0.offset + 4 * index]);
  const uint32_t log2_bytes = format >> 16 & 0xff;
  if ((format & 0xffff) != 0 || log2_bytes < 9 || log2_bytes > 16) return 0;
  return 1u << log2_bytes;
}

NamespaceIds IdsOf(const IdentifyNamespace& space) {
  NamespaceIds ids;
  std::ranges::copy(space.Get(IdentifyNamespace::kNguid), ids.nguid.begin());
  std::ranges::copy(space.Get(IdentifyNamespace::kEui64), ids.eui64.begin());
  ids.block_size_bytes = BlockBytes(space);
  return ids;
}

namespace {

// One value of several; nothing where it is the same.
void Add(std::string* text, const char* what, const std::string& now, const std::string& before,
         const char* unit = "") {
  if (now == before) return;
  absl::StrAppend(text, text->empty() ? "" : ", ", what, now, unit, " instead of ", before);
}

}  // namespace

std::string DifferenceOf(const SubsystemIdentity& now, const SubsystemIdentity& before) {
  const auto quoted = [](const std::string& name) { return absl::StrCat("'", name, "'"); };
  std::string text;
  Add(&text, "NQN ", quoted(now.nqn), quoted(before.nqn));
  Add(&text, "serial number ", quoted(now.serial_number), quoted(before.serial_number));
  return text;
}

std::string DifferenceOf(const NamespaceIds& now, const NamespaceIds& before) {
  const auto hex = [](std::span<const std::byte> id) {
    return ToHex({reinterpret_cast<const char*>(id.data()), id.size()});
  };
  std::string text;
  Add(&text, "NGUID ", hex(now.nguid), hex(before.nguid));
  Add(&text, "EUI64 ", hex(now.eui64), hex(before.eui64));
  Add(&text, "UUID ", hex(now.uuid), hex(before.uuid));
  Add(&text, "blocks of ", absl::StrCat(now.block_size_bytes),
      absl::StrCat(before.block_size_bytes), " bytes");
  return text;
}

std::string OpenedNamespace::Compare(const NamespaceIds& now) {
  std::string difference = DifferenceOf(now, ids);
  MutexLock lock(&mutex_);
  const bool is_new = difference != difference_;
  difference_ = difference;
  is_other_.store(!difference.empty(), std::memory_order_release);
  return is_new ? difference : std::string();
}

std::string OpenedNamespace::difference() const {
  MutexLock lock(&mutex_);
  return difference_;
}

void TakeDescriptors(std::span<const std::byte> list, NamespaceIds* ids) {
  constexpr size_t kHeadBytes = NamespaceDescriptor::kSizeBytes;
  while (list.size() >= kHeadBytes) {
    const uint8_t kind = static_cast<uint8_t>(list[NamespaceDescriptor::kKind.offset]);
    const size_t length = static_cast<size_t>(list[NamespaceDescriptor::kLength.offset]);
    if (length == 0 || length > list.size() - kHeadBytes) return;
    if (kind == kDescriptorUuid && length == ids->uuid.size()) {
      std::ranges::copy(list.subspan(kHeadBytes, length), ids->uuid.begin());
    }
    list = list.subspan(kHeadBytes + length);
  }
}

}  // namespace strata::nvme

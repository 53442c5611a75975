// SPDX-License-Identifier: Apache-2.0
#include "host/namespace_ids.h"

#include <algorithm>

#include "strata/base/endian.h"

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

// SPDX-License-Identifier: Apache-2.0
//
// Which namespace it is that an NSID names. After a reset, or when the controller says that its
// namespaces changed, an NSID may name another one.
//
// Thread safety: values; an OpenedNamespace: any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "strata/nvme/wire/identify.h"

namespace strata::nvme {

struct NamespaceIds {
  std::array<std::byte, 16> nguid{};
  std::array<std::byte, 8> eui64{};
  std::array<std::byte, 16> uuid{};
  uint32_t block_size_bytes = 0;
  friend bool operator==(const NamespaceIds&, const NamespaceIds&) = default;
};

// Bytes of a block of the format in use, or 0 where it has metadata or a size that no host uses.
uint32_t BlockBytes(const IdentifyNamespace& space);
NamespaceIds IdsOf(const IdentifyNamespace& space);
// Takes the UUID out of a namespace descriptor list (Identify CNS 03h).
void TakeDescriptors(std::span<const std::byte> list, NamespaceIds* ids);

// A namespace that the host has opened.
struct OpenedNamespace {
  uint32_t nsid = 0;
  NamespaceIds ids{};
  // The NSID names another namespace now: nothing is read or written.
  std::atomic<bool> is_other{false};
};

}  // namespace strata::nvme

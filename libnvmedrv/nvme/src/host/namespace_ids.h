// SPDX-License-Identifier: Apache-2.0
//
// Which subsystem it is that answers, and which namespace it is that an NSID names. After a reset,
// or when the controller says that its namespaces changed, an NSID may name another one.
//
// Thread safety: values; an OpenedNamespace: any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/base/thread_annotations.h"
#include "strata/base/mutex.h"
#include "strata/nvme/wire/identify.h"

namespace strata::nvme {

struct SubsystemIdentity {
  std::string nqn;
  std::string serial_number;
};

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

// What differs, as "serial number 'B' instead of 'A'"; empty: nothing.
std::string DifferenceOf(const SubsystemIdentity& now, const SubsystemIdentity& before);
// As "NGUID 0a.. instead of 0b.., blocks of 512 bytes instead of 4096".
std::string DifferenceOf(const NamespaceIds& now, const NamespaceIds& before);

// A namespace that the host has opened.
class OpenedNamespace {
 public:
  OpenedNamespace(uint32_t nsid, const NamespaceIds& ids) : nsid(nsid), ids(ids) {}

  const uint32_t nsid;
  const NamespaceIds ids;

  // The NSID names another namespace now: nothing is read or written.
  bool is_other() const { return is_other_.load(std::memory_order_acquire); }
  // Compares with what the NSID names now. Returns what differs, where that is new.
  std::string Compare(const NamespaceIds& now) ABSL_LOCKS_EXCLUDED(mutex_);
  std::string difference() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  std::atomic<bool> is_other_{false};
  mutable Mutex mutex_;
  std::string difference_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::nvme

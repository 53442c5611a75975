// SPDX-License-Identifier: Apache-2.0
//
// Controller properties: registers of a PCIe function, properties over fabrics. NVM Express Base
// 2.1, section 3.1.4.
//
// Thread safety: values.
#pragma once

#include <cstdint>

namespace strata::nvme {

enum class Property : uint32_t {
  kCapabilities = 0x00,  // 8 bytes.
  kVersion = 0x08,       // 4 bytes, as the others.
  kConfiguration = 0x14,
  kStatus = 0x1c,
  kSubsystemReset = 0x20,
  kReadyTimeouts = 0x68,
};

// 8 or 4.
constexpr uint32_t PropertyBytes(Property property) {
  return property == Property::kCapabilities ? 8 : 4;
}

inline constexpr uint32_t kVersion21 = 0x00020100;  // 2.1.0.

// A part of a property: `width` bits from bit `shift` on.
struct BitRange {
  unsigned shift;
  unsigned width;
  constexpr uint64_t mask() const { return ((uint64_t{1} << width) - 1) << shift; }
  constexpr uint64_t Of(uint64_t value) const { return (value & mask()) >> shift; }
  constexpr uint64_t At(uint64_t part) const { return (part << shift) & mask(); }
};

namespace cap {
inline constexpr BitRange kMaxQueueEntries0based{0, 16};
inline constexpr BitRange kContiguousQueues{16, 1};
inline constexpr BitRange kTimeout500ms{24, 8};  // Longest wait for CSTS.RDY.
inline constexpr BitRange kDoorbellStride{32, 4};
inline constexpr BitRange kSubsystemReset{36, 1};
inline constexpr BitRange kCommandSets{37, 8};  // Bit 0: NVM; bit 6: those of Identify CNS 1Ch.
inline constexpr BitRange kPageSizeMin{48, 4};  // 2^(12 + n) bytes.
inline constexpr BitRange kPageSizeMax{52, 4};
inline constexpr BitRange kReadyModes{59, 2};
}  // namespace cap

namespace cc {
inline constexpr BitRange kEnable{0, 1};
inline constexpr BitRange kCommandSet{4, 3};  // 0: NVM; 6: all supported; 7: admin only.
inline constexpr BitRange kPageSize{7, 4};
inline constexpr BitRange kArbitration{11, 3};
inline constexpr BitRange kShutdown{14, 2};             // 1: normal; 2: abrupt.
inline constexpr BitRange kSubmissionEntrySize{16, 4};  // Powers of two: 6 and 4.
inline constexpr BitRange kCompletionEntrySize{20, 4};
}  // namespace cc

namespace csts {
inline constexpr BitRange kReady{0, 1};
inline constexpr BitRange kFatal{1, 1};
inline constexpr BitRange kShutdown{2, 2};  // 2: complete.
}  // namespace csts

}  // namespace strata::nvme

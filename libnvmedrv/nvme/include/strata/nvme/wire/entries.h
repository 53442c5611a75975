// SPDX-License-Identifier: Apache-2.0
//
// The two entries that everything in NVMe is made of, the descriptors of their data, and the
// numbers of commands. NVM Express Base 2.1: section 3.3.3 (queue entries), 4.3.2 (SGL); NVM
// Command Set 1.1, section 3.
//
// Thread safety: values.
#pragma once

#include <cstdint>

#include "strata/nvme/wire/record.h"

namespace strata::nvme {

inline constexpr uint32_t kAllNamespaces = 0xffffffff;

enum class AdminOpcode : uint8_t {
  kDeleteSubmissionQueue = 0x00,
  kCreateSubmissionQueue = 0x01,
  kGetLogPage = 0x02,
  kDeleteCompletionQueue = 0x04,
  kCreateCompletionQueue = 0x05,
  kIdentify = 0x06,
  kAbort = 0x08,
  kSetFeatures = 0x09,
  kGetFeatures = 0x0a,
  kAsyncEventRequest = 0x0c,
  kKeepAlive = 0x18,
};

enum class IoOpcode : uint8_t {
  kFlush = 0x00,
  kWrite = 0x01,
  kRead = 0x02,
  kCompare = 0x05,
  kWriteZeroes = 0x08,
  kDatasetManagement = 0x09,
  kVerify = 0x0c,
};

inline constexpr uint8_t kFabricsOpcode = 0x7f;  // On admin and I/O queues.

struct SubmissionEntry : Record<SubmissionEntry, 64> {
  static constexpr Field<uint8_t> kOpcode{0};
  static constexpr Field<uint8_t> kFlags{1};  // FUSE: bits 1:0; PSDT: bits 7:6.
  static constexpr Field<uint16_t> kCommandId{2};
  static constexpr Field<uint32_t> kNamespaceId{4};
  static constexpr Field<uint32_t> kDword2{8};
  static constexpr Field<uint32_t> kDword3{12};
  static constexpr Field<uint64_t> kMetadata{16};
  static constexpr Bytes<16> kData{24};  // An SglDescriptor, or PRP1 and PRP2.
  static constexpr Field<uint32_t> kDword10{40};
  static constexpr Field<uint32_t> kDword11{44};
  static constexpr Field<uint32_t> kDword12{48};
  static constexpr Field<uint32_t> kDword13{52};
  static constexpr Field<uint32_t> kDword14{56};
  static constexpr Field<uint32_t> kDword15{60};

  // Read, Write, Compare, Write Zeroes, Verify.
  static constexpr Field<uint64_t> kStartLba{40};      // Dwords 10 and 11.
  static constexpr Field<uint16_t> kBlocks0based{48};  // Dword 12, bits 15:0.
  static constexpr Field<uint16_t> kIoFlags{50};       // Dword 12, bits 31:16: kIo...

  uint8_t opcode() const { return Get(kOpcode); }
  uint16_t command_id() const { return Get(kCommandId); }
  uint32_t namespace_id() const { return Get(kNamespaceId); }
};

inline SubmissionEntry AdminEntry(AdminOpcode opcode, uint32_t nsid = 0, uint32_t dword10 = 0,
                                  uint32_t dword11 = 0) {
  SubmissionEntry entry;
  entry.Set(SubmissionEntry::kOpcode, static_cast<uint8_t>(opcode));
  entry.Set(SubmissionEntry::kNamespaceId, nsid);
  entry.Set(SubmissionEntry::kDword10, dword10);
  entry.Set(SubmissionEntry::kDword11, dword11);
  return entry;
}
static_assert(sizeof(SubmissionEntry) == 64);

inline constexpr uint8_t kFuseMask = 0x03;
inline constexpr uint8_t kPsdtMask = 0xc0;
inline constexpr uint8_t kPsdtSgl = 0x40;  // The data pointer is an SGL; metadata is one buffer.

// Bits of SubmissionEntry::kIoFlags.
inline constexpr uint16_t kIoLimitedRetry = 0x8000;
inline constexpr uint16_t kIoForceUnitAccess = 0x4000;
inline constexpr uint16_t kIoProtectionMask = 0x3c00;  // PRINFO.
inline constexpr uint16_t kIoDeallocate = 0x0200;      // Write Zeroes: DEAC.
inline constexpr uint16_t kIoStorageTagCheck = 0x0100;

struct CompletionEntry : Record<CompletionEntry, 16> {
  static constexpr Field<uint64_t> kResult{0};  // Dwords 0 and 1.
  static constexpr Field<uint32_t> kDword0{0};
  static constexpr Field<uint16_t> kQueueHead{8};
  static constexpr Field<uint16_t> kQueueId{10};
  static constexpr Field<uint16_t> kCommandId{12};
  static constexpr Field<uint16_t> kStatus{14};  // Bit 0: phase; above it Status::field().

  uint16_t command_id() const { return Get(kCommandId); }
};
static_assert(sizeof(CompletionEntry) == 16);

// Data block, and the fabrics' own: bits 7:4 of kKind are the type, bits 3:0 the subtype.
struct SglDescriptor : Record<SglDescriptor, 16> {
  static constexpr Field<uint64_t> kAddress{0};  // Or the offset in the capsule.
  static constexpr Field<uint32_t> kLength{8};
  static constexpr Field<uint8_t> kKind{15};
};
static_assert(sizeof(SglDescriptor) == 16);

inline constexpr uint8_t kSglDataBlock = 0x00;  // An address.
inline constexpr uint8_t kSglInCapsule = 0x01;  // Data block, subtype offset.
inline constexpr uint8_t kSglTransport = 0x5a;  // Transport data block: the transport moves it.
inline constexpr uint8_t kSglKeyedDataBlock = 0x40;  // RDMA.
inline constexpr uint8_t kSglSegment = 0x20;
inline constexpr uint8_t kSglLastSegment = 0x30;

// One range of a Dataset Management command.
struct DsmRange : Record<DsmRange, 16> {
  static constexpr Field<uint32_t> kAttributes{0};
  static constexpr Field<uint32_t> kBlockCount{4};
  static constexpr Field<uint64_t> kStartLba{8};
};
static_assert(sizeof(DsmRange) == 16);

inline constexpr uint32_t kDsmDeallocate = 0x4;  // Dword 11.
inline constexpr uint32_t kMostDsmRanges = 256;

}  // namespace strata::nvme

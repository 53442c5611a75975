// SPDX-License-Identifier: Apache-2.0
//
// Identify: which structures there are (CNS) and where their fields lie. NVM Express Base 2.1,
// section 5.1.13; NVM Command Set 1.1, section 4.1.5. Fields that Strata neither sets nor reads are
// not listed.
//
// Thread safety: values.
#pragma once

#include <cstdint>

#include "strata/nvme/wire/record.h"

namespace strata::nvme {

inline constexpr size_t kIdentifyBytes = 4096;

enum class Cns : uint8_t {
  kNamespace = 0x00,
  kController = 0x01,
  kActiveNamespaces = 0x02,
  kNamespaceDescriptors = 0x03,
  kCommandSetNamespace = 0x05,
  kCommandSetController = 0x06,
  kCommandSetActiveNamespaces = 0x07,
  kIndependentNamespace = 0x08,
  kAllocatedNamespaces = 0x10,
  kAllocatedNamespace = 0x11,
  kControllers = 0x13,
  kCommandSets = 0x1c,
};

enum class CommandSet : uint8_t { kNvm = 0x00 };

struct IdentifyController : Record<IdentifyController, kIdentifyBytes> {
  static constexpr Field<uint16_t> kVendorId{0};
  static constexpr Field<uint16_t> kSubsystemVendorId{2};
  static constexpr Bytes<20> kSerialNumber{4};
  static constexpr Bytes<40> kModelNumber{24};
  static constexpr Bytes<8> kFirmwareRevision{64};
  static constexpr Field<uint8_t> kArbitrationBurst{72};
  static constexpr Bytes<3> kOui{73};
  static constexpr Field<uint8_t> kMultipath{76};    // CMIC.
  static constexpr Field<uint8_t> kMaxTransfer{77};  // MDTS: 2^n pages of CAP.MPSMIN; 0: no limit.
  static constexpr Field<uint16_t> kControllerId{78};
  static constexpr Field<uint32_t> kVersion{80};
  static constexpr Field<uint32_t> kResumeLatencyUs{84};
  static constexpr Field<uint32_t> kShutdownLatencyUs{88};
  static constexpr Field<uint32_t> kAsyncEvents{92};  // OAES.
  static constexpr Field<uint32_t> kAttributes{96};   // CTRATT.
  static constexpr Field<uint8_t> kControllerType{111};
  static constexpr Field<uint16_t> kRetryDelay1{128};    // CRDT1, units of 100 ms.
  static constexpr Field<uint16_t> kAdminCommands{256};  // OACS.
  static constexpr Field<uint8_t> kAbortLimit0based{258};
  static constexpr Field<uint8_t> kAsyncEventLimit0based{259};
  static constexpr Field<uint8_t> kFirmwareUpdates{260};
  static constexpr Field<uint8_t> kLogPages{261};  // LPA.
  static constexpr Field<uint8_t> kErrorLogEntries0based{262};
  static constexpr Field<uint8_t> kPowerStates0based{263};
  static constexpr Field<uint16_t> kWarningTemperature{266};
  static constexpr Field<uint16_t> kCriticalTemperature{268};
  static constexpr Bytes<16> kTotalCapacity{280};
  static constexpr Field<uint16_t> kKeepAliveUnits{320};  // KAS, units of 100 ms.
  static constexpr Field<uint8_t> kSubmissionEntrySizes{512};
  static constexpr Field<uint8_t> kCompletionEntrySizes{513};
  static constexpr Field<uint16_t> kMaxCommands{514};
  static constexpr Field<uint32_t> kNamespaceCount{516};  // NN: the largest NSID.
  static constexpr Field<uint16_t> kIoCommands{520};      // ONCS.
  static constexpr Field<uint16_t> kFusedOperations{522};
  static constexpr Field<uint8_t> kFormatAttributes{524};
  static constexpr Field<uint8_t> kVolatileWriteCache{525};  // VWC.
  static constexpr Field<uint16_t> kAtomicWrite0based{526};
  static constexpr Field<uint16_t> kAtomicWritePowerFail0based{528};
  static constexpr Field<uint16_t> kAtomicCompareWrite0based{532};
  static constexpr Field<uint32_t> kSglSupport{536};
  static constexpr Field<uint32_t> kMaxAllowedNamespaces{540};
  static constexpr Bytes<256> kSubsystemNqn{768};
  // Fabrics alone.
  static constexpr Field<uint32_t> kCommandCapsuleUnits{1792};   // IOCCSZ, units of 16 bytes.
  static constexpr Field<uint32_t> kResponseCapsuleUnits{1796};  // IORCSZ.
  static constexpr Field<uint16_t> kInCapsuleOffset{1800};
  static constexpr Field<uint8_t> kFabricsAttributes{1802};
  static constexpr Field<uint8_t> kMaxSglDescriptors{1803};
  static constexpr Field<uint16_t> kFabricsCommands{1804};
  static constexpr Field<uint8_t> kDiscoveryType{1806};
};
static_assert(sizeof(IdentifyController) == kIdentifyBytes);

// Bits of IdentifyController::kIoCommands.
inline constexpr uint16_t kOncsCompare = 1 << 0;
inline constexpr uint16_t kOncsDatasetManagement = 1 << 2;
inline constexpr uint16_t kOncsWriteZeroes = 1 << 3;
inline constexpr uint16_t kOncsSaveAndSelect =
    1 << 4;  // The select field of Get Features, the save bit of Set Features.
inline constexpr uint16_t kOncsVerify = 1 << 7;

struct IdentifyNamespace : Record<IdentifyNamespace, kIdentifyBytes> {
  static constexpr Field<uint64_t> kSize{0};  // NSZE, blocks.
  static constexpr Field<uint64_t> kCapacity{8};
  static constexpr Field<uint64_t> kUtilisation{16};
  static constexpr Field<uint8_t> kFeatures{24};  // NSFEAT.
  static constexpr Field<uint8_t> kFormats0based{25};
  static constexpr Field<uint8_t> kFormat{26};      // FLBAS.
  static constexpr Field<uint8_t> kMultipath{30};   // NMIC.
  static constexpr Field<uint8_t> kDeallocate{33};  // DLFEAT.
  static constexpr Field<uint16_t> kAtomicWrite0based{34};
  static constexpr Field<uint16_t> kAtomicWritePowerFail0based{36};
  static constexpr Bytes<16> kNvmCapacity{48};  // Bytes.
  static constexpr Field<uint16_t> kWriteGranularity0based{64};
  static constexpr Field<uint16_t> kWriteAlignment0based{66};
  static constexpr Field<uint16_t> kDeallocateGranularity0based{68};
  static constexpr Field<uint16_t> kDeallocateAlignment0based{70};
  static constexpr Field<uint16_t> kOptimalWriteSize0based{72};
  static constexpr Field<uint32_t> kAnaGroup{92};
  static constexpr Field<uint8_t> kAttributes{99};  // NSATTR; bit 0: write protected.
  static constexpr Bytes<16> kNguid{104};
  static constexpr Bytes<8> kEui64{120};
  static constexpr Field<uint32_t> kFormat0{128};  // LBAF0: metadata 15:0, log2 of bytes 23:16.
};
static_assert(sizeof(IdentifyNamespace) == kIdentifyBytes);

struct IdentifyIndependentNamespace : Record<IdentifyIndependentNamespace, kIdentifyBytes> {
  static constexpr Field<uint8_t> kFeatures{0};
  static constexpr Field<uint8_t> kMultipath{1};
  static constexpr Field<uint32_t> kAnaGroup{4};
  static constexpr Field<uint8_t> kAttributes{8};
  static constexpr Field<uint8_t> kStatus{14};  // Bit 0: ready.
};
static_assert(sizeof(IdentifyIndependentNamespace) == kIdentifyBytes);

struct IdentifyNvmController : Record<IdentifyNvmController, kIdentifyBytes> {
  static constexpr Field<uint8_t> kVerifyLimit{0};       // As MDTS.
  static constexpr Field<uint8_t> kWriteZeroesLimit{1};  // As MDTS.
  static constexpr Field<uint8_t> kDsmRanges{3};
  static constexpr Field<uint32_t> kDsmRangeBlocks{4};
  static constexpr Field<uint64_t> kDsmBlocks{8};
};
static_assert(sizeof(IdentifyNvmController) == kIdentifyBytes);

// The head of each entry of a namespace descriptor list.
struct NamespaceDescriptor : Record<NamespaceDescriptor, 4> {
  static constexpr Field<uint8_t> kKind{0};
  static constexpr Field<uint8_t> kLength{1};
};
static_assert(sizeof(NamespaceDescriptor) == 4);

inline constexpr uint8_t kDescriptorEui64 = 1;
inline constexpr uint8_t kDescriptorNguid = 2;
inline constexpr uint8_t kDescriptorUuid = 3;
inline constexpr uint8_t kDescriptorCommandSet = 4;

}  // namespace strata::nvme

// SPDX-License-Identifier: Apache-2.0
//
// Commands that all fabrics share, and the discovery log. NVM Express Base 2.1, sections 5.1.12.3
// (discovery log) and 6 (fabrics commands).
//
// Thread safety: values.
#pragma once

#include <cstdint>

#include "strata/nvme/wire/record.h"

namespace strata::nvme {

inline constexpr size_t kMostNqnBytes = 223;  // Without the zero byte at its end.
inline constexpr char kDiscoveryNqn[] = "nqn.2014-08.org.nvmexpress.discovery";

enum class FabricsType : uint8_t {
  kPropertySet = 0x00,
  kConnect = 0x01,
  kPropertyGet = 0x04,
  kAuthenticationSend = 0x05,
  kAuthenticationReceive = 0x06,
  kDisconnect = 0x08,
};

// Views of the 64 bytes of a submission entry; kType says which.
struct FabricsCommand : Record<FabricsCommand, 64> {
  static constexpr Field<uint8_t> kOpcode{0};
  static constexpr Field<uint16_t> kCommandId{2};
  static constexpr Field<uint8_t> kType{4};

  // Connect.
  static constexpr Field<uint16_t> kRecordFormat{40};
  static constexpr Field<uint16_t> kQueueId{42};
  static constexpr Field<uint16_t> kQueueSize0based{44};
  static constexpr Field<uint8_t> kConnectAttributes{46};
  static constexpr Field<uint32_t> kKeepAliveMs{48};

  // Property Get and Property Set.
  static constexpr Field<uint8_t> kPropertyAttributes{40};  // Bits 2:0: 0 is 4 bytes, 1 is 8.
  static constexpr Field<uint32_t> kPropertyOffset{44};
  static constexpr Field<uint64_t> kPropertyValue{48};
};
static_assert(sizeof(FabricsCommand) == 64);

inline constexpr uint8_t kConnectNoFlowControl = 0x04;  // kConnectAttributes: SQ flow control off.
inline constexpr uint16_t kDynamicController = 0xffff;

struct ConnectData : Record<ConnectData, 1024> {
  static constexpr Bytes<16> kHostId{0};
  static constexpr Field<uint16_t> kControllerId{16};
  static constexpr Bytes<256> kSubsystemNqn{256};
  static constexpr Bytes<256> kHostNqn{512};
};
static_assert(sizeof(ConnectData) == 1024);

struct DiscoveryLogHeader : Record<DiscoveryLogHeader, 1024> {
  static constexpr Field<uint64_t> kGeneration{0};
  static constexpr Field<uint64_t> kRecordCount{8};
  static constexpr Field<uint16_t> kRecordFormat{16};
};
static_assert(sizeof(DiscoveryLogHeader) == 1024);

struct DiscoveryLogEntry : Record<DiscoveryLogEntry, 1024> {
  static constexpr Field<uint8_t> kTransportType{0};
  static constexpr Field<uint8_t> kAddressFamily{1};
  static constexpr Field<uint8_t> kSubsystemType{2};
  static constexpr Field<uint8_t> kTransportRequirements{3};
  static constexpr Field<uint16_t> kPortId{4};
  static constexpr Field<uint16_t> kControllerId{6};
  static constexpr Field<uint16_t> kAdminQueueSize{8};
  static constexpr Field<uint16_t> kFlags{10};
  static constexpr Bytes<32> kServiceId{32};
  static constexpr Bytes<256> kSubsystemNqn{256};
  static constexpr Bytes<256> kAddress{512};
  static constexpr Bytes<256> kTransportSpecific{768};
};
static_assert(sizeof(DiscoveryLogEntry) == 1024);

}  // namespace strata::nvme

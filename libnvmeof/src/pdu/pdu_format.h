// SPDX-License-Identifier: Apache-2.0
//
// The bytes of NVMe/TCP PDUs: types, offsets, sizes and flags. All integers are little-endian.
// Source: NVM Express TCP Transport Specification 1.0, section 3.6.2.
//
//   every PDU:   PDU-Type 0 | FLAGS 1 | HLEN 2 | PDO 3 | PLEN 4..7 | the type's own fields
//   then:        HDGST 4 bytes, with header digests | PAD up to PDO | DATA | DDGST 4 bytes,
//                with data digests
//
// HLEN covers the common header and the type's fields. PLEN covers everything. HDGST is the CRC-32C
// of the HLEN bytes, DDGST that of DATA alone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace strata::nvmeof {

enum class PduType : uint8_t {
  kInitRequest = 0x00,            // ICReq
  kInitResponse = 0x01,           // ICResp
  kHostTermRequest = 0x02,        // H2CTermReq
  kControllerTermRequest = 0x03,  // C2HTermReq
  kCommandCapsule = 0x04,         // CapsuleCmd
  kResponseCapsule = 0x05,        // CapsuleResp
  kHostData = 0x06,               // H2CData
  kControllerData = 0x07,         // C2HData
  kReadyToTransfer = 0x09,        // R2T
};

// The Fatal Error Status of H2CTermReq and C2HTermReq.
enum class FatalError : uint16_t {
  kNone = 0,
  kInvalidHeaderField = 0x01,    // FEI: offset of the field.
  kSequenceError = 0x02,         // FEI: 0.
  kHeaderDigestError = 0x03,     // FEI: the digest that was received.
  kDataOutOfRange = 0x04,        // FEI: 0.
  kDataLimitExceeded = 0x05,     // C2HTermReq. FEI: 0.
  kR2tLimitExceeded = 0x05,      // H2CTermReq. FEI: 0.
  kUnsupportedParameter = 0x06,  // FEI: offset of the field.
};

namespace pdu {

inline constexpr size_t kTypeOffset = 0;
inline constexpr size_t kFlagsOffset = 1;
inline constexpr size_t kHeaderLengthOffset = 2;
inline constexpr size_t kDataOffsetOffset = 3;
inline constexpr size_t kLengthOffset = 4;
inline constexpr size_t kCommonHeaderBytes = 8;
static_assert(kLengthOffset + sizeof(uint32_t) == kCommonHeaderBytes);

inline constexpr uint8_t kHeaderDigestFlag = 1 << 0;
inline constexpr uint8_t kDataDigestFlag = 1 << 1;
inline constexpr uint8_t kLastFlag = 1 << 2;     // H2CData, C2HData
inline constexpr uint8_t kSuccessFlag = 1 << 3;  // C2HData

// ICReq and ICResp.
inline constexpr size_t kInitVersionOffset = 8;     // PFV
inline constexpr size_t kInitAlignmentOffset = 10;  // HPDA or CPDA, dwords, 0's based
inline constexpr size_t kInitDigestOffset = 11;     // DGST: bit 0 header, bit 1 data
inline constexpr size_t kInitLimitOffset = 12;      // MAXR2T (0's based) or MAXH2CDATA (bytes)
inline constexpr size_t kInitReservedOffset = 16;
inline constexpr size_t kInitBytes = 128;
static_assert(kInitVersionOffset + sizeof(uint16_t) == kInitAlignmentOffset);
static_assert(kInitLimitOffset + sizeof(uint32_t) == kInitReservedOffset);
static_assert(kInitReservedOffset + 112 == kInitBytes);
inline constexpr uint8_t kInitHeaderDigest = 1 << 0;
inline constexpr uint8_t kInitDataDigest = 1 << 1;

// H2CTermReq and C2HTermReq. Their data is the header of the PDU that was in error.
inline constexpr size_t kTermErrorOffset = 8;         // FES
inline constexpr size_t kTermInformationOffset = 10;  // FEI, not aligned
inline constexpr size_t kTermReservedOffset = 14;
inline constexpr size_t kTermBytes = 24;
inline constexpr size_t kMaxTermDataBytes = 128;
inline constexpr size_t kMaxTermBytes = 152;
static_assert(kTermErrorOffset + sizeof(uint16_t) == kTermInformationOffset);
static_assert(kTermInformationOffset + sizeof(uint32_t) == kTermReservedOffset);
static_assert(kTermReservedOffset + 10 == kTermBytes);
static_assert(kTermBytes + kMaxTermDataBytes == kMaxTermBytes);

// CapsuleCmd and CapsuleResp.
inline constexpr size_t kEntryOffset = 8;
inline constexpr size_t kSubmissionEntryBytes = 64;
inline constexpr size_t kCompletionEntryBytes = 16;
inline constexpr size_t kCommandBytes = 72;
inline constexpr size_t kResponseBytes = 24;
static_assert(kEntryOffset + kSubmissionEntryBytes == kCommandBytes);
static_assert(kEntryOffset + kCompletionEntryBytes == kResponseBytes);

// H2CData, C2HData and R2T.
inline constexpr size_t kCommandIdOffset = 8;     // CCCID
inline constexpr size_t kTransferTagOffset = 10;  // TTAG; reserved in C2HData
inline constexpr size_t kTransferOffset = 12;     // DATAO or R2TO
inline constexpr size_t kTransferLength = 16;     // DATAL or R2TL
inline constexpr size_t kTransferReserved = 20;
inline constexpr size_t kTransferBytes = 24;
static_assert(kCommandIdOffset + sizeof(uint16_t) == kTransferTagOffset);
static_assert(kTransferTagOffset + sizeof(uint16_t) == kTransferOffset);
static_assert(kTransferOffset + sizeof(uint32_t) == kTransferLength);
static_assert(kTransferLength + sizeof(uint32_t) == kTransferReserved);
static_assert(kTransferReserved + sizeof(uint32_t) == kTransferBytes);

inline constexpr size_t kDigestBytes = 4;
inline constexpr size_t kMaxHeaderBytes = kInitBytes;  // The largest HLEN.
inline constexpr uint8_t kMaxAlignment0Based = 31;     // HPDA and CPDA: 128 bytes.
inline constexpr size_t kMaxHeadBytes = 128;           // Header, digest and padding.
static_assert(kCommandBytes + kDigestBytes <= kMaxHeadBytes);
inline constexpr uint32_t kMinMaxHostDataBytes = 4096;  // Smallest MAXH2CDATA.

}  // namespace pdu

// What ICReq and ICResp agree on for one direction.
struct PduSettings {
  bool header_digest = false;
  bool data_digest = false;
  uint8_t data_alignment_0based = 0;  // Dwords; PDO is a multiple of 4 * (this + 1).

  size_t data_alignment_bytes() const { return (size_t{data_alignment_0based} + 1) * 4; }
};

// Fields of ICReq and ICResp.
struct InitFields {
  uint16_t version = 0;               // PFV
  uint8_t data_alignment_0based = 0;  // HPDA or CPDA
  bool header_digest = false;
  bool data_digest = false;
  uint32_t limit = 0;  // ICReq: MAXR2T, 0's based. ICResp: MAXH2CDATA in bytes.
};

// Fields of H2CData, C2HData and R2T.
struct TransferFields {
  uint16_t command_id = 0;
  uint16_t transfer_tag = 0;  // Not in C2HData.
  uint32_t offset_bytes = 0;
  uint32_t length_bytes = 0;
};

// Fields of H2CTermReq and C2HTermReq; `error` may be a value that FatalError does not name.
struct TermFields {
  FatalError error = FatalError::kNone;
  uint32_t information = 0;
};

}  // namespace strata::nvmeof

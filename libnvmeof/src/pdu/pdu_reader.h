// SPDX-License-Identifier: Apache-2.0
//
// Takes a received byte stream apart into NVMe/TCP PDUs. The reader does no I/O and allocates
// nothing. Every split of the stream gives the same PDUs.
//
//   PduReader reader({.from_host = true, .max_capsule_data_bytes = 8192});
//   for (;;) {
//     switch (reader.Read(&input)) {
//       case PduEvent::kHeader:    Begin(reader.header()); break;
//       case PduEvent::kData:      Take(reader.data()); break;      // In place, inside `input`.
//       case PduEvent::kEnd:       Finish(reader.data_digest_ok()); break;
//       case PduEvent::kViolation: return Terminate(reader.violation());
//       case PduEvent::kNeedBytes: return;                          // `input` is empty.
//     }
//   }
//
// Each PDU gives kHeader once, kData as often as its data comes in pieces, and kEnd once. While
// data_left() is not 0, the owner may receive up to so many bytes straight into memory of its own
// and report them by DataLanded() instead of passing them through Read().
//
// Checks run in this order: type, sequence, lengths, offsets and flags against the type; the
// header digest; the type's own fields. The reader ignores reserved bits and fields. It does not
// know commands: the owner compares command ids, transfer tags and ranges with what is outstanding.
//
// Thread safety: none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "pdu/pdu_format.h"

namespace strata::nvmeof {

struct PduReaderOptions {
  bool from_host = true;                 // Reads PDUs of a host; false: of a controller.
  uint32_t max_capsule_data_bytes = 0;   // CapsuleCmd: most bytes of in-capsule data.
  uint32_t max_transfer_data_bytes = 0;  // H2CData, C2HData: most bytes of one PDU (MAXH2CDATA).
};

struct PduHeader {
  PduType type = PduType::kInitRequest;
  bool is_last = false;     // H2CData, C2HData
  bool is_success = false;  // C2HData
  uint32_t data_bytes = 0;
  InitFields init;                   // ICReq, ICResp
  TransferFields transfer;           // H2CData, C2HData, R2T
  TermFields term;                   // H2CTermReq, C2HTermReq
  std::span<const std::byte> entry;  // CapsuleCmd: 64 bytes, CapsuleResp: 16; else empty.
};

struct PduViolation {
  FatalError error = FatalError::kNone;  // FES
  uint32_t information = 0;              // FEI
  std::string_view what;                 // For people; lives for ever.
  bool is_answerable = true;             // False: a TermReq is broken, which no TermReq may answer.
};

enum class PduEvent { kNeedBytes, kHeader, kData, kEnd, kViolation };

class PduReader final {
 public:
  explicit PduReader(const PduReaderOptions& options);

  // Consumes bytes from the front of *input up to the next event. After kViolation the reader
  // consumes nothing and returns kViolation for ever.
  // REQUIRES: SetNegotiated() was called after the kEnd of an ICReq or ICResp.
  PduEvent Read(std::span<const std::byte>* input);

  // Begins the full feature phase with what the other side's PDUs will look like.
  // REQUIRES: an ICReq or ICResp has just ended; called once.
  void SetNegotiated(const PduSettings& settings);

  // The current PDU. Its `entry` lies in the reader. Valid from kHeader until the Read() after
  // kEnd.
  const PduHeader& header() const { return header_; }

  // The piece of data that the last kData brought; lies in the input of that Read().
  std::span<const std::byte> data() const { return data_; }

  // Bytes of the current PDU's data that have not come. 0 outside of data, and until a Read() has
  // consumed the padding before the data.
  uint32_t data_left() const { return stage_ == Stage::kData ? data_left_ : 0; }

  // Says that `bytes` were received elsewhere: they are the next bytes of the current PDU's data.
  // REQUIRES: bytes.size() <= data_left().
  void DataLanded(std::span<const std::byte> bytes);

  // At kEnd: false when the PDU had a data digest and it did not match.
  bool data_digest_ok() const { return data_digest_ok_; }

  // REQUIRES: Read() returned kViolation.
  const PduViolation& violation() const { return violation_; }

  // The header bytes that were received of the current PDU, without digest: data for a TermReq.
  std::span<const std::byte> header_bytes() const;

 private:
  enum class Stage {
    kCommon,
    kHeader,
    kPadding,
    kData,
    kDataDigest,
    kEnd,
    kViolation,
  };

  bool Collect(size_t target_bytes, std::span<const std::byte>* input);
  bool CheckCommon();
  bool CheckDataLayout(uint32_t fixed_bytes);
  bool CheckHeader();
  bool CheckInit();
  bool CheckTransfer();
  bool Fail(FatalError error, uint32_t information, std::string_view what);
  PduEvent ReadData(std::span<const std::byte>* input);
  bool ReadDigest(std::span<const std::byte>* input);
  void BeginPdu();

  const PduReaderOptions options_;
  PduSettings settings_;
  bool is_init_seen_ = false;
  bool is_negotiated_ = false;

  Stage stage_ = Stage::kCommon;
  PduHeader header_;
  std::array<std::byte, pdu::kMaxHeaderBytes + pdu::kDigestBytes> bytes_{};
  size_t collected_bytes_ = 0;
  size_t header_length_ = 0;  // HLEN of the current PDU, 0 before its check.
  bool has_header_digest_ = false;
  bool has_data_digest_ = false;
  size_t padding_left_ = 0;
  uint32_t data_left_ = 0;
  uint32_t data_crc_ = 0;
  std::array<std::byte, pdu::kDigestBytes> digest_{};
  size_t digest_collected_ = 0;
  bool data_digest_ok_ = true;
  std::span<const std::byte> data_;
  PduViolation violation_;
};

}  // namespace strata::nvmeof

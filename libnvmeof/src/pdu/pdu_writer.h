// SPDX-License-Identifier: Apache-2.0
//
// Writes NVMe/TCP PDUs into the caller's memory. A PDU is its head (header, header digest,
// padding), the caller's data where it lies, and its tail (data digest).
//
//   PduWriter writer({.header_digest = true, .data_digest = true});
//   const size_t head_bytes = writer.WriteControllerData(fields, flags, head);
//   const size_t tail_bytes = writer.WriteDataDigest(data, tail);
//   count = GatherPdu({head, head_bytes}, data, {tail, tail_bytes}, vectors);
//
// Each Write... returns the bytes that it wrote to the front of `head`. REQUIRES, throughout:
// `head` has HeadBytes() of that type; pdu::kMaxHeadBytes are enough for each but a TermReq. No
// function allocates. Pure functions of their arguments, safe from any thread.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "pdu/pdu_format.h"

namespace strata::nvmeof {

struct DataPduFlags {
  bool is_last = false;
  bool is_success = false;  // C2HData only, with is_last: no CapsuleResp follows.
};

class PduWriter final {
 public:
  // What was negotiated for this direction: `data_alignment_0based` is what the other side asked
  // for (HPDA when a controller writes, CPDA when a host writes).
  // REQUIRES: data_alignment_0based <= 31.
  explicit PduWriter(const PduSettings& settings);

  // Bytes of the head of such a PDU, with or without data.
  size_t HeadBytes(PduType type, bool has_data) const;

  // data_bytes: of in-capsule data, which follows the head.
  size_t WriteCommandCapsule(std::span<const std::byte, pdu::kSubmissionEntryBytes> entry,
                             uint32_t data_bytes, std::span<std::byte> head) const;
  size_t WriteResponseCapsule(std::span<const std::byte, pdu::kCompletionEntryBytes> entry,
                              std::span<std::byte> head) const;
  // fields.length_bytes bytes of data follow the head. REQUIRES: that is not 0.
  size_t WriteHostData(const TransferFields& fields, bool is_last, std::span<std::byte> head) const;
  size_t WriteControllerData(const TransferFields& fields, DataPduFlags flags,
                             std::span<std::byte> head) const;
  size_t WriteReadyToTransfer(const TransferFields& fields, std::span<std::byte> head) const;

  // Writes the digest over scattered data; returns 4, or 0 without data digests or without data.
  size_t WriteDataDigest(std::span<const iovec> data,
                         std::span<std::byte, pdu::kDigestBytes> tail) const;

 private:
  size_t Begin(PduType type, uint8_t flags, uint32_t data_bytes, std::span<std::byte> head) const;
  void WriteHeaderDigest(size_t header_length, std::span<std::byte> head) const;
  size_t WriteTransfer(PduType type, uint8_t flags, const TransferFields& fields,
                       std::span<std::byte> head) const;

  const PduSettings settings_;
};

// These come before, or without, negotiation. Each returns the bytes that it wrote.
size_t WriteInitRequest(const InitFields& fields, std::span<std::byte, pdu::kInitBytes> out);
size_t WriteInitResponse(const InitFields& fields, std::span<std::byte, pdu::kInitBytes> out);

// A C2HTermReq, or H2CTermReq with from_host. Carries at most 128 bytes of the header in error.
size_t WriteTermRequest(bool from_host, const TermFields& fields,
                        std::span<const std::byte> header_in_error,
                        std::span<std::byte, pdu::kMaxTermBytes> out);

// Lists the parts that are not empty, in order; returns how many.
// REQUIRES: `vectors` has room for data.size() + 2.
size_t GatherPdu(std::span<const std::byte> head, std::span<const iovec> data,
                 std::span<const std::byte> tail, std::span<iovec> vectors);

}  // namespace strata::nvmeof

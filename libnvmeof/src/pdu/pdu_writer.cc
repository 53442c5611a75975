// SPDX-License-Identifier: Apache-2.0
#include "pdu/pdu_writer.h"

#include <algorithm>
#include <cstring>

#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::nvmeof {
namespace {

size_t HeaderLength(PduType type) {
  switch (type) {
    case PduType::kInitRequest:
    case PduType::kInitResponse:
      return pdu::kInitBytes;
    case PduType::kHostTermRequest:
    case PduType::kControllerTermRequest:
      return pdu::kTermBytes;
    case PduType::kCommandCapsule:
      return pdu::kCommandBytes;
    case PduType::kResponseCapsule:
      return pdu::kResponseBytes;
    case PduType::kHostData:
    case PduType::kControllerData:
    case PduType::kReadyToTransfer:
      return pdu::kTransferBytes;
  }
  STRATA_CHECK(false, "PDU type");
}

bool HasDigests(PduType type) { return type >= PduType::kCommandCapsule; }

struct CommonFields {
  PduType type;
  uint8_t flags = 0;
  size_t data_offset = 0;
  size_t length = 0;
};

void WriteCommon(const CommonFields& fields, std::byte* out) {
  out[pdu::kTypeOffset] = static_cast<std::byte>(fields.type);
  out[pdu::kFlagsOffset] = static_cast<std::byte>(fields.flags);
  out[pdu::kHeaderLengthOffset] = static_cast<std::byte>(HeaderLength(fields.type));
  out[pdu::kDataOffsetOffset] = static_cast<std::byte>(fields.data_offset);
  StoreLe32(out + pdu::kLengthOffset, static_cast<uint32_t>(fields.length));
}

size_t WriteInit(PduType type, const InitFields& fields,
                 std::span<std::byte, pdu::kInitBytes> out) {
  STRATA_CHECK(fields.data_alignment_0based <= pdu::kMaxAlignment0Based, "data alignment");
  std::ranges::fill(out, std::byte{0});
  WriteCommon({.type = type, .length = pdu::kInitBytes}, out.data());
  StoreLe16(out.data() + pdu::kInitVersionOffset, fields.version);
  out[pdu::kInitAlignmentOffset] = static_cast<std::byte>(fields.data_alignment_0based);
  out[pdu::kInitDigestOffset] =
      static_cast<std::byte>((fields.header_digest ? pdu::kInitHeaderDigest : 0) |
                             (fields.data_digest ? pdu::kInitDataDigest : 0));
  StoreLe32(out.data() + pdu::kInitLimitOffset, fields.limit);
  return pdu::kInitBytes;
}

}  // namespace

PduWriter::PduWriter(const PduSettings& settings) : settings_(settings) {
  STRATA_CHECK(settings.data_alignment_0based <= pdu::kMaxAlignment0Based, "data alignment");
}

size_t PduWriter::HeadBytes(PduType type, bool has_data) const {
  const size_t size =
      HeaderLength(type) + (HasDigests(type) && settings_.header_digest ? pdu::kDigestBytes : 0);
  if (!has_data) return size;
  const size_t alignment = settings_.data_alignment_bytes();
  return (size + alignment - 1) / alignment * alignment;
}

// Writes the common header and zeroes the rest of the head; returns the bytes of the head.
size_t PduWriter::Begin(PduType type, uint8_t flags, uint32_t data_bytes,
                        std::span<std::byte> head) const {
  const bool has_data = data_bytes > 0;
  const size_t head_bytes = HeadBytes(type, has_data);
  STRATA_CHECK(head.size() >= head_bytes, "memory for a PDU's head");
  std::memset(head.data(), 0, head_bytes);
  if (settings_.header_digest) flags |= pdu::kHeaderDigestFlag;
  if (settings_.data_digest && has_data) flags |= pdu::kDataDigestFlag;
  const size_t length =
      head_bytes + data_bytes + (settings_.data_digest && has_data ? pdu::kDigestBytes : 0);
  STRATA_CHECK(length <= UINT32_MAX, "a PDU of 4 GiB");
  WriteCommon(
      {.type = type, .flags = flags, .data_offset = has_data ? head_bytes : 0, .length = length},
      head.data());
  return head_bytes;
}

void PduWriter::WriteHeaderDigest(size_t header_length, std::span<std::byte> head) const {
  if (!settings_.header_digest) return;
  StoreLe32(head.data() + header_length, Crc32c(head.first(header_length)));
}

size_t PduWriter::WriteCommandCapsule(std::span<const std::byte, pdu::kSubmissionEntryBytes> entry,
                                      uint32_t data_bytes, std::span<std::byte> head) const {
  const size_t head_bytes = Begin(PduType::kCommandCapsule, 0, data_bytes, head);
  std::memcpy(head.data() + pdu::kEntryOffset, entry.data(), entry.size());
  WriteHeaderDigest(pdu::kCommandBytes, head);
  return head_bytes;
}

size_t PduWriter::WriteResponseCapsule(std::span<const std::byte, pdu::kCompletionEntryBytes> entry,
                                       std::span<std::byte> head) const {
  const size_t head_bytes = Begin(PduType::kResponseCapsule, 0, 0, head);
  std::memcpy(head.data() + pdu::kEntryOffset, entry.data(), entry.size());
  WriteHeaderDigest(pdu::kResponseBytes, head);
  return head_bytes;
}

size_t PduWriter::WriteTransfer(PduType type, uint8_t flags, const TransferFields& fields,
                                std::span<std::byte> head) const {
  const bool has_data = type != PduType::kReadyToTransfer;
  const size_t head_bytes = Begin(type, flags, has_data ? fields.length_bytes : 0, head);
  StoreLe16(head.data() + pdu::kCommandIdOffset, fields.command_id);
  if (type != PduType::kControllerData) {
    StoreLe16(head.data() + pdu::kTransferTagOffset, fields.transfer_tag);
  }
  StoreLe32(head.data() + pdu::kTransferOffset, fields.offset_bytes);
  StoreLe32(head.data() + pdu::kTransferLength, fields.length_bytes);
  WriteHeaderDigest(pdu::kTransferBytes, head);
  return head_bytes;
}

size_t PduWriter::WriteHostData(const TransferFields& fields, bool is_last,
                                std::span<std::byte> head) const {
  STRATA_CHECK(fields.length_bytes > 0, "H2CData without data");
  return WriteTransfer(PduType::kHostData, is_last ? pdu::kLastFlag : 0, fields, head);
}

size_t PduWriter::WriteControllerData(const TransferFields& fields, DataPduFlags flags,
                                      std::span<std::byte> head) const {
  STRATA_CHECK(fields.length_bytes > 0, "C2HData without data");
  STRATA_CHECK(flags.is_last || !flags.is_success, "SUCCESS without LAST_PDU");
  const int bits =
      (flags.is_last ? pdu::kLastFlag : 0) | (flags.is_success ? pdu::kSuccessFlag : 0);
  return WriteTransfer(PduType::kControllerData, static_cast<uint8_t>(bits), fields, head);
}

size_t PduWriter::WriteReadyToTransfer(const TransferFields& fields,
                                       std::span<std::byte> head) const {
  return WriteTransfer(PduType::kReadyToTransfer, 0, fields, head);
}

size_t PduWriter::WriteDataDigest(std::span<const iovec> data,
                                  std::span<std::byte, pdu::kDigestBytes> tail) const {
  if (!settings_.data_digest) return 0;
  uint32_t crc = 0;
  size_t size_bytes = 0;
  for (const iovec& piece : data) {
    crc = ExtendCrc32c(crc, {static_cast<const std::byte*>(piece.iov_base), piece.iov_len});
    size_bytes += piece.iov_len;
  }
  if (size_bytes == 0) return 0;
  StoreLe32(tail.data(), crc);
  return pdu::kDigestBytes;
}

size_t WriteInitRequest(const InitFields& fields, std::span<std::byte, pdu::kInitBytes> out) {
  return WriteInit(PduType::kInitRequest, fields, out);
}

size_t WriteInitResponse(const InitFields& fields, std::span<std::byte, pdu::kInitBytes> out) {
  return WriteInit(PduType::kInitResponse, fields, out);
}

size_t WriteTermRequest(bool from_host, const TermFields& fields,
                        std::span<const std::byte> header_in_error,
                        std::span<std::byte, pdu::kMaxTermBytes> out) {
  const auto data = header_in_error.first(std::min(header_in_error.size(), pdu::kMaxTermDataBytes));
  const size_t length = pdu::kTermBytes + data.size();
  std::ranges::fill(out, std::byte{0});
  WriteCommon({.type = from_host ? PduType::kHostTermRequest : PduType::kControllerTermRequest,
               .length = length},
              out.data());
  StoreLe16(out.data() + pdu::kTermErrorOffset, static_cast<uint16_t>(fields.error));
  StoreLe32(out.data() + pdu::kTermInformationOffset, fields.information);
  std::ranges::copy(data, out.data() + pdu::kTermBytes);
  return length;
}

size_t GatherPdu(std::span<const std::byte> head, std::span<const iovec> data,
                 std::span<const std::byte> tail, std::span<iovec> vectors) {
  STRATA_CHECK(vectors.size() >= data.size() + 2, "room for a PDU's parts");
  size_t count = 0;
  const auto add = [&](const void* base, size_t size_bytes) {
    if (size_bytes > 0) vectors[count++] = {const_cast<void*>(base), size_bytes};
  };
  add(head.data(), head.size());
  for (const iovec& piece : data) add(piece.iov_base, piece.iov_len);
  add(tail.data(), tail.size());
  return count;
}

}  // namespace strata::nvmeof

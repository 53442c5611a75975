// SPDX-License-Identifier: Apache-2.0
#include "pdu/pdu_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::nvmeof {
namespace {

enum class Payload { kNone, kOptional, kRequired, kTerm };

struct Shape {
  PduType type;
  uint8_t header_length;
  bool from_host;
  bool has_digests;
  Payload payload;
};

constexpr Shape kShapes[] = {
    {PduType::kInitRequest, pdu::kInitBytes, true, false, Payload::kNone},
    {PduType::kInitResponse, pdu::kInitBytes, false, false, Payload::kNone},
    {PduType::kHostTermRequest, pdu::kTermBytes, true, false, Payload::kTerm},
    {PduType::kControllerTermRequest, pdu::kTermBytes, false, false, Payload::kTerm},
    {PduType::kCommandCapsule, pdu::kCommandBytes, true, true, Payload::kOptional},
    {PduType::kResponseCapsule, pdu::kResponseBytes, false, true, Payload::kNone},
    {PduType::kHostData, pdu::kTransferBytes, true, true, Payload::kRequired},
    {PduType::kControllerData, pdu::kTransferBytes, false, true, Payload::kRequired},
    {PduType::kReadyToTransfer, pdu::kTransferBytes, false, true, Payload::kNone},
};

const Shape* FindShape(std::byte type) {
  for (const Shape& shape : kShapes) {
    if (static_cast<std::byte>(shape.type) == type) return &shape;
  }
  return nullptr;
}

bool IsInit(PduType type) {
  return type == PduType::kInitRequest || type == PduType::kInitResponse;
}

bool IsTerm(PduType type) {
  return type == PduType::kHostTermRequest || type == PduType::kControllerTermRequest;
}

}  // namespace

PduReader::PduReader(const PduReaderOptions& options) : options_(options) {}

void PduReader::SetNegotiated(const PduSettings& settings) {
  STRATA_CHECK(is_init_seen_ && !is_negotiated_, "negotiated without an ICReq or ICResp, or twice");
  STRATA_CHECK(settings.data_alignment_0based <= pdu::kMaxAlignment0Based, "data alignment");
  settings_ = settings;
  is_negotiated_ = true;
}

PduEvent PduReader::Read(std::span<const std::byte>* input) {
  for (;;) {
    switch (stage_) {
      case Stage::kCommon:
        if (!Collect(pdu::kCommonHeaderBytes, input)) return PduEvent::kNeedBytes;
        if (!CheckCommon()) return PduEvent::kViolation;
        stage_ = Stage::kHeader;
        break;
      case Stage::kHeader:
        if (!Collect(header_length_ + (has_header_digest_ ? pdu::kDigestBytes : 0), input)) {
          return PduEvent::kNeedBytes;
        }
        if (!CheckHeader()) return PduEvent::kViolation;
        stage_ = padding_left_ > 0 ? Stage::kPadding : Stage::kData;
        return PduEvent::kHeader;
      case Stage::kPadding: {
        const size_t size = std::min(padding_left_, input->size());
        *input = input->subspan(size);
        padding_left_ -= size;
        if (padding_left_ > 0) return PduEvent::kNeedBytes;
        stage_ = Stage::kData;
        break;
      }
      case Stage::kData:
        if (data_left_ > 0) return ReadData(input);
        stage_ = Stage::kDataDigest;
        break;
      case Stage::kDataDigest:
        if (!ReadDigest(input)) return PduEvent::kNeedBytes;
        stage_ = Stage::kEnd;
        return PduEvent::kEnd;
      case Stage::kEnd:
        BeginPdu();
        break;
      case Stage::kViolation:
        return PduEvent::kViolation;
    }
  }
}

void PduReader::DataLanded(std::span<const std::byte> bytes) {
  STRATA_CHECK(bytes.size() <= data_left(), "more data than the PDU has");
  if (has_data_digest_) data_crc_ = ExtendCrc32c(data_crc_, bytes);
  data_left_ -= static_cast<uint32_t>(bytes.size());
}

std::span<const std::byte> PduReader::header_bytes() const {
  const size_t length = header_length_ > 0 ? header_length_ : pdu::kCommonHeaderBytes;
  return std::span(bytes_).first(std::min(collected_bytes_, length));
}

void PduReader::BeginPdu() {
  STRATA_CHECK(is_negotiated_ || !is_init_seen_, "SetNegotiated() after ICReq or ICResp");
  collected_bytes_ = 0;
  header_length_ = 0;
  stage_ = Stage::kCommon;
}

// False: the input ended before the header had target_bytes.
bool PduReader::Collect(size_t target_bytes, std::span<const std::byte>* input) {
  const size_t size = std::min(target_bytes - collected_bytes_, input->size());
  if (size > 0) std::memcpy(bytes_.data() + collected_bytes_, input->data(), size);
  collected_bytes_ += size;
  *input = input->subspan(size);
  return collected_bytes_ == target_bytes;
}

bool PduReader::Fail(FatalError error, uint32_t information, std::string_view what) {
  violation_ = {.error = error,
                .information = information,
                .what = what,
                .is_answerable = !IsTerm(static_cast<PduType>(bytes_[pdu::kTypeOffset]))};
  stage_ = Stage::kViolation;
  return false;
}

bool PduReader::CheckCommon() {
  const Shape* shape = FindShape(bytes_[pdu::kTypeOffset]);
  if (shape == nullptr) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kTypeOffset, "the PDU type is unknown");
  }
  if (shape->from_host != options_.from_host) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kTypeOffset,
                "the PDU type belongs to the other direction");
  }
  if (!is_negotiated_ && !IsInit(shape->type) && !IsTerm(shape->type)) {
    return Fail(FatalError::kSequenceError, 0, "a PDU came before the connection was initialized");
  }
  if (is_negotiated_ && IsInit(shape->type)) {
    return Fail(FatalError::kSequenceError, 0, "the connection is initialized already");
  }
  if (static_cast<uint8_t>(bytes_[pdu::kHeaderLengthOffset]) != shape->header_length) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kHeaderLengthOffset,
                "HLEN does not fit the PDU type");
  }
  const uint8_t flags = static_cast<uint8_t>(bytes_[pdu::kFlagsOffset]);
  has_header_digest_ = shape->has_digests && settings_.header_digest;
  if (shape->has_digests && ((flags & pdu::kHeaderDigestFlag) != 0) != has_header_digest_) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kFlagsOffset,
                "HDGSTF differs from what was negotiated");
  }
  header_ = {
      .type = shape->type,
      .is_last = shape->payload == Payload::kRequired && (flags & pdu::kLastFlag) != 0,
      .is_success = shape->type == PduType::kControllerData && (flags & pdu::kSuccessFlag) != 0,
      .data_bytes = 0,
      .init = {},
      .transfer = {},
      .term = {},
      .entry = {}};
  header_length_ = shape->header_length;
  has_data_digest_ = false;
  padding_left_ = 0;
  data_left_ = 0;
  data_crc_ = 0;
  digest_collected_ = 0;
  data_digest_ok_ = true;

  const uint32_t length = LoadLe32(bytes_.data() + pdu::kLengthOffset);
  const uint32_t fixed_bytes =
      static_cast<uint32_t>(header_length_ + (has_header_digest_ ? pdu::kDigestBytes : 0));
  switch (shape->payload) {
    case Payload::kNone:
      return length == fixed_bytes || Fail(FatalError::kInvalidHeaderField, pdu::kLengthOffset,
                                           "PLEN does not fit the PDU type");
    case Payload::kTerm:
      if (length < fixed_bytes || length > pdu::kMaxTermBytes) {
        return Fail(FatalError::kInvalidHeaderField, pdu::kLengthOffset,
                    "PLEN of a TermReq is not in 24..152");
      }
      header_.data_bytes = data_left_ = length - fixed_bytes;
      return true;
    case Payload::kOptional:
    case Payload::kRequired:
      return CheckDataLayout(fixed_bytes);
  }
  return true;
}

bool PduReader::CheckDataLayout(uint32_t fixed_bytes) {
  const uint32_t length = LoadLe32(bytes_.data() + pdu::kLengthOffset);
  const uint8_t flags = static_cast<uint8_t>(bytes_[pdu::kFlagsOffset]);
  const bool has_digest_flag = (flags & pdu::kDataDigestFlag) != 0;
  if (length < fixed_bytes) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kLengthOffset, "PLEN ends in the header");
  }
  if (length == fixed_bytes) {
    if (header_.type != PduType::kCommandCapsule) {
      return Fail(FatalError::kInvalidHeaderField, pdu::kLengthOffset, "a data PDU has no data");
    }
    if (has_digest_flag) {
      return Fail(FatalError::kInvalidHeaderField, pdu::kFlagsOffset,
                  "DDGSTF is set in a capsule without data");
    }
    return true;
  }
  if (has_digest_flag != settings_.data_digest) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kFlagsOffset,
                "DDGSTF differs from what was negotiated");
  }
  const uint32_t data_offset = static_cast<uint8_t>(bytes_[pdu::kDataOffsetOffset]);
  if (data_offset < fixed_bytes) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kDataOffsetOffset, "PDO lies in the header");
  }
  if (data_offset % settings_.data_alignment_bytes() != 0) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kDataOffsetOffset,
                "PDO is not aligned as was negotiated");
  }
  has_data_digest_ = settings_.data_digest;
  const uint32_t around_bytes =
      data_offset + (has_data_digest_ ? static_cast<uint32_t>(pdu::kDigestBytes) : 0);
  if (length <= around_bytes) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kLengthOffset, "PLEN leaves no data");
  }
  header_.data_bytes = data_left_ = length - around_bytes;
  padding_left_ = data_offset - fixed_bytes;
  if (header_.type == PduType::kCommandCapsule) {
    return data_left_ <= options_.max_capsule_data_bytes ||
           Fail(FatalError::kInvalidHeaderField, pdu::kLengthOffset,
                "a capsule is longer than the limit");
  }
  if (data_left_ <= options_.max_transfer_data_bytes) return true;
  return header_.type == PduType::kHostData
             ? Fail(FatalError::kDataLimitExceeded, 0, "H2CData is longer than MAXH2CDATA")
             : Fail(FatalError::kInvalidHeaderField, pdu::kLengthOffset,
                    "C2HData is longer than the limit");
}

bool PduReader::CheckHeader() {
  if (has_header_digest_) {
    const uint32_t received = LoadLe32(bytes_.data() + header_length_);
    if (received != Crc32c(std::span(bytes_).first(header_length_))) {
      return Fail(FatalError::kHeaderDigestError, received, "the header digest does not match");
    }
  }
  switch (header_.type) {
    case PduType::kInitRequest:
    case PduType::kInitResponse:
      return CheckInit();
    case PduType::kHostTermRequest:
    case PduType::kControllerTermRequest:
      header_.term = {
          .error = static_cast<FatalError>(LoadLe16(bytes_.data() + pdu::kTermErrorOffset)),
          .information = LoadLe32(bytes_.data() + pdu::kTermInformationOffset)};
      return true;
    case PduType::kCommandCapsule:
      header_.entry = std::span(bytes_).subspan(pdu::kEntryOffset, pdu::kSubmissionEntryBytes);
      return true;
    case PduType::kResponseCapsule:
      header_.entry = std::span(bytes_).subspan(pdu::kEntryOffset, pdu::kCompletionEntryBytes);
      return true;
    case PduType::kHostData:
    case PduType::kControllerData:
    case PduType::kReadyToTransfer:
      return CheckTransfer();
  }
  return true;
}

bool PduReader::CheckInit() {
  const uint8_t digests = static_cast<uint8_t>(bytes_[pdu::kInitDigestOffset]);
  header_.init = {.version = LoadLe16(bytes_.data() + pdu::kInitVersionOffset),
                  .data_alignment_0based = static_cast<uint8_t>(bytes_[pdu::kInitAlignmentOffset]),
                  .header_digest = (digests & pdu::kInitHeaderDigest) != 0,
                  .data_digest = (digests & pdu::kInitDataDigest) != 0,
                  .limit = LoadLe32(bytes_.data() + pdu::kInitLimitOffset)};
  if (header_.init.version != 0) {
    return Fail(FatalError::kUnsupportedParameter, pdu::kInitVersionOffset,
                "the PDU format version (PFV) is not 0");
  }
  if (header_.init.data_alignment_0based > pdu::kMaxAlignment0Based) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kInitAlignmentOffset,
                "the data alignment (HPDA, CPDA) is above 31");
  }
  if (header_.type == PduType::kInitResponse &&
      (header_.init.limit < pdu::kMinMaxHostDataBytes || header_.init.limit % 4 != 0)) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kInitLimitOffset,
                "MAXH2CDATA is below 4096 or no multiple of 4");
  }
  is_init_seen_ = true;
  return true;
}

bool PduReader::CheckTransfer() {
  TransferFields& transfer = header_.transfer;
  transfer = {.command_id = LoadLe16(bytes_.data() + pdu::kCommandIdOffset),
              .transfer_tag = LoadLe16(bytes_.data() + pdu::kTransferTagOffset),
              .offset_bytes = LoadLe32(bytes_.data() + pdu::kTransferOffset),
              .length_bytes = LoadLe32(bytes_.data() + pdu::kTransferLength)};
  if (header_.is_success && !header_.is_last) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kFlagsOffset,
                "SUCCESS is set without LAST_PDU");
  }
  if (transfer.offset_bytes % 4 != 0) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kTransferOffset,
                "DATAO or R2TO is no multiple of 4");
  }
  if (header_.type == PduType::kReadyToTransfer) {
    if (transfer.length_bytes == 0) {
      return Fail(FatalError::kInvalidHeaderField, pdu::kTransferLength, "R2TL is 0");
    }
  } else if (transfer.length_bytes != header_.data_bytes) {
    return Fail(FatalError::kInvalidHeaderField, pdu::kTransferLength,
                "DATAL differs from the data that PLEN gives");
  }
  if (transfer.length_bytes > std::numeric_limits<uint32_t>::max() - transfer.offset_bytes) {
    return Fail(FatalError::kDataOutOfRange, 0, "the transfer ends beyond 4 GiB");
  }
  return true;
}

PduEvent PduReader::ReadData(std::span<const std::byte>* input) {
  if (input->empty()) return PduEvent::kNeedBytes;
  data_ = input->first(std::min<size_t>(data_left_, input->size()));
  *input = input->subspan(data_.size());
  DataLanded(data_);
  return PduEvent::kData;
}

// False: the input ended before the digest.
bool PduReader::ReadDigest(std::span<const std::byte>* input) {
  if (!has_data_digest_) return true;
  const size_t size = std::min(pdu::kDigestBytes - digest_collected_, input->size());
  if (size > 0) std::memcpy(digest_.data() + digest_collected_, input->data(), size);
  digest_collected_ += size;
  *input = input->subspan(size);
  if (digest_collected_ < pdu::kDigestBytes) return false;
  data_digest_ok_ = LoadLe32(digest_.data()) == data_crc_;
  return true;
}

}  // namespace strata::nvmeof

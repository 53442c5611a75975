// SPDX-License-Identifier: Apache-2.0
//
// A byte stream from a hostile peer. Input: one byte of settings (bit 0 from a host, 1 header
// digest, 2 data digest, 3 aligned to 16 bytes, 4 the digests are repaired), one byte of piece
// size, then the stream. The reader sees the same PDUs in one piece and in pieces, whether data
// goes through it or around it, and hands out no PDU beyond its limits.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "pdu/pdu_reader.h"
#include "strata/base/check.h"
#include "strata/base/crc32c.h"
#include "strata/base/endian.h"

namespace strata::nvmeof {
namespace {

constexpr uint32_t kCapsuleLimit = 512;
constexpr uint32_t kTransferLimit = 1024;

struct Outcome {
  std::vector<uint64_t> log;  // One word or more for each event.
};

void Note(Outcome* outcome, const PduReader& reader) {
  const PduHeader& header = reader.header();
  const bool is_command = header.type == PduType::kCommandCapsule;
  const bool is_term =
      header.type == PduType::kHostTermRequest || header.type == PduType::kControllerTermRequest;
  STRATA_CHECK(header.data_bytes <= (is_command ? kCapsuleLimit
                                     : is_term  ? pdu::kMaxTermDataBytes
                                                : kTransferLimit),
               "data beyond the limit");
  STRATA_CHECK(uint64_t{header.transfer.offset_bytes} + header.transfer.length_bytes <= UINT32_MAX,
               "a transfer beyond 4 GiB");
  outcome->log.push_back(static_cast<uint64_t>(header.type) << 32 | header.data_bytes);
  outcome->log.push_back(uint64_t{header.transfer.command_id} << 48 |
                         uint64_t{header.transfer.offset_bytes} << 16 |
                         header.transfer.transfer_tag);
  outcome->log.push_back(Crc32c(header.entry));
}

Outcome ReadAll(const PduReaderOptions& options, const PduSettings& settings,
                std::span<const std::byte> stream, size_t piece_bytes, bool lands) {
  PduReader reader(options);
  Outcome outcome;
  uint32_t data_crc = 0;
  bool is_negotiated = false;
  while (!stream.empty()) {
    auto piece = stream.first(std::min(piece_bytes, stream.size()));
    stream = stream.subspan(piece.size());
    if (lands) {
      const auto landed = piece.first(std::min<size_t>(piece.size(), reader.data_left()));
      reader.DataLanded(landed);
      data_crc = ExtendCrc32c(data_crc, landed);
      piece = piece.subspan(landed.size());
    }
    for (PduEvent event = reader.Read(&piece); event != PduEvent::kNeedBytes;
         event = reader.Read(&piece)) {
      switch (event) {
        case PduEvent::kNeedBytes:
          break;
        case PduEvent::kHeader:
          Note(&outcome, reader);
          data_crc = 0;
          break;
        case PduEvent::kData:
          data_crc = ExtendCrc32c(data_crc, reader.data());
          break;
        case PduEvent::kEnd:
          outcome.log.push_back(uint64_t{data_crc} << 1 | (reader.data_digest_ok() ? 1 : 0));
          if (!is_negotiated && (reader.header().type == PduType::kInitRequest ||
                                 reader.header().type == PduType::kInitResponse)) {
            reader.SetNegotiated(settings);
            is_negotiated = true;
          }
          break;
        case PduEvent::kViolation: {
          const PduViolation& violation = reader.violation();
          STRATA_CHECK(violation.error != FatalError::kNone && !violation.what.empty(),
                       "a violation without a name");
          STRATA_CHECK(reader.header_bytes().size() <= pdu::kMaxTermDataBytes, "header in error");
          outcome.log.push_back(uint64_t{static_cast<uint16_t>(violation.error)} << 32 |
                                violation.information);
          return outcome;
        }
      }
    }
    STRATA_CHECK(piece.empty(), "bytes were left without an event");
  }
  return outcome;
}

// Puts the right header digest where the header says that one lies, so that inputs get past it.
void RepairDigests(std::vector<std::byte>* stream) {
  for (size_t at = 0; at + 8 <= stream->size();) {
    std::byte* header = stream->data() + at;
    const size_t length = LoadLe32(header + pdu::kLengthOffset);
    const size_t header_length = static_cast<size_t>(header[pdu::kHeaderLengthOffset]);
    if (length < 8 || length > stream->size() - at) return;
    if (header_length + 4 <= length && header_length > 0 && header_length < 128) {
      StoreLe32(header + header_length, Crc32c({header, header_length}));
    }
    at += length;
  }
}

void Run(std::span<const uint8_t> input) {
  if (input.size() < 2) return;
  const uint8_t choice = input[0];
  const size_t piece_bytes = size_t{input[1]} + 1;
  input = input.subspan(2);
  std::vector<std::byte> stream(input.size());
  std::ranges::transform(input, stream.begin(), [](uint8_t byte) { return std::byte{byte}; });
  const PduReaderOptions options = {.from_host = (choice & 1) != 0,
                                    .max_capsule_data_bytes = kCapsuleLimit,
                                    .max_transfer_data_bytes = kTransferLimit};
  const PduSettings settings = {.header_digest = (choice & 2) != 0,
                                .data_digest = (choice & 4) != 0,
                                .data_alignment_0based = uint8_t((choice & 8) != 0 ? 3 : 0)};
  if ((choice & 16) != 0) RepairDigests(&stream);
  const Outcome whole = ReadAll(options, settings, stream, stream.size(), false);
  for (const bool lands : {false, true}) {
    STRATA_CHECK(ReadAll(options, settings, stream, piece_bytes, lands).log == whole.log,
                 "pieces read differently");
  }
}

}  // namespace
}  // namespace strata::nvmeof

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::nvmeof::Run({data, size});
  return 0;
}

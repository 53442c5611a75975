// SPDX-License-Identifier: Apache-2.0
//
// One command of a host on its way through the target: its data, the device model's command, and
// the PDUs that answer it. Workers keep operations for further use, so that a command costs no
// allocation.
//
// Thread safety: its worker's thread.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "link/link.h"
#include "pdu/pdu_format.h"
#include "strata/block/device.h"
#include "strata/nvme/device_queue.h"

namespace strata::nvmeof {

class Connection;
struct Association;

enum class OperationStage : uint8_t {
  kReceiving,       // Its capsule is being received.
  kWaitsForMemory,  // In the worker's list.
  kAwaitsData,      // An R2T is outstanding; its transfer tag names it.
  kAtDevice,
  kReplied,
};

struct Operation {
  nvme::Command command;
  Connection* connection = nullptr;
  OperationStage stage = OperationStage::kReceiving;

  // Of the capsule.
  nvme::Status refusal{};  // Not OK: the command is answered so, and its data is dropped.
  bool is_connect = false;
  bool is_disconnect = false;
  uint32_t capsule_bytes = 0;  // Data in the capsule.

  // The data, in memory of the pool.
  nvme::DataDirection direction = nvme::DataDirection::kNone;
  uint32_t data_bytes = 0;
  uint32_t received_bytes = 0;
  size_t segment_count = 0;            // 0: no memory was taken.
  Association* association = nullptr;  // On whose account the memory is.
  bool is_data_digest_wrong = false;
  uint16_t transfer_tag = 0;
  int64_t asked_ns = 0;  // When the R2T was sent.

  // What is sent. An R2T is on its way at most once, and always before the reply.
  SendRequest r2t_send;
  std::array<iovec, 1> r2t_vector{};
  std::array<std::byte, pdu::kTransferBytes + pdu::kDigestBytes> r2t{};
  SendRequest reply_send;
  std::array<std::byte, pdu::kMaxHeadBytes> data_head{};
  std::array<std::byte, pdu::kDigestBytes> data_tail{};
  std::array<std::byte, pdu::kResponseBytes + pdu::kDigestBytes> response{};

  std::vector<block::Segment> segments;
  std::vector<iovec> vectors;
  Operation* next = nullptr;  // In a list of the worker's.

  std::span<const block::Segment> data() const { return {segments.data(), segment_count}; }

  // Where the next `size_bytes` of data belong, piece by piece, until `take` returns false.
  template <typename Take>
  void EachMissingPiece(size_t size_bytes, Take take) const {
    size_t skip = received_bytes;
    for (const block::Segment& segment : data()) {
      if (size_bytes == 0) return;
      if (skip >= segment.size_bytes) {
        skip -= segment.size_bytes;
        continue;
      }
      const size_t size = std::min(segment.size_bytes - skip, size_bytes);
      if (!take(std::span<std::byte>(segment.data + skip, size))) return;
      size_bytes -= size;
      skip = 0;
    }
  }
};

}  // namespace strata::nvmeof

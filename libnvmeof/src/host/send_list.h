// SPDX-License-Identifier: Apache-2.0
//
// PDUs that wait to be sent, in order. A PDU lies in three places: its head and tail here, its data
// in the caller's segments, from which the kernel takes it. Nothing is allocated.
//
// Thread safety: none.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pdu/pdu_format.h"
#include "strata/block/device.h"

namespace strata::nvmeof {

// A place in a scatter list, so that walking it takes no search.
struct SegmentCursor {
  std::span<const block::Segment> segments{};
  size_t index = 0;
  size_t offset_bytes = 0;  // In that segment.

  static SegmentCursor At(std::span<const block::Segment> segments, size_t offset_bytes);
  void Advance(size_t size_bytes);
  // Calls piece(data, size) for the next size_bytes, piece by piece, until it returns false.
  // REQUIRES: there are so many bytes.
  template <typename Piece>
  void Each(size_t size_bytes, Piece piece) const {
    size_t offset = offset_bytes;
    for (size_t i = index; size_bytes > 0; ++i, offset = 0) {
      const size_t size = segments[i].size_bytes - offset < size_bytes
                              ? segments[i].size_bytes - offset
                              : size_bytes;
      if (size > 0 && !piece(segments[i].data + offset, size)) return;
      size_bytes -= size;
    }
  }
};

struct OutgoingPdu {
  OutgoingPdu* next = nullptr;
  bool is_listed = false;
  uint8_t head_bytes = 0;
  uint8_t tail_bytes = 0;
  uint32_t data_bytes = 0;
  SegmentCursor data{};
  std::array<std::byte, pdu::kDigestBytes> tail{};
  std::array<std::byte, pdu::kMaxHeadBytes> head{};

  size_t size_bytes() const { return size_t{head_bytes} + data_bytes + tail_bytes; }
};

class SendList final {
 public:
  bool empty() const { return first_ == nullptr; }
  // The first PDU has begun to leave.
  bool is_cut() const { return sent_bytes_ > 0; }

  // REQUIRES: *pdu is not in the list. It stays unchanged until TakeSent() returns it.
  void Append(OutgoingPdu* pdu);
  // Lists what is unsent of the first `most_pdus`, as far as there is room; returns how many.
  size_t Gather(std::span<iovec> vectors, size_t most_pdus) const;
  // Counts bytes as sent.
  void Add(size_t sent_bytes) { sent_bytes_ += sent_bytes; }
  // Takes a PDU whose last byte was sent off the list; null: there is none.
  OutgoingPdu* TakeSent();

 private:
  OutgoingPdu* first_ = nullptr;
  OutgoingPdu* last_ = nullptr;
  size_t sent_bytes_ = 0;  // From the start of the first on.
};

}  // namespace strata::nvmeof

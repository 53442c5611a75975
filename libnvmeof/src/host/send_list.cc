// SPDX-License-Identifier: Apache-2.0
#include "host/send_list.h"

#include "strata/base/check.h"

namespace strata::nvmeof {

SegmentCursor SegmentCursor::At(std::span<const block::Segment> segments, size_t offset_bytes) {
  SegmentCursor cursor{.segments = segments};
  cursor.Advance(offset_bytes);
  return cursor;
}

void SegmentCursor::Advance(size_t size_bytes) {
  offset_bytes += size_bytes;
  while (index < segments.size() && offset_bytes >= segments[index].size_bytes) {
    offset_bytes -= segments[index++].size_bytes;
  }
}

void SendList::Append(OutgoingPdu* pdu) {
  STRATA_CHECK(!pdu->is_listed, "a PDU is sent while it is sent");
  pdu->is_listed = true;
  pdu->next = nullptr;
  (first_ == nullptr ? first_ : last_->next) = pdu;
  last_ = pdu;
}

size_t SendList::Gather(std::span<iovec> vectors, size_t most_pdus) const {
  size_t count = 0;
  size_t skip = sent_bytes_;
  const auto add = [&](const std::byte* data, size_t size) {
    if (skip >= size) {
      skip -= size;
      return true;
    }
    if (count == vectors.size()) return false;
    vectors[count++] = {const_cast<std::byte*>(data) + skip, size - skip};
    skip = 0;
    return true;
  };
  for (const OutgoingPdu* pdu = first_; pdu != nullptr && most_pdus > 0; pdu = pdu->next) {
    add(pdu->head.data(), pdu->head_bytes);
    pdu->data.Each(pdu->data_bytes, add);
    add(pdu->tail.data(), pdu->tail_bytes);
    if (count == vectors.size()) break;
    --most_pdus;
  }
  return count;
}

OutgoingPdu* SendList::TakeSent() {
  if (first_ == nullptr || sent_bytes_ < first_->size_bytes()) return nullptr;
  OutgoingPdu* pdu = first_;
  sent_bytes_ -= pdu->size_bytes();
  first_ = pdu->next;
  pdu->is_listed = false;
  return pdu;
}

}  // namespace strata::nvmeof

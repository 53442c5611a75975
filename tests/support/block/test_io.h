// SPDX-License-Identifier: Apache-2.0
//
// Small pieces for tests that drive a Channel by hand: a request that counts its completions, and
// random block content.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "strata/base/random.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/block/device.h"

namespace strata::block {

// One request with its own segments. Keep it in place while it is in flight.
struct TestIo {
  TestIo() {
    request.done = [](Request* r) { ++static_cast<TestIo*>(r->context)->done_count; };
    request.context = this;
  }
  TestIo(Op op, Lba lba, uint32_t block_count, std::vector<Segment> pieces = {}) : TestIo() {
    request.op = op;
    request.lba = lba;
    request.block_count = block_count;
    segments = std::move(pieces);
    request.segments = segments;
  }
  TestIo(const TestIo&) = delete;
  TestIo& operator=(const TestIo&) = delete;

  Request request;
  std::vector<Segment> segments;
  int done_count = 0;
};

inline Segment Whole(const Buffer& buffer) { return {buffer.data(), buffer.size()}; }

inline Segment Piece(const Buffer& buffer, size_t offset_bytes, size_t size_bytes) {
  return {buffer.data() + offset_bytes, size_bytes};
}

// Polls until nothing is in flight. A channel that never completes runs into the test's time limit.
inline void Drain(Channel& channel) {
  while (channel.in_flight() > 0) channel.Poll(64);
}

// Submits and waits; the status of submission or of completion.
inline absl::Status RunIo(Channel& channel, TestIo& io) {
  absl::Status submitted = channel.Submit(&io.request);
  if (!submitted.ok()) return submitted;
  while (io.done_count == 0) channel.Poll(64);
  return io.request.status;
}

inline Buffer RandomBuffer(Random& random, size_t size_bytes) {
  Buffer buffer(size_bytes);
  random.Fill(buffer.span());
  return buffer;
}

inline bool SameBytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

inline bool AllZero(std::span<const std::byte> bytes) {
  for (const std::byte b : bytes) {
    if (b != std::byte{0}) return false;
  }
  return true;
}

}  // namespace strata::block

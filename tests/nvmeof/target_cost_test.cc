// SPDX-License-Identifier: Apache-2.0
//
// What a command costs the target, counted: no allocation, and few socket calls.
#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "support/counted_allocations.h"
#include "support/nvmeof/target_rig.h"

namespace strata::nvmeof {
namespace {

using nvme::IoOpcode;

// The bytes of a host that keeps `depth` commands of 4 KiB under way, and how many bytes answer it.
struct Load {
  std::vector<std::byte> requests;
  size_t answer_bytes = 0;
};

Load MakeLoad(const PduWriter& writer, IoOpcode opcode, uint32_t depth, bool data_digest) {
  constexpr uint32_t kBytes = 4096;
  Load load;
  const std::vector<std::byte> data(kBytes, std::byte{0x11});
  for (uint32_t i = 0; i < depth; ++i) {
    const bool is_write = opcode == IoOpcode::kWrite;
    const auto entry =
        MakeBlocksEntry(opcode, static_cast<uint16_t>(i), 1, uint64_t{8} * i, 8, kBytes, is_write);
    std::array<std::byte, pdu::kMaxHeadBytes> head;
    const size_t size = writer.WriteCommandCapsule(entry.bytes, is_write ? kBytes : 0, head);
    load.requests.insert(load.requests.end(), head.begin(),
                         head.begin() + static_cast<ptrdiff_t>(size));
    const size_t digest = data_digest ? 4 : 0;
    if (is_write) {
      load.requests.insert(load.requests.end(), data.begin(), data.end());
      const iovec vector{const_cast<std::byte*>(data.data()), data.size()};
      std::array<std::byte, pdu::kDigestBytes> tail;
      const size_t tail_size = writer.WriteDataDigest({&vector, 1}, tail);
      load.requests.insert(load.requests.end(), tail.begin(),
                           tail.begin() + static_cast<ptrdiff_t>(tail_size));
    } else {
      load.answer_bytes += pdu::kTransferBytes + digest + kBytes + digest;
    }
    load.answer_bytes += pdu::kResponseBytes + digest;
  }
  return load;
}

void Exchange(RawHost& host, const Load& load, std::span<std::byte> scratch) {
  host.SendBytes(load.requests);
  for (size_t left = load.answer_bytes; left > 0;) {
    const ssize_t got = recv(host.fd(), scratch.data(), std::min(left, scratch.size()), 0);
    if (got > 0) {
      left -= static_cast<size_t>(got);
    } else {
      pollfd readable{host.fd(), POLLIN, 0};
      if (poll(&readable, 1, 20'000) <= 0) throw std::runtime_error("no answer");
    }
  }
}

TEST_CASE("commands allocate nothing and share socket calls") {
  const LinkEngine engine = GENERATE(LinkEngine::kEpoll, LinkEngine::kUring);
  const bool digests = GENERATE(false, true);
  TargetRig rig({.engine = engine});
  TargetRig::Host host(rig.endpoint, {.header_digest = digests, .data_digest = digests},
                       {.queue_entries = 256});
  std::vector<std::byte> scratch(1u << 20);
  for (const uint32_t depth : {32u, 128u}) {
    for (const IoOpcode opcode : {IoOpcode::kRead, IoOpcode::kWrite}) {
      const Load load = MakeLoad(host.io.writer(), opcode, depth, digests);
      for (int i = 0; i < 20; ++i) Exchange(host.io, load, scratch);
      const TargetStatistics before = rig.target->statistics();
      const uint64_t allocations = allocation_count.load();
      constexpr int kRounds = 200;
      for (int i = 0; i < kRounds; ++i) Exchange(host.io, load, scratch);
      const uint64_t allocated = allocation_count.load() - allocations;
      const TargetStatistics after = rig.target->statistics();
      const double commands = kRounds * static_cast<double>(depth);
      const double calls =
          static_cast<double>(after.sends - before.sends + after.receives - before.receives);
      INFO("depth " << depth << (opcode == IoOpcode::kRead ? ", reads" : ", writes")
                    << (digests ? ", digests" : ""));
      CHECK(allocated == 0);
      // A quiet machine needs 0.02 to 0.2; bench/bars/nvme.py has the bars.
      CHECK(calls / commands <= 1.0);
    }
  }
}

}  // namespace
}  // namespace strata::nvmeof

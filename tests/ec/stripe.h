// SPDX-License-Identifier: Apache-2.0
//
// A stripe of random shards in memory of its own, at odd addresses, for tests of erasure codes.
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "strata/base/random.h"
#include "strata/ec/code.h"

namespace strata::ec {

class Stripe {
 public:
  // Data shards are random, parity shards zero. Shard i lies at an address that is `misalignment`
  // * i modulo 64.
  Stripe(const Code& code, size_t size_bytes, Random& random, size_t misalignment = 1)
      : data_count_(static_cast<size_t>(code.data_shards())), size_bytes_(size_bytes) {
    for (int i = 0; i < code.total_shards(); ++i) {
      memory_.emplace_back(size_bytes + 128);
      const auto address = reinterpret_cast<uintptr_t>(memory_.back().data());
      starts_.push_back((64 - address % 64) % 64 + misalignment * static_cast<size_t>(i) % 64);
    }
    for (const Bytes shard : data()) random.Fill(shard);
  }

  Bytes shard(size_t i) { return Bytes(memory_[i]).subspan(starts_[i], size_bytes_); }
  std::vector<Bytes> all() { return Range(0, memory_.size()); }
  std::vector<Bytes> data() { return Range(0, data_count_); }
  std::vector<Bytes> parity() { return Range(data_count_, memory_.size()); }
  std::vector<ConstBytes> const_data() { return Const(data()); }
  std::vector<ConstBytes> const_parity() { return Const(parity()); }

  // A copy of the shards' bytes.
  std::vector<std::vector<std::byte>> Copy() {
    std::vector<std::vector<std::byte>> copy;
    for (const Bytes shard : all()) copy.emplace_back(shard.begin(), shard.end());
    return copy;
  }

  // Overwrites the shards that are not `present` with a pattern.
  void Lose(const ShardSet& present) {
    for (size_t i = 0; i < memory_.size(); ++i) {
      if (!present[i] && size_bytes_ > 0) std::memset(shard(i).data(), 0xEE, size_bytes_);
    }
  }

  static std::vector<ConstBytes> Const(const std::vector<Bytes>& shards) {
    return {shards.begin(), shards.end()};
  }

 private:
  std::vector<Bytes> Range(size_t begin, size_t end) {
    std::vector<Bytes> shards;
    for (size_t i = begin; i < end; ++i) shards.push_back(shard(i));
    return shards;
  }

  const size_t data_count_;
  const size_t size_bytes_;
  std::vector<std::vector<std::byte>> memory_;
  std::vector<size_t> starts_;
};

}  // namespace strata::ec

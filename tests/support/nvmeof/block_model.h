// SPDX-License-Identifier: Apache-2.0
//
// Random reads and writes on a device, and a model of what each block may hold: no write may be
// lost, doubled or land in another place, whatever happens to the device's connections.
//
//   BlockModel model(*device, seed);
//   model.Run(1000, [&](int i) { if (i % 100 == 99) CutTheLink(); });
//   model.CheckAll();
//
// A write that was acknowledged is what its block holds. One that failed may have been carried out
// or not, until a read shows which; what was seen once stays.
//
// Thread safety: none.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "strata/base/random.h"
#include "strata/block/buffer.h"
#include "strata/block/device.h"

namespace strata::nvmeof {

class BlockModel final {
 public:
  static constexpr uint32_t kBlockBytes = 4096;

  // Uses all blocks of the device, which are of kBlockBytes and zero. The device outlives it.
  explicit BlockModel(block::Device& device, uint64_t seed);
  ~BlockModel();

  // Runs so many requests, with `disturb` called before each with its number.
  void Run(int requests, const std::function<void(int)>& disturb);
  // Every block holds one of what it may hold.
  void CheckAll();

  uint64_t written() const { return written_; }
  uint64_t unknown() const { return unknown_; }  // Writes that failed.
  uint64_t read() const { return read_; }

 private:
  static constexpr uint32_t kDepth = 16;

  struct Slot;

  Slot* Free();
  void Begin(Slot* slot);
  void End(Slot* slot);
  void CheckRead(uint64_t block, const block::Buffer& buffer);

  Random random_;
  const uint64_t block_count_;
  std::unique_ptr<block::Channel> channel_;
  std::vector<Slot> slots_;
  std::vector<std::set<uint64_t>> possible_;  // The stamps of eight bytes that may fill the block.
  std::vector<bool> is_busy_;
  uint64_t last_stamp_ = 0;
  uint64_t written_ = 0;
  uint64_t unknown_ = 0;
  uint64_t read_ = 0;
};

}  // namespace strata::nvmeof

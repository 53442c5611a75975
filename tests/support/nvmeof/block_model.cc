// SPDX-License-Identifier: Apache-2.0
#include "support/nvmeof/block_model.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "strata/base/endian.h"
#include "strata/block/blocking.h"
#include "support/nvmeof/target_rig.h"

namespace strata::nvmeof {

using block::Buffer;
using block::Lba;
using block::Op;

struct BlockModel::Slot {
  BlockModel* model = nullptr;
  Buffer buffer;
  block::Segment segment;
  block::Request request;
  uint64_t stamp = 0;
  bool is_used = false;
};

BlockModel::BlockModel(block::Device& device, uint64_t seed)
    : random_(seed),
      block_count_(device.geometry().block_count),
      channel_(*device.OpenChannel({.queue_depth = kDepth})),
      slots_(kDepth) {
  possible_.resize(block_count_, {0});
  is_busy_.resize(block_count_, false);
  for (Slot& slot : slots_) {
    slot.model = this;
    slot.buffer = Buffer(kBlockBytes);
  }
}

BlockModel::~BlockModel() = default;

void BlockModel::Run(int requests, const std::function<void(int)>& disturb) {
  for (int i = 0; i < requests; ++i) {
    disturb(i);
    Slot* slot = nullptr;
    while ((slot = Free()) == nullptr) PollOrSleep(*channel_);
    Begin(slot);
    if (random_.Chance(0.5)) channel_->Poll(8);
  }
  while (channel_->in_flight() > 0) PollOrSleep(*channel_);
}

void BlockModel::CheckAll() {
  Buffer buffer(kBlockBytes);
  for (uint64_t block = 0; block < block_count_; ++block) {
    absl::Status status;
    REQUIRE(TargetRig::Soon([&] {
      status = ReadBlocking(*channel_, Lba{block}, buffer.span());
      return status.ok();
    }));
    CheckRead(block, buffer);
  }
}

BlockModel::Slot* BlockModel::Free() {
  for (Slot& slot : slots_) {
    if (!slot.is_used) return &slot;
  }
  return nullptr;
}

void BlockModel::Begin(Slot* slot) {
  uint64_t block = random_.Uniform(block_count_);
  while (is_busy_[block]) block = (block + 1) % block_count_;
  is_busy_[block] = true;
  slot->is_used = true;
  slot->segment = {slot->buffer.data(), kBlockBytes};
  const bool writes = random_.Chance(0.6);
  if (writes) {
    slot->stamp = ++last_stamp_;
    for (size_t at = 0; at < kBlockBytes; at += 8) {
      StoreLe64(slot->buffer.data() + at, slot->stamp);
    }
    possible_[block].insert(slot->stamp);
  } else {
    std::fill_n(slot->buffer.data(), kBlockBytes, std::byte{0xee});
  }
  slot->request = {.op = writes ? Op::kWrite : Op::kRead,
                   .lba = Lba{block},
                   .block_count = 1,
                   .segments = {&slot->segment, 1},
                   .done =
                       [](block::Request* request) {
                         Slot* ended = static_cast<Slot*>(request->context);
                         ended->model->End(ended);
                       },
                   .context = slot};
  REQUIRE(channel_->Submit(&slot->request).ok());
}

void BlockModel::End(Slot* slot) {
  const uint64_t block = slot->request.lba.value;
  slot->is_used = false;
  is_busy_[block] = false;
  const absl::Status& status = slot->request.status;
  if (!status.ok() && !absl::IsUnavailable(status)) FAIL_CHECK(status);
  if (slot->request.op == Op::kRead) {
    if (status.ok()) CheckRead(block, slot->buffer);
  } else if (status.ok()) {
    possible_[block] = {slot->stamp};
    ++written_;
  } else {
    ++unknown_;
  }
}

void BlockModel::CheckRead(uint64_t block, const Buffer& buffer) {
  ++read_;
  const uint64_t stamp = LoadLe64(buffer.data());
  for (size_t at = 0; at < kBlockBytes; at += 8) {
    if (LoadLe64(buffer.data() + at) == stamp) continue;
    FAIL_CHECK("block " << block << " is torn at byte " << at);
    return;
  }
  if (!possible_[block].contains(stamp)) {
    FAIL_CHECK("block " << block << " holds " << stamp << ", and might hold "
                        << possible_[block].size() << " others, the least "
                        << *possible_[block].begin());
  }
  possible_[block] = {stamp};
}

}  // namespace strata::nvmeof

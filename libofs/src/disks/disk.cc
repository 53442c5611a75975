// SPDX-License-Identifier: Apache-2.0
#include "disks/disk.h"

#include "absl/strings/str_cat.h"

namespace strata::ofs {
namespace {

constexpr size_t kMaxIdleChannels = 16;
constexpr uint32_t kQueueDepth = 64;

std::string NameOf(uint32_t number, const std::string& uri, const block::Device& device) {
  return absl::StrCat("disk ", number, " (", uri.empty() ? device.name() : uri, ")");
}

}  // namespace

std::string_view DiskFaultName(DiskFault fault) {
  switch (fault) {
    case DiskFault::kRead:
      return "read error";
    case DiskFault::kWrite:
      return "write error";
    case DiskFault::kFlush:
      return "flush error";
    case DiskFault::kChecksum:
      return "wrong checksum";
    case DiskFault::kHead:
      return "wrong stripe head";
  }
  return "unknown";
}

Disk::Disk(std::unique_ptr<block::Device> device, std::string uri, Superblock superblock)
    : device_(std::move(device)),
      uri_(std::move(uri)),
      superblock_(std::move(superblock)),
      name_(NameOf(superblock_.disk_number, uri_, *device_)) {}

absl::StatusOr<std::unique_ptr<block::Channel>> Disk::Borrow() {
  {
    MutexLock lock(&mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<block::Channel> channel = std::move(idle_.back());
      idle_.pop_back();
      return channel;
    }
  }
  return device_->OpenChannel({.queue_depth = kQueueDepth});
}

void Disk::GiveBack(std::unique_ptr<block::Channel> channel) {
  MutexLock lock(&mutex_);
  if (idle_.size() < kMaxIdleChannels) idle_.push_back(std::move(channel));
}

uint64_t Disk::fault_count() const {
  uint64_t sum = 0;
  for (const std::atomic<uint64_t>& count : faults_) sum += count.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace strata::ofs

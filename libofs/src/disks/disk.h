// SPDX-License-Identifier: Apache-2.0
//
// A disk of the filesystem that is open: its device, what its superblock says, and what went wrong
// with it.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "format/superblock.h"
#include "strata/base/mutex.h"
#include "strata/block/device.h"

namespace strata::ofs {

// What can go wrong with a disk; each is counted.
enum class DiskFault : uint8_t {
  kRead,      // The device refused to read.
  kWrite,     // Or to write.
  kFlush,     // Or to flush.
  kChecksum,  // The bytes are not what was written.
  kHead,      // A stripe head is damaged, or another stripe's: a lost or misdirected write.
};
inline constexpr size_t kDiskFaults = 5;
std::string_view DiskFaultName(DiskFault fault);

class Disk final {
 public:
  // `uri` is where the device came from, or empty.
  Disk(std::unique_ptr<block::Device> device, std::string uri, Superblock superblock);

  uint32_t number() const { return superblock_.disk_number; }
  const Superblock& superblock() const { return superblock_; }
  const std::string& uri() const { return uri_; }
  block::Device& device() const { return *device_; }
  // "disk 3 (file:/srv/disk3)", for messages.
  const std::string& name() const { return name_; }

  uint64_t SegmentOffset(uint32_t segment) const {
    return kHeadAreaBytes + uint64_t{segment} * superblock_.segment_bytes;
  }

  // Lends a channel that nobody else uses; GiveBack() takes it when nothing is in flight.
  absl::StatusOr<std::unique_ptr<block::Channel>> Borrow();
  void GiveBack(std::unique_ptr<block::Channel> channel);

  void Count(DiskFault fault) {
    faults_[static_cast<size_t>(fault)].fetch_add(1, std::memory_order_relaxed);
  }
  uint64_t fault_count(DiskFault fault) const {
    return faults_[static_cast<size_t>(fault)].load(std::memory_order_relaxed);
  }
  uint64_t fault_count() const;

  // A disk that failed to write or flush gets no new stripes until it is opened again: after a
  // failed flush nobody knows what it holds.
  void StopWriting() { writable_.store(false, std::memory_order_relaxed); }
  bool writable() const { return writable_.load(std::memory_order_relaxed); }

  // Reads under way, by which a reader chooses among copies.
  std::atomic<uint32_t>& load() { return load_; }

 private:
  const std::unique_ptr<block::Device> device_;
  const std::string uri_;
  const Superblock superblock_;
  const std::string name_;
  std::atomic<uint64_t> faults_[kDiskFaults] = {};
  std::atomic<bool> writable_{true};
  std::atomic<uint32_t> load_{0};
  Mutex mutex_;
  std::vector<std::unique_ptr<block::Channel>> idle_ ABSL_GUARDED_BY(mutex_);
};

// The open disks, by number. A disk that is not open is not here.
class DiskSet final {
 public:
  explicit DiskSet(std::vector<std::shared_ptr<Disk>> disks) {
    for (std::shared_ptr<Disk>& disk : disks) disks_[disk->number()] = std::move(disk);
  }
  std::shared_ptr<Disk> Find(uint32_t number) const {
    MutexLock lock(&mutex_);
    const auto it = disks_.find(number);
    return it == disks_.end() ? nullptr : it->second;
  }
  std::vector<std::shared_ptr<Disk>> All() const {
    MutexLock lock(&mutex_);
    std::vector<std::shared_ptr<Disk>> all;
    for (const auto& [number, disk] : disks_) all.push_back(disk);
    return all;
  }
  void Add(std::shared_ptr<Disk> disk) {
    MutexLock lock(&mutex_);
    disks_[disk->number()] = std::move(disk);
  }
  // Those who use the disk at the moment keep it until they are done.
  void Remove(uint32_t number) {
    MutexLock lock(&mutex_);
    disks_.erase(number);
  }

 private:
  mutable Mutex mutex_;
  std::map<uint32_t, std::shared_ptr<Disk>> disks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace strata::ofs

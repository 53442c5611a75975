// SPDX-License-Identifier: Apache-2.0
//
// A disk that fails on demand. It keeps what was flushed apart from what was only written, so that
// a power cut can be played: what was flushed survives, the rest may survive, vanish, be torn or
// overtake what came before it.
//
//   for (uint64_t n = 0;; ++n) {                     // Crash at every write and every flush.
//     FaultDisk disk({.block_count = 4096, .seed = seed});
//     disk.CutPowerAfter(n);
//     const Acknowledged acknowledged = Workload(*disk.Open());
//     const bool is_last = disk.powered();           // The workload ended before the cut.
//     const auto survivor = disk.PowerCut(seed + n);
//     Verify(*survivor->Open(), acknowledged);
//     if (is_last) break;
//   }
//   for (uint64_t n = 1;; ++n) {                     // Fail every I/O once.
//     FaultDisk disk({.block_count = 4096, .seed = seed});
//     disk.Inject({.nth = n});
//     ExpectCleanError(Workload(*disk.Open()));
//     if (disk.faults_fired() == 0) break;
//   }
//
// The same seed and the same requests, made by one thread, give the same behaviour.
//
// Thread safety: any thread. Devices may outlive the FaultDisk.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "strata/block/device.h"

namespace strata::block {

struct FaultDiskOptions {
  uint64_t block_count = 0;
  uint32_t block_size_bytes = 4096;
  uint32_t sector_size_bytes = 512;  // A write is torn at multiples of this...
  uint32_t atomic_write_blocks = 0;  // ...or, where not 0, of so many blocks.
  uint32_t max_transfer_bytes = 1u << 20;
  uint64_t seed = 0;
  bool reorders = true;  // Requests in flight together complete in a random order.
};

// What goes wrong, and with which requests.
struct Fault {
  enum class Kind {
    kFail,  // Completes with `status`; nothing is read or written.
    kTear,  // Writes: some sectors are written, then it completes with `status`. Others: as kFail.
    kLose,  // Writes and flushes: completes OK, and nothing was done. Others: as kFail.
    kFlip,  // Reads: one bit of what is returned is wrong. Writes: one bit of what is stored.
            // Others: no effect.
  };
  Kind kind = Kind::kFail;
  std::optional<Op> op{};               // Only this operation; nothing: any.
  Lba first{};                          // Only requests that touch [first, first + block_count);
  uint64_t block_count = ~uint64_t{0};  // flushes touch everything.
  uint64_t nth = 0;          // Only the nth such request from now, counted from 1. 0: every one.
  double probability = 1.0;  // And of these, so many.
  absl::Status status = absl::DataLossError("injected fault");
};

class FaultDisk {
 public:
  // REQUIRES: block_count > 0; the sizes are powers of two; the sector is no larger than the block.
  explicit FaultDisk(const FaultDiskOptions& options);
  ~FaultDisk();
  FaultDisk(const FaultDisk&) = delete;
  FaultDisk& operator=(const FaultDisk&) = delete;

  // A device with the disk's content. All devices of a disk see the same content.
  std::unique_ptr<Device> Open();

  // From now on `fault` applies too. The first matching fault of a request is the one that fires.
  void Inject(Fault fault);
  void ClearFaults();
  uint64_t faults_fired() const;

  // Inverts a bit of what is stored, flushed or not. `bit` counts from the block's first byte,
  // lowest bit first.
  void FlipBitAtRest(Lba lba, uint64_t bit);

  // The next `count` writes, write-zeroes, discards and flushes work; the one after them is in
  // progress when the power fails. It and all others in flight at that moment may or may not reach
  // the medium; they and all requests from then on complete with Unavailable.
  void CutPowerAfter(uint64_t count);
  bool powered() const;

  // Cuts the power, if that has not happened, and returns a new disk with what survived. Another
  // seed makes another choice from the same moment.
  std::unique_ptr<FaultDisk> PowerCut(uint64_t seed);

  struct Counts {
    uint64_t reads = 0;   // And compares.
    uint64_t writes = 0;  // And write-zeroes and discards, forced ones too.
    uint64_t forced = 0;  // Of these, with force_unit_access.
    uint64_t flushes = 0;
  };
  // Requests executed so far, failed ones too.
  Counts counts() const;

  // Writes that a power cut now could lose.
  uint64_t unflushed_writes() const;

 private:
  class State;
  class FaultChannel;
  class FaultDevice;

  explicit FaultDisk(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace strata::block

// SPDX-License-Identifier: Apache-2.0
//
// Erasure codes: k data shards give m parity shards, and lost shards come back from the others.
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Code> code,
//                           CreateReedSolomon({.data_shards = 4, .parity_shards = 2}));
//   STRATA_RETURN_IF_ERROR(code->Encode(data, parity));         // 4 spans in, 2 spans out.
//   ShardSet present = code->AllShards().reset(1).reset(4);     // Shards 1 and 4 are lost.
//   STRATA_RETURN_IF_ERROR(code->Reconstruct(shards, present));  // All 6 spans; 1 and 4 written.
//
// Shards are numbered [0, k) data, [k, k + m) parity. All shards of a call have one length, which
// may be anything, 0 and 1 included; no alignment is asked for. The byte at position i of a parity
// shard depends on the bytes at position i of the data shards alone, so a stripe may be encoded,
// updated, checked and repaired in ranges, in any order. Shards that are written may not overlap
// any other.
//
// A shard that does not lie in one piece is given as a list of pieces: the ...Pieces() calls. The
// pieces of one shard need not match those of another.
//
// Thread safety: a Code and a Repair never change; any number of threads may use them.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/ec/kernel.h"

namespace strata::ec {

inline constexpr int kMaxShards = 255;  // k + m at most.

using ShardSet = std::bitset<kMaxShards>;  // By shard number.

using ConstBytes = std::span<const std::byte>;
using Bytes = std::span<std::byte>;
using ConstPieces = std::span<const ConstBytes>;  // One shard: its pieces in order.
using Pieces = std::span<const Bytes>;

// How to bring certain shards back when certain others are at hand: worked out once for a pattern
// of loss, used for any number of stripes.
class STRATA_EXPORT Repair {
 public:
  virtual ~Repair() = default;

  // The shards it reads, and those it writes; ascending.
  virtual std::span<const int> sources() const = 0;
  virtual std::span<const int> targets() const = 0;

  // source_shards[i] is shard sources()[i], target_shards[i] is shard targets()[i].
  // InvalidArgument: their number or lengths.
  absl::Status Run(std::span<const ConstBytes> source_shards,
                   std::span<const Bytes> target_shards) const;
  absl::Status RunPieces(std::span<const ConstPieces> source_shards,
                         std::span<const Pieces> target_shards) const;

 protected:
  // REQUIRES: as many spans as sources() and targets(), all of one length, which is not 0.
  virtual void DoRun(std::span<const ConstBytes> source_shards,
                     std::span<const Bytes> target_shards) const = 0;
};

class STRATA_EXPORT Code {
 public:
  virtual ~Code() = default;

  virtual int data_shards() const = 0;    // k
  virtual int parity_shards() const = 0;  // m
  int total_shards() const { return data_shards() + parity_shards(); }

  // "rs(4,2)", "lrc(12,2,2)".
  virtual std::string name() const = 0;

  // The definition of the code: m x k coefficients in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1, row
  // by row. Parity shard k + r is the sum over c of ParityMatrix()[r * k + c] times data shard c.
  virtual std::span<const uint8_t> ParityMatrix() const = 0;

  // Shards 0 to k + m - 1.
  ShardSet AllShards() const;

  // Writes the parity shards. InvalidArgument: the number of shards or their lengths.
  absl::Status Encode(std::span<const ConstBytes> data, std::span<const Bytes> parity) const;
  absl::Status EncodePieces(std::span<const ConstPieces> data,
                            std::span<const Pieces> parity) const;

  // Brings the parity up to date after data shard `shard` changed from old_data to new_data,
  // without reading the other data shards. Parity shards that do not depend on it are left alone.
  absl::Status Update(int shard, ConstBytes old_data, ConstBytes new_data,
                      std::span<const Bytes> parity) const;
  absl::Status UpdatePieces(int shard, ConstPieces old_data, ConstPieces new_data,
                            std::span<const Pieces> parity) const;

  // DataLoss: a parity shard is not what the data gives; the message names the first such byte.
  absl::Status Verify(std::span<const ConstBytes> data, std::span<const ConstBytes> parity) const;
  absl::Status VerifyPieces(std::span<const ConstPieces> data,
                            std::span<const ConstPieces> parity) const;

  // Writes those of the k + m `shards` that are not in `present`, from those that are.
  // DataLoss: too little is present; then nothing is written.
  absl::Status Reconstruct(std::span<const Bytes> shards, const ShardSet& present) const;
  absl::Status ReconstructPieces(std::span<const Pieces> shards, const ShardSet& present) const;

  // Works out how to rebuild `wanted` from `present`, reading as few shards as the code allows it
  // to find: k of them for a Reed-Solomon code, one group for a single loss in a local code. Only
  // what is asked for is rebuilt: a degraded read of one shard wants that one alone.
  // InvalidArgument: a shard that the code has not, or one both present and wanted. DataLoss.
  absl::StatusOr<std::unique_ptr<Repair>> PlanRepair(const ShardSet& present,
                                                     const ShardSet& wanted) const;

  // Whether every shard can be rebuilt from those present.
  virtual bool IsRecoverable(const ShardSet& present) const = 0;

 protected:
  // REQUIRES, in all of them: counts and lengths are right and no length is 0.
  virtual void DoEncode(std::span<const ConstBytes> data, std::span<const Bytes> parity) const = 0;
  virtual void DoUpdate(int shard, ConstBytes old_data, ConstBytes new_data,
                        std::span<const Bytes> parity) const = 0;
  // REQUIRES: both sets lie within AllShards() and do not meet.
  virtual absl::StatusOr<std::unique_ptr<Repair>> DoPlanRepair(const ShardSet& present,
                                                               const ShardSet& wanted) const = 0;
};

// Reed-Solomon: any k of the k + m shards give back all others. The matrix is a Cauchy matrix, all
// of whose square submatrices are invertible, which is the proof. Two parities or more: the bytes
// are those of ISA-L with gf_gen_cauchy1_matrix(), coefficient 1 / ((k + r) ^ c). One parity: the
// XOR of the data (the same Cauchy row, its columns scaled to 1).
struct ReedSolomonOptions {
  int data_shards = 4;    // At least 1.
  int parity_shards = 2;  // At least 1; both together at most kMaxShards.
  Kernel kernel = Kernel::kFastest;
};
// InvalidArgument: the shape. Unimplemented: this CPU cannot run the kernel.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<Code>> CreateReedSolomon(
    const ReedSolomonOptions& options);

// Locally repairable code (Huang et al., "Erasure Coding in Windows Azure Storage", ATC 2012). The
// data shards form `groups` equal groups, in order; each has one local parity, the XOR of its
// group; `global_parities` more cover all data. Parity shards: the local ones in order of their
// groups, then the global ones. One lost shard of a group is rebuilt from the rest of its group.
// Any global_parities + 1 lost shards are recoverable; with one or two global parities, at most 17
// groups and at most 15 data shards in each, so is every pattern that any code of this layout could
// recover. README.md has the table, src/locally_repairable.cc the proof.
struct LocallyRepairableOptions {
  int data_shards = 12;  // A multiple of `groups`.
  int groups = 2;
  int global_parities = 2;  // At least 1.
  Kernel kernel = Kernel::kFastest;
};
// InvalidArgument: the shape. Unimplemented: this CPU cannot run the kernel.
STRATA_EXPORT absl::StatusOr<std::unique_ptr<Code>> CreateLocallyRepairable(
    const LocallyRepairableOptions& options);

}  // namespace strata::ec

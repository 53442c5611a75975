// SPDX-License-Identifier: Apache-2.0
//
// The words that users of libofs choose from: what kind of disk, and how data is protected.
//
//   STRATA_ASSIGN_OR_RETURN(const Protection protection, ParseProtection("4+2"));
//   protection.total_units();       // 6 disks in different failure domains.
//   protection.tolerated_losses();  // Any 2 of them may be lost.
//
// Thread safety: plain values; the functions are pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "strata/base/export.h"

namespace strata::ofs {

enum class DiskClass : uint8_t { kSsd = 1, kSas = 2, kSata = 3, kArchive = 4 };

// "ssd", "sas", "sata", "archive".
STRATA_EXPORT std::string_view DiskClassName(DiskClass disk_class);
// InvalidArgument names the text and the classes that there are.
STRATA_EXPORT absl::StatusOr<DiskClass> ParseDiskClass(std::string_view text);

// The numbers are those of the format. Only an online disk gets new data.
enum class DiskState : uint8_t {
  kOnline = 1,
  kSuspect = 2,   // It is not trusted with new data; what it has stays.
  kFailed = 3,    // What it has is reconstructed elsewhere.
  kDraining = 4,  // What it has moves elsewhere.
  kRemoved = 5,   // It holds nothing, and is no disk of the filesystem any more.
};

// "online", "suspect", "failed", "draining", "removed".
STRATA_EXPORT std::string_view DiskStateName(DiskState state);

inline constexpr int kMaxUnits = 20;  // k + m of a stripe at most.
inline constexpr int kMaxCopies = 8;

// How a stripe survives the loss of disks: k data units, m parity units, each on a disk of its own
// in a failure domain of its own.
struct Protection {
  enum class Kind : uint8_t {
    kReedSolomon = 1,        // Any k of the k + m units give back the others.
    kMirror = 2,             // k = 1: the units are copies.
    kLocallyRepairable = 3,  // One lost unit is rebuilt from its local group.
  };
  Kind kind = Kind::kReedSolomon;
  uint8_t data_units = 4;    // k
  uint8_t parity_units = 2;  // m
  uint8_t local_groups = 0;  // kLocallyRepairable: of the m, so many are local.

  static constexpr Protection ReedSolomon(int k, int m) {
    return {Kind::kReedSolomon, static_cast<uint8_t>(k), static_cast<uint8_t>(m), 0};
  }
  static constexpr Protection Mirror(int copies) {
    return {Kind::kMirror, 1, static_cast<uint8_t>(copies - 1), 0};
  }
  static constexpr Protection LocallyRepairable(int k, int groups, int global_parities) {
    return {Kind::kLocallyRepairable, static_cast<uint8_t>(k),
            static_cast<uint8_t>(groups + global_parities), static_cast<uint8_t>(groups)};
  }

  constexpr int total_units() const { return data_units + parity_units; }
  // Any so many units may be lost at once without loss of data.
  constexpr int tolerated_losses() const {
    return kind == Kind::kLocallyRepairable ? parity_units - local_groups + 1 : parity_units;
  }
  friend constexpr auto operator<=>(const Protection&, const Protection&) = default;
};

// InvalidArgument names what is wrong: Reed-Solomon has k >= 2, m >= 1 and at most 20 units; a
// mirror has 1 to 8 copies; a locally repairable code has k in equal groups, one or two global
// parities, and at most 20 units.
STRATA_EXPORT absl::Status CheckProtection(const Protection& protection);

// "4+2", "mirror(3)", "lrc(12,2,2)": k, local groups, global parities.
STRATA_EXPORT std::string ProtectionName(const Protection& protection);

// The inverse. "1+2" is mirror(3): one data unit and its parities are copies.
STRATA_EXPORT absl::StatusOr<Protection> ParseProtection(std::string_view text);

}  // namespace strata::ofs

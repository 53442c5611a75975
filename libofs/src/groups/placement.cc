// SPDX-License-Identifier: Apache-2.0
#include "groups/placement.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace strata::ofs {
namespace {

// Equally full disks are taken in an order that differs from group to group.
uint64_t Mix(uint64_t disk, uint64_t group) {
  uint64_t x = disk * 0x9E3779B97F4A7C15 + group * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 31)) * 0x94D049BB133111EB;
  return x ^ (x >> 29);
}

}  // namespace

std::string_view DomainOf(std::string_view path, uint32_t depth) {
  if (depth == 0) return path;
  size_t end = 0;
  for (; depth > 0 && end != std::string_view::npos; --depth) {
    end = path.find('/', end == 0 ? 0 : end + 1);
  }
  return path.substr(0, end);
}

std::optional<Protection> Shrink(const Protection& wanted, size_t domain_count) {
  if (domain_count >= static_cast<size_t>(wanted.total_units())) return wanted;
  if (wanted.kind == Protection::Kind::kMirror) return std::nullopt;
  const int m = wanted.tolerated_losses();
  const int k = std::min<int>(static_cast<int>(domain_count) - m, wanted.data_units);
  if (k < 1) return std::nullopt;
  return k == 1 ? Protection::Mirror(m + 1) : Protection::ReedSolomon(k, m);
}

absl::StatusOr<Placement> Place(const Protection& wanted, std::vector<DiskSpace> disks,
                                uint64_t group) {
  std::sort(disks.begin(), disks.end(), [&](const DiskSpace& a, const DiskSpace& b) {
    // a.free / a.count > b.free / b.count, without a division.
    const uint64_t a_free = uint64_t{a.free_segments} * b.segment_count;
    const uint64_t b_free = uint64_t{b.free_segments} * a.segment_count;
    return std::tuple(b_free, Mix(a.disk, group), a.disk) <
           std::tuple(a_free, Mix(b.disk, group), b.disk);
  });
  std::set<std::string> domains;
  std::vector<uint32_t> chosen;
  for (const DiskSpace& disk : disks) {
    if (disk.free_segments > 0 && domains.insert(disk.domain).second) chosen.push_back(disk.disk);
  }
  const std::optional<Protection> protection = Shrink(wanted, chosen.size());
  if (!protection.has_value()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("protection ", ProtectionName(wanted), " needs at least ",
                     wanted.kind == Protection::Kind::kMirror ? wanted.total_units()
                                                              : wanted.tolerated_losses() + 1,
                     " failure domains with free space, and there are ", chosen.size()));
  }
  chosen.resize(static_cast<size_t>(protection->total_units()));
  std::sort(chosen.begin(), chosen.end());
  std::rotate(chosen.begin(), chosen.begin() + static_cast<ptrdiff_t>(group % chosen.size()),
              chosen.end());
  return Placement{*protection, std::move(chosen)};
}

}  // namespace strata::ofs

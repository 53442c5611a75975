// SPDX-License-Identifier: Apache-2.0
#include "disks/foreign_data.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "format/superblock.h"
#include "strata/base/hex.h"

namespace strata::ofs {
namespace {

using namespace std::string_view_literals;

// A sign of something that is stored on a disk: bytes at an offset from the start of the device,
// or, where the offset is negative, from its end.
struct Sign {
  int64_t offset;
  std::string_view bytes;
  std::string_view name;
};

// Specific ones first: a boot sector's 55 AA stands before many filesystems as well.
constexpr Sign kSigns[] = {
    {0, "STRDEDUP"sv, "a store of libdedup"},
    {524'288, "STRDEDUP"sv, "a store of libdedup"},
    {0, "LUKS\xBA\xBE"sv, "a LUKS encrypted volume"},
    {16'384, "SKUL\xBA\xBE"sv, "a LUKS encrypted volume"},
    {0, "XFSB"sv, "an XFS filesystem"},
    {1080, "\x53\xEF"sv, "an ext2, ext3 or ext4 filesystem"},
    {65'600, "_BHRfS_M"sv, "a btrfs filesystem"},
    {1024, "\x10\x20\xF5\xF2"sv, "an F2FS filesystem"},
    {3, "NTFS    "sv, "an NTFS filesystem"},
    {0, "bluestore block device"sv, "a Ceph BlueStore disk"},
    {512, "LABELONE"sv, "an LVM physical volume"},
    {0, "LABELONE"sv, "an LVM physical volume"},
    {1024, "LABELONE"sv, "an LVM physical volume"},
    {1536, "LABELONE"sv, "an LVM physical volume"},
    {4096, "\xFC\x4E\x2B\xA9"sv, "a member of a Linux RAID (md)"},
    {0, "\xFC\x4E\x2B\xA9"sv, "a member of a Linux RAID (md)"},
    {-8192, "\xFC\x4E\x2B\xA9"sv, "a member of a Linux RAID (md)"},
    {-65'536, "\xFC\x4E\x2B\xA9"sv, "a member of a Linux RAID (md)"},
    {4086, "SWAPSPACE2"sv, "swap space"},
    {512, "EFI PART"sv, "a GPT partition table"},
    {4096, "EFI PART"sv, "a GPT partition table"},
    {-512, "EFI PART"sv, "the second copy of a GPT partition table"},
    {-4096, "EFI PART"sv, "the second copy of a GPT partition table"},
    {510, "\x55\xAA"sv, "an MBR partition table or a boot sector"},
};

bool Holds(const DeviceEnds& ends, const Sign& sign) {
  const std::span<const std::byte> area = sign.offset >= 0 ? ends.head : ends.tail;
  const int64_t at =
      sign.offset >= 0 ? sign.offset : static_cast<int64_t>(area.size()) + sign.offset;
  if (at < 0 || static_cast<uint64_t>(at) + sign.bytes.size() > area.size()) return false;
  return std::equal(sign.bytes.begin(), sign.bytes.end(), area.begin() + at,
                    [](char a, std::byte b) { return static_cast<std::byte>(a) == b; });
}

std::string DescribeSuperblock(std::span<const std::byte> block, int copy) {
  const absl::StatusOr<Superblock> superblock = DecodeSuperblock(block, copy);
  if (superblock.ok()) {
    const std::string uuid =
        ToHex({reinterpret_cast<const char*>(superblock->filesystem.data()), sizeof(Uuid)});
    return absl::StrCat("disk ", superblock->disk_number, " of the Strata filesystem ", uuid);
  }
  return absl::IsNotFound(superblock.status())
             ? ""
             : absl::StrCat("a disk of a Strata filesystem (", superblock.status().message(), ")");
}

}  // namespace

std::string DescribeForeignData(const DeviceEnds& ends) {
  if (ends.head.size() >= kBlockBytes) {
    std::string ours = DescribeSuperblock(ends.head.first(kBlockBytes), 0);
    if (ours.empty()) ours = DescribeSuperblock(ends.tail.last(kBlockBytes), 1);
    if (!ours.empty()) return ours;
  }
  for (const Sign& sign : kSigns) {
    if (Holds(ends, sign)) return std::string(sign.name);
  }
  for (const bool head : {true, false}) {
    const std::span<const std::byte> area = head ? ends.head : ends.tail;
    const auto it =
        std::find_if(area.begin(), area.end(), [](std::byte b) { return b != std::byte{0}; });
    if (it == area.end()) continue;
    const auto at = static_cast<uint64_t>(it - area.begin());
    return head ? absl::StrCat("data of an unknown kind (byte ", at, " is not zero)")
                : absl::StrCat("data of an unknown kind (byte ", area.size() - at,
                               " from the end is not zero)");
  }
  return "";
}

}  // namespace strata::ofs

// SPDX-License-Identifier: Apache-2.0
#include "disks/format_disks.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "absl/strings/str_cat.h"
#include "disks/foreign_data.h"
#include "strata/base/errno_status.h"
#include "strata/base/hex.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"

namespace strata::ofs {
namespace {

std::string NameOf(const NewDisk& disk) {
  return disk.uri.empty() ? disk.device->name() : disk.uri;
}

uint64_t SizeOf(const block::Device& device) {
  const block::Geometry& geometry = device.geometry();
  return geometry.block_count * geometry.block_size_bytes / kBlockBytes * kBlockBytes;
}

block::Lba LbaOf(const block::Device& device, uint64_t offset_bytes) {
  return block::Lba{offset_bytes / device.geometry().block_size_bytes};
}

block::Buffer BufferFor(const block::Device& device, size_t size_bytes) {
  return block::Buffer(size_bytes,
                       std::max<size_t>(device.geometry().buffer_alignment_bytes, kBlockBytes));
}

absl::Status CheckDevice(const NewDisk& disk) {
  const block::Geometry& geometry = disk.device->geometry();
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(NameOf(disk), ": ", why));
  };
  if (geometry.block_size_bytes > kBlockBytes) {
    return refuse(absl::StrCat("blocks of ", geometry.block_size_bytes,
                               " bytes; a disk has blocks of at most 4096"));
  }
  if (geometry.read_only) return refuse("it is read-only");
  if (geometry.reads_nothing) return refuse("it keeps nothing");
  if (geometry.zone_size_blocks != 0) return refuse("zoned devices are not supported");
  if (!IsUsableDiskSize(SizeOf(*disk.device))) {
    return refuse(
        absl::StrCat(SizeOf(*disk.device), " bytes are too few; a disk has 3 MiB and more"));
  }
  if (disk.number < 1 || disk.number > kMaxDisks) {
    return refuse(absl::StrCat("disk number ", disk.number, " is not in 1..4096"));
  }
  if (disk.domain.empty()) return absl::OkStatus();
  return Annotate(CheckDomain(disk.domain), NameOf(disk));
}

absl::Status CheckIsBlank(const NewDisk& disk) {
  block::Device& device = *disk.device;
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<block::Channel> channel, device.OpenChannel({}));
  const block::Buffer head = BufferFor(device, kHeadAreaBytes);
  const block::Buffer tail = BufferFor(device, kTailAreaBytes);
  STRATA_RETURN_IF_ERROR(
      Annotate(block::ReadBlocking(*channel, block::Lba{0}, head.span()), NameOf(disk)));
  STRATA_RETURN_IF_ERROR(Annotate(
      block::ReadBlocking(*channel, LbaOf(device, SizeOf(device) - kTailAreaBytes), tail.span()),
      NameOf(disk)));
  const std::string found = DescribeForeignData({.head = head.span(), .tail = tail.span()});
  if (found.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(NameOf(disk), ": the device carries ", found));
}

// What other programs look for at both ends must not be found there any more.
absl::Status WipeEnds(block::Device& device) {
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<block::Channel> channel, device.OpenChannel({}));
  const block::Buffer zeroes = BufferFor(device, kHeadAreaBytes);
  STRATA_RETURN_IF_ERROR(block::WriteBlocking(*channel, block::Lba{0}, zeroes.span()));
  return block::WriteBlocking(*channel, LbaOf(device, SizeOf(device) - kTailAreaBytes),
                              zeroes.span());
}

absl::StatusOr<Uuid> NewUuid() {
  Uuid uuid;
  STRATA_RETURN_IF_ERROR(SecureRandomBytes(uuid));
  uuid[6] = (uuid[6] & std::byte{0x0F}) | std::byte{0x40};  // RFC 9562: version 4,
  uuid[8] = (uuid[8] & std::byte{0x3F}) | std::byte{0x80};  // variant 10.
  return uuid;
}

}  // namespace

std::string WithoutCreate(std::string uri) {
  constexpr std::string_view kCreate = "create=";
  for (size_t at = 0; (at = uri.find(kCreate, at)) != std::string::npos;) {
    const char before = at == 0 ? '\0' : uri[at - 1];
    if (before != '?' && before != '&' && before != ';') {
      at += kCreate.size();
      continue;
    }
    const size_t end = std::min(uri.find_first_of("&;", at), uri.size());
    if (end < uri.size() && uri[end] == '&') {
      uri.erase(at, end + 1 - at);
    } else {
      uri.erase(at - 1, end + 1 - at);
    }
  }
  return uri;
}

absl::Status WriteSuperblock(block::Device& device, const Superblock& superblock) {
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<block::Channel> channel, device.OpenChannel({}));
  const block::Buffer block = BufferFor(device, kBlockBytes);
  for (const int copy : {1, 0}) {
    std::memcpy(block.data(), EncodeSuperblock(superblock, copy).data(), kBlockBytes);
    STRATA_RETURN_IF_ERROR(block::WriteBlocking(
        *channel, LbaOf(device, SuperblockOffset(copy, superblock.size_bytes)), block.span()));
    STRATA_RETURN_IF_ERROR(block::FlushBlocking(*channel));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::shared_ptr<Disk>>> FormatDisks(std::vector<NewDisk> disks,
                                                               const FormatDisksOptions& options) {
  if (disks.empty()) return absl::InvalidArgumentError("a filesystem needs at least one disk");
  if (disks.size() > kMaxDisks) {
    return absl::InvalidArgumentError("a filesystem has at most 4096 disks");
  }
  uint64_t smallest_bytes = ~uint64_t{0};
  std::set<uint32_t> numbers;
  for (const NewDisk& disk : disks) {
    STRATA_RETURN_IF_ERROR(CheckDevice(disk));
    if (!numbers.insert(disk.number).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(NameOf(disk), ": disk number ", disk.number, " is in the list twice"));
    }
    smallest_bytes = std::min(smallest_bytes, SizeOf(*disk.device));
    if (!options.force) STRATA_RETURN_IF_ERROR(CheckIsBlank(disk));
  }
  const uint32_t segment_bytes =
      options.segment_bytes != 0 ? options.segment_bytes : ChooseSegmentBytes(smallest_bytes);
  for (const NewDisk& disk : disks) {
    if (SegmentsThatFit(SizeOf(*disk.device), segment_bytes) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(NameOf(disk), ": too small for a segment of ", segment_bytes, " bytes"));
    }
  }
  std::vector<std::shared_ptr<Disk>> made;
  for (NewDisk& disk : disks) {
    const uint64_t size_bytes = SizeOf(*disk.device);
    Superblock superblock{.filesystem = options.filesystem,
                          .size_bytes = size_bytes,
                          .segment_bytes = segment_bytes,
                          .segment_count = SegmentsThatFit(size_bytes, segment_bytes),
                          .disk_number = disk.number,
                          .disk_class = disk.disk_class,
                          .domain = disk.domain,
                          .created_ns = options.now_ns};
    STRATA_ASSIGN_OR_RETURN(superblock.disk, NewUuid());
    if (superblock.domain.empty()) {
      superblock.domain =
          ToHex({reinterpret_cast<const char*>(superblock.disk.data()), sizeof(Uuid)});
    }
    const std::string name = NameOf(disk);
    if (options.force) STRATA_RETURN_IF_ERROR(Annotate(WipeEnds(*disk.device), name));
    STRATA_RETURN_IF_ERROR(Annotate(WriteSuperblock(*disk.device, superblock), name));
    made.push_back(
        std::make_shared<Disk>(std::move(disk.device), std::move(disk.uri), std::move(superblock)));
  }
  return made;
}

}  // namespace strata::ofs

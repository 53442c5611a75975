// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <cstring>

#include "disks/disk_rows.h"
#include "disks/foreign_data.h"
#include "disks/format_disks.h"
#include "disks/open_disks.h"
#include "disks/transfers.h"
#include "strata/base/random.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/block/devices.h"
#include "strata/kv/engines.h"
#include "support/block/fault_device.h"
#include "support/must.h"
#include "support/scratch_folder.h"

namespace strata::ofs {
namespace {

using block::FaultDisk;
using strata::test::Must;

constexpr uint64_t kDiskBlocks = 2048;  // 8 MiB: 6 segments of 1 MiB.

Uuid FilesystemUuid(uint8_t byte = 0xF5) {
  Uuid uuid;
  uuid.fill(std::byte{byte});
  return uuid;
}

// Disks whose content outlives their devices.
struct Shelf {
  explicit Shelf(int count, uint64_t block_count = kDiskBlocks) {
    for (int i = 0; i < count; ++i) {
      disks.push_back(std::make_unique<FaultDisk>(
          block::FaultDiskOptions{.block_count = block_count, .seed = static_cast<uint64_t>(i)}));
    }
  }
  static std::string Uri(size_t i) { return "fault:" + std::to_string(i + 1); }

  absl::StatusOr<std::vector<std::shared_ptr<Disk>>> Format(FormatDisksOptions options = {}) {
    std::vector<NewDisk> fresh;
    for (size_t i = 0; i < disks.size(); ++i) {
      fresh.push_back({.device = disks[i]->Open(),
                       .uri = Uri(i),
                       .number = static_cast<uint32_t>(i + 1),
                       .domain = "node" + std::to_string(i / 2) + "/disk" + std::to_string(i)});
    }
    if (options.filesystem == Uuid{}) options.filesystem = FilesystemUuid();
    auto made = FormatDisks(std::move(fresh), options);
    if (made.ok()) {
      for (const auto& disk : *made) {
        const Superblock& superblock = disk->superblock();
        expected[disk->number()] = {.disk = superblock.disk,
                                    .uri = disk->uri(),
                                    .domain = superblock.domain,
                                    .pool = 1,
                                    .segment_count = superblock.segment_count};
      }
    }
    return made;
  }
  absl::StatusOr<FoundDisks> Open(const std::vector<size_t>& which,
                                  const OpenDisksOptions& options = {}) {
    std::vector<DiskSource> sources;
    for (const size_t i : which) sources.push_back({Uri(i), disks[i]->Open()});
    return OpenDisks(std::move(sources), FilesystemUuid(), expected, options);
  }

  std::vector<std::unique_ptr<FaultDisk>> disks;
  std::map<uint32_t, DiskRecord> expected;
};

void WriteAt(FaultDisk& disk, uint64_t offset_bytes, std::string_view bytes) {
  const std::unique_ptr<block::Device> device = disk.Open();
  const auto channel = Must(device->OpenChannel({}));
  block::Buffer block(kBlockBytes);
  const block::Lba lba{offset_bytes / kBlockBytes};
  Must(block::ReadBlocking(*channel, lba, block.span()));
  std::memcpy(block.data() + offset_bytes % kBlockBytes, bytes.data(), bytes.size());
  Must(block::WriteBlocking(*channel, lba, block.span()));
  Must(block::FlushBlocking(*channel));
}

bool Says(const absl::Status& status, std::string_view text) {
  INFO(status.ToString());
  const bool says = std::string_view(status.message().data(), status.message().size()).find(text) !=
                    std::string_view::npos;
  CHECK(says);
  return says;
}

TEST_CASE("Disks are formatted and found again") {
  Shelf shelf(3);
  {
    const auto made = Must(shelf.Format({.now_ns = 5}));
    REQUIRE(made.size() == 3);
    CHECK(made[2]->superblock().segment_count == 6);
    CHECK(made[2]->superblock().segment_bytes == kMinSegmentBytes);
    CHECK(made[2]->SegmentOffset(2) == 3u << 20);
    CHECK(made[2]->name() == "disk 3 (fault:3)");
  }
  const FoundDisks found = Must(shelf.Open({2, 0, 1}));
  CHECK(found.disks.size() == 3);
  CHECK(found.absent.empty());
  CHECK(found.disks[0]->superblock().domain == "node1/disk2");
}

TEST_CASE("A device that carries something is not formatted, unless forced") {
  struct Case {
    uint64_t offset;
    std::string_view bytes;
    const char* name;
  };
  using namespace std::string_view_literals;
  const uint64_t end = kDiskBlocks * kBlockBytes;
  for (const Case& test :
       {Case{1080, "\x53\xEF"sv, "an ext2, ext3 or ext4 filesystem"},
        Case{0, "XFSB"sv, "an XFS filesystem"},
        Case{0, "LUKS\xBA\xBE"sv, "a LUKS encrypted volume"},
        Case{512, "EFI PART"sv, "a GPT partition table"},
        Case{end - 512, "EFI PART"sv, "the second copy of a GPT partition table"},
        Case{510, "\x55\xAA"sv, "an MBR partition table or a boot sector"},
        Case{65'600, "_BHRfS_M"sv, "a btrfs filesystem"},
        Case{4096, "\xFC\x4E\x2B\xA9"sv, "a member of a Linux RAID (md)"},
        Case{4086, "SWAPSPACE2"sv, "swap space"},
        Case{524'288, "STRDEDUP"sv, "a store of libdedup"},
        Case{700'001, "x"sv, "data of an unknown kind (byte 700001 is not zero)"},
        Case{end - 1, "x"sv, "data of an unknown kind (byte 1 from the end is not zero)"}}) {
    Shelf shelf(2);
    WriteAt(*shelf.disks[1], test.offset, test.bytes);
    const absl::Status refused = shelf.Format().status();
    CHECK(absl::IsFailedPrecondition(refused));
    Says(refused, std::string("fault:2: the device carries ") + test.name);
    CHECK(shelf.disks[0]->counts().writes == 0);  // The others are left alone.
    Must(shelf.Format({.force = true}));
    CHECK(Must(shelf.Open({0, 1})).absent.empty());
  }
  Shelf shelf(2);
  Must(shelf.Format());
  Says(shelf.Format().status(),
       "fault:1: the device carries disk 1 of the Strata filesystem f5f5f5f5");
  // A newer format is named as well.
  std::vector<std::byte> head(kHeadAreaBytes), tail(kTailAreaBytes);
  std::memcpy(head.data(), "STRATOFS", 8);
  CHECK(DescribeForeignData({head, tail}).starts_with("a disk of a Strata filesystem ("));
}

TEST_CASE("Force leaves nothing that other programs would find") {
  Shelf shelf(1);
  WriteAt(*shelf.disks[0], 1080, "\x53\xEF");
  WriteAt(*shelf.disks[0], kDiskBlocks * kBlockBytes - 8192, "EFI PART");
  Must(shelf.Format({.force = true}));
  const auto device = shelf.disks[0]->Open();
  const auto channel = Must(device->OpenChannel({}));
  block::Buffer bytes(kHeadAreaBytes);
  Must(block::ReadBlocking(*channel, block::Lba{0}, bytes.span()));
  CHECK(bytes.span()[1080] == std::byte{0});
  Must(block::ReadBlocking(*channel, block::Lba{kDiskBlocks - 256}, bytes.span()));
  std::memset(bytes.data() + kTailAreaBytes - kBlockBytes, 0, kBlockBytes);
  CHECK(DescribeForeignData({bytes.span(), bytes.span()}).empty());
}

TEST_CASE("Devices that cannot be disks are refused by name") {
  const auto refusal = [](std::unique_ptr<block::Device> device, std::string domain = "a",
                          uint32_t number = 1) {
    std::vector<NewDisk> disks;
    disks.push_back({.device = std::move(device), .number = number, .domain = std::move(domain)});
    return FormatDisks(std::move(disks), {.filesystem = FilesystemUuid()}).status();
  };
  const auto memory = [](uint64_t blocks, uint32_t block_bytes = 4096) {
    return Must(
        block::CreateMemoryDevice({.block_count = blocks, .block_size_bytes = block_bytes}));
  };
  Says(refusal(memory(767)), "mem:: 3141632 bytes are too few");
  Says(refusal(memory(2048, 8192)), "blocks of 8192 bytes");
  Says(refusal(Must(block::CreateNullDevice({.block_count = 2048}))), "it keeps nothing");
  Says(refusal(memory(2048), "a//b"), "mem:: failure domain 'a//b' has an empty component");
  Says(refusal(memory(2048), "a", 0), "disk number 0");
  CHECK(refusal(memory(2048)).ok());
  CHECK(refusal(memory(16384, 512)).ok());
  Says(FormatDisks({}, {}).status(), "at least one disk");
}

TEST_CASE("A foreign disk, a copy of a disk and a removed disk are refused by name") {
  Shelf shelf(3);
  Must(shelf.Format());
  {
    Shelf other(1);
    Must(other.Format({.filesystem = FilesystemUuid(0x0E)}));
    std::vector<DiskSource> sources;
    sources.push_back({"fault:9", other.disks[0]->Open()});
    Says(OpenDisks(std::move(sources), FilesystemUuid(), shelf.expected, {}).status(),
         "fault:9: a disk of another filesystem, 0e0e");
  }
  Says(shelf.Open({0, 1, 2, 1}).status(), "is in the list twice; fault:2 is the same disk");
  shelf.expected[2].state = DiskState::kRemoved;
  Says(shelf.Open({0, 1, 2}).status(), "fault:2: disk 2 was removed from the filesystem");
  CHECK(Must(shelf.Open({0, 2})).absent.empty());
  shelf.expected[3].disk = FilesystemUuid();
  Says(shelf.Open({0, 2}).status(), "is none of the filesystem's disks");
  {
    Shelf blank(1);
    std::vector<DiskSource> sources;
    sources.push_back({"fault:9", blank.disks[0]->Open()});
    Says(OpenDisks(std::move(sources), FilesystemUuid(), shelf.expected, {}).status(),
         "fault:9: this is no disk of the filesystem: no superblock of libofs");
  }
}

TEST_CASE("A missing, a zeroed, a dead and a shrunk disk are absent, with the reason") {
  Shelf shelf(5);
  Must(shelf.Format());
  Shelf blank(1);
  std::vector<DiskSource> sources;
  sources.push_back({Shelf::Uri(0), shelf.disks[0]->Open()});
  sources.push_back({Shelf::Uri(1), blank.disks[0]->Open()});
  shelf.disks[2]->Inject({.op = block::Op::kRead});
  sources.push_back({Shelf::Uri(2), shelf.disks[2]->Open()});
  sources.push_back({Shelf::Uri(3), absl::NotFoundError("no such device")});
  const FoundDisks found =
      Must(OpenDisks(std::move(sources), FilesystemUuid(), shelf.expected, {}));
  REQUIRE(found.disks.size() == 1);
  REQUIRE(found.absent.size() == 4);
  CHECK(found.absent[0].reason == "disk 2 (fault:2) is absent: fault:2: no superblock of libofs");
  CHECK(found.absent[1].reason == "disk 3 (fault:3) is absent: fault:3: injected fault");
  CHECK(found.absent[2].reason == "disk 4 (fault:4) is absent: fault:4: no such device");
  CHECK(found.absent[3].reason == "disk 5 (fault:5) is absent: no device in the list holds it");
}

TEST_CASE("A device that is shorter than its superblock says is absent; a longer one is used") {
  const strata::test::ScratchFolder folder(strata::test::ScratchFolder::MemoryBacked());
  const std::string path = folder / "disk";
  const auto open = [&](uint64_t size_bytes) {
    return Must(block::OpenFileDevice({.path = path, .size_bytes = size_bytes, .create = true}));
  };
  std::map<uint32_t, DiskRecord> expected;
  {
    std::vector<NewDisk> disks;
    disks.push_back({.device = open(8u << 20), .uri = "file:disk", .number = 1});
    const auto made = Must(FormatDisks(std::move(disks), {.filesystem = FilesystemUuid()}));
    expected[1] = {.disk = made[0]->superblock().disk,
                   .uri = "file:disk",
                   .domain = made[0]->superblock().domain,
                   .pool = 1,
                   .segment_count = 6};
    CHECK(expected[1].domain.size() == 32);  // Named after its uuid.
  }
  const auto find = [&](uint64_t size_bytes) {
    std::vector<DiskSource> sources;
    sources.push_back({"file:disk", open(size_bytes)});
    return Must(OpenDisks(std::move(sources), FilesystemUuid(), expected, {}));
  };
  CHECK(find(16u << 20).disks.size() == 1);
  CHECK(find(8u << 20).disks.size() == 1);
  REQUIRE(truncate(path.c_str(), 4 << 20) == 0);
  const FoundDisks shrunk = find(4u << 20);
  REQUIRE(shrunk.absent.size() == 1);
  CHECK(shrunk.absent[0].reason ==
        "disk 1 (file:disk) is absent: file:disk: the device has shrunk to 4194304 bytes of "
        "8388608");
}

TEST_CASE("Either superblock is enough, and the other is written again") {
  for (const uint64_t lost : {uint64_t{0}, kDiskBlocks - 1}) {
    Shelf shelf(1);
    Must(shelf.Format());
    shelf.disks[0]->FlipBitAtRest(block::Lba{lost}, 1000);
    std::string logged;
    const LogSink log = [&](LogLevel, std::string_view line) { logged += line; };
    CHECK(Must(shelf.Open({0}, {.read_only = true, .log = log})).disks.size() == 1);
    CHECK(shelf.disks[0]->counts().writes == 2);  // Those of the format.
    CHECK(Must(shelf.Open({0}, {.log = log})).disks.size() == 1);
    CHECK(logged.find("one copy of the superblock is damaged; it is written again") !=
          std::string::npos);
    shelf.disks[0]->FlipBitAtRest(block::Lba{kDiskBlocks - 1 - lost}, 1000);
    CHECK(Must(shelf.Open({0})).disks.size() == 1);
  }
}

TEST_CASE("A disk whose superblock cannot be written again is read, and takes no writes") {
  Shelf shelf(1);
  Must(shelf.Format());
  shelf.disks[0]->FlipBitAtRest(block::Lba{0}, 1000);
  shelf.disks[0]->Inject({.op = block::Op::kWrite});
  const FoundDisks found = Must(shelf.Open({0}));
  REQUIRE(found.disks.size() == 1);
  CHECK_FALSE(found.disks[0]->writable());
}

TEST_CASE("A power cut at every write of a superblock leaves one that counts") {
  for (uint64_t cut = 0;; ++cut) {
    Shelf shelf(1);
    Superblock superblock = Must(shelf.Format())[0]->superblock();
    ++superblock.generation;
    shelf.disks[0]->CutPowerAfter(cut);
    const bool written = WriteSuperblock(*shelf.disks[0]->Open(), superblock).ok();
    shelf.disks[0] = shelf.disks[0]->PowerCut(cut);
    const FoundDisks found = Must(shelf.Open({0}));
    REQUIRE(found.disks.size() == 1);
    if (!written) continue;
    CHECK(found.disks[0]->superblock().generation == 2);
    break;
  }
}

TEST_CASE("Transfers run side by side, are cut to fit, and report disk by disk") {
  std::vector<std::unique_ptr<FaultDisk>> disks;
  std::vector<std::shared_ptr<Disk>> open;
  for (uint32_t i = 0; i < 3; ++i) {
    disks.push_back(std::make_unique<FaultDisk>(block::FaultDiskOptions{
        .block_count = kDiskBlocks, .max_transfer_bytes = 16u << 10, .seed = i}));
    open.push_back(std::make_shared<Disk>(disks[i]->Open(), "",
                                          Superblock{.disk_number = i + 1, .domain = "d"}));
  }
  const block::Buffer written(3 * (256u << 10)), read(3 * (256u << 10));
  Random(1).Fill(written.span());
  std::vector<Transfer> transfers;
  for (size_t i = 0; i < 3; ++i) {
    transfers.push_back({.disk = open[i],
                         .op = block::Op::kWrite,
                         .offset_bytes = 1u << 20,
                         .memory = written.span().subspan(i * (256u << 10), 256u << 10)});
  }
  RunTransfers(transfers);
  for (const Transfer& transfer : transfers) CHECK(transfer.status.ok());
  CHECK(disks[0]->counts().writes == 16);
  disks[1]->Inject({.op = block::Op::kRead, .nth = 3});
  for (size_t i = 0; i < 3; ++i) {
    transfers[i].op = block::Op::kRead;
    transfers[i].memory = read.span().subspan(i * (256u << 10), 256u << 10);
  }
  RunTransfers(transfers);
  CHECK(transfers[0].status.ok());
  Says(transfers[1].status, "disk 2 (fault:seed=1): read at 1048576: injected fault");
  CHECK(transfers[2].status.ok());
  CHECK(open[1]->fault_count(DiskFault::kRead) == 1);
  CHECK(open[0]->fault_count() == 0);
  CHECK(std::equal(read.span().begin() + (512u << 10), read.span().end(),
                   written.span().begin() + (512u << 10)));

  disks[2]->Inject({.op = block::Op::kFlush});
  std::vector<uint32_t> failed;
  std::vector<std::shared_ptr<Disk>> twice = open;
  twice.insert(twice.end(), open.begin(), open.end());
  Says(FlushDisks(twice, &failed), "disk 3 (fault:seed=2): flush: injected fault");
  CHECK(failed == std::vector<uint32_t>{3});
  CHECK(disks[0]->counts().flushes == 1);
  CHECK((open[0]->writable() && !open[2]->writable()));
}

// ---- Rows

FilesystemRows SampleRows(uint32_t disk_count) {
  FilesystemRows rows;
  rows.format = {.filesystem = FilesystemUuid(), .segment_bytes = kMinSegmentBytes};
  rows.pools["default"] = {.number = 1};
  for (uint32_t i = 1; i <= disk_count; ++i) {
    rows.disks[i] = {.disk = FilesystemUuid(static_cast<uint8_t>(i)),
                     .domain = "d" + std::to_string(i),
                     .pool = 1,
                     .segment_count = 6};
  }
  return rows;
}

TEST_CASE("The rows of a filesystem are written once") {
  const auto store = kv::CreateMemoryStore();
  const Metadata metadata = Must(OpenMetadata(store.get()));
  CHECK(absl::IsNotFound(ReadFilesystemRows(metadata).status()));
  const FilesystemRows rows = SampleRows(200);
  Must(WriteFilesystemRows(metadata, rows));
  const FilesystemRows read = Must(ReadFilesystemRows(metadata));
  CHECK(read.format == rows.format);
  CHECK(read.pools == rows.pools);
  CHECK(read.disks == rows.disks);
  CHECK(read.PoolName(1) == "default");
  CHECK(absl::IsAlreadyExists(WriteFilesystemRows(metadata, rows)));
  CHECK(Must(TakeNumbers(metadata, "disk", 1, kMaxDisks)) == 201);
}

TEST_CASE("A disk's state changes with its generation; counters never give a number twice") {
  const auto store = kv::CreateMemoryStore();
  const Metadata metadata = Must(OpenMetadata(store.get()));
  Must(WriteFilesystemRows(metadata, SampleRows(2)));
  const DiskRecord failed = Must(ChangeDiskState(metadata, 2, DiskState::kFailed, "test", 9));
  CHECK(failed.generation == 2);
  CHECK(Must(ReadFilesystemRows(metadata)).disks[2] == failed);
  CHECK(absl::IsNotFound(ChangeDiskState(metadata, 3, DiskState::kFailed, "", 9).status()));

  CHECK(Must(TakeNumbers(metadata, "group", 100, 250)) == 1);
  CHECK(Must(TakeNumbers(metadata, "group", 100, 250)) == 101);
  CHECK(absl::IsResourceExhausted(TakeNumbers(metadata, "group", 100, 250).status()));
  CHECK(Must(TakeNumbers(metadata, "group", 50, 250)) == 201);
}

}  // namespace
}  // namespace strata::ofs

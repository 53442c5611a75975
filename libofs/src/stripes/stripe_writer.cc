// SPDX-License-Identifier: Apache-2.0
#include "stripes/stripe_writer.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "disks/transfers.h"
#include "strata/base/check.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/block/buffer.h"

namespace strata::ofs {
namespace {

constexpr int kMaxGroups = 8;   // That are tried for one stripe.
constexpr int kMaxFlushes = 4;  // Rounds of WriteDurably().

bool LiesOn(const WrittenStripe& stripe, const std::vector<uint32_t>& disks) {
  const std::vector<SegmentPlace>& units = stripe.columns.record->units;
  return std::any_of(units.begin(), units.end(), [&](const SegmentPlace& place) {
    return std::find(disks.begin(), disks.end(), place.disk) != disks.end();
  });
}

// The memory of a stripe: for each unit its head and its blocks, as they lie on its disk.
class StripeMemory final {
 public:
  StripeMemory(int units, uint32_t unit_blocks)
      : unit_bytes_(size_t{unit_blocks} * kBlockBytes),
        memory_(static_cast<size_t>(units) * (kBlockBytes + unit_bytes_)) {}

  std::span<std::byte> whole(int unit) const {
    return memory_.span().subspan(static_cast<size_t>(unit) * (kBlockBytes + unit_bytes_),
                                  kBlockBytes + unit_bytes_);
  }
  std::span<std::byte> head(int unit) const { return whole(unit).first(kBlockBytes); }
  std::span<std::byte> blocks(int unit) const { return whole(unit).subspan(kBlockBytes); }
  size_t unit_bytes() const { return unit_bytes_; }

 private:
  const size_t unit_bytes_;
  const block::Buffer memory_;  // Zeroes, which is what follows the payload.
};

absl::Status FillUnits(const Protection& protection, const ec::Code* code,
                       std::span<const std::byte> payload, const StripeMemory& memory) {
  const int k = protection.data_units;
  const int total = protection.total_units();
  const size_t unit_bytes = memory.unit_bytes();
  for (int unit = 0; unit < k; ++unit) {
    const size_t at = std::min(payload.size(), static_cast<size_t>(unit) * unit_bytes);
    const size_t bytes = std::min(unit_bytes, payload.size() - at);
    if (bytes > 0) std::memcpy(memory.blocks(unit).data(), payload.data() + at, bytes);
  }
  if (code == nullptr) {
    for (int unit = k; unit < total; ++unit) {
      std::memcpy(memory.blocks(unit).data(), memory.blocks(0).data(), unit_bytes);
    }
    return absl::OkStatus();
  }
  std::vector<ec::ConstBytes> data;
  std::vector<ec::Bytes> parity;
  for (int unit = 0; unit < k; ++unit) data.push_back(memory.blocks(unit));
  for (int unit = k; unit < total; ++unit) parity.push_back(memory.blocks(unit));
  return code->Encode(data, parity);
}

}  // namespace

absl::StatusOr<WrittenStripe> StripeWriter::Write(const StripeContent& content) {
  for (int attempt = 0; attempt < kMaxGroups; ++attempt) {
    STRATA_ASSIGN_OR_RETURN(
        const Columns columns,
        options_.allocator->Take(content.kind, static_cast<uint32_t>(std::min<size_t>(
                                                   content.payload.size(), ~uint32_t{0}))));
    const absl::StatusOr<bool> written = WriteTo(columns, content);
    if (written.ok() && *written) {
      return WrittenStripe{columns, static_cast<uint32_t>(content.payload.size())};
    }
    options_.allocator->Drop(columns);
    if (!written.ok()) return written.status();
    options_.allocator->Retire(columns.group);
  }
  return absl::UnavailableError(
      absl::StrCat("a stripe could be written to none of ", kMaxGroups, " groups"));
}

absl::StatusOr<bool> StripeWriter::WriteTo(const Columns& columns, const StripeContent& content) {
  const GroupRecord& record = *columns.record;
  const int total = record.protection.total_units();
  STRATA_ASSIGN_OR_RETURN(const ec::Code* code, options_.codes->Find(record.protection));
  const StripeMemory memory(total, columns.unit_blocks);
  STRATA_RETURN_IF_ERROR(FillUnits(record.protection, code, content.payload, memory));

  if (content.records.size() > kMaxStripeRecords) {
    return absl::InvalidArgumentError("a stripe has at most 120 records");
  }
  StripeHead head{.filesystem = options_.filesystem,
                  .group = columns.group,
                  .column = columns.column,
                  .birth = columns.birth,
                  .protection = record.protection,
                  .unit_blocks = columns.unit_blocks,
                  .payload_bytes = static_cast<uint32_t>(content.payload.size()),
                  .records = content.records,
                  .granule_blocks = ChooseGranuleBlocks(record.protection, columns.unit_blocks,
                                                        content.records.size())};
  const int checksummed = code == nullptr ? 1 : total;
  for (int unit = 0; unit < checksummed; ++unit) {
    AppendChecksums(memory.blocks(unit), head.granule_blocks, &head.checksums);
  }
  STRATA_RETURN_IF_ERROR(Annotate(CheckStripeHead(head), "stripe"));

  std::vector<Transfer> writes;
  for (int unit = 0; unit < total; ++unit) {
    EncodeStripeHead(head, unit, memory.head(unit));
    const SegmentPlace& place = record.units[static_cast<size_t>(unit)];
    std::shared_ptr<Disk> disk = options_.disks->Find(place.disk);
    if (disk == nullptr || !disk->writable()) return false;
    const uint64_t offset_bytes =
        disk->SegmentOffset(place.segment) + uint64_t{columns.column} * kBlockBytes;
    writes.push_back({.disk = std::move(disk),
                      .op = block::Op::kWrite,
                      .offset_bytes = offset_bytes,
                      .memory = memory.whole(unit)});
  }
  RunTransfers(writes);
  bool all_written = true;
  absl::Status no_space;
  for (int unit = 0; unit < total; ++unit) {
    Transfer& write = writes[static_cast<size_t>(unit)];
    if (write.status.ok()) continue;
    // A thin device whose filesystem is full is not broken; nor would another group do better.
    if (absl::IsResourceExhausted(write.status)) {
      no_space = write.status;
      continue;
    }
    all_written = false;
    write.disk->StopWriting();
    NoteFault(DiskFault::kWrite, *write.disk, columns, unit, write.status);
  }
  STRATA_RETURN_IF_ERROR(no_space);
  return all_written;
}

void StripeWriter::NoteFault(DiskFault fault, Disk& disk, const Columns& columns, int unit,
                             const absl::Status& status) {
  if (!options_.on_damage) return;
  options_.on_damage(DescribeDamage(
      fault, disk, {columns.group, columns.column, columns.unit_blocks, columns.birth}, unit,
      {status.message().data(), status.message().size()}));
}

absl::Status StripeWriter::Flush(std::span<const WrittenStripe> stripes) {
  return Flush(stripes, nullptr);
}

absl::Status StripeWriter::Flush(std::span<const WrittenStripe> stripes,
                                 std::vector<uint32_t>* failed) {
  std::vector<std::shared_ptr<Disk>> disks;
  std::string absent;
  for (const WrittenStripe& stripe : stripes) {
    for (const SegmentPlace& place : stripe.columns.record->units) {
      std::shared_ptr<Disk> disk = options_.disks->Find(place.disk);
      if (disk != nullptr) {
        disks.push_back(std::move(disk));
        continue;
      }
      absent = absl::StrCat("disk ", place.disk, " is not there any more");
      if (failed != nullptr) failed->push_back(place.disk);
    }
  }
  absl::Status flushed = FlushDisks(disks, failed);
  if (!flushed.ok() || absent.empty()) return flushed;
  return absl::UnavailableError(absent);
}

absl::StatusOr<std::vector<WrittenStripe>> StripeWriter::WriteDurably(
    std::span<const StripeContent> contents) {
  std::vector<WrittenStripe> stripes(contents.size());
  std::vector<bool> is_written(contents.size());
  const auto give_up = [&](const absl::Status& status) {
    for (size_t i = 0; i < stripes.size(); ++i) {
      if (is_written[i]) options_.allocator->Drop(stripes[i].columns);
    }
    return status;
  };
  absl::Status flushed;
  for (int round = 0; round < kMaxFlushes; ++round) {
    for (size_t i = 0; i < contents.size(); ++i) {
      if (is_written[i]) continue;
      absl::StatusOr<WrittenStripe> stripe = Write(contents[i]);
      if (!stripe.ok()) return give_up(stripe.status());
      stripes[i] = *std::move(stripe);
      is_written[i] = true;
    }
    std::vector<uint32_t> failed;
    flushed = Flush(stripes, &failed);
    if (flushed.ok()) return stripes;
    for (size_t i = 0; i < stripes.size(); ++i) {
      if (!LiesOn(stripes[i], failed)) continue;
      options_.allocator->Drop(stripes[i].columns);
      is_written[i] = false;
    }
  }
  return give_up(flushed);
}

}  // namespace strata::ofs

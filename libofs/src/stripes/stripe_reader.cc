// SPDX-License-Identifier: Apache-2.0
//
// A read goes in steps, each of which reads from several disks at once: the head, unless it is in
// memory, and the blocks of the units that hold the range; then, if some of those are lost, what
// their repair needs. A unit in which anything is wrong counts as lost for the rest of the read.
#include "stripes/stripe_reader.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "disks/transfers.h"
#include "strata/base/crc32c.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"
#include "strata/block/buffer.h"

namespace strata::ofs {
namespace {

// Blocks [begin, end) of a unit.
struct BlockRange {
  uint32_t begin = 0;
  uint32_t end = 0;
  bool empty() const { return begin == end; }
  size_t bytes() const { return size_t{end - begin} * kBlockBytes; }
};

BlockRange Union(BlockRange a, BlockRange b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

std::string StripeText(const StripeName& stripe) {
  return absl::StrCat("group ", stripe.group, ", column ", stripe.column);
}

std::string_view View(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

// Why a head is not that of the stripe. Empty: it is.
std::string WhatIsWrong(const absl::StatusOr<DecodedStripeHead>& decoded, int unit,
                        const Uuid& filesystem, const StripeName& stripe,
                        const Protection& protection) {
  if (!decoded.ok()) return std::string(decoded.status().message());
  const StripeHead& head = decoded->head;
  if (head.filesystem != filesystem) return "it is of another filesystem";
  if (head.group != stripe.group || head.column != stripe.column) {
    return absl::StrCat("it is that of group ", head.group, ", column ", head.column);
  }
  if (head.birth != stripe.birth) {
    return absl::StrCat("its birth is ", head.birth, " instead of ", stripe.birth);
  }
  if (decoded->unit != unit) return absl::StrCat("it is that of unit ", decoded->unit);
  if (head.unit_blocks != stripe.unit_blocks || head.protection != protection) {
    return "it is that of a stripe of another shape";
  }
  return "";
}

}  // namespace

// One try with one idea of where the group lies.
class StripeReader::Attempt final {
 public:
  Attempt(StripeReader& reader, const StripeName& stripe, GroupPointer record, const ec::Code* code)
      : reader_(reader),
        options_(reader.options_),
        stripe_(stripe),
        record_(std::move(record)),
        code_(code),
        units_(static_cast<size_t>(record_->protection.total_units())) {
    for (int unit = 0; unit < total(); ++unit) {
      Unit& state = units_[static_cast<size_t>(unit)];
      state.disk = options_.disks->Find(record_->units[static_cast<size_t>(unit)].disk);
      if (state.disk != nullptr) continue;
      state.lost = true;
      NoteWrong(absl::StrCat("unit ", unit, ": disk ",
                             record_->units[static_cast<size_t>(unit)].disk, " is absent"));
    }
  }

  // The damage that was found; the caller decides whether it counts.
  const std::vector<Damage>& damage() const { return damage_; }

  absl::Status Read(uint64_t offset, std::span<std::byte> out) {
    STRATA_RETURN_IF_ERROR(CheckName());
    const uint64_t most_bytes =
        uint64_t{record_->protection.data_units} * stripe_.unit_blocks * kBlockBytes;
    STRATA_RETURN_IF_ERROR(CheckRange(offset, out.size(), most_bytes));
    head_ = reader_.FindHead(stripe_);
    if (code_ == nullptr) return ReadMirror(offset, out);
    const uint64_t unit_bytes = uint64_t{stripe_.unit_blocks} * kBlockBytes;
    std::vector<BlockRange> wanted(units_.size());
    for (uint64_t at = offset; at < offset + out.size();) {
      const uint64_t end = std::min(offset + out.size(), (at / unit_bytes + 1) * unit_bytes);
      wanted[at / unit_bytes] = Blocks(at % unit_bytes, (end - 1) % unit_bytes + 1);
      at = end;
    }
    STRATA_RETURN_IF_ERROR(ReadUnits(wanted));
    STRATA_RETURN_IF_ERROR(NeedHead());
    STRATA_RETURN_IF_ERROR(CheckRange(offset, out.size(), head_->payload_bytes));
    STRATA_RETURN_IF_ERROR(VerifyUnits(wanted));
    BlockRange missing;
    for (int unit = 0; unit < record_->protection.data_units; ++unit) {
      const BlockRange range = wanted[static_cast<size_t>(unit)];
      if (!range.empty() && !Has(unit, range)) missing = Union(missing, Granules(range));
    }
    if (!missing.empty()) STRATA_RETURN_IF_ERROR(Reconstruct(wanted, missing));
    for (uint64_t at = offset; at < offset + out.size();) {
      const uint64_t end = std::min(offset + out.size(), (at / unit_bytes + 1) * unit_bytes);
      CopyOut(static_cast<int>(at / unit_bytes), at % unit_bytes,
              out.subspan(at - offset, end - at));
      at = end;
    }
    return absl::OkStatus();
  }

  // `out` has the unit's head and all of its blocks, of which these are set.
  absl::Status ReadUnit(int number, BlockRange range, std::span<std::byte> out) {
    STRATA_RETURN_IF_ERROR(CheckName());
    const BlockRange whole{0, stripe_.unit_blocks};
    if (out.size() != kBlockBytes + whole.bytes()) {
      return absl::InvalidArgumentError(absl::StrCat(StripeText(stripe_), ": a unit has ",
                                                     kBlockBytes + whole.bytes(), " bytes, not ",
                                                     out.size()));
    }
    head_ = reader_.FindHead(stripe_);
    STRATA_RETURN_IF_ERROR(NeedHead());
    const uint64_t at = uint64_t{range.begin} * kBlockBytes;
    const std::span<std::byte> blocks = out.subspan(kBlockBytes + at, range.bytes());
    std::vector<BlockRange> wanted(units_.size());
    if (code_ == nullptr) {
      STRATA_ASSIGN_OR_RETURN(const int copy, ReadCopy(range));
      CopyOut(copy, at, blocks);
    } else {
      wanted[static_cast<size_t>(number)] = range;
      STRATA_RETURN_IF_ERROR(ReadUnits(wanted));
      STRATA_RETURN_IF_ERROR(VerifyUnits(wanted));
      if (!Has(number, Granules(range))) {
        STRATA_RETURN_IF_ERROR(Reconstruct(wanted, Granules(range)));
      }
      CopyOut(number, at, blocks);
    }
    EncodeStripeHead(*head_, number, out.first(kBlockBytes));
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<int>> FindDamage() {
    STRATA_RETURN_IF_ERROR(CheckName());
    std::vector<bool> is_here;
    for (const Unit& state : units_) is_here.push_back(!state.lost);
    // Every head, though one would do to read the stripe.
    const block::Buffer heads(size_t{kBlockBytes} * units_.size());
    std::vector<Transfer> reads;
    std::vector<int> of_unit;
    for (int number = 0; number < total(); ++number) {
      if (unit(number).lost) continue;
      reads.push_back(
          {.disk = unit(number).disk,
           .offset_bytes = OffsetOf(number, 0),
           .memory = heads.span().subspan(size_t{kBlockBytes} * of_unit.size(), kBlockBytes)});
      of_unit.push_back(number);
    }
    RunTransfers(reads);
    for (size_t i = 0; i < reads.size(); ++i) {
      if (reads[i].status.ok()) {
        TakeHead(of_unit[i], reads[i].memory);
      } else {
        Lose(of_unit[i], DiskFault::kRead, View(reads[i].status));
      }
    }
    if (head_ == nullptr) return Lost("no unit has its head");
    std::vector<BlockRange> wanted(units_.size(), BlockRange{0, stripe_.unit_blocks});
    STRATA_RETURN_IF_ERROR(ReadUnits(wanted));
    STRATA_RETURN_IF_ERROR(VerifyUnits(wanted));
    std::vector<int> damaged;
    for (int number = 0; number < total(); ++number) {
      if (unit(number).lost && is_here[static_cast<size_t>(number)]) damaged.push_back(number);
    }
    return damaged;
  }

  absl::StatusOr<HeadPointer> ReadHead() {
    STRATA_RETURN_IF_ERROR(CheckName());
    head_ = reader_.FindHead(stripe_);
    STRATA_RETURN_IF_ERROR(NeedHead());
    return head_;
  }

 private:
  struct Unit {
    std::shared_ptr<Disk> disk;
    bool lost = false;      // Absent, or something in it was wrong.
    bool verified = false;  // What is in `buffer`.
    BlockRange range;       // What is in `buffer`.
    block::Buffer buffer;
  };

  int total() const { return record_->protection.total_units(); }
  Unit& unit(int number) { return units_[static_cast<size_t>(number)]; }

  static BlockRange Blocks(uint64_t begin_bytes, uint64_t end_bytes) {
    return {static_cast<uint32_t>(begin_bytes / kBlockBytes),
            static_cast<uint32_t>(DivideUp(end_bytes, kBlockBytes))};
  }
  // The range rounded to what checksums cover. Before the head is known, one block each.
  BlockRange Granules(BlockRange range) const {
    const uint32_t granule = head_ == nullptr ? 1 : head_->granule_blocks;
    return {range.begin / granule * granule,
            std::min(stripe_.unit_blocks,
                     static_cast<uint32_t>(DivideUp(range.end, granule)) * granule)};
  }
  bool Has(int number, BlockRange range) {
    const Unit& state = unit(number);
    return state.verified && state.range.begin <= range.begin && state.range.end >= range.end;
  }

  void NoteWrong(const std::string& what) { absl::StrAppend(&wrong_, "; ", what); }

  void Lose(int number, DiskFault fault, std::string_view what) {
    Unit& state = unit(number);
    state.lost = true;
    state.verified = false;
    damage_.push_back(DescribeDamage(fault, *state.disk, stripe_, number, what));
    NoteWrong(absl::StrCat("unit ", number, ": ", damage_.back().status.message()));
  }

  uint64_t OffsetOf(int number, uint32_t blocks_after_head) {
    return unit(number).disk->SegmentOffset(record_->units[static_cast<size_t>(number)].segment) +
           (uint64_t{stripe_.column} + blocks_after_head) * kBlockBytes;
  }

  void TakeHead(int number, std::span<const std::byte> block) {
    absl::StatusOr<DecodedStripeHead> decoded = DecodeStripeHead(block);
    const std::string wrong =
        WhatIsWrong(decoded, number, options_.filesystem, stripe_, record_->protection);
    if (!wrong.empty()) return Lose(number, DiskFault::kHead, wrong);
    if (head_ != nullptr) return;
    head_ = std::make_shared<const StripeHead>(std::move(decoded->head));
    reader_.KeepHead(stripe_, head_);
  }

  // Reads what is wanted of each unit that is not lost, side by side, and the head of the first of
  // them where it is not known. Nothing is verified yet.
  absl::Status ReadUnits(const std::vector<BlockRange>& wanted) {
    std::vector<Transfer> reads;
    std::vector<int> of_unit;
    std::optional<block::Buffer> head_block;
    for (int number = 0; number < total(); ++number) {
      Unit& state = unit(number);
      const BlockRange range = Granules(wanted[static_cast<size_t>(number)]);
      if (wanted[static_cast<size_t>(number)].empty() || state.lost || Has(number, range)) continue;
      if (head_ == nullptr && !head_block.has_value()) {
        head_block.emplace(kBlockBytes);
        reads.push_back({.disk = state.disk,
                         .offset_bytes = OffsetOf(number, 0),
                         .memory = head_block->span()});
        of_unit.push_back(number);
      }
      state.buffer = block::Buffer::ForOverwrite(range.bytes());
      state.range = range;
      state.verified = false;
      reads.push_back({.disk = state.disk,
                       .offset_bytes = OffsetOf(number, 1 + range.begin),
                       .memory = state.buffer.span()});
      of_unit.push_back(number);
    }
    for (const Transfer& read : reads) read.disk->load().fetch_add(1, std::memory_order_relaxed);
    RunTransfers(reads);
    for (const Transfer& read : reads) read.disk->load().fetch_sub(1, std::memory_order_relaxed);
    for (size_t i = 0; i < reads.size(); ++i) {
      const bool is_head = head_block.has_value() && i == 0;
      if (unit(of_unit[i]).lost) continue;
      if (!reads[i].status.ok()) {
        Lose(of_unit[i], DiskFault::kRead, View(reads[i].status));
      } else if (is_head) {
        TakeHead(of_unit[i], reads[i].memory);
      }
    }
    return absl::OkStatus();
  }

  // A head from one unit after the other, until one is right.
  absl::Status NeedHead() {
    const block::Buffer block(kBlockBytes);
    for (int number = 0; number < total() && head_ == nullptr; ++number) {
      if (unit(number).lost) continue;
      Transfer read{
          .disk = unit(number).disk, .offset_bytes = OffsetOf(number, 0), .memory = block.span()};
      RunTransfers({&read, 1});
      if (read.status.ok()) {
        TakeHead(number, block.span());
      } else {
        Lose(number, DiskFault::kRead, View(read.status));
      }
    }
    if (head_ != nullptr) return absl::OkStatus();
    return Lost("no unit has its head");
  }

  // Before anything is read: the stripe lies within its segments.
  absl::Status CheckName() const {
    const bool is_inside = stripe_.unit_blocks >= 1 && stripe_.unit_blocks <= kMaxUnitBlocks &&
                           std::all_of(units_.begin(), units_.end(), [this](const Unit& state) {
                             const uint64_t end =
                                 uint64_t{stripe_.column} + 1 + stripe_.unit_blocks;
                             return state.disk == nullptr ||
                                    end * kBlockBytes <= state.disk->superblock().segment_bytes;
                           });
    if (is_inside) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        StripeText(stripe_), ": a stripe of ", stripe_.unit_blocks, " blocks does not fit there"));
  }

  absl::Status CheckRange(uint64_t offset, size_t size, uint64_t most_bytes) const {
    if (offset <= most_bytes && size <= most_bytes - offset) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(StripeText(stripe_), ": bytes ", offset, " to ",
                                                   offset + size, " of ", most_bytes));
  }

  // Checks what was read. A unit that was read before the head was known, in granules too small,
  // is read again.
  absl::Status VerifyUnits(const std::vector<BlockRange>& wanted) {
    STRATA_RETURN_IF_ERROR(ReadWider(wanted));
    for (int number = 0; number < total(); ++number) {
      const Unit& state = unit(number);
      if (wanted[static_cast<size_t>(number)].empty() || state.lost || state.verified) continue;
      Verify(number);
    }
    return absl::OkStatus();
  }

  absl::Status ReadWider(const std::vector<BlockRange>& wanted) {
    std::vector<BlockRange> wider(units_.size());
    for (int number = 0; number < total(); ++number) {
      const BlockRange range = wanted[static_cast<size_t>(number)];
      const BlockRange granules = Granules(range);
      const Unit& state = unit(number);
      if (range.empty() || state.lost) continue;
      if (state.range.begin > granules.begin || state.range.end < granules.end) {
        wider[static_cast<size_t>(number)] = granules;
      }
    }
    return ReadUnits(wider);
  }

  void Verify(int number) {
    Unit& state = unit(number);
    const uint32_t granule_blocks = head_->granule_blocks;
    for (uint32_t at = state.range.begin; at < state.range.end; at += granule_blocks) {
      const uint32_t end = std::min(at + granule_blocks, state.range.end);
      const std::span<const std::byte> bytes = state.buffer.span().subspan(
          size_t{at - state.range.begin} * kBlockBytes, size_t{end - at} * kBlockBytes);
      if (Crc32c(bytes) == head_->checksum(number, at / granule_blocks)) continue;
      return Lose(number, DiskFault::kChecksum,
                  absl::StrCat("blocks ", at, " to ", end, " of the unit"));
    }
    state.verified = true;
  }

  // Brings back the blocks `range` of all data units that are wanted and do not have them.
  absl::Status Reconstruct(const std::vector<BlockRange>& wanted, BlockRange range) {
    while (true) {
      ec::ShardSet present;
      ec::ShardSet missing;
      for (int number = 0; number < total(); ++number) {
        const bool is_wanted = !wanted[static_cast<size_t>(number)].empty();
        if (!unit(number).lost) {
          present.set(static_cast<size_t>(number));
        } else if (is_wanted) {
          missing.set(static_cast<size_t>(number));
          // Also of a unit that was lost only now.
          range = Union(range, Granules(wanted[static_cast<size_t>(number)]));
        }
      }
      if (missing.none()) return absl::OkStatus();
      const absl::StatusOr<std::unique_ptr<ec::Repair>> repair =
          code_->PlanRepair(present, missing);
      if (!repair.ok()) return Lost("too many units are lost");
      std::vector<BlockRange> sources(units_.size());
      // What is wanted of a source itself is read with it: its buffer holds one range.
      for (const int source : (*repair)->sources()) {
        sources[static_cast<size_t>(source)] = Union(range, wanted[static_cast<size_t>(source)]);
      }
      STRATA_RETURN_IF_ERROR(ReadUnits(sources));
      STRATA_RETURN_IF_ERROR(VerifyUnits(sources));
      const bool all_read = std::all_of((*repair)->sources().begin(), (*repair)->sources().end(),
                                        [&](int source) { return Has(source, range); });
      if (!all_read) continue;  // Another unit is lost: plan again.
      return RunRepair(**repair, range);
    }
  }

  absl::Status RunRepair(const ec::Repair& repair, BlockRange range) {
    std::vector<ec::ConstBytes> sources;
    std::vector<ec::Bytes> targets;
    for (const int source : repair.sources()) {
      const Unit& state = unit(source);
      sources.push_back(state.buffer.span().subspan(
          size_t{range.begin - state.range.begin} * kBlockBytes, range.bytes()));
    }
    for (const int target : repair.targets()) {
      Unit& state = unit(target);
      state.buffer = block::Buffer::ForOverwrite(range.bytes());
      state.range = range;
      targets.push_back(state.buffer.span());
    }
    STRATA_RETURN_IF_ERROR(repair.Run(sources, targets));
    for (const int target : repair.targets()) {
      Verify(target);
      if (!unit(target).verified) return Lost("what was reconstructed is not what was written");
    }
    return absl::OkStatus();
  }

  absl::Status ReadMirror(uint64_t offset, std::span<std::byte> out) {
    STRATA_ASSIGN_OR_RETURN(const int copy, ReadCopy(Blocks(offset, offset + out.size())));
    STRATA_RETURN_IF_ERROR(CheckRange(offset, out.size(), head_->payload_bytes));
    CopyOut(copy, offset, out);
    return absl::OkStatus();
  }

  // A copy is as good as another: the one with the fewest faults and the least to do. Returns which
  // one has the range now.
  absl::StatusOr<int> ReadCopy(BlockRange range) {
    while (true) {
      int best = -1;
      for (int number = 0; number < total(); ++number) {
        if (unit(number).lost) continue;
        if (best < 0 || IsBetter(*unit(number).disk, *unit(best).disk)) best = number;
      }
      if (best < 0) return Lost("no copy is left");
      std::vector<BlockRange> wanted(units_.size());
      wanted[static_cast<size_t>(best)] = range;
      STRATA_RETURN_IF_ERROR(ReadUnits(wanted));
      if (unit(best).lost) continue;
      STRATA_RETURN_IF_ERROR(VerifyUnits(wanted));
      if (Has(best, range)) return best;
    }
  }

  static bool IsBetter(Disk& a, Disk& b) {
    return std::pair(a.fault_count(), a.load().load(std::memory_order_relaxed)) <
           std::pair(b.fault_count(), b.load().load(std::memory_order_relaxed));
  }

  void CopyOut(int number, uint64_t offset, std::span<std::byte> out) {
    const Unit& state = unit(number);
    std::memcpy(out.data(),
                state.buffer.data() + (offset - uint64_t{state.range.begin} * kBlockBytes),
                out.size());
  }

  absl::Status Lost(absl::string_view why) const {
    return absl::DataLossError(absl::StrCat(StripeText(stripe_), ": ", why, wrong_));
  }

  StripeReader& reader_;
  const StripeReaderOptions& options_;
  const StripeName stripe_;
  const GroupPointer record_;
  const ec::Code* const code_;  // Null: a mirror.
  std::vector<Unit> units_;
  HeadPointer head_;
  std::vector<Damage> damage_;
  std::string wrong_;
};

// Runs `body(attempt)`. When it found damage, the group may have moved: then it runs again where
// the group is now, and what was found at the old places does not count.
template <typename Body>
absl::Status StripeReader::WithNewestPlaces(const StripeName& stripe, Body body, Reports reports) {
  STRATA_ASSIGN_OR_RETURN(GroupPointer record, options_.groups->Find(stripe.group));
  while (true) {
    STRATA_ASSIGN_OR_RETURN(const ec::Code* code, options_.codes->Find(record->protection));
    Attempt attempt(*this, stripe, record, code);
    absl::Status status = body(attempt);
    if (attempt.damage().empty() && !absl::IsDataLoss(status)) return status;
    STRATA_ASSIGN_OR_RETURN(GroupPointer newest, options_.groups->FindAgain(stripe.group));
    if (*newest != *record) {
      record = std::move(newest);
      continue;
    }
    if (reports == Reports::kNo) return status;
    for (const Damage& damage : attempt.damage()) {
      // A device's own errors were counted where they happened.
      const std::shared_ptr<Disk> disk = options_.disks->Find(damage.disk);
      if (disk != nullptr && damage.fault != DiskFault::kRead) disk->Count(damage.fault);
      if (options_.on_damage) options_.on_damage(damage);
    }
    return status;
  }
}

absl::Status StripeReader::Read(const StripeName& stripe, uint64_t offset,
                                std::span<std::byte> out) {
  if (out.empty()) return absl::OkStatus();
  const absl::Status whole = WithNewestPlaces(
      stripe, [&](Attempt& attempt) -> absl::Status { return attempt.Read(offset, out); });
  if (!absl::IsDataLoss(whole)) return whole;
  // Where different blocks of many units are damaged, each block may still have enough others.
  for (uint64_t at = offset; at < offset + out.size();) {
    const uint64_t end = std::min(offset + out.size(), (at / kBlockBytes + 1) * kBlockBytes);
    if (!Probe(stripe, at, out.subspan(at - offset, end - at)).ok()) return whole;
    at = end;
  }
  return absl::OkStatus();
}

absl::Status StripeReader::Probe(const StripeName& stripe, uint64_t offset,
                                 std::span<std::byte> out) {
  return WithNewestPlaces(
      stripe, [&](Attempt& attempt) -> absl::Status { return attempt.Read(offset, out); },
      Reports::kNo);
}

absl::Status StripeReader::ReadUnit(const StripeName& stripe, int unit, std::span<std::byte> out) {
  const auto read = [&](BlockRange range, Reports reports) {
    return WithNewestPlaces(
        stripe,
        [&](Attempt& attempt) -> absl::Status { return attempt.ReadUnit(unit, range, out); },
        reports);
  };
  const absl::Status whole = read({0, stripe.unit_blocks}, Reports::kYes);
  if (!absl::IsDataLoss(whole)) return whole;
  for (uint32_t block = 0; block < stripe.unit_blocks; ++block) {  // As in Read().
    if (!read({block, block + 1}, Reports::kNo).ok()) return whole;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int>> StripeReader::FindDamage(const StripeName& stripe) {
  std::vector<int> damaged;
  STRATA_RETURN_IF_ERROR(WithNewestPlaces(stripe, [&](Attempt& attempt) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(damaged, attempt.FindDamage());
    return absl::OkStatus();
  }));
  return damaged;
}

absl::StatusOr<HeadPointer> StripeReader::ReadHead(const StripeName& stripe) {
  HeadPointer head;
  STRATA_RETURN_IF_ERROR(WithNewestPlaces(stripe, [&](Attempt& attempt) -> absl::Status {
    STRATA_ASSIGN_OR_RETURN(head, attempt.ReadHead());
    return absl::OkStatus();
  }));
  return head;
}

HeadPointer StripeReader::FindHead(const StripeName& stripe) {
  MutexLock lock(&mutex_);
  const auto it = heads_.find({stripe.group, stripe.column});
  const bool is_this = it != heads_.end() && it->second->birth == stripe.birth &&
                       it->second->unit_blocks == stripe.unit_blocks;
  return is_this ? it->second : nullptr;
}

void StripeReader::KeepHead(const StripeName& stripe, HeadPointer head) {
  MutexLock lock(&mutex_);
  const std::pair key(stripe.group, stripe.column);
  if (!heads_.insert_or_assign(key, std::move(head)).second) return;
  order_.push_back(key);
  while (order_.size() > kMaxHeadsKept) {
    heads_.erase(order_.front());
    order_.pop_front();
  }
}

}  // namespace strata::ofs

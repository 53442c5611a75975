// SPDX-License-Identifier: Apache-2.0
#include "format/container_scan.h"

#include "format/layout.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

// Whether the log put this region there. Bytes that a client stored may look like a region, but do
// not know the container's nonce.
bool StandsAt(const RegionHeader& header, uint64_t offset_bytes, const ContainerScan& scan) {
  return header.container_id == scan.header.id && header.container_nonce == scan.header.nonce &&
         uint64_t{header.offset_units} * kUnitBytes == offset_bytes;
}

// The region at `offset_bytes`, when it is the next of the chain. The first need not continue the
// header, which recovery may have restored.
absl::StatusOr<DecodedRegion> NextRegion(std::span<const std::byte> slot, uint64_t offset_bytes,
                                         Cipher* cipher, const ContainerScan& scan) {
  if (offset_bytes >= slot.size()) return absl::OutOfRangeError("the slot is full");
  STRATA_ASSIGN_OR_RETURN(DecodedRegion region, DecodeRegion(slot.subspan(offset_bytes), cipher));
  const RegionHeader& header = region.header;
  if (!StandsAt(header, offset_bytes, scan) || header.sequence != scan.next_sequence ||
      (header.previous_crc != scan.last_crc && header.sequence != 0)) {
    return absl::DataLossError("region: a leftover, not the next of this container");
  }
  return region;
}

// The first whole region of this container from `offset_bytes` on that is not older than
// `least_sequence`. What lies before it is damaged, or was never written because the power went:
// then nobody was told of what is behind it, and taking it along does no harm.
absl::StatusOr<DecodedRegion> RegionAfterGap(std::span<const std::byte> slot, uint64_t offset_bytes,
                                             uint32_t least_sequence, Cipher* cipher,
                                             const ContainerScan& scan) {
  for (uint64_t at = AlignUp(offset_bytes, kUnitBytes); at < slot.size(); at += kUnitBytes) {
    // The header first: a body is not worth its checksum before the header fits.
    const absl::StatusOr<RegionHeader> header = DecodeRegionHeader(slot.subspan(at));
    if (!header.ok() || !StandsAt(*header, at, scan) || header->sequence < least_sequence) continue;
    absl::StatusOr<DecodedRegion> region = DecodeRegion(slot.subspan(at), cipher);
    if (region.ok()) return region;
  }
  return absl::NotFoundError("no region follows");
}

// Takes `region` in as the last one so far. False: the container cannot hold as much.
bool Take(const DecodedRegion& region, ContainerScan* scan) {
  const RegionHeader& header = region.header;
  if (scan->contents.chunks.size() + header.chunk_count > kMaxChunksPerContainer ||
      scan->contents.journal_regions >= kMaxJournalRegionsPerContainer) {
    return false;
  }
  AppendToContents(header, region.table, &scan->contents);
  scan->next_sequence = header.sequence + 1;
  scan->last_crc = header.header_crc;
  scan->end_bytes = (uint64_t{header.offset_units} + header.size_units()) * kUnitBytes;
  return true;
}

// Goes along the chain from where `scan` is.
absl::Status FollowChain(std::span<const std::byte> slot, uint32_t block_bytes, Cipher* cipher,
                         const RegionVisitor& visit, ContainerScan* scan) {
  for (;;) {
    // The next region follows at once, or at the next block when it was written later.
    absl::StatusOr<DecodedRegion> region = NextRegion(slot, scan->end_bytes, cipher, *scan);
    if (!region.ok() && scan->end_bytes % block_bytes != 0) {
      region = NextRegion(slot, AlignUp(scan->end_bytes, block_bytes), cipher, *scan);
    }
    if (!region.ok()) {
      absl::StatusOr<DecodedRegion> after_gap =
          RegionAfterGap(slot, scan->end_bytes + 1, scan->next_sequence + 1, cipher, *scan);
      if (after_gap.ok()) {
        scan->gaps.push_back(scan->end_bytes);
        region = std::move(after_gap);
      }
    }
    if (!region.ok()) {
      scan->end_reason = std::string(region.status().message());
      return absl::OkStatus();
    }
    if (visit != nullptr) STRATA_RETURN_IF_ERROR(visit(*region));
    if (!Take(*region, scan)) {
      scan->end_reason = "more chunks than a container holds";
      return absl::OkStatus();
    }
  }
}

bool HasFooter(std::span<const std::byte> slot, Cipher* cipher, uint64_t container_id) {
  size_t footer_bytes = 0;
  const absl::StatusOr<DecodedFooter> footer = DecodeFooter(slot, cipher, &footer_bytes);
  return footer.ok() && footer->container_id == container_id;
}

}  // namespace

void AppendToContents(const RegionHeader& header, std::span<const ChunkEntry> table,
                      ContainerContents* contents) {
  contents->regions.push_back(
      {header.offset_units, header.size_units(), header.chunk_count, header.kind});
  if (header.kind == RegionKind::kJournal) {
    ++contents->journal_regions;
    contents->journal_bytes += uint64_t{header.size_units()} * kUnitBytes;
    return;
  }
  for (const ChunkEntry& entry : table) contents->chunks.push_back(entry.fingerprint);
  contents->raw_bytes += header.raw_bytes;
  contents->stored_bytes += header.stored_bytes;
  if (header.kind == RegionKind::kRecipes) contents->recipe_bytes += header.raw_bytes;
  contents->deferred |= header.deferred;
  if (header.kind == RegionKind::kData) contents->dense &= header.dense();
}

absl::StatusOr<ContainerScan> ScanContainer(std::span<const std::byte> slot, uint32_t block_bytes,
                                            Cipher* cipher, const RegionVisitor& visit) {
  ContainerScan scan;
  STRATA_ASSIGN_OR_RETURN(scan.header, DecodeContainerHeader(slot));
  scan.last_crc = scan.header.header_crc;
  scan.end_bytes = kContainerHeaderBytes;
  STRATA_RETURN_IF_ERROR(FollowChain(slot, block_bytes, cipher, visit, &scan));
  scan.has_footer = HasFooter(slot, cipher, scan.header.id);
  return scan;
}

absl::StatusOr<ContainerScan> ScanWithoutHeader(std::span<const std::byte> slot,
                                                const ContainerHeader& header, uint32_t block_bytes,
                                                Cipher* cipher, const RegionVisitor& visit) {
  ContainerScan scan;
  scan.header = header;
  STRATA_ASSIGN_OR_RETURN(
      const DecodedRegion first,
      RegionAfterGap(slot, kContainerHeaderBytes, /*least_sequence=*/0, cipher, scan));
  scan.gaps.push_back(0);
  if (visit != nullptr) STRATA_RETURN_IF_ERROR(visit(first));
  if (Take(first, &scan)) {
    STRATA_RETURN_IF_ERROR(FollowChain(slot, block_bytes, cipher, visit, &scan));
  }
  scan.has_footer = HasFooter(slot, cipher, header.id);
  return scan;
}

}  // namespace strata::dedup

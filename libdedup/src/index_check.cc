// SPDX-License-Identifier: Apache-2.0
#include "index_check.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr uint64_t kMaxEntriesPerPart = 8u << 20;  // Eight bytes each.
constexpr uint64_t kMaxParts = 256;                // By the first byte of a fingerprint.
constexpr size_t kMaxNamed = 100;

uint64_t HashOf(const Fingerprint& fingerprint, const ChunkPlace& place) {
  // Where bytes of a SHA-256 go in, multiplying and adding is hash enough.
  uint64_t hash = LoadLe64(fingerprint.bytes.data() + 8);
  for (const uint64_t value : {place.container_id, uint64_t{place.offset_units},
                               uint64_t{place.size_units}, uint64_t{place.ordinal}}) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15;
    hash ^= hash >> 29;
  }
  return hash;
}

class Check final {
 public:
  Check(StoreCore* core, IndexCheck* check) : core_(core), check_(check) {}

  absl::Status Run(const std::function<absl::Status(uint64_t, uint64_t)>& report) {
    uint64_t chunks = 0;
    for (const auto& [id, info] : core_->table->List()) {
      if (!info.record.sealed) continue;
      containers_.emplace_back(id, info.record);
      chunks += info.record.chunk_count;
    }
    const uint64_t parts = std::clamp<uint64_t>(chunks / kMaxEntriesPerPart + 1, 1, kMaxParts);
    for (uint64_t part = 0; part < parts; ++part) {
      begin_ = part * kMaxParts / parts;
      end_ = (part + 1) * kMaxParts / parts;
      STRATA_RETURN_IF_ERROR(Gather());
      STRATA_RETURN_IF_ERROR(Compare());
      STRATA_RETURN_IF_ERROR(report(part + 1, parts));
    }
    if (wrong_ > kMaxNamed) {
      check_->damage.push_back(absl::StrFormat("%d more index entries are wrong; rebuild the index",
                                               wrong_ - kMaxNamed));
    }
    return absl::OkStatus();
  }

 private:
  bool InPart(const Fingerprint& fingerprint) const {
    const auto first = static_cast<uint64_t>(fingerprint.bytes[0]);
    return first >= begin_ && first < end_;
  }

  // What the containers hold of this part.
  absl::Status Gather() {
    there_.clear();
    told_.clear();
    for (const auto& [id, record] : containers_) {
      const absl::StatusOr<ContainerContents> contents =
          core_->container_reader->ReadContents(id, record);
      if (!contents.ok()) continue;  // Collected by now, or damaged, which is reported elsewhere.
      told_.insert(id);
      size_t chunk = 0;
      for (const RegionExtent& region : contents->regions) {
        for (uint32_t i = 0; i < region.chunk_count; ++i, ++chunk) {
          if (!InPart(contents->chunks[chunk])) continue;
          there_.push_back(
              HashOf(contents->chunks[chunk],
                     {id, region.offset_units, region.size_units, static_cast<uint16_t>(i)}));
        }
      }
    }
    std::sort(there_.begin(), there_.end());
    return absl::OkStatus();
  }

  absl::Status Compare() {
    const std::unique_ptr<kv::Snapshot> snapshot = core_->options.kv->NewSnapshot();
    kv::Range range{std::string(1, static_cast<char>(begin_)),
                    end_ == kMaxParts ? "" : std::string(1, static_cast<char>(end_))};
    for (bool more = true; more;) {
      STRATA_ASSIGN_OR_RETURN(
          kv::Page page,
          snapshot->List(core_->chunks, range, {.max_items = 10000, .skip_damaged = true}));
      for (size_t i = 0; i < page.skipped.size(); ++i) {
        Wrong("a part of the chunk index cannot be read; rebuild the index");
      }
      for (const kv::KeyValue& item : page.items) STRATA_RETURN_IF_ERROR(CompareEntry(item));
      more = page.more;
      if (more) range.begin = page.items.back().key + '\0';
    }
    return absl::OkStatus();
  }

  absl::Status CompareEntry(const kv::KeyValue& item) {
    ++check_->entries;
    Fingerprint fingerprint;
    const absl::StatusOr<ChunkPlace> place = DecodeChunkPlace(item.value);
    if (!place.ok() || item.key.size() != fingerprint.bytes.size()) {
      Wrong("an entry of the chunk index cannot be decoded; rebuild the index");
      return absl::OkStatus();
    }
    std::memcpy(fingerprint.bytes.data(), item.key.data(), item.key.size());
    if (std::binary_search(there_.begin(), there_.end(), HashOf(fingerprint, *place))) {
      return absl::OkStatus();
    }
    const std::optional<ContainerInfo> info = core_->table->Find(place->container_id);
    // Sealed since the check began, or its table cannot be read.
    if (info.has_value() && !told_.contains(place->container_id)) return absl::OkStatus();
    // Or moved and collected since.
    STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> now,
                            core_->options.kv->NewSnapshot()->Get(core_->chunks, item.key));
    if (now != item.value) return absl::OkStatus();
    Wrong(
        absl::StrFormat("the index entry of chunk %s leads to container %d, %s; rebuild the index",
                        fingerprint.ToHex(), place->container_id,
                        info.has_value() ? "which has another chunk there" : "which is not there"));
    return absl::OkStatus();
  }

  void Wrong(std::string what) {
    if (++wrong_ <= kMaxNamed) check_->damage.push_back(std::move(what));
  }

  StoreCore* const core_;
  IndexCheck* const check_;
  std::vector<std::pair<uint64_t, ContainerRecord>> containers_;
  uint64_t begin_ = 0;  // The part: first bytes of fingerprints.
  uint64_t end_ = 0;
  std::vector<uint64_t> there_;         // Sorted.
  absl::flat_hash_set<uint64_t> told_;  // Containers that are in it.
  uint64_t wrong_ = 0;
};

}  // namespace

absl::Status CheckIndex(StoreCore& core,
                        const std::function<absl::Status(uint64_t, uint64_t)>& report,
                        IndexCheck* check) {
  return Check(&core, check).Run(report);
}

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
#include "format/index_records.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kPlaceBytes = 18;
constexpr size_t kContainerRecordBytes = 38;  // Before superseded_regions.
constexpr std::byte kOpen{0};
constexpr std::byte kSealed{1};
constexpr std::byte kSealedDeferred{2};
constexpr std::byte kSealedDense{3};
constexpr uint8_t kVersionWithLeftRegions = 2;
constexpr size_t kStoreRecordBytes = 22;

std::byte* Bytes(std::string& text) { return reinterpret_cast<std::byte*>(text.data()); }
const std::byte* Bytes(std::string_view text) {
  return reinterpret_cast<const std::byte*>(text.data());
}

absl::Status CheckRecord(const char* what, std::string_view bytes, size_t size) {
  if (!bytes.empty() && static_cast<uint8_t>(bytes[0]) > kVersion) {
    return absl::UnimplementedError(absl::StrFormat("%s: format version %d, this program knows %d",
                                                    what, static_cast<uint8_t>(bytes[0]),
                                                    kVersion));
  }
  if (bytes.size() != size || static_cast<uint8_t>(bytes[0]) != kVersion) {
    return absl::DataLossError(absl::StrFormat("%s: cannot be decoded", what));
  }
  return absl::OkStatus();
}

}  // namespace

std::string ChunkKey(const Fingerprint& fingerprint) {
  return std::string(reinterpret_cast<const char*>(fingerprint.bytes.data()),
                     fingerprint.bytes.size());
}

absl::StatusOr<Fingerprint> ParseChunkKey(std::string_view key) {
  Fingerprint fingerprint;
  if (key.size() != fingerprint.bytes.size()) {
    return absl::DataLossError("dedup: the chunk index holds a key that is no fingerprint");
  }
  std::memcpy(fingerprint.bytes.data(), key.data(), key.size());
  return fingerprint;
}

std::string EncodeChunkPlace(const ChunkPlace& place) {
  std::string bytes(kPlaceBytes, '\0');
  std::byte* at = Bytes(bytes);
  StoreLe64(at, place.container_id);
  StoreLe32(at + 8, place.offset_units);
  StoreLe32(at + 12, place.size_units);
  StoreLe16(at + 16, place.ordinal);
  return bytes;
}

absl::StatusOr<ChunkPlace> DecodeChunkPlace(std::string_view bytes) {
  if (bytes.size() != kPlaceBytes)
    return absl::DataLossError("chunk index entry: cannot be decoded");
  const std::byte* at = Bytes(bytes);
  ChunkPlace place;
  place.container_id = LoadLe64(at);
  place.offset_units = LoadLe32(at + 8);
  place.size_units = LoadLe32(at + 12);
  place.ordinal = LoadLe16(at + 16);
  return place;
}

std::string ContainerKey(uint64_t container_id) {
  std::string key(8, '\0');
  StoreBe64(Bytes(key), container_id);
  return key;
}

absl::StatusOr<uint64_t> ParseContainerKey(std::string_view key) {
  if (key.size() != 8) return absl::InvalidArgumentError("not the key of a container record");
  return LoadBe64(Bytes(key));
}

std::string EncodeContainerRecord(const ContainerRecord& record) {
  std::string bytes(kContainerRecordBytes + 4 * record.superseded_regions.size(), '\0');
  std::byte* at = Bytes(bytes);
  at[0] = std::byte{record.superseded_regions.empty() ? kVersion : kVersionWithLeftRegions};
  at[1] = !record.sealed    ? kOpen
          : record.deferred ? kSealedDeferred
          : record.dense    ? kSealedDense
                            : kSealed;
  StoreLe32(at + 2, record.slot);
  StoreLe32(at + 6, record.chunk_count);
  StoreLe32(at + 10, record.footer_bytes);
  StoreLe64(at + 14, record.sealed ? record.raw_bytes : record.nonce);
  StoreLe64(at + 22, record.stored_bytes);
  StoreLe32(at + 30, record.recipe_count);
  StoreLe32(at + 34, record.recipe_bytes);
  at += kContainerRecordBytes;
  for (const uint32_t offset_units : record.superseded_regions) {
    StoreLe32(at, offset_units);
    at += 4;
  }
  return bytes;
}

absl::StatusOr<ContainerRecord> DecodeContainerRecord(std::string_view bytes) {
  ContainerRecord record;
  if (!bytes.empty() && static_cast<uint8_t>(bytes[0]) == kVersionWithLeftRegions) {
    if (bytes.size() <= kContainerRecordBytes || (bytes.size() - kContainerRecordBytes) % 4 != 0) {
      return absl::DataLossError("container record: cannot be decoded");
    }
  } else {
    absl::Status status = CheckRecord("container record", bytes, kContainerRecordBytes);
    if (!status.ok()) return status;
  }
  const std::byte* at = Bytes(bytes);
  for (size_t i = kContainerRecordBytes; i < bytes.size(); i += 4) {
    record.superseded_regions.push_back(LoadLe32(at + i));
  }
  record.sealed = at[1] != kOpen;
  record.deferred = at[1] == kSealedDeferred;
  record.dense = at[1] == kSealedDense;
  record.slot = LoadLe32(at + 2);
  record.chunk_count = LoadLe32(at + 6);
  record.footer_bytes = LoadLe32(at + 10);
  (record.sealed ? record.raw_bytes : record.nonce) = LoadLe64(at + 14);
  record.stored_bytes = LoadLe64(at + 22);
  record.recipe_count = LoadLe32(at + 30);
  record.recipe_bytes = LoadLe32(at + 34);
  if (record.sealed &&
      (record.recipe_bytes > record.raw_bytes || record.recipe_bytes > record.stored_bytes ||
       record.recipe_count > record.chunk_count)) {
    return absl::DataLossError("container record: cannot be decoded");
  }
  return record;
}

bool IsLost(const LostChunks& lost, const ChunkPlace& place) {
  const auto region = lost.find(place.offset_units);
  return region != lost.end() &&
         (region->second.empty() || std::ranges::binary_search(region->second, place.ordinal));
}

std::string DamageKey(uint64_t container_id) { return "d" + ContainerKey(container_id); }

absl::StatusOr<uint64_t> ParseDamageKey(std::string_view key) {
  if (!key.starts_with("d")) return absl::InvalidArgumentError("not the key of a damage record");
  return ParseContainerKey(key.substr(1));
}

std::string EncodeLostChunks(const LostChunks& lost) {
  std::string bytes(1, static_cast<char>(kVersion));
  const auto add = [&bytes](uint32_t value, size_t size) {
    std::byte le[4];
    StoreLe32(le, value);
    bytes.append(reinterpret_cast<const char*>(le), size);
  };
  for (const auto& [offset_units, ordinals] : lost) {
    add(offset_units, 4);
    add(static_cast<uint32_t>(ordinals.size()), 2);
    for (const uint16_t ordinal : ordinals) add(ordinal, 2);
  }
  return bytes;
}

absl::StatusOr<LostChunks> DecodeLostChunks(std::string_view bytes) {
  if (!bytes.empty() && static_cast<uint8_t>(bytes[0]) > kVersion) {
    return absl::UnimplementedError("damage record: a newer format version");
  }
  const auto damaged = [] { return absl::DataLossError("damage record: cannot be decoded"); };
  if (bytes.empty() || static_cast<uint8_t>(bytes[0]) != kVersion) return damaged();
  bytes.remove_prefix(1);
  LostChunks lost;
  while (!bytes.empty()) {
    if (bytes.size() < 6) return damaged();
    std::vector<uint16_t>& ordinals = lost[LoadLe32(Bytes(bytes))];
    const size_t count = LoadLe16(Bytes(bytes) + 4);
    bytes.remove_prefix(6);
    if (bytes.size() < 2 * count) return damaged();
    for (size_t i = 0; i < count; ++i) ordinals.push_back(LoadLe16(Bytes(bytes) + 2 * i));
    if (!std::ranges::is_sorted(ordinals)) return damaged();
    bytes.remove_prefix(2 * count);
  }
  return lost;
}

std::string EncodeStoreRecord(const StoreRecord& record) {
  std::string bytes(kStoreRecordBytes, '\0');
  std::byte* at = Bytes(bytes);
  at[0] = std::byte{kVersion};
  at[1] = static_cast<std::byte>(record.state);
  std::copy(record.uuid.begin(), record.uuid.end(), at + 2);
  StoreLe32(at + 18, record.generation);
  return bytes;
}

absl::StatusOr<StoreRecord> DecodeStoreRecord(std::string_view bytes) {
  absl::Status status = CheckRecord("store record", bytes, kStoreRecordBytes);
  if (!status.ok()) return status;
  const std::byte* at = Bytes(bytes);
  StoreRecord record;
  record.state = static_cast<StoreRecord::State>(at[1]);
  if (record.state > StoreRecord::State::kRebuilding) {
    return absl::DataLossError("store record: cannot be decoded");
  }
  std::copy(at + 2, at + 2 + record.uuid.size(), record.uuid.begin());
  record.generation = LoadLe32(at + 18);
  return record;
}

}  // namespace strata::dedup

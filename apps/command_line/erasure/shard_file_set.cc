// SPDX-License-Identifier: Apache-2.0
#include "command_line/erasure/shard_file_set.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "strata/base/crc32c.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr size_t kSuffixBytes = 7;  // ".ec.NNN"

bool HasSuffix(const std::string& path) {
  if (path.size() <= kSuffixBytes) return false;
  const std::string suffix = path.substr(path.size() - kSuffixBytes);
  return suffix.starts_with(".ec.") &&
         std::all_of(suffix.begin() + 4, suffix.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Opens the checksums, which make the units worth reading.
absl::Status ReadTrailer(const ec::ShardHeader& header, ShardFileSet::Shard* shard) {
  STRATA_ASSIGN_OR_RETURN(const uint64_t size, shard->file.SizeBytes());
  if (size != header.layout.shard_file_bytes()) {
    return absl::DataLossError(
        absl::StrCat("it has ", size, " bytes instead of ", header.layout.shard_file_bytes()));
  }
  std::vector<std::byte> bytes(ec::ShardTrailerBytes(header.layout));
  STRATA_RETURN_IF_ERROR(shard->file.ReadAt(size - bytes.size(), bytes));
  STRATA_ASSIGN_OR_RETURN(shard->trailer, ec::DecodeShardTrailer(header, bytes));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ShardFileSet>> ShardFileSet::Open(const std::vector<std::string>& paths,
                                                             std::vector<std::string>* strays) {
  std::vector<ShardFileSet> sets;
  for (const std::string& path : paths) {
    absl::StatusOr<FileHandle> opened = FileHandle::OpenToRead(path);
    if (!opened.ok()) {
      strays->push_back(std::string(opened.status().message()));
      continue;
    }
    FileHandle file = *std::move(opened);
    std::array<std::byte, ec::kShardHeaderBytes> bytes;
    if (const absl::Status read = file.ReadAt(0, bytes); !read.ok()) {
      strays->push_back(std::string(read.message()));
      continue;
    }
    const absl::StatusOr<ec::ShardHeader> header = ec::DecodeShardHeader(bytes);
    if (!header.ok()) {
      strays->push_back(absl::StrCat(path, ": ", std::string(header.status().message())));
      continue;
    }
    auto set = std::find_if(sets.begin(), sets.end(), [&](const ShardFileSet& known) {
      return known.set_id_ == header->set_id && known.layout_ == header->layout;
    });
    if (set == sets.end()) {
      set = sets.emplace(sets.end());
      set->layout_ = header->layout;
      set->set_id_ = header->set_id;
      STRATA_ASSIGN_OR_RETURN(set->code_, ec::CreateCode(header->layout));
      set->shards_.resize(static_cast<size_t>(set->code_->total_shards()));
    }
    Shard shard;
    shard.path = path;
    shard.file = std::move(file);
    shard.is_there = true;
    if (const absl::Status status = ReadTrailer(*header, &shard); !status.ok()) {
      shard.damage = std::string(status.message());
    }
    Shard& place = set->shards_[static_cast<size_t>(header->shard)];
    if (place.is_there && place.damage.empty()) {
      strays->push_back(absl::StrCat(path, ": is the same shard as ", place.path));
      continue;
    }
    place = std::move(shard);
  }
  return sets;
}

std::vector<std::string> ShardFileSet::Expand(const std::vector<std::string>& paths) {
  std::vector<std::string> expanded;
  for (const std::string& path : paths) {
    std::vector<std::string> shards;
    const std::filesystem::path file(path);
    std::error_code error;
    const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
    for (std::filesystem::directory_iterator item(folder, error), end;
         !HasSuffix(path) && !error && item != end; item.increment(error)) {
      const std::string name = item->path().filename().string();
      const std::string base = file.filename().string();
      if (HasSuffix(name) && name.substr(0, name.size() - kSuffixBytes) == base) {
        shards.push_back(path + name.substr(base.size()));
      }
    }
    if (shards.empty()) shards.push_back(path);
    std::ranges::sort(shards);
    expanded.insert(expanded.end(), shards.begin(), shards.end());
  }
  return expanded;
}

std::string ShardFileSet::FileName() const {
  for (const Shard& shard : shards_) {
    if (shard.is_there && HasSuffix(shard.path)) {
      return shard.path.substr(0, shard.path.size() - kSuffixBytes);
    }
  }
  return "";
}

bool ShardFileSet::HasWholeShard() const {
  return std::ranges::any_of(
      shards_, [](const Shard& shard) { return shard.is_there && shard.damage.empty(); });
}

absl::StatusOr<uint32_t> ShardFileSet::FileCrc() const {
  const Shard* first = nullptr;
  for (const Shard& shard : shards_) {
    if (!shard.is_there || !shard.damage.empty()) continue;
    if (first == nullptr) {
      first = &shard;
    } else if (shard.trailer.file_crc != first->trailer.file_crc) {
      return absl::DataLossError(
          absl::StrCat(first->path, " and ", shard.path, " disagree about the file's checksum"));
    }
  }
  if (first == nullptr) return absl::DataLossError("no shard is whole");
  return first->trailer.file_crc;
}

ec::ShardSet ShardFileSet::ReadUnits(uint64_t stripe, const ec::ShardSet& wanted,
                                     const std::vector<ec::Bytes>& units) {
  ec::ShardSet good;
  for (size_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    if (!wanted[i] || !shard.is_there || !shard.damage.empty()) continue;
    const absl::Status read = shard.file.ReadAt(layout_.UnitOffset(stripe), units[i]);
    if (read.ok() && Crc32c(units[i]) == shard.trailer.unit_crcs[stripe]) {
      good.set(i);
      continue;
    }
    if (shard.damaged_units++ == 0) shard.first_damaged = stripe;
  }
  return good;
}

}  // namespace strata::appliance

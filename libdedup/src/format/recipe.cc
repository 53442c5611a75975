// SPDX-License-Identifier: Apache-2.0
#include "format/recipe.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/varint.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr uint8_t kNodeMagic[2] = {'R', 'C'};
constexpr uint8_t kVersion = 1;
constexpr size_t kNodeHeaderBytes = 8;
constexpr size_t kFingerprintBytes = 32;

// A node may end behind an entry whose fingerprint has these bits clear: every 128th on average.
constexpr uint8_t kNodeEndMask = 0x7F;

class Output {
 public:
  void Byte(uint8_t value) { bytes_.push_back(static_cast<std::byte>(value)); }
  void Varint(uint64_t value) { AppendVarint(value, &bytes_); }
  void Entries(const RecipeNode& node) {
    bytes_.reserve(bytes_.size() + node.entries.size() * (kFingerprintBytes + 8));
    for (const RecipeEntry& entry : node.entries) {
      bytes_.insert(bytes_.end(), entry.fingerprint.bytes.begin(), entry.fingerprint.bytes.end());
      Varint(entry.chunk_bytes);
      if (node.level > 0) Varint(entry.covered_bytes);
    }
  }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

// Reads on until something is wrong; ok() then stays false.
class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return bytes_.empty(); }

  uint8_t Byte() {
    if (bytes_.empty()) return Fail();
    const uint8_t value = static_cast<uint8_t>(bytes_[0]);
    bytes_ = bytes_.subspan(1);
    return value;
  }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = Byte();
      const uint64_t bits = byte & 0x7F;
      if (shift == 63 && bits > 1) return Fail();
      value |= bits << shift;
      if (byte < 0x80) return value;
    }
    return Fail();
  }

  void Entries(uint64_t count, RecipeNode* node) {
    if (count > bytes_.size() / (kFingerprintBytes + 1)) {
      Fail();
      return;
    }
    node->entries.resize(count);
    uint64_t covered_bytes = 0;
    for (RecipeEntry& entry : node->entries) {
      if (bytes_.size() < kFingerprintBytes) {
        Fail();
        return;
      }
      std::copy(bytes_.begin(), bytes_.begin() + kFingerprintBytes,
                entry.fingerprint.bytes.begin());
      bytes_ = bytes_.subspan(kFingerprintBytes);
      const uint64_t chunk_bytes = Varint();
      entry.covered_bytes = node->level > 0 ? Varint() : chunk_bytes;
      if (chunk_bytes == 0 || chunk_bytes > UINT32_MAX || entry.covered_bytes == 0 ||
          __builtin_add_overflow(covered_bytes, entry.covered_bytes, &covered_bytes)) {
        Fail();
      }
      if (!ok_) return;
      entry.chunk_bytes = static_cast<uint32_t>(chunk_bytes);
    }
  }

 private:
  uint8_t Fail() {
    ok_ = false;
    bytes_ = {};
    return 0;
  }

  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

uint64_t CoveredBytes(const RecipeNode& node) {
  uint64_t sum = 0;
  for (const RecipeEntry& entry : node.entries) sum += entry.covered_bytes;
  return sum;
}

}  // namespace

std::vector<std::byte> EncodeRecipeNode(const RecipeNode& node) {
  Output out;
  out.bytes().resize(kNodeHeaderBytes);
  std::byte* at = out.bytes().data();
  at[0] = std::byte{kNodeMagic[0]};
  at[1] = std::byte{kNodeMagic[1]};
  at[2] = std::byte{kVersion};
  at[3] = std::byte{node.level};
  StoreLe32(at + 4, static_cast<uint32_t>(node.entries.size()));
  out.Entries(node);
  return std::move(out.bytes());
}

absl::StatusOr<RecipeNode> DecodeRecipeNode(std::span<const std::byte> bytes) {
  if (bytes.size() < kNodeHeaderBytes || bytes[0] != std::byte{kNodeMagic[0]} ||
      bytes[1] != std::byte{kNodeMagic[1]}) {
    return absl::DataLossError("recipe: this chunk is no recipe");
  }
  if (bytes[2] != std::byte{kVersion}) {
    return absl::UnimplementedError(absl::StrFormat(
        "recipe: format version %d, this program knows %d", static_cast<int>(bytes[2]), kVersion));
  }
  RecipeNode node;
  node.level = static_cast<uint8_t>(bytes[3]);
  Input in(bytes.subspan(kNodeHeaderBytes));
  in.Entries(LoadLe32(bytes.data() + 4), &node);
  if (!in.ok() || !in.at_end() || node.level > kMaxRecipeLevel) {
    return absl::DataLossError("recipe: cannot be decoded");
  }
  return node;
}

std::string EncodeStreamRecord(const StreamRecord& record) {
  Output out;
  out.Byte(kVersion);
  out.Byte(record.root.level);
  out.Varint(record.size_bytes);
  out.Varint(record.chunk_count);
  out.Varint(record.created_ns);
  out.Varint(record.new_chunk_bytes);
  out.Varint(record.new_stored_bytes);
  out.Varint(record.root.entries.size());
  out.Entries(record.root);
  return std::string(reinterpret_cast<const char*>(out.bytes().data()), out.bytes().size());
}

absl::StatusOr<StreamRecord> DecodeStreamRecord(std::string_view bytes) {
  Input in(std::as_bytes(std::span(bytes.data(), bytes.size())));
  const uint8_t version = in.Byte();
  if (in.ok() && version != kVersion) {
    return absl::UnimplementedError(absl::StrFormat(
        "stream record: format version %d, this program knows %d", version, kVersion));
  }
  StreamRecord record;
  record.root.level = in.Byte();
  record.size_bytes = in.Varint();
  record.chunk_count = in.Varint();
  record.created_ns = in.Varint();
  record.new_chunk_bytes = in.Varint();
  record.new_stored_bytes = in.Varint();
  const uint64_t count = in.Varint();
  if (in.ok()) in.Entries(count, &record.root);
  if (!in.ok() || !in.at_end() || record.root.level > kMaxRecipeLevel ||
      CoveredBytes(record.root) != record.size_bytes) {
    return absl::DataLossError("stream record: cannot be decoded");
  }
  return record;
}

absl::Status RecipeBuilder::Add(const Fingerprint& fingerprint, uint32_t chunk_bytes) {
  return AddAt(0, {fingerprint, chunk_bytes, chunk_bytes});
}

absl::Status RecipeBuilder::AddAt(size_t level, const RecipeEntry& entry) {
  STRATA_CHECK(level <= kMaxRecipeLevel, "a recipe this deep would cover more than 2^64 bytes");
  if (levels_.size() <= level) levels_.resize(level + 1);
  std::vector<RecipeEntry>& entries = levels_[level];
  entries.push_back(entry);
  const bool may_end = (static_cast<uint8_t>(entry.fingerprint.bytes.back()) & kNodeEndMask) == 0;
  if (entries.size() == kMaxNodeEntries || (may_end && entries.size() >= kMinNodeEntries)) {
    return CloseNode(level);
  }
  return absl::OkStatus();
}

absl::Status RecipeBuilder::CloseNode(size_t level) {
  const RecipeNode node{static_cast<uint8_t>(level), std::exchange(levels_[level], {})};
  const std::vector<std::byte> bytes = EncodeRecipeNode(node);
  STRATA_ASSIGN_OR_RETURN(const Fingerprint fingerprint, store_node_(bytes));
  return AddAt(level + 1, {fingerprint, static_cast<uint32_t>(bytes.size()), CoveredBytes(node)});
}

absl::StatusOr<RecipeNode> RecipeBuilder::Finish() {
  if (levels_.empty()) return RecipeNode{};
  for (size_t level = 0;; ++level) {
    const bool top = level + 1 == levels_.size();
    if (top && levels_[level].size() <= kMaxInlineEntries) {
      return RecipeNode{static_cast<uint8_t>(level), std::move(levels_[level])};
    }
    if (!levels_[level].empty()) STRATA_RETURN_IF_ERROR(CloseNode(level));
  }
}

}  // namespace strata::dedup

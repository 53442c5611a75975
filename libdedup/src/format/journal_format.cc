// SPDX-License-Identifier: Apache-2.0
#include "format/journal_format.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/varint.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kKindAt = 1;
constexpr size_t kFlagsAt = 2;
constexpr size_t kPartAt = 4;
constexpr size_t kSequenceAt = 8;
constexpr size_t kPreviousAt = 16;
constexpr size_t kPreviousContainerAt = 24;
constexpr size_t kPieceAt = 32;
static_assert(kPieceAt + 8 == kJournalHeaderBytes);

constexpr uint32_t kMaxParts = 1u << 16;
constexpr uint32_t kMaxPieces = 1u << 30;

constexpr uint8_t kLastPart = 1;
constexpr uint8_t kLastPiece = 2;
constexpr uint8_t kSync = 4;

constexpr uint8_t kSpaceTag = 0;
constexpr uint8_t kPutTag = 1;
constexpr uint8_t kDeleteTag = 2;
constexpr uint8_t kDeleteRangeTag = 3;
constexpr uint8_t kNeededTag = 4;
constexpr size_t kNeededBytes = 16;

void AppendBytes(std::string_view text, std::string* out) {
  AppendVarint(text.size(), out);
  out->append(text);
}

absl::Status Damaged() { return absl::DataLossError("journal: a record cannot be decoded"); }

class Input final {
 public:
  explicit Input(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }

  std::optional<uint8_t> Byte() {
    if (bytes_.empty()) return std::nullopt;
    const auto byte = static_cast<uint8_t>(bytes_[0]);
    bytes_ = bytes_.subspan(1);
    return byte;
  }

  std::optional<RegionRange> Regions() {
    if (bytes_.size() < kNeededBytes) return std::nullopt;
    const RegionRange regions{LoadLe64(bytes_.data()), LoadLe32(bytes_.data() + 8),
                              LoadLe32(bytes_.data() + 12)};
    bytes_ = bytes_.subspan(kNeededBytes);
    return regions;
  }

  // Length and text. A length has no superfluous bytes, so that a record has one form alone.
  std::optional<std::string_view> Text() {
    uint64_t size = 0;
    for (int shift = 0;; shift += 7) {
      const std::optional<uint8_t> byte = Byte();
      if (!byte.has_value() || shift > 28) return std::nullopt;
      size |= uint64_t{*byte & 0x7Fu} << shift;
      if ((*byte & 0x80u) != 0) continue;
      if (*byte == 0 && shift > 0) return std::nullopt;
      break;
    }
    if (size > bytes_.size()) return std::nullopt;
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()), size);
    bytes_ = bytes_.subspan(size);
    return text;
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace

std::vector<std::byte> EncodeJournalPart(const JournalPart& part) {
  std::vector<std::byte> bytes(kJournalHeaderBytes + part.operations.size());
  std::byte* at = bytes.data();
  at[0] = std::byte{kVersion};
  at[kKindAt] = static_cast<std::byte>(part.kind);
  at[kFlagsAt] =
      static_cast<std::byte>((part.last_part ? kLastPart : 0) | (part.last_piece ? kLastPiece : 0) |
                             (part.sync ? kSync : 0));
  StoreLe32(at + kPartAt, part.part);
  StoreLe64(at + kSequenceAt, part.sequence);
  StoreLe64(at + kPreviousAt, part.previous.sequence);
  StoreLe64(at + kPreviousContainerAt, part.previous.container_id);
  StoreLe32(at + kPieceAt, part.piece);
  std::copy(part.operations.begin(), part.operations.end(), at + kJournalHeaderBytes);
  return bytes;
}

absl::StatusOr<JournalPart> DecodeJournalPart(std::span<const std::byte> bytes) {
  if (bytes.empty()) return Damaged();
  const std::byte* at = bytes.data();
  if (at[0] != std::byte{kVersion}) {
    return absl::UnimplementedError(absl::StrFormat("journal: version %d, this program knows %d",
                                                    static_cast<int>(at[0]), kVersion));
  }
  if (bytes.size() < kJournalHeaderBytes) return Damaged();
  JournalPart part;
  const auto flags = static_cast<uint8_t>(at[kFlagsAt]);
  if (at[kKindAt] > std::byte{1} || flags > (kLastPart | kLastPiece | kSync) ||
      at[3] != std::byte{0} || LoadLe32(at + kPieceAt + 4) != 0) {
    return Damaged();
  }
  part.kind = static_cast<JournalKind>(at[kKindAt]);
  part.last_part = (flags & kLastPart) != 0;
  part.last_piece = (flags & kLastPiece) != 0;
  part.sync = (flags & kSync) != 0;
  part.part = LoadLe32(at + kPartAt);
  part.sequence = LoadLe64(at + kSequenceAt);
  part.previous = {LoadLe64(at + kPreviousAt), LoadLe64(at + kPreviousContainerAt)};
  part.piece = LoadLe32(at + kPieceAt);
  part.operations = bytes.subspan(kJournalHeaderBytes);
  const bool sane = part.kind == JournalKind::kCommit
                        ? part.piece == 0 && !part.last_piece && part.sequence > 0 &&
                              part.previous.sequence < part.sequence
                        : part.previous == JournalPlace{} && !part.sync;
  if (!sane || part.part > kMaxParts || part.piece > kMaxPieces) return Damaged();
  return part;
}

void JournalOperations::AddNeeded(const RegionRange& regions) {
  bytes_.push_back(static_cast<char>(kNeededTag));
  std::byte encoded[kNeededBytes];
  StoreLe64(encoded, regions.container_id);
  StoreLe32(encoded + 8, regions.first);
  StoreLe32(encoded + 12, regions.end);
  bytes_.append(reinterpret_cast<const char*>(encoded), kNeededBytes);
}

std::vector<RegionRange> NeededRegions(std::span<const std::byte> bytes) {
  Input input(bytes);
  std::vector<RegionRange> needed;
  while (input.Byte() == kNeededTag) {
    const std::optional<RegionRange> regions = input.Regions();
    if (!regions.has_value()) return {};
    needed.push_back(*regions);
  }
  return needed;
}

void JournalOperations::Add(const kv::SpaceInfo& space, Kind kind, std::string_view key,
                            std::string_view value) {
  if (space.name != space_) {
    bytes_.push_back(static_cast<char>(kSpaceTag));
    AppendBytes(space.name, &bytes_);
    bytes_.push_back(static_cast<char>(space.options.access));
    space_ = space.name;
  }
  switch (kind) {
    case Kind::kPut:
      bytes_.push_back(static_cast<char>(kPutTag));
      break;
    case Kind::kDelete:
      bytes_.push_back(static_cast<char>(kDeleteTag));
      break;
    case Kind::kDeleteRange:
      bytes_.push_back(static_cast<char>(kDeleteRangeTag));
      break;
  }
  AppendBytes(key, &bytes_);
  if (kind != Kind::kDelete) AppendBytes(value, &bytes_);
}

void JournalOperations::Clear() {
  bytes_.clear();
  space_.clear();
}

absl::Status VisitJournalOperations(std::span<const std::byte> bytes, const JournalVisitor& visit) {
  Input input(bytes);
  kv::SpaceInfo space;
  bool any = false;
  while (!input.empty()) {
    const uint8_t tag = *input.Byte();
    if (tag == kNeededTag) {
      if (any || !input.Regions().has_value()) return Damaged();
      continue;
    }
    any = true;
    const std::optional<std::string_view> key = input.Text();
    if (!key.has_value()) return Damaged();
    if (tag == kSpaceTag) {
      const std::optional<uint8_t> access = input.Byte();
      if (!access.has_value() || *access > 1 || key->empty() || *key == space.name) {
        return Damaged();
      }
      space = {std::string(*key), {static_cast<kv::SpaceOptions::Access>(*access)}};
      continue;
    }
    if (tag > kDeleteRangeTag || space.name.empty()) return Damaged();
    std::optional<std::string_view> value = std::string_view();
    if (tag != kDeleteTag) value = input.Text();
    if (!value.has_value()) return Damaged();
    using Kind = kv::WriteBatch::Operation::Kind;
    const Kind kind = tag == kPutTag      ? Kind::kPut
                      : tag == kDeleteTag ? Kind::kDelete
                                          : Kind::kDeleteRange;
    STRATA_RETURN_IF_ERROR(visit({kind, space, *key, *value}));
  }
  return absl::OkStatus();
}

void JournalRecords::Add(const JournalPart& part, uint64_t container_id) {
  if (part.kind == JournalKind::kCommit) {
    newest_sequence_ = std::max(newest_sequence_, part.sequence);
  }
  auto& gathering = gathering_[part.kind == JournalKind::kCommit ? 0 : 1];
  const Key key{part.sequence, part.piece};
  Gathering& record = gathering[key];
  record.previous = part.previous;
  const bool wanted = part.kind == JournalKind::kCheckpoint || part.sequence > after_;
  record.parts[part.part] = wanted
                                ? std::string(reinterpret_cast<const char*>(part.operations.data()),
                                              part.operations.size())
                                : std::string();
  if (part.last_part) {
    record.part_count = part.part + 1;
    record.container_id = std::max(record.container_id, container_id);
    record.last_piece = part.last_piece;
    record.sync = part.sync;
  }
  if (record.part_count == 0 || record.parts.size() != record.part_count) return;
  std::string operations;
  for (const auto& [number, bytes] : record.parts) operations += bytes;
  if (part.kind == JournalKind::kCheckpoint) {
    Checkpoint& checkpoint = checkpoints_[part.sequence];
    checkpoint.pieces[part.piece] = std::move(operations);
    if (record.last_piece) checkpoint.piece_count = part.piece + 1;
  } else {
    uint64_t& container = containers_[part.sequence];
    container = std::max(container, record.container_id);
    previous_[part.sequence] = part.previous;
    if (wanted)
      commits_[part.sequence] = {part.previous, record.sync, container, std::move(operations)};
  }
  gathering.erase(key);
}

uint64_t JournalRecords::ContainerOf(uint64_t sequence) const {
  const auto found = containers_.find(sequence);
  return found == containers_.end() ? 0 : found->second;
}

}  // namespace strata::dedup

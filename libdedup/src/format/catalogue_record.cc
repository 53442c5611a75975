// SPDX-License-Identifier: Apache-2.0
#include "format/catalogue_record.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "format/varint.h"

namespace strata::dedup {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kLegacyBytes = 32;  // Before there were versions: the stream's id in hexadecimal.
constexpr uint32_t kMaxNanoseconds = 999'999'999;
constexpr uint32_t kMaxMode = 07777;

// Fields follow each other in growing order of their tags, each at most once.
enum class Tag : uint8_t {
  kMode = 1,
  kOwner = 2,
  kModified = 3,
  kAccessed = 4,
  kLinkTarget = 5,
  kDevice = 6,
  kXattrs = 7,
  kStream = 8,
  kSize = 9,
  kHoles = 10,
  kLinkId = 11,
};

void PutText(std::string_view text, std::string* out) {
  AppendVarint(text.size(), out);
  out->append(text);
}

// Small negative numbers stay short.
uint64_t ZigZag(int64_t value) {
  return static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63);
}
int64_t UnZigZag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

void PutField(Tag tag, std::string_view value, std::string* out) {
  out->push_back(static_cast<char>(tag));
  PutText(value, out);
}

template <typename... Numbers>
void PutNumbers(Tag tag, std::string* out, Numbers... numbers) {
  std::string value;
  (AppendVarint(numbers, &value), ...);
  PutField(tag, value, out);
}

std::string_view TextOf(const StreamId& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

// Reads on until something is wrong; ok() then stays false.
class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  bool at_end() const { return bytes_.empty(); }
  void Fail() {
    ok_ = false;
    bytes_ = {};
  }

  uint8_t Byte() {
    if (bytes_.empty()) {
      Fail();
      return 0;
    }
    const auto value = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return value;
  }

  uint64_t Varint(uint64_t most = UINT64_MAX) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = Byte();
      const uint64_t bits = byte & 0x7F;
      // One number has one encoding.
      if (!ok_ || (shift == 63 && bits > 1) || (byte == 0 && shift > 0)) break;
      value |= bits << shift;
      if (byte >= 0x80) continue;
      if (value > most) break;
      return value;
    }
    Fail();
    return 0;
  }

  uint32_t Number32(uint32_t most = UINT32_MAX) { return static_cast<uint32_t>(Varint(most)); }

  std::string_view Text() {
    const uint64_t size = Varint();
    if (size > bytes_.size()) {
      Fail();
      return {};
    }
    const std::string_view text = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return text;
  }

  std::string_view Rest() { return std::exchange(bytes_, {}); }

  StreamId Id() {
    StreamId id;
    if (bytes_.size() < id.bytes.size()) {
      Fail();
      return id;
    }
    std::memcpy(id.bytes.data(), bytes_.data(), id.bytes.size());
    bytes_.remove_prefix(id.bytes.size());
    return id;
  }

  Timestamp Time() {
    const int64_t seconds = UnZigZag(Varint());
    return {seconds, Number32(kMaxNanoseconds)};
  }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

void ReadHoles(Input* in, std::vector<Hole>* holes) {
  uint64_t end = 0;
  while (in->ok() && !in->at_end()) {
    const uint64_t gap = in->Varint();
    const uint64_t size = in->Varint();
    uint64_t offset = 0;
    if (!in->ok() || holes->size() == kMaxHoles || size == 0 || (gap == 0 && !holes->empty()) ||
        __builtin_add_overflow(end, gap, &offset) || __builtin_add_overflow(offset, size, &end)) {
      in->Fail();
      return;
    }
    holes->push_back({offset, size});
  }
}

void ReadXattrs(Input* in, std::map<std::string, std::string>* xattrs) {
  while (in->ok() && !in->at_end()) {
    std::string name(in->Text());
    const std::string_view value = in->Text();
    if (!in->ok() || name.empty() || (!xattrs->empty() && xattrs->rbegin()->first >= name)) {
      in->Fail();
      return;
    }
    xattrs->emplace_hint(xattrs->end(), std::move(name), value);
  }
}

// False: no such field.
bool ReadField(Tag tag, Input* in, CatalogueEntry* entry) {
  switch (tag) {
    case Tag::kMode:
      entry->mode = in->Number32(kMaxMode);
      return true;
    case Tag::kOwner:
      entry->owner = Owner{};
      entry->owner->user = in->Number32();
      entry->owner->group = in->Number32();
      return true;
    case Tag::kModified:
      entry->modified = in->Time();
      return true;
    case Tag::kAccessed:
      entry->accessed = in->Time();
      return true;
    case Tag::kLinkTarget:
      entry->link_target = in->Rest();
      return true;
    case Tag::kDevice:
      entry->device.major = in->Number32();
      entry->device.minor = in->Number32();
      return true;
    case Tag::kXattrs:
      ReadXattrs(in, &entry->xattrs);
      return true;
    case Tag::kStream:
      entry->stream = in->Id();
      return true;
    case Tag::kSize:
      entry->size_bytes = in->Varint();
      return true;
    case Tag::kHoles:
      ReadHoles(in, &entry->holes);
      return true;
    case Tag::kLinkId:
      entry->link_id = in->Id();
      return true;
  }
  return false;
}

const char* WrongWith(const CatalogueEntry& entry) {
  const bool device =
      entry.kind == EntryKind::kCharacterDevice || entry.kind == EntryKind::kBlockDevice;
  if (entry.kind > EntryKind::kBlockDevice) return "no such kind";
  if (entry.mode.value_or(0) > kMaxMode) return "a mode above 07777";
  for (const auto& time : {entry.modified, entry.accessed}) {
    if (time.has_value() && time->nanoseconds > kMaxNanoseconds) return "a second of nanoseconds";
  }
  if (entry.kind == EntryKind::kSymlink ? entry.link_target.empty() : !entry.link_target.empty()) {
    return "a symbolic link has a target, and nothing else has one";
  }
  if (entry.link_target.find('\0') != std::string::npos) return "a NUL in a link's target";
  if (!device && entry.device != DeviceNumber{}) return "the number of a device that is none";
  for (const auto& [name, value] : entry.xattrs) {
    if (name.empty() || name.find('\0') != std::string::npos) return "the name of an attribute";
  }
  const bool file = entry.kind == EntryKind::kFile;
  if (file != entry.stream.has_value()) return "a file has a stream, and nothing else has one";
  if (!file && (entry.size_bytes != 0 || !entry.holes.empty() || entry.link_id.has_value())) {
    return "fields of a file";
  }
  if (entry.holes.size() > kMaxHoles) return "more than 4096 holes";
  uint64_t end = 0;
  for (const Hole& hole : entry.holes) {
    const bool touches = hole.offset_bytes == end && &hole != &entry.holes.front();
    if (hole.size_bytes == 0 || hole.offset_bytes < end || touches ||
        __builtin_add_overflow(hole.offset_bytes, hole.size_bytes, &end) ||
        end > entry.size_bytes) {
      return "holes that are empty, out of order, or past the end";
    }
  }
  return nullptr;
}

}  // namespace

absl::Status CheckCatalogueEntry(const CatalogueEntry& entry) {
  const char* const wrong = WrongWith(entry);
  if (wrong == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("catalogue entry: %s", wrong));
}

std::string EncodeCatalogueEntry(const CatalogueEntry& entry) {
  std::string out;
  out.push_back(static_cast<char>(kVersion));
  out.push_back(static_cast<char>(entry.kind));
  if (entry.mode) PutNumbers(Tag::kMode, &out, uint64_t{*entry.mode});
  if (entry.owner) {
    PutNumbers(Tag::kOwner, &out, uint64_t{entry.owner->user}, uint64_t{entry.owner->group});
  }
  for (const auto& [tag, time] :
       {std::pair(Tag::kModified, entry.modified), std::pair(Tag::kAccessed, entry.accessed)}) {
    if (time) PutNumbers(tag, &out, ZigZag(time->seconds), uint64_t{time->nanoseconds});
  }
  if (!entry.link_target.empty()) PutField(Tag::kLinkTarget, entry.link_target, &out);
  if (entry.device != DeviceNumber{}) {
    PutNumbers(Tag::kDevice, &out, uint64_t{entry.device.major}, uint64_t{entry.device.minor});
  }
  if (!entry.xattrs.empty()) {
    std::string value;
    for (const auto& [name, content] : entry.xattrs) {
      PutText(name, &value);
      PutText(content, &value);
    }
    PutField(Tag::kXattrs, value, &out);
  }
  if (entry.stream) PutField(Tag::kStream, TextOf(*entry.stream), &out);
  if (entry.size_bytes != 0) PutNumbers(Tag::kSize, &out, entry.size_bytes);
  if (!entry.holes.empty()) {
    std::string value;
    uint64_t end = 0;
    for (const Hole& hole : entry.holes) {
      AppendVarint(hole.offset_bytes - end, &value);
      AppendVarint(hole.size_bytes, &value);
      end = hole.offset_bytes + hole.size_bytes;
    }
    PutField(Tag::kHoles, value, &out);
  }
  if (entry.link_id) PutField(Tag::kLinkId, TextOf(*entry.link_id), &out);
  return out;
}

absl::StatusOr<CatalogueEntry> DecodeCatalogueEntry(std::string_view bytes) {
  CatalogueEntry entry;
  if (bytes.size() == kLegacyBytes) {
    if (absl::StatusOr<StreamId> id = StreamId::FromHex(bytes); id.ok()) {
      entry.stream = *id;
      return entry;
    }
  }
  Input in(bytes);
  const uint8_t version = in.Byte();
  if (in.ok() && version != kVersion) {
    return absl::UnimplementedError(absl::StrFormat(
        "catalogue entry: format version %d, this program knows %d", version, kVersion));
  }
  entry.kind = static_cast<EntryKind>(in.Byte());
  uint8_t last = 0;
  while (in.ok() && !in.at_end()) {
    const uint8_t tag = in.Byte();
    Input field(in.Text());
    if (!in.ok() || tag <= last) {
      in.Fail();
      break;
    }
    last = tag;
    if (!ReadField(static_cast<Tag>(tag), &field, &entry)) {
      return absl::UnimplementedError(
          absl::StrFormat("catalogue entry: field %d, which this program does not know", tag));
    }
    if (!field.ok() || !field.at_end()) in.Fail();
  }
  if (!in.ok() || WrongWith(entry) != nullptr) {
    return absl::DataLossError("catalogue entry: cannot be decoded");
  }
  return entry;
}

}  // namespace strata::dedup

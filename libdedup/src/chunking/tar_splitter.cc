// SPDX-License-Identifier: Apache-2.0
//
// The format is that of POSIX.1-1988 and later (ustar, GNU, pax): headers of 512 bytes, each
// followed by its file, filled up to whole blocks.
#include "chunking/tar_splitter.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "format/layout.h"
#include "strata/base/endian.h"

namespace strata::dedup {
namespace {

constexpr size_t kSizeAt = 124;
constexpr size_t kSizeBytes = 12;
constexpr uint64_t kMaxContentBytes = uint64_t{1} << 56;
constexpr size_t kChecksumAt = 148;
constexpr size_t kChecksumBytes = 8;
constexpr size_t kTypeAt = 156;
constexpr size_t kMagicAt = 257;
constexpr std::string_view kMagic = "ustar";
constexpr std::string_view kTypesWithoutContent = "123456";  // Links, devices, folders, pipes.

using Header = std::array<std::byte, kTarBlockBytes>;

// Octal digits after spaces, up to a space, a NUL, or the end of the field.
std::optional<uint64_t> ParseOctal(std::span<const std::byte> field) {
  size_t i = 0;
  while (i < field.size() && field[i] == std::byte{' '}) ++i;
  const size_t first = i;
  uint64_t value = 0;
  for (; i < field.size(); ++i) {
    const auto digit = static_cast<char>(field[i]);
    if (digit == ' ' || digit == '\0') break;
    if (digit < '0' || digit > '7') return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(digit - '0');
  }
  if (i == first) return std::nullopt;
  return value;
}

// What GNU tar writes where the digits do not suffice: a marked first byte, then a big-endian
// number.
std::optional<uint64_t> ParseSize(std::span<const std::byte> field) {
  if (field[0] == std::byte{0x80}) return LoadBe64(field.data() + kSizeBytes - 8);
  return ParseOctal(field);
}

// The size of the file behind the header. Nothing: it is not a header.
std::optional<uint64_t> ContentBytes(const Header& header) {
  if (std::memcmp(header.data() + kMagicAt, kMagic.data(), kMagic.size()) != 0) return std::nullopt;
  const std::span<const std::byte> bytes(header);
  const std::optional<uint64_t> checksum = ParseOctal(bytes.subspan(kChecksumAt, kChecksumBytes));
  uint64_t sum = kChecksumBytes * ' ';
  for (size_t i = 0; i < header.size(); ++i) {
    if (i < kChecksumAt || i >= kChecksumAt + kChecksumBytes)
      sum += static_cast<uint8_t>(header[i]);
  }
  if (checksum != sum) return std::nullopt;
  if (kTypesWithoutContent.find(static_cast<char>(header[kTypeAt])) != std::string_view::npos) {
    return 0;
  }
  const std::optional<uint64_t> size = ParseSize(bytes.subspan(kSizeAt, kSizeBytes));
  return size.has_value() && *size < kMaxContentBytes ? size : std::nullopt;
}

}  // namespace

TarSplitter::TarSplitter(const Chunker* chunker)
    : chunker_(chunker),
      follows_(chunker->options().algorithm != ChunkAlgorithm::kFixed &&
               !chunker->options().key.has_value()) {}

std::optional<TarSplitter::File> TarSplitter::NextFile(std::span<const std::byte> data) {
  const size_t skipped = begun_bytes_ > 0 ? 0 : static_cast<size_t>(header_ - at_);
  Header header = begun_;
  std::copy_n(data.begin() + static_cast<ptrdiff_t>(skipped), kTarBlockBytes - begun_bytes_,
              header.begin() + static_cast<ptrdiff_t>(begun_bytes_));
  begun_bytes_ = 0;
  const std::optional<uint64_t> content = ContentBytes(header);
  follows_ = content.has_value();
  if (!content.has_value()) return std::nullopt;
  File file;
  file.begin = header_ + kTarBlockBytes;
  file.end = file.begin + AlignUp(*content, kTarBlockBytes);
  header_ = file.end;
  return file;
}

uint64_t TarSplitter::NextCut(std::span<const std::byte> data) {
  if (file_.has_value() && at_ >= file_->end) file_.reset();
  while (!file_.has_value() && follows_ && header_ + kTarBlockBytes <= at_ + data.size()) {
    const std::optional<File> next = NextFile(data);
    if (!next.has_value()) break;
    if (next->end - next->begin >= chunker_->options().min_bytes) file_ = next;
  }
  if (!file_.has_value()) return 0;
  return at_ < file_->begin ? file_->begin : file_->end;
}

void TarSplitter::Advance(std::span<const std::byte> data, size_t size) {
  const uint64_t end = at_ + size;
  if (follows_ && header_ < end) {  // A part of the header; the rest is still to come.
    const size_t skipped = begun_bytes_ > 0 ? 0 : static_cast<size_t>(header_ - at_);
    std::copy_n(data.begin() + static_cast<ptrdiff_t>(skipped), size - skipped,
                begun_.begin() + static_cast<ptrdiff_t>(begun_bytes_));
    begun_bytes_ += size - skipped;
  }
  at_ = end;
}

size_t TarSplitter::Split(std::span<const std::byte> data, bool last,
                          std::vector<uint32_t>* lengths) {
  size_t consumed = 0;
  while (consumed < data.size()) {
    const std::span<const std::byte> rest = data.subspan(consumed);
    const uint64_t cut = NextCut(rest);
    const bool within = cut != 0 && cut - at_ <= rest.size();
    const std::span<const std::byte> part = within ? rest.first(cut - at_) : rest;
    const size_t size = chunker_->Split(part, last || within, lengths);
    Advance(rest, size);
    consumed += size;
    if (!within) break;
  }
  return consumed;
}

}  // namespace strata::dedup

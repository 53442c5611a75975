// SPDX-License-Identifier: Apache-2.0
#include "stream_records.h"

#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr size_t kPageItems = 1000;

}  // namespace

std::string StreamId::ToHex() const {
  return strata::ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

absl::StatusOr<StreamId> StreamId::FromHex(std::string_view hex) {
  StreamId id;
  const std::optional<std::string> bytes = strata::FromHex(hex, HexLetters::kAny);
  if (!bytes.has_value() || bytes->size() != id.bytes.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' is no stream id: 32 hexadecimal digits", std::string(hex)));
  }
  std::memcpy(id.bytes.data(), bytes->data(), id.bytes.size());
  return id;
}

std::string StreamKey(const StreamId& id) {
  return std::string(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
}

absl::StatusOr<StreamId> ParseStreamKey(std::string_view key) {
  StreamId id;
  if (key.size() != id.bytes.size()) return absl::DataLossError("dedup: a stream's key is damaged");
  std::memcpy(id.bytes.data(), key.data(), key.size());
  return id;
}

StreamInfo InfoOf(const StreamId& id, const StreamRecord& record) {
  return {.id = id,
          .size_bytes = record.size_bytes,
          .chunk_count = record.chunk_count,
          .created_ns = record.created_ns,
          .new_chunk_bytes = record.new_chunk_bytes,
          .new_stored_bytes = record.new_stored_bytes};
}

namespace {

absl::Status Visit(kv::Reader& reader, kv::SpaceId streams, const StreamVisitor& visit,
                   const DamageVisitor& damage) {
  kv::Range range;
  for (bool more = true; more;) {
    STRATA_ASSIGN_OR_RETURN(
        kv::Page page,
        reader.List(streams, range, {.max_items = kPageItems, .skip_damaged = damage != nullptr}));
    if (damage != nullptr) {
      for (const kv::Range& skipped : page.skipped) damage(SkippedStreams(skipped));
    }
    for (const kv::KeyValue& item : page.items) {
      STRATA_ASSIGN_OR_RETURN(const StreamId id, ParseStreamKey(item.key));
      absl::StatusOr<StreamRecord> record = DecodeStreamRecord(item.value);
      if (!record.ok()) {
        const std::string what =
            absl::StrFormat("stream %s: %s", id.ToHex(), std::string(record.status().message()));
        if (damage == nullptr) return absl::Status(record.status().code(), what);
        damage(what);
        continue;
      }
      STRATA_RETURN_IF_ERROR(visit(id, *record));
    }
    more = page.more;
    if (more) range.begin = page.items.back().key + '\0';
  }
  return absl::OkStatus();
}

}  // namespace

std::string SkippedStreams(const kv::Range& range) {
  const auto hex = [](const std::string& key) {
    return key.empty() ? std::string("the end") : strata::ToHex(key);
  };
  return absl::StrFormat("the kv store is damaged: streams with ids from %s to %s cannot be read",
                         hex(range.begin), hex(range.end));
}

absl::Status ForEachStream(kv::Reader& reader, kv::SpaceId streams, const StreamVisitor& visit) {
  return Visit(reader, streams, visit, nullptr);
}

absl::Status ForEachReadableStream(kv::Reader& reader, kv::SpaceId streams,
                                   const StreamVisitor& visit, const DamageVisitor& damage) {
  return Visit(reader, streams, visit, damage);
}

}  // namespace strata::dedup

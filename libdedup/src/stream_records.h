// SPDX-License-Identifier: Apache-2.0
//
// Streams in the kv store: their keys, and walks over their records.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "format/recipe.h"
#include "strata/dedup/types.h"
#include "strata/kv/store.h"

namespace strata::dedup {

std::string StreamKey(const StreamId& id);
absl::StatusOr<StreamId> ParseStreamKey(std::string_view key);
std::string SkippedStreams(const kv::Range& range);  // In words.
StreamInfo InfoOf(const StreamId& id, const StreamRecord& record);

// Visits every stream record of `reader` in order of id.
using StreamVisitor = std::function<absl::Status(const StreamId& id, const StreamRecord& record)>;
absl::Status ForEachStream(kv::Reader& reader, kv::SpaceId streams, const StreamVisitor& visit);
// Those that can be read; `damage` is told of the others.
using DamageVisitor = std::function<void(std::string damage)>;
absl::Status ForEachReadableStream(kv::Reader& reader, kv::SpaceId streams,
                                   const StreamVisitor& visit, const DamageVisitor& damage);

}  // namespace strata::dedup

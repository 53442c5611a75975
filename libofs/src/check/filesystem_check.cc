// SPDX-License-Identifier: Apache-2.0
#include "check/filesystem_check.h"

#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "disks/open_disks.h"
#include "format/key_layout.h"
#include "format/superblock.h"
#include "groups/placement.h"
#include "strata/base/endian.h"
#include "strata/base/status_macros.h"

namespace strata::ofs {
namespace {

constexpr char kMetaTables[] = {'F', 'S', 'I', 'T', 'D', 'P', 'X', 'O', 'Z',
                                'G', 'A', 'B', 'V', 'v', 'N', 'n', 'C', 'J'};
constexpr char kExtentTables[] = {'E'};

std::string Hex(std::string_view key) {
  return absl::BytesToHexString({key.data(), std::min<size_t>(key.size(), 40)});
}

// One row of each table that there should not be.
absl::Status FindUnknown(const CheckContext& context, kv::SpaceId space,
                         std::string_view space_name, std::span<const char> known) {
  for (int byte = 0; byte < 256; ++byte) {
    const char letter = static_cast<char>(byte);
    if (std::find(known.begin(), known.end(), letter) != known.end()) continue;
    STRATA_ASSIGN_OR_RETURN(const kv::Page page,
                            context.metadata.store->NewSnapshot()->List(
                                space, kv::PrefixRange(std::string(1, letter)), {.max_items = 1}));
    if (page.items.empty()) continue;
    context.Add(FindingKind::kUnknownRow,
                absl::StrCat("space ", absl::string_view(space_name.data(), space_name.size()),
                             ": a row with the key ", Hex(page.items[0].key),
                             " is of no table that this program knows"));
  }
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> empty,
                          context.metadata.store->NewSnapshot()->Get(space, std::string_view()));
  if (empty.has_value()) context.Add(FindingKind::kUnknownRow, "a row with an empty key");
  return absl::OkStatus();
}

// Calls `take(key, record)` for each row of the table that decodes.
template <typename Decode, typename Take, typename Damaged>
absl::Status ForEachRow(const CheckContext& context, Table table, Decode decode, Take take,
                        Damaged damaged) {
  return kv::ForEach(*context.metadata.store, context.metadata.meta, TableRange(table),
                     [&](const kv::KeyValue& row) -> absl::Status {
                       auto record = decode(row.value);
                       if (record.ok()) {
                         take(row.key, *record);
                       } else {
                         context.Add(FindingKind::kRow,
                                     absl::StrCat("row ", Hex(row.key), " of table ",
                                                  std::string(1, static_cast<char>(table)), ": ",
                                                  record.status().message()));
                         damaged(row.key);
                       }
                       return absl::OkStatus();
                     });
}

void AddKey(const CheckContext& context, std::string_view key, std::string_view what) {
  context.Add(FindingKind::kRow, absl::StrCat("key ", Hex(key), ": it is no key of ",
                                              absl::string_view(what.data(), what.size())));
}

constexpr auto kNothing = [](std::string_view) {};

absl::Status CheckPools(CheckContext* context) {
  std::map<uint32_t, std::string> names;
  STRATA_RETURN_IF_ERROR(ForEachRow(
      *context, Table::kPool, DecodePool,
      [&](std::string_view key, const PoolRecord& pool) {
        const std::string name(key.substr(1));
        if (name.empty() || name.size() > kMaxPoolNameBytes) AddKey(*context, key, "a pool");
        context->rows.pools[name] = pool;
        const auto [it, is_new] = names.emplace(pool.number, name);
        if (is_new) return;
        context->Add(FindingKind::kPool, absl::StrCat("pools '", it->second, "' and '", name,
                                                      "' have the number ", pool.number));
      },
      [&](std::string_view) { context->has_damaged_pools = true; }));
  STRATA_RETURN_IF_ERROR(ForEachRow(
      *context, Table::kDisk, DecodeDisk,
      [&](std::string_view key, const DiskRecord& disk) {
        const absl::StatusOr<uint32_t> number = DiskOf(key);
        if (!number.ok() || *number < 1 || *number > kMaxDisks) {
          return AddKey(*context, key, "a disk");
        }
        context->rows.disks[*number] = disk;
        if (!names.contains(disk.pool) && !context->has_damaged_pools) {
          context->Add(FindingKind::kPool,
                       absl::StrCat("disk ", *number, ": there is no pool ", disk.pool));
        }
        if (!context->IsGivenOut("disk", *number)) {
          context->Add(FindingKind::kCounter,
                       absl::StrCat("disk ", *number, ": its counter has not given it out"));
        }
      },
      [&](std::string_view key) {
        const absl::StatusOr<uint32_t> number = DiskOf(key);
        if (number.ok()) context->damaged_disks.insert(*number);
      }));
  return absl::OkStatus();
}

absl::Status CheckSessions(const CheckContext& context) {
  std::set<uint32_t> sessions;
  const auto number_of = [&](std::string_view key) -> std::optional<uint32_t> {
    if (key.size() != SessionKey(0).size()) {
      AddKey(context, key, "a session");
      return std::nullopt;
    }
    const uint32_t number = LoadBe32(reinterpret_cast<const std::byte*>(key.data()) + 1);
    if (!context.IsGivenOut("session", number)) {
      context.Add(FindingKind::kCounter,
                  absl::StrCat("session ", number, ": its counter has not given it out"));
    }
    return number;
  };
  const auto note = [&](std::string_view key) {
    const std::optional<uint32_t> number = number_of(key);
    if (number.has_value()) sessions.insert(*number);
  };
  STRATA_RETURN_IF_ERROR(ForEachRow(
      context, Table::kSession, DecodeSession,
      [&](std::string_view key, const SessionRecord&) { note(key); }, note));
  context.report->unended_sessions = sessions.size();
  return ForEachRow(
      context, Table::kHeartbeat, DecodeHeartbeat,
      [&](std::string_view key, const HeartbeatRecord&) {
        const std::optional<uint32_t> number = number_of(key);
        if (!number.has_value() || sessions.contains(*number)) return;
        context.Add(FindingKind::kSession,
                    absl::StrCat("session ", *number, " has a heartbeat, and no row"));
      },
      kNothing);
}

}  // namespace

absl::StatusOr<bool> CheckFilesystemRows(CheckContext* context) {
  const Metadata& metadata = context->metadata;
  const auto snapshot = metadata.store->NewSnapshot();
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> format_row,
                          snapshot->Get(metadata.meta, FormatKey()));
  if (!format_row.has_value()) return absl::NotFoundError("the metadata holds no filesystem");
  const absl::StatusOr<FormatRecord> format = DecodeFormat(*format_row);
  if (!format.ok()) {
    context->Add(FindingKind::kRow, absl::StrCat("row of the format: ", format.status().message(),
                                                 "; nothing else was checked"));
    return false;
  }
  context->rows.format = *format;
  STRATA_ASSIGN_OR_RETURN(const std::optional<std::string> epoch_row,
                          snapshot->Get(metadata.meta, EpochKey()));
  if (epoch_row.has_value()) {
    const absl::StatusOr<EpochRecord> epoch = DecodeEpoch(*epoch_row);
    if (epoch.ok()) context->epoch = epoch->epoch;
    if (!epoch.ok()) {
      context->epoch = UINT64_MAX;
      context->Add(FindingKind::kRow,
                   absl::StrCat("row of the snapshot epoch: ", epoch.status().message()));
    }
  }
  STRATA_RETURN_IF_ERROR(ForEachRow(
      *context, Table::kCounter, DecodeCounter,
      [&](std::string_view key, const CounterRecord& counter) {
        context->counters[std::string(key.substr(1))] = counter.next;
      },
      [&](std::string_view key) { context->damaged_counters.insert(std::string(key.substr(1))); }));
  STRATA_RETURN_IF_ERROR(CheckPools(context));
  STRATA_RETURN_IF_ERROR(CheckSessions(*context));
  STRATA_RETURN_IF_ERROR(ForEachRow(
      *context, Table::kJob, DecodeJob, [](std::string_view, const JobRecord&) {}, kNothing));
  for (const Table table : {Table::kFormat, Table::kEpoch}) {
    STRATA_RETURN_IF_ERROR(kv::ForEach(*metadata.store, metadata.meta, TableRange(table),
                                       [&](const kv::KeyValue& row) {
                                         if (row.key.size() > 1) {
                                           AddKey(*context, row.key, "the filesystem");
                                         }
                                         return absl::OkStatus();
                                       }));
  }
  STRATA_RETURN_IF_ERROR(FindUnknown(*context, metadata.meta, kMetaSpace, kMetaTables));
  STRATA_RETURN_IF_ERROR(FindUnknown(*context, metadata.extents, kExtentSpace, kExtentTables));
  return true;
}

absl::StatusOr<std::vector<std::shared_ptr<Disk>>> CheckDisks(const CheckContext& context) {
  const block::Registry defaults = block::Registry::WithDefaults();
  const block::Registry& registry =
      context.options.registry != nullptr ? *context.options.registry : defaults;
  const FormatRecord& format = context.rows.format;
  std::vector<std::shared_ptr<Disk>> opened;
  std::map<Uuid, uint32_t> by_uuid;
  for (const auto& [number, record] : context.rows.disks) {
    STRATA_RETURN_IF_ERROR(context.Tell("disks", opened.size(), context.rows.disks.size()));
    const std::string text = absl::StrCat("disk ", number, " (", record.uri, ")");
    const auto add = [&](FindingKind kind, std::string_view what) {
      context.Add(kind, absl::StrCat(text, ": ", absl::string_view(what.data(), what.size())));
    };
    const auto [twin, is_new] = by_uuid.emplace(record.disk, number);
    if (!is_new) add(FindingKind::kDisk, absl::StrCat("its uuid is that of disk ", twin->second));
    if (!CheckDomain(record.domain).ok()) add(FindingKind::kDisk, "its failure domain is no path");
    if (record.state == DiskState::kRemoved) continue;
    // One by one: what is wrong with one says nothing about another. A disk that is gone and the
    // one in its place may have one URI.
    std::map<uint32_t, DiskRecord> expected;
    for (const auto& [other, row] : context.rows.disks) {
      if (row.uri == record.uri && row.state != DiskState::kRemoved) expected[other] = row;
    }
    absl::StatusOr<FoundDisks> found =
        OpenDisks(OpenSources(registry, {record.uri}), format.filesystem, expected,
                  {.read_only = true, .log = context.options.log});
    if (!found.ok()) {
      add(FindingKind::kDisk, found.status().ToString(absl::StatusToStringMode::kWithNoExtraData));
      continue;
    }
    if (found->disks.empty() || found->disks[0]->number() != number) {
      if (record.state != DiskState::kFailed) {
        context.Add(FindingKind::kAbsentDisk,
                    found->absent.empty() ? text : found->absent[0].reason);
      }
      continue;
    }
    const std::shared_ptr<Disk>& disk = found->disks[0];
    const Superblock& superblock = disk->superblock();
    if (!found->damaged_superblocks.empty()) {
      add(FindingKind::kSuperblock, "one copy of its superblock is damaged");
    }
    if (superblock.segment_bytes != format.segment_bytes) {
      add(FindingKind::kDisk, absl::StrCat("its segments have ", superblock.segment_bytes,
                                           " bytes instead of ", format.segment_bytes));
      continue;
    }
    if (superblock.segment_count != record.segment_count) {
      add(FindingKind::kDisk, absl::StrCat("it has ", superblock.segment_count,
                                           " segments, and its row says ", record.segment_count));
    }
    if (superblock.domain != record.domain || superblock.disk_class != record.disk_class) {
      add(FindingKind::kDisk,
          absl::StrCat("its superblock says class ", DiskClassName(superblock.disk_class).data(),
                       " and domain ", superblock.domain, ", and its row ",
                       DiskClassName(record.disk_class).data(), " and ", record.domain));
    }
    opened.push_back(disk);
  }
  return opened;
}

}  // namespace strata::ofs

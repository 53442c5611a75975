// SPDX-License-Identifier: Apache-2.0
#include "strata/dedup/catalogue.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "format/catalogue_record.h"
#include "strata/base/status_macros.h"

namespace strata::dedup {
namespace {

constexpr size_t kPageItems = 1000;
constexpr int kMaxAttempts = 64;

absl::Status Named(std::string_view name, const absl::Status& status) {
  return {status.code(),
          absl::StrCat("'", absl::string_view(name.data(), name.size()), "': ", status.message())};
}

absl::Status NoSuchName(std::string_view name) {
  return absl::NotFoundError(
      absl::StrCat("no stream '", absl::string_view(name.data(), name.size()), "'"));
}

class KvCatalogue final : public Catalogue {
 public:
  KvCatalogue(Store* store, kv::Store* kv, kv::SpaceId names)
      : store_(*store), kv_(*kv), names_(names) {}

  absl::StatusOr<CatalogueEntry> Get(std::string_view name) override {
    STRATA_ASSIGN_OR_RETURN(const auto value, kv_.NewSnapshot()->Get(names_, name));
    if (!value) return NoSuchName(name);
    absl::StatusOr<CatalogueEntry> entry = DecodeCatalogueEntry(*value);
    if (!entry.ok()) return Named(name, entry.status());
    return entry;
  }

  absl::StatusOr<std::vector<NamedEntry>> List(std::string_view after, size_t max_count,
                                               std::vector<std::string>* damaged) override {
    std::vector<NamedEntry> found;
    const std::string begin =
        after.empty() ? std::string() : absl::StrCat(std::string(after), std::string(1, '\0'));
    STRATA_RETURN_IF_ERROR(ListRange(*kv_.NewSnapshot(), {begin, ""}, max_count, damaged, &found));
    return found;
  }

  absl::StatusOr<std::vector<NamedEntry>> ListBelow(std::string_view folder,
                                                    std::vector<std::string>* damaged) override {
    std::vector<NamedEntry> found;
    const std::unique_ptr<kv::Snapshot> snapshot = kv_.NewSnapshot();
    std::string prefix(folder);
    if (!prefix.empty() && !prefix.ends_with('/')) {
      STRATA_ASSIGN_OR_RETURN(const auto value, snapshot->Get(names_, folder));
      if (value) STRATA_RETURN_IF_ERROR(Take(prefix, *value, damaged, &found));
      prefix += '/';
    }
    STRATA_RETURN_IF_ERROR(
        ListRange(*snapshot, kv::PrefixRange(prefix), SIZE_MAX, damaged, &found));
    return found;
  }

  absl::Status Commit(const CatalogueChange& change, kv::Durability durability) override {
    std::vector<CatalogueEntry> entries;  // To add.
    absl::flat_hash_set<std::string_view> names;
    for (const CatalogueChange::Addition& addition : change.add) {
      STRATA_RETURN_IF_ERROR(CheckCatalogueName(addition.name));
      if (!names.insert(addition.name).second) return Twice(addition.name);
      entries.push_back(addition.entry);
      if (addition.writer != nullptr) {
        STRATA_ASSIGN_OR_RETURN(const StreamInfo info, addition.writer->Prepare());
        entries.back().stream = info.id;
      }
      const absl::Status right = CheckCatalogueEntry(entries.back());
      if (!right.ok()) return Named(addition.name, right);
    }
    for (const std::string& name : change.remove) {
      if (!names.insert(name).second) return Twice(name);
    }
    absl::Status status;
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      status = CommitOnce(change, entries, durability);
      if (!absl::IsAborted(status)) break;
    }
    return status;
  }

 private:
  static absl::Status Twice(std::string_view name) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", absl::string_view(name.data(), name.size()), "' twice in one change"));
  }

  absl::Status CommitOnce(const CatalogueChange& change, const std::vector<CatalogueEntry>& entries,
                          kv::Durability durability) {
    const std::unique_ptr<kv::Transaction> txn = kv_.Begin();
    Change streams;
    for (size_t i = 0; i < entries.size(); ++i) {
      const CatalogueChange::Addition& addition = change.add[i];
      STRATA_ASSIGN_OR_RETURN(const auto old, txn->Get(names_, addition.name));
      if (old && !change.replace) {
        return absl::AlreadyExistsError(
            absl::StrCat("there is a stream '", addition.name, "' already"));
      }
      if (old) STRATA_RETURN_IF_ERROR(RemoveStream(*old, entries[i].stream, &streams));
      if (addition.writer != nullptr) {
        streams.add.push_back(addition.writer);
      } else if (entries[i].stream) {
        STRATA_RETURN_IF_ERROR(store_.Stat(*entries[i].stream).status());
      }
      STRATA_RETURN_IF_ERROR(txn->Put(names_, addition.name, EncodeCatalogueEntry(entries[i])));
    }
    for (const std::string& name : change.remove) {
      STRATA_ASSIGN_OR_RETURN(const auto old, txn->Get(names_, name));
      if (!old) return NoSuchName(name);
      STRATA_RETURN_IF_ERROR(RemoveStream(*old, std::nullopt, &streams));
      STRATA_RETURN_IF_ERROR(txn->Delete(names_, name));
    }
    const absl::Status status = store_.Commit(*txn, streams, durability);
    if (absl::IsNotFound(status) && !streams.remove.empty()) {
      return absl::AbortedError(status.message());  // It was deleted just now: look again.
    }
    return status;
  }

  // A record that cannot be read names no stream that could be deleted, and one may be gone.
  absl::Status RemoveStream(const std::string& record, const std::optional<StreamId>& kept,
                            Change* streams) {
    const absl::StatusOr<CatalogueEntry> entry = DecodeCatalogueEntry(record);
    if (!entry.ok() || !entry->stream || entry->stream == kept) return absl::OkStatus();
    const absl::StatusOr<StreamInfo> info = store_.Stat(*entry->stream);
    // One whose record is damaged is left to whatever mends or finds it.
    if (absl::IsNotFound(info.status()) || absl::IsDataLoss(info.status())) return absl::OkStatus();
    STRATA_RETURN_IF_ERROR(info.status());
    streams->remove.push_back(*entry->stream);
    return absl::OkStatus();
  }

  static absl::Status Take(std::string name, const std::string& record,
                           std::vector<std::string>* damaged, std::vector<NamedEntry>* found) {
    absl::StatusOr<CatalogueEntry> entry = DecodeCatalogueEntry(record);
    if (entry.ok()) {
      found->push_back({std::move(name), *std::move(entry)});
    } else if (damaged != nullptr) {
      damaged->push_back(std::move(name));
    } else {
      return Named(name, entry.status());
    }
    return absl::OkStatus();
  }

  absl::Status ListRange(kv::Reader& reader, kv::Range range, size_t max_count,
                         std::vector<std::string>* damaged, std::vector<NamedEntry>* found) {
    for (bool more = true; more && found->size() < max_count;) {
      const size_t wanted = std::min(kPageItems, max_count - found->size());
      STRATA_ASSIGN_OR_RETURN(kv::Page page, reader.List(names_, range, {.max_items = wanted}));
      more = page.more;
      if (more) range.begin = page.items.back().key + '\0';
      for (kv::KeyValue& item : page.items) {
        STRATA_RETURN_IF_ERROR(Take(std::move(item.key), item.value, damaged, found));
      }
    }
    return absl::OkStatus();
  }

  Store& store_;
  kv::Store& kv_;
  const kv::SpaceId names_;
};

}  // namespace

std::string_view EntryKindName(EntryKind kind) {
  constexpr std::string_view kNames[] = {"file", "folder",           "symlink",
                                         "fifo", "character device", "block device"};
  return kNames[static_cast<size_t>(kind)];
}

absl::Status CheckCatalogueName(std::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError("an empty name");
  if (name.find('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError("a name with a NUL in it");
  }
  if (name.size() <= kMaxNameBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a name of ", name.size(), " bytes; the limit is ", kMaxNameBytes));
}

absl::StatusOr<std::unique_ptr<Catalogue>> Catalogue::Open(Store* store, kv::Store* kv) {
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId names, kv->OpenSpace("dedup-names", {}));
  return std::make_unique<KvCatalogue>(store, kv, names);
}

}  // namespace strata::dedup

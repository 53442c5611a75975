// SPDX-License-Identifier: Apache-2.0
//
// Names for streams: an ordered, transactional map from names to entries, which say what a name
// stands for (a file, a folder, a symbolic link, ...) and its attributes. A file's entry names its
// stream; both are committed in one transaction, so there is never one without the other.
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Catalogue> catalogue,
//                           Catalogue::Open(&directory->store(), &directory->kv()));
//   std::unique_ptr<Writer> writer = directory->store().NewWriter();
//   STRATA_RETURN_IF_ERROR(writer->Write(bytes));
//   STRATA_RETURN_IF_ERROR(writer->Prepare().status());
//   CatalogueChange change{.add = {{"home/letter", {.mode = 0600}, writer.get()}}};
//   STRATA_RETURN_IF_ERROR(catalogue->Commit(change, kv::Durability::kSync));
//   STRATA_ASSIGN_OR_RETURN(CatalogueEntry entry, catalogue->Get("home/letter"));
//
// A name is any string of 1 to 8192 bytes without a NUL; "/" parts folders only in ListBelow(). The
// records are described in docs/formats/dedup.md.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/dedup/store.h"
#include "strata/kv/store.h"

namespace strata::dedup {

enum class EntryKind : uint8_t {
  kFile = 0,
  kFolder = 1,
  kSymlink = 2,
  kFifo = 3,
  kCharacterDevice = 4,
  kBlockDevice = 5,
};

STRATA_EXPORT std::string_view EntryKindName(EntryKind kind);  // "file", "folder", ...

struct Timestamp {
  int64_t seconds = 0;  // Since the Unix epoch.
  uint32_t nanoseconds = 0;
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

struct Owner {
  uint32_t user = 0;
  uint32_t group = 0;
  friend bool operator==(const Owner&, const Owner&) = default;
};

struct DeviceNumber {
  uint32_t major = 0;
  uint32_t minor = 0;
  friend bool operator==(const DeviceNumber&, const DeviceNumber&) = default;
};

// A stretch of a sparse file that takes no space and reads as zeros.
struct Hole {
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
  friend bool operator==(const Hole&, const Hole&) = default;
};

struct CatalogueEntry {
  EntryKind kind = EntryKind::kFile;
  std::optional<uint32_t> mode = std::nullopt;  // The permission bits, 0 to 07777.
  std::optional<Owner> owner = std::nullopt;
  std::optional<Timestamp> modified = std::nullopt;
  std::optional<Timestamp> accessed = std::nullopt;
  std::string link_target{};                    // kSymlink.
  DeviceNumber device{};                        // kCharacterDevice, kBlockDevice.
  std::map<std::string, std::string> xattrs{};  // Extended attributes, ACLs among them.

  // kFile. The stream holds the file without its holes, one stretch after the other.
  std::optional<StreamId> stream = std::nullopt;
  uint64_t size_bytes = 0;    // Of the file, holes included.
  std::vector<Hole> holes{};  // In order; none is empty, touches the next, or passes size_bytes.
  // Entries of one ingest with the same id were hard links to one file; each has a stream of its
  // own.
  std::optional<StreamId> link_id = std::nullopt;

  friend bool operator==(const CatalogueEntry&, const CatalogueEntry&) = default;
};

inline constexpr size_t kMaxNameBytes = 8192;
// InvalidArgument: no name of the catalogue.
STRATA_EXPORT absl::Status CheckCatalogueName(std::string_view name);

// What one transaction does to the catalogue and its streams.
struct CatalogueChange {
  struct Addition {
    std::string name;
    CatalogueEntry entry;
    // Of kFile: prepared, and its group too; the commit fills in `entry.stream`. Null: entry.stream
    // names a committed stream, which the catalogue owns from then on.
    Writer* writer = nullptr;
  };
  std::vector<Addition> add{};
  bool replace = false;  // An addition may take the place of an entry, whose stream is deleted.
  std::vector<std::string> remove{};  // With their streams.
};

struct NamedEntry {
  std::string name;
  CatalogueEntry entry;
};

class STRATA_EXPORT Catalogue {
 public:
  // The catalogue of `store`, in the space "dedup-names" of `kv`; both outlive it.
  static absl::StatusOr<std::unique_ptr<Catalogue>> Open(Store* store, kv::Store* kv);

  virtual ~Catalogue() = default;

  // NotFound; DataLoss: the record cannot be decoded; Unimplemented: a newer version wrote it.
  virtual absl::StatusOr<CatalogueEntry> Get(std::string_view name) = 0;

  // Names greater than `after`, in order of their bytes. A record that cannot be decoded does not
  // hide the others: its name is put into *damaged (null: it is an error as in Get()). Fewer than
  // max_count: there are no more.
  virtual absl::StatusOr<std::vector<NamedEntry>> List(std::string_view after, size_t max_count,
                                                       std::vector<std::string>* damaged) = 0;

  // The entry of that name, unless `folder` ends with "/", and all whose names begin with it and a
  // "/". Empty: everything.
  virtual absl::StatusOr<std::vector<NamedEntry>> ListBelow(std::string_view folder,
                                                            std::vector<std::string>* damaged) = 0;

  // All of it or nothing. AlreadyExists: a name is taken; NotFound: a name to remove is not there;
  // InvalidArgument: a name, an entry, or one name twice; FailedPrecondition: a writer is not
  // prepared. A stream that was deleted past the catalogue does not keep its name from being
  // removed or replaced.
  virtual absl::Status Commit(const CatalogueChange& change, kv::Durability durability) = 0;
};

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
//
// Everything a store needs, in one directory: the usual way for a program to own a deduplicating
// store.
//
//   STRATA_ASSIGN_OR_RETURN(std::unique_ptr<Directory> directory, Directory::Open({.path = path}));
//   std::unique_ptr<Writer> writer = directory->store().NewWriter();
//
//   PATH/meta/        the kv store (RocksDB)
//   PATH/containers   the containers, a sparse file that grows; absent when device_uri names another
//   PATH/lock         held while open for writing; names the holder's process id
//   PATH/reserve      half a MiB that is given up when the disk is full, so that the store still
//                     opens, streams can be deleted, and garbage be collected
//
// A forked child neither uses nor holds it (strata/base/fork.h): the locks end with the process
// that opened it. Nor can the child open one of its own while its parent had one open at the fork.
//
// Thread safety: as the parts it hands out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/export.h"
#include "strata/base/log.h"
#include "strata/block/device.h"
#include "strata/block/registry.h"
#include "strata/dedup/store.h"
#include "strata/kv/store.h"

namespace strata::dedup {

struct DirectoryOptions {
  std::string path;
  bool create = true;  // Make the directory, and the store in it, when absent; not read_only.
  // Writes nothing, takes no lock: for another user's store, a read-only medium, a snapshot, a full
  // disk. Refused (FailedPrecondition) while a process has the store open for writing, and where
  // that cannot be told, as when PATH/lock may not be read. One that opens it for writing later is
  // not kept out: containers that it frees are DataLoss to readers here.
  bool read_only = false;
  bool assume_unlocked = false;  // Does not look for a writer; the risk is the same.
  std::string device_uri;        // Empty: PATH/containers.
  uint64_t max_size_bytes = 0;   // Of PATH/containers; 0: the size of its filesystem.
  // Resolves device_uri; nullptr: Registry::WithDefaults().
  const block::Registry* devices = nullptr;
  size_t kv_cache_bytes = 32u << 20;  // RocksDB's block cache.
  // device, kv, read_only and log are filled in, journal where it is set here.
  StoreOptions store;
  // The containers alone recover everything: RebuildMetadata(). A read-only opening begins none.
  bool journal = true;
  LogSink log;
};

class STRATA_EXPORT Directory {
 public:
  // NotFound: absent and not to be made. FailedPrecondition: another process (or this one) has it
  // open; names path and process id; or one of meta and containers is missing beside the other.
  // PermissionDenied; otherwise what kv, block and Store::Open() say, with the path. Nothing is put
  // into a directory that holds no store and is to get none.
  static absl::StatusOr<std::unique_ptr<Directory>> Open(const DirectoryOptions& options);

  // Makes PATH/meta again from the containers. What was there before is kept as PATH/meta.old (or
  // meta.old.1, and so on). Until the new one is whole nothing is changed; a crash leaves at most
  // PATH/meta.new, which the next call removes. Errors as Open() and dedup::RebuildMetadata().
  static absl::StatusOr<MetadataReport> RebuildMetadata(const DirectoryOptions& options,
                                                        const ProgressCallback& progress);

  virtual ~Directory() = default;  // REQUIRES: what uses the parts is destroyed.

  virtual const std::string& path() const = 0;
  virtual kv::Store& kv() = 0;
  virtual block::Device& device() = 0;
  virtual Store& store() = 0;
};

}  // namespace strata::dedup

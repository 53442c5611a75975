// SPDX-License-Identifier: Apache-2.0
//
// A tree of names without data in a store of metadata, and what must hold between its rows.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "disks/session_rows.h"
#include "format/key_layout.h"
#include "namespace/namespace.h"
#include "strata/base/clock.h"
#include "strata/base/endian.h"
#include "strata/kv/engines.h"
#include "strata/ofs/posix_error.h"
#include "support/must.h"

namespace strata::ofs {

using strata::test::Must;

struct Tree {
  explicit Tree(std::unique_ptr<kv::Store> in = kv::CreateMemoryStore(),
                const Clock* clock = &SystemClock())
      : store(std::move(in)), metadata(Must(OpenMetadata(store.get()))) {
    Must(Namespace::MakeRoot(metadata, 0755, 0, 0, 1));
    session = Must(StartSession(metadata, {.host = "test"}));
    names.emplace(NamespaceOptions{metadata, session, key, clock});
  }

  uint64_t MakeDirectory(uint64_t parent, std::string_view name) {
    return Must(names->Make(parent, name, {.type = FileType::kDirectory, .mode = 0755})).inode;
  }
  uint64_t MakeFile(uint64_t parent, std::string_view name) {
    return Must(names->Make(parent, name, {.mode = 0644})).inode;
  }

  std::vector<std::string> Names(uint64_t directory, size_t at_once = 100) {
    std::vector<std::string> found;
    uint64_t cookie = 0;
    for (bool is_last = false; !is_last;) {
      const DirectoryPage page = Must(names->ReadDirectory(directory, cookie, at_once));
      for (const DirectoryEntry& entry : page.entries) {
        if (entry.cookie > 2) found.push_back(entry.name);
        cookie = entry.cookie;
      }
      is_last = page.is_last;
    }
    return found;
  }

  // Writes an inode's row as no call would.
  void ChangeRow(uint64_t inode, const std::function<void(InodeRecord&)>& change) {
    const std::string key = InodeKey(inode);
    InodeRecord record =
        Must(DecodeInode(Must(store->NewSnapshot()->Get(metadata.meta, key)).value()));
    change(record);
    kv::WriteBatch batch;
    batch.Put(metadata.meta, key, Encode(record));
    Must(store->Write(batch, kv::Durability::kAsync));
  }

  NameKey key{};
  std::unique_ptr<kv::Store> store;
  Metadata metadata;
  uint32_t session = 0;
  std::optional<Namespace> names;
};

// What must hold between the rows, whatever was done.
inline void CheckRows(Tree& tree) {
  std::map<uint64_t, InodeRecord> inodes;
  std::map<uint64_t, uint32_t> links;
  std::map<uint64_t, uint32_t> directories_in;
  std::map<uint64_t, uint32_t> further;
  std::set<uint64_t> orphans;
  std::set<std::tuple<uint64_t, uint64_t, std::string>> names;  // Directory, hash, name.
  std::set<std::tuple<uint64_t, uint64_t, uint64_t>> places;    // Directory, hash, inode.
  const auto snapshot = tree.store->NewSnapshot();
  const auto number = [](const std::string& key, size_t at) {
    return LoadBe64(reinterpret_cast<const std::byte*>(key.data()) + at);
  };
  const auto each = [&](Table table, auto&& visit) {
    Must(
        kv::ForEach(*snapshot, tree.metadata.meta, TableRange(table), [&](const kv::KeyValue& row) {
          visit(row);
          return absl::OkStatus();
        }));
  };
  each(Table::kInode,
       [&](const kv::KeyValue& row) { inodes[number(row.key, 1)] = Must(DecodeInode(row.value)); });
  each(Table::kEntry, [&](const kv::KeyValue& row) {
    const EntryRecord entry = Must(DecodeEntry(row.value));
    const uint64_t parent = number(row.key, 1);
    const uint64_t hash = number(row.key, 9);
    INFO("inode " << entry.inode << " in " << parent << " as " << row.key.substr(17));
    ++links[entry.inode];
    REQUIRE(inodes.count(entry.inode) == 1);
    REQUIRE(inodes.count(parent) == 1);
    CHECK(inodes[entry.inode].type == entry.type);
    CHECK(inodes[parent].type == FileType::kDirectory);
    CHECK(inodes[parent].link_count == 1);
    if (entry.type == FileType::kDirectory) {
      ++directories_in[parent];
      CHECK(inodes[entry.inode].parent == parent);
    }
    names.insert({parent, hash, row.key.substr(17)});
    places.insert({parent, hash, entry.inode});
  });
  each(Table::kLink, [&](const kv::KeyValue& row) {
    const uint64_t inode = number(row.key, 1);
    INFO("link of inode " << inode << " as " << row.key.substr(25));
    ++further[inode];
    CHECK(inodes.count(inode) == 1);
    CHECK(names.count({number(row.key, 9), number(row.key, 17), row.key.substr(25)}) == 1);
    CHECK(places.count({number(row.key, 9), number(row.key, 17), inode}) == 1);
  });
  each(Table::kOrphan, [&](const kv::KeyValue& row) { orphans.insert(number(row.key, 1)); });
  for (const Table table : {Table::kTouch, Table::kAttribute, Table::kOrphan}) {
    each(table, [&](const kv::KeyValue& row) {
      INFO("table " << static_cast<char>(table) << " inode " << number(row.key, 1));
      CHECK(inodes.count(number(row.key, 1)) == 1);
    });
  }
  links[kRootInode] = 1;
  for (const auto& [inode, record] : inodes) {
    INFO("inode " << inode);
    CHECK(record.link_count == links[inode]);
    CHECK((record.link_count == 0) == (orphans.count(inode) == 1));
    CHECK(record.subdirectory_count == directories_in[inode]);
    if (record.link_count == 0 || inode == kRootInode) continue;
    CHECK(further[inode] == record.link_count - 1);
    CHECK(places.count({record.parent, record.name_hash, inode}) == 1);
    // Every directory hangs on the root.
    uint64_t at = inode;
    size_t steps = 0;
    while (at != kRootInode && steps++ < inodes.size()) at = inodes[at].parent;
    CHECK(at == kRootInode);
  }
}

}  // namespace strata::ofs

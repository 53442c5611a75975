// SPDX-License-Identifier: Apache-2.0
//
// A filesystem with something of everything, closed, whose rows a test can damage.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/extent.h"
#include "disks/disk_rows.h"
#include "format/key_layout.h"
#include "format/name_hash.h"
#include "format/records.h"
#include "home.h"
#include "strata/ofs/check.h"

namespace strata::ofs {

using Kinds = std::set<FindingKind>;
using Row = std::pair<std::string, std::string>;

inline std::string Text(const Kinds& kinds) {
  std::string text;
  for (const FindingKind kind : kinds) text.append(FindingKindName(kind)).append(" ");
  return text;
}

struct Sample : Home {
  Sample() {
    checks_itself = false;
    FileSystem& files = Open();
    large = MakeFile(files, "large");
    Must(files.Write(large, 0, Pattern(1, 1'000'000)));
    packed = MakeFile(files, "packed");
    neighbour = MakeFile(files, "neighbour");
    Must(files.Write(packed, 0, Pattern(2, 8192)));
    Must(files.Write(neighbour, 0, Pattern(3, 8192)));
    Must(files.SyncAll());
    other = MakeFile(files, "other");
    Must(files.Write(other, 0, Pattern(4, 300'000)));
    inlined = MakeFile(files, "inlined");
    Must(files.Write(inlined, 0, Pattern(5, 1000)));
    Must(files.SyncAll());
    Must(files.PunchHole(other, 100'000, 50'000));
    top = Make(kRootInode, "top", FileType::kDirectory);
    sub = Make(top, "sub", FileType::kDirectory);
    deep = Make(sub, "deep", FileType::kDirectory);
    symlink = Must(files.Make(sub, "symlink",
                              {.type = FileType::kSymlink, .symlink_target = "../somewhere"}))
                  .inode;
    Make(sub, "fifo", FileType::kFifo);
    Must(files.Link(large, sub, "linked", false));
    Must(files.Link(large, sub, "linked twice", false));
    Must(files.SetExtendedAttribute(packed, "user.a", "value", AttributeMode::kSet));
    HealReport healed;
    Must(files.maintenance().Heal(0, &healed));
    ScrubReport scrubbed;
    while (!scrubbed.is_done) Must(files.maintenance().Scrub(1u << 30, &scrubbed));
    Must(files.Close());
    Crash();
    Reopen();
    REQUIRE(Find(true).empty());
  }

  uint64_t Make(uint64_t parent, std::string_view name, FileType type) const {
    return Must(fs->Make(parent, name, {.type = type, .mode = 0755})).inode;
  }

  void Reopen() {
    store.reset();
    store = kv->Open();
    metadata = Must(OpenMetadata(store.get()));
  }

  kv::SpaceId SpaceOf(std::string_view key) const {
    return key[0] == 'E' || key[0] == 'h' ? metadata.extents : metadata.meta;
  }
  std::string Get(const std::string& key) const {
    const auto row = Must(store->NewSnapshot()->Get(SpaceOf(key), key));
    REQUIRE(row.has_value());
    return *row;
  }
  void Put(const std::string& key, std::string_view value) const {
    kv::WriteBatch batch;
    batch.Put(SpaceOf(key), key, value);
    Must(store->Write(batch, kv::Durability::kSync));
  }
  void Delete(const std::string& key) const {
    kv::WriteBatch batch;
    batch.Delete(SpaceOf(key), key);
    Must(store->Write(batch, kv::Durability::kSync));
  }
  std::vector<Row> Rows(Table table) const {
    std::vector<Row> rows;
    const std::string letter(1, static_cast<char>(table));
    Must(kv::ForEach(*store, SpaceOf(letter), TableRange(table), [&](const kv::KeyValue& row) {
      rows.emplace_back(row.key, row.value);
      return absl::OkStatus();
    }));
    REQUIRE(!rows.empty());
    return rows;
  }

  template <typename Record, typename Change>
  void Edit(const std::string& key, absl::StatusOr<Record> (*decode)(std::string_view),
            const Change& change) const {
    Record record = Must(decode(Get(key)));
    change(record);
    Put(key, Encode(record));
  }
  void EditInode(uint64_t inode, const std::function<void(InodeRecord&)>& change) const {
    Edit(InodeKey(inode), DecodeInode, change);
  }
  void EditAllocation(uint64_t group, const std::function<void(AllocationRecord&)>& change) const {
    Edit(AllocationKey(group), DecodeAllocation, change);
  }

  uint64_t HashOf(std::string_view name) const {
    return NameHash(Must(DecodeFormat(Get(FormatKey()))).name_key, name);
  }
  std::string Entry(uint64_t parent, std::string_view name) const {
    return EntryKey(parent, HashOf(name), name);
  }
  // The first extent of a file.
  Extent FirstExtent(uint64_t inode) const {
    for (const auto& [key, value] : Rows(Table::kExtent)) {
      if (key.starts_with(ExtentKey(inode, 0).substr(0, 9)))
        return Must(DecodeExtentRow(key, value));
    }
    FAIL("no extent of inode " << inode);
    return {};
  }
  void EditExtent(uint64_t inode, const std::function<void(ExtentRecord&)>& change) const {
    Edit(ExtentKey(inode, FirstExtent(inode).offset), DecodeExtent, change);
  }
  void SetTaken(const SegmentPlace& place, bool is_taken) const {
    Edit(SegmentsKey(place.disk, 0), DecodeSegments, [&](SegmentsRecord& record) {
      is_taken ? record.taken.Set(place.segment, 1) : record.taken.Clear(place.segment, 1);
    });
  }

  CheckReport Examined(bool read_data) const {
    return Must(Check({.store = store.get(), .registry = &registry, .read_data = read_data}));
  }
  Kinds Find(bool read_data = false) const {
    const CheckReport report = Examined(read_data);
    Kinds kinds;
    for (const Finding& finding : report.findings) {
      INFO(finding.text);
      CHECK(finding.text.size() > 10);
      if (!IsWarning(finding.kind)) kinds.insert(finding.kind);
    }
    CHECK(report.is_clean() == kinds.empty());
    return kinds;
  }
  void Expect(const Kinds& kinds, bool read_data = false) const {
    for (const Finding& finding : Examined(read_data).findings) UNSCOPED_INFO(finding.text);
    CHECK(Text(Find(read_data)) == Text(kinds));
  }

  Metadata metadata;
  uint64_t large = 0;      // Full stripes, and three names.
  uint64_t packed = 0;     // In a stripe with its neighbour.
  uint64_t neighbour = 0;  // The same.
  uint64_t other = 0;      // Of its stripe a part is dead.
  uint64_t inlined = 0;
  uint64_t top = 0;  // A directory with one directory in it, and so on.
  uint64_t sub = 0;
  uint64_t deep = 0;
  uint64_t symlink = 0;
};

}  // namespace strata::ofs

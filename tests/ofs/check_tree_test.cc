// SPDX-License-Identifier: Apache-2.0
//
// A check finds what is damaged of inodes, names, attributes and extents, and nothing besides.
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <vector>

#include "check_sample.h"
#include "namespace/acl.h"

namespace strata::ofs {
namespace {

TEST_CASE("extents that contradict their file are found") {
  Sample sample;
  const std::string large = sample.Get(InodeKey(sample.large));
  sample.EditInode(sample.large, [](InodeRecord& record) { ++record.stored_blocks; });
  sample.Expect({FindingKind::kStoredBlocks});
  sample.Put(InodeKey(sample.large), large);
  sample.EditInode(sample.large, [](InodeRecord& record) { --record.size_bytes; });
  sample.Expect({FindingKind::kExtent});
  // Unless what lies beyond is on its way out.
  sample.EditInode(sample.large, [](InodeRecord& record) { record.trim_from = record.size_bytes; });
  sample.Expect({});
  sample.Put(InodeKey(sample.large), large);

  // The second of two halves begins a byte too early.
  const Extent whole = sample.FirstExtent(sample.other);
  const auto rows = sample.Rows(Table::kExtent);
  std::vector<Extent> halves;
  for (const auto& [key, value] : rows) {
    if (key.starts_with(ExtentKey(sample.other, 0).substr(0, 9))) {
      halves.push_back(Must(DecodeExtentRow(key, value)));
    }
  }
  REQUIRE(halves.size() == 2);
  sample.Delete(ExtentKey(sample.other, halves[1].offset));
  sample.Put(ExtentKey(sample.other, whole.end() - 1), Encode(halves[1].record));
  sample.Expect({FindingKind::kExtent}, true);
  sample.Delete(ExtentKey(sample.other, whole.end() - 1));
  sample.Put(ExtentKey(sample.other, halves[1].offset), Encode(halves[1].record));
  sample.Expect({});

  sample.Delete(InodeKey(sample.other));
  sample.Expect({FindingKind::kExtent, FindingKind::kEntry});
  sample.Delete(sample.Entry(kRootInode, "other"));
  sample.Expect({FindingKind::kExtent}, true);
}

TEST_CASE("inodes that contradict themselves are found") {
  Sample sample;
  const auto expect = [&](FindingKind kind, uint64_t inode,
                          const std::function<void(InodeRecord&)>& change) {
    const std::string row = sample.Get(InodeKey(inode));
    sample.EditInode(inode, change);
    sample.Expect({kind});
    sample.Put(InodeKey(inode), row);
  };
  const FindingKind kind = FindingKind::kInode;
  expect(kind, sample.symlink, [](InodeRecord& record) { ++record.size_bytes; });
  expect(kind, sample.inlined, [](InodeRecord& record) { --record.size_bytes; });
  expect(kind, sample.top, [](InodeRecord& record) { record.trim_from = 0; });
  expect(kind, sample.inlined, [](InodeRecord& record) { record.subdirectory_count = 1; });
  expect(kind, sample.inlined, [](InodeRecord& record) { record.layout.pool = 9; });
  expect(kind, sample.inlined, [](InodeRecord& record) { record.born_epoch = 1; });
  expect(FindingKind::kRoot, kRootInode, [&](InodeRecord& record) { record.parent = sample.top; });
  expect(FindingKind::kSubdirectoryCount, sample.top,
         [](InodeRecord& record) { ++record.subdirectory_count; });
  expect(FindingKind::kSubdirectoryCount, kRootInode,
         [](InodeRecord& record) { record.subdirectory_count = 0; });
  expect(FindingKind::kSubdirectoryCount, sample.deep,
         [](InodeRecord& record) { record.subdirectory_count = 1; });
  expect(FindingKind::kLinkCount, sample.large, [](InodeRecord& record) { ++record.link_count; });
  expect(FindingKind::kLinkCount, sample.large, [](InodeRecord& record) { --record.link_count; });
  expect(FindingKind::kLinkCount, sample.inlined, [](InodeRecord& record) { ++record.link_count; });
  sample.Delete(InodeKey(kRootInode));
  CHECK(sample.Find().contains(FindingKind::kRoot));
}

TEST_CASE("names that lead astray are found") {
  Sample sample;
  const auto expect = [&](const Kinds& kinds, const std::string& key, std::string_view value) {
    CAPTURE(key);
    sample.Put(key, value);
    sample.Expect(kinds);
    sample.Delete(key);
    sample.Expect({});
  };
  const auto file = [](uint64_t inode) {
    return Encode(EntryRecord{.inode = inode, .type = FileType::kRegular});
  };
  expect({FindingKind::kEntry}, sample.Entry(kRootInode, "nobody"), file(60'000));
  expect({FindingKind::kEntry}, sample.Entry(60'000, "nobody"), file(60'000));
  expect({FindingKind::kLink}, sample.Entry(sample.top, "more"), file(sample.inlined));
  expect({FindingKind::kRoot, FindingKind::kSubdirectoryCount}, sample.Entry(sample.top, "root"),
         Encode(EntryRecord{.inode = kRootInode, .type = FileType::kDirectory}));
  const std::string entry = sample.Entry(kRootInode, "inlined");
  sample.Put(entry, Encode(EntryRecord{.inode = sample.inlined, .type = FileType::kFifo}));
  sample.Expect({FindingKind::kEntry});
  sample.Put(entry, file(sample.inlined));
  // In a file, with a wrong hash, with names that there are not: the inode says the same.
  const auto move = [&](uint64_t parent, std::string_view name, uint64_t hash) {
    const std::string row = sample.Get(InodeKey(sample.inlined));
    sample.Delete(entry);
    sample.Put(EntryKey(parent, hash, name), file(sample.inlined));
    sample.EditInode(sample.inlined, [&](InodeRecord& record) {
      record.parent = parent;
      record.name_hash = hash;
    });
    sample.Expect({FindingKind::kEntry});
    sample.Delete(EntryKey(parent, hash, name));
    sample.Put(InodeKey(sample.inlined), row);
    sample.Put(entry, file(sample.inlined));
    sample.Expect({});
  };
  move(sample.packed, "inlined", sample.HashOf("inlined"));
  move(kRootInode, "inlined", sample.HashOf("other"));
  for (const std::string& name : {std::string("."), std::string(".."), std::string("a/b"),
                                  std::string(256, 'n'), std::string("a\0b", 3)}) {
    move(kRootInode, name, sample.HashOf(name));
  }
}

TEST_CASE("links that contradict names are found") {
  Sample sample;
  const uint64_t hash = sample.HashOf("absent");
  sample.Put(LinkKey(sample.large, sample.top, hash, "absent"), Encode(LinkRecord{}));
  sample.EditInode(sample.large, [](InodeRecord& record) { ++record.link_count; });
  sample.Expect({FindingKind::kLink});
  sample.Delete(LinkKey(sample.large, sample.top, hash, "absent"));
  sample.EditInode(sample.large, [](InodeRecord& record) { --record.link_count; });
  sample.Expect({});
  // A further link without its row.
  const std::string further = LinkKey(sample.large, sample.sub, sample.HashOf("linked"), "linked");
  sample.Delete(further);
  sample.Expect({FindingKind::kLink, FindingKind::kLinkCount});
  sample.EditInode(sample.large, [](InodeRecord& record) { --record.link_count; });
  sample.Expect({FindingKind::kLink});
  sample.Put(further, Encode(LinkRecord{}));
  sample.EditInode(sample.large, [](InodeRecord& record) { ++record.link_count; });
  // The first link is none, or is one of the further ones.
  const std::string row = sample.Get(InodeKey(sample.large));
  sample.EditInode(sample.large, [&](InodeRecord& record) { record.name_hash = hash; });
  sample.Expect({FindingKind::kLink});
  sample.EditInode(sample.large, [&](InodeRecord& record) {
    record.parent = sample.sub;
    record.name_hash = sample.HashOf("linked");
  });
  sample.Expect({FindingKind::kLink});
  sample.Put(InodeKey(sample.large), row);
  // Of an inode that is not there.
  sample.Put(LinkKey(60'000, sample.top, hash, "absent"), Encode(LinkRecord{}));
  sample.Expect({FindingKind::kLink});
  sample.Delete(LinkKey(60'000, sample.top, hash, "absent"));
  // A name that is missing.
  sample.Delete(sample.Entry(kRootInode, "inlined"));
  sample.Expect({FindingKind::kLink});
}

TEST_CASE("a circle of directories is found") {
  Sample sample;
  // top is moved into sub, which is in it.
  sample.Delete(sample.Entry(kRootInode, "top"));
  sample.Put(sample.Entry(sample.sub, "top"),
             Encode(EntryRecord{.inode = sample.top, .type = FileType::kDirectory}));
  sample.EditInode(sample.top, [&](InodeRecord& record) { record.parent = sample.sub; });
  sample.EditInode(sample.sub, [](InodeRecord& record) { ++record.subdirectory_count; });
  sample.EditInode(kRootInode, [](InodeRecord& record) { --record.subdirectory_count; });
  sample.Expect({FindingKind::kUnreachable});
  CHECK(sample.Examined(false).counts.at(FindingKind::kUnreachable) == 3);  // deep is below it.
}

TEST_CASE("orphans that are not listed, and others that are, are found") {
  Sample sample;
  const std::string orphan = Encode(OrphanRecord{.since_ns = 1});
  sample.Put(OrphanKey(sample.inlined), orphan);
  sample.Expect({FindingKind::kOrphan});
  sample.Delete(OrphanKey(sample.inlined));
  sample.Put(OrphanKey(60'000), orphan);
  sample.Expect({FindingKind::kOrphan});
  sample.Delete(OrphanKey(60'000));
  sample.Put(PinKey(sample.inlined, 1), orphan);
  sample.Expect({FindingKind::kOrphan});
  sample.Delete(PinKey(sample.inlined, 1));
  sample.EditInode(sample.inlined, [](InodeRecord& record) { record.link_count = 0; });
  sample.Expect({FindingKind::kOrphan});  // It has a name, too.
  sample.Delete(sample.Entry(kRootInode, "inlined"));
  sample.Expect({FindingKind::kOrphan});
  sample.Put(OrphanKey(sample.inlined), orphan);
  sample.Expect({});
  sample.Put(PinKey(sample.inlined, 1), orphan);
  sample.Expect({});
  // A directory that was removed, and is not empty.
  sample.Delete(sample.Entry(kRootInode, "top"));
  sample.EditInode(kRootInode, [](InodeRecord& record) { --record.subdirectory_count; });
  sample.EditInode(sample.top, [](InodeRecord& record) { record.link_count = 0; });
  sample.Put(OrphanKey(sample.top), orphan);
  sample.Expect({FindingKind::kOrphan});
}

TEST_CASE("attributes and touches that belong to nothing, or break a limit, are found") {
  Sample sample;
  const auto expect = [&](const Kinds& kinds, const std::string& key, std::string_view value) {
    sample.Put(key, value);
    sample.Expect(kinds);
    sample.Delete(key);
    sample.Expect({});
  };
  const Kinds attribute = {FindingKind::kAttribute};
  const std::string value = Encode(AttributeRecord{"value"});
  expect(attribute, AttributeKey(60'000, "user.a"), value);
  expect(attribute, AttributeKey(sample.packed, ""), value);
  expect(attribute, AttributeKey(sample.packed, std::string(256, 'a')), value);
  expect(attribute, AttributeKey(sample.packed, std::string("a\0b", 3)), value);
  const std::string acl = EncodeAcl(Acl::FromMode(0644));
  expect(attribute, AttributeKey(sample.packed, kAccessAclName), Encode(AttributeRecord{acl}));
  expect(attribute, AttributeKey(sample.packed, kDefaultAclName), Encode(AttributeRecord{acl}));
  expect(attribute, AttributeKey(sample.top, kDefaultAclName), value);
  expect({}, AttributeKey(sample.top, kDefaultAclName), Encode(AttributeRecord{acl}));
  expect({FindingKind::kTouch}, TouchKey(60'000), Encode(TouchRecord{1, 1}));
  expect({FindingKind::kTouch}, TouchKey(sample.packed), Encode(TouchRecord{1, 1}));
  for (int i = 0; i < 17; ++i) {
    sample.Put(AttributeKey(sample.top, "user." + std::to_string(i)),
               Encode(AttributeRecord{std::string(kMaxAttributeBytes, 'v')}));
  }
  sample.Expect(attribute);
}

}  // namespace
}  // namespace strata::ofs

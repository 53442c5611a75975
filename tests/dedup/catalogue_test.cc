// SPDX-License-Identifier: Apache-2.0
//
// Names, their entries and their streams: one transaction, and what happens when one is gone. The
// streams of a group share what they take.
#include "strata/dedup/catalogue.h"

#include <string>

#include "fixture.h"
#include "format/catalogue_record.h"

namespace strata::dedup {
namespace {

struct Home : MemoryHome {
  Home() {
    Open();
    absl::StatusOr<std::unique_ptr<Catalogue>> opened = Catalogue::Open(store.get(), kv.get());
    REQUIRE(opened.ok());
    catalogue = *std::move(opened);
  }
  absl::Status Add(const std::string& name, std::span<const std::byte> data, bool replace = false) {
    const std::unique_ptr<Writer> writer = store->NewWriter();
    REQUIRE(writer->Write(data).ok());
    REQUIRE(writer->Prepare().ok());
    CatalogueChange change{.replace = replace};
    change.add.push_back({name, {.size_bytes = data.size()}, writer.get()});
    return catalogue->Commit(change, kv::Durability::kSync);
  }
  absl::Status Remove(const std::string& name) {
    return catalogue->Commit({.remove = {name}}, kv::Durability::kSync);
  }
  std::unique_ptr<Catalogue> catalogue;
};

CatalogueEntry FullEntry() {
  CatalogueEntry entry{.mode = 04755,
                       .owner = Owner{1000, 2000},
                       .modified = Timestamp{-1, 999'999'999},
                       .accessed = Timestamp{1LL << 40, 1},
                       .xattrs = {{"user.a", std::string("\0b", 2)}, {"user.c", ""}},
                       .stream = StreamId{},
                       .size_bytes = 100,
                       .holes = {{0, 10}, {20, 80}},
                       .link_id = StreamId{}};
  entry.stream->bytes[3] = std::byte{7};
  return entry;
}

TEST_CASE("catalogue record: golden vector, and what decodes encodes to the same") {
  const CatalogueEntry entry = FullEntry();
  REQUIRE(CheckCatalogueEntry(entry).ok());
  const std::string bytes = EncodeCatalogueEntry(entry);
  CHECK(bytes.substr(0, 12) == std::string("\x01\x00\x01\x02\xed\x13\x02\x04\xe8\x07\xd0\x0f", 12));
  const absl::StatusOr<CatalogueEntry> again = DecodeCatalogueEntry(bytes);
  REQUIRE(again.ok());
  CHECK(*again == entry);
  for (size_t size = 0; size < bytes.size(); ++size) {
    const absl::StatusOr<CatalogueEntry> cut = DecodeCatalogueEntry(bytes.substr(0, size));
    CHECK((!cut.ok() || !(*cut == entry)));
  }
  CHECK(absl::IsUnimplemented(DecodeCatalogueEntry("\x02").status()));
  CHECK(absl::IsDataLoss(DecodeCatalogueEntry("").status()));
}

TEST_CASE("catalogue record: what was written before there were versions is a file") {
  const auto entry = DecodeCatalogueEntry("000102030405060708090a0b0c0d0e0f");
  REQUIRE(entry.ok());
  CHECK(entry->stream->ToHex() == "000102030405060708090a0b0c0d0e0f");
  CHECK(!entry->mode.has_value());
}

TEST_CASE("catalogue: names are taken, replaced and given back with their streams") {
  Home home;
  const Bytes data = RandomBytes(1, 5000);
  REQUIRE(home.Add("a/b", data).ok());
  CHECK(absl::IsAlreadyExists(home.Add("a/b", data)));
  REQUIRE(home.Add("a/b", RandomBytes(2, 100), /*replace=*/true).ok());
  CHECK(home.store->Stats().stream_count == 1);
  const auto entry = home.catalogue->Get("a/b");
  REQUIRE(entry.ok());
  CHECK(home.Get(*entry->stream) == RandomBytes(2, 100));
  REQUIRE(home.Add("a-b", data).ok());
  CHECK(home.catalogue->ListBelow("a", nullptr)->size() == 1);
  CHECK(home.catalogue->List("", 10, nullptr)->size() == 2);
  CHECK(home.catalogue->List("a-b", 10, nullptr)->front().name == "a/b");
  REQUIRE(home.Remove("a/b").ok());
  CHECK(absl::IsNotFound(home.Remove("a/b")));
  CHECK(home.store->Stats().stream_count == 1);
  CHECK(absl::IsInvalidArgument(home.Add(std::string("a\0b", 3), data)));
  CHECK(absl::IsInvalidArgument(home.Add(std::string(9000, 'n'), data)));
}

TEST_CASE("catalogue: a stream that was deleted past it does not hold its name") {
  Home home;
  for (const char* name : {"a", "b"}) REQUIRE(home.Add(name, RandomBytes(3, 300)).ok());
  for (const char* name : {"a", "b"}) {
    REQUIRE(home.store->Delete(*home.catalogue->Get(name)->stream).ok());
  }
  CHECK(home.catalogue->List("", 10, nullptr)->size() == 2);
  CHECK(home.Remove("a").ok());
  CHECK(home.Add("b", RandomBytes(4, 300), /*replace=*/true).ok());
  CHECK(home.store->Stats().stream_count == 1);
}

TEST_CASE("writer group: small streams share a region and a flush") {
  Home home;
  const uint64_t flushes = home.store->Stats().device_flushes;
  const std::unique_ptr<WriterGroup> group = home.store->NewWriterGroup();
  for (int round = 0; round < 2; ++round) {
    std::vector<std::unique_ptr<Writer>> writers;
    CatalogueChange change;
    for (int i = 0; i < 300; ++i) {
      writers.push_back(group->NewWriter());
      REQUIRE(writers.back()->Write(RandomBytes(static_cast<uint64_t>(round * 1000 + i), 11)).ok());
      if (i == 7) {  // Abandoned.
        writers.pop_back();
        continue;
      }
      REQUIRE(writers.back()->Prepare().ok());
      CHECK(absl::IsFailedPrecondition(writers.back()->Finish().status()));
      change.add.push_back({std::to_string(round) + "/" + std::to_string(i),
                            {.size_bytes = 11},
                            writers.back().get()});
    }
    CHECK(absl::IsFailedPrecondition(home.catalogue->Commit(change, kv::Durability::kSync)));
    {
      const std::unique_ptr<Writer> open = group->NewWriter();
      CHECK(absl::IsFailedPrecondition(group->Prepare()));
    }
    REQUIRE(group->Prepare().ok());
    REQUIRE(home.catalogue->Commit(change, kv::Durability::kSync).ok());
  }
  CHECK(home.store->Stats().device_flushes == flushes + 2);
  CHECK(home.store->Stats().container_bytes < 100'000);
  for (int i : {0, 6, 8, 299}) {
    const auto entry = home.catalogue->Get("1/" + std::to_string(i));
    REQUIRE(entry.ok());
    CHECK(home.Get(*entry->stream) == RandomBytes(static_cast<uint64_t>(1000 + i), 11));
  }
  CHECK(home.Damages() == 0);
}

}  // namespace
}  // namespace strata::dedup

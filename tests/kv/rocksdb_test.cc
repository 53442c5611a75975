// SPDX-License-Identifier: Apache-2.0
//
// What only a store with files promises: it comes back, keeps others out, and notices damage.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "child_process.h"
#include "rocksdb/db.h"
#include "strata/base/random.h"
#include "strata/kv/engines.h"
#include "support/scratch_folder.h"
#include "support/seed.h"

namespace strata::kv {
namespace {

namespace fs = std::filesystem;
using test::ChildProcess;
using test::ScratchFolder;

absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& directory) {
  RocksDbOptions options;
  options.directory = directory;
  return OpenRocksDbStore(options);
}

std::unique_ptr<Store> OpenOrFail(const std::string& directory) {
  auto store = Open(directory);
  INFO(store.status());
  REQUIRE(store.ok());
  return std::move(store).value();
}

ChildProcess Start(const std::string& mode, const std::string& directory) {
  return ChildProcess({KV_STORE_PROCESS, mode, directory});
}

std::string Number(uint64_t number) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%012llu", static_cast<unsigned long long>(number));
  return digits;
}

void PutNow(Store& store, SpaceId space, std::string_view key, std::string_view value) {
  WriteBatch batch;
  batch.Put(space, key, value);
  REQUIRE(store.Write(batch, Durability::kSync).ok());
}

std::vector<KeyValue> Everything(Store& store, SpaceId space) {
  std::vector<KeyValue> items;
  const auto snapshot = store.NewSnapshot();
  Range rest;
  while (true) {
    Page page = snapshot->List(space, rest, {}).value();
    items.insert(items.end(), page.items.begin(), page.items.end());
    if (!page.more) return items;
    rest.begin = items.back().key + std::string(1, '\0');
  }
}

std::vector<fs::path> FilesWith(const std::string& directory, const std::string& what) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename();
    if (name.find(what) != std::string::npos && entry.file_size() > 0)
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void FlipByte(const fs::path& file, uint64_t offset) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(stream.get() ^ 0x40);
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(byte);
  REQUIRE(stream.good());
}

TEST_CASE("a store comes back as it was left") {
  const ScratchFolder directory;
  uint64_t version = 0;
  for (int round = 0; round < 4; ++round) {
    const auto store = OpenOrFail(directory / "made/on/the/way");
    CHECK(store->version() >= version);
    const SpaceId points = store->OpenSpace("points", {SpaceOptions::Access::kPoint}).value();
    const SpaceId ordered = store->OpenSpace("ordered", {}).value();
    CHECK(Everything(*store, ordered).size() == static_cast<size_t>(round));
    CHECK(Everything(*store, points).size() == static_cast<size_t>(round));
    PutNow(*store, ordered, std::to_string(round), "o");
    PutNow(*store, points, std::to_string(round), "p");
    version = store->version();
    CHECK(store->OpenSpace("points", {}).status().code() == absl::StatusCode::kInvalidArgument);
  }
  // Options are remembered from one opening to the next, not only within one.
  const auto store = OpenOrFail(directory / "made/on/the/way");
  CHECK(store->OpenSpace("points", {}).status().code() == absl::StatusCode::kInvalidArgument);
  // RocksDB keeps no log of its own doings: such files would pile up.
  CHECK(FilesWith(directory / "made/on/the/way", "LOG").empty());
}

TEST_CASE("a second opener gets a clear error") {
  const ScratchFolder directory;
  const auto check_refused = [&] {
    const absl::Status second = Open(directory.path()).status();
    INFO(second);
    CHECK(second.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(std::string(second.message()).find(directory.path()) != std::string::npos);
  };
  SECTION("in the same process") {
    const auto first = OpenOrFail(directory.path());
    check_refused();
    const SpaceId space = first->OpenSpace("s", {}).value();
    PutNow(*first, space, "k", "v");
  }
  SECTION("in another process") {
    ChildProcess first = Start("hold", directory.path());
    REQUIRE(first.ReadLine() == "open");
    check_refused();
    first.CloseInput();
    CHECK(first.Wait() == 0);
  }
  SECTION("in another process that was killed") {
    ChildProcess first = Start("hold", directory.path());
    REQUIRE(first.ReadLine() == "open");
    first.Kill();
  }
  CHECK(Open(directory.path()).ok());
}

TEST_CASE("nothing acknowledged is lost when the process is killed") {
  const ScratchFolder directory;
  Random random(test::Seed());
  for (int round = 0; round < 20; ++round) {
    ChildProcess writer = Start("write", directory.path());
    std::map<std::string, std::string> acknowledged;
    const auto note = [&](const std::string& line) {
      INFO("the writer says '" << line << "'");
      REQUIRE(line.size() == 14);
      acknowledged[line.substr(0, 1)] = line.substr(2);
    };
    for (uint64_t left = 1 + random.Uniform(120); left > 0; --left) {
      const auto line = writer.ReadLine();
      REQUIRE(line.has_value());
      note(*line);
    }
    writer.Kill();
    while (const auto line = writer.ReadLine()) note(*line);

    const auto store = OpenOrFail(directory.path());
    const SpaceId space = store->OpenSpace("numbers", {}).value();
    const auto snapshot = store->NewSnapshot();
    for (const auto& [thread, number] : acknowledged) {
      INFO("round " << round << ", thread " << thread << ", acknowledged " << number);
      const auto last = snapshot->Get(space, "last" + thread).value();
      REQUIRE(last.has_value());
      CHECK(*last >= number);
      // A transaction is there whole: the counter and the numbers agree.
      const Page newest =
          snapshot->List(space, PrefixRange(thread + "/"), {.max_items = 1, .reverse = true})
              .value();
      REQUIRE(newest.items.size() == 1);
      CHECK(newest.items[0].key == thread + "/" + *last);
    }
    for (const auto& [thread, number] : acknowledged) {
      uint64_t count = 0;
      for (const KeyValue& item : Everything(*store, space)) {
        if (item.key.starts_with(thread + "/")) ++count;
      }
      CHECK(Number(count - 1) == snapshot->Get(space, "last" + thread).value());
    }
  }
}

TEST_CASE("a recovery that is killed is recovered from") {
  const ScratchFolder directory;
  Random random(test::Seed());
  {
    ChildProcess writer = Start("write", directory.path());
    for (int left = 60; left > 0; --left) REQUIRE(writer.ReadLine().has_value());
    writer.Kill();
  }
  for (int round = 0; round < 20; ++round) {
    ChildProcess opener = Start("hold", directory.path());
    if (round % 4 == 0) {
      REQUIRE(opener.ReadLine() == "open");
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(random.Uniform(50'000)));
    }
    opener.Kill();
  }
  const auto store = OpenOrFail(directory.path());
  const auto items = Everything(*store, store->OpenSpace("numbers", {}).value());
  CHECK(items.size() >= 60);
}

TEST_CASE("commits that were not flushed survive a kill, and vanish from the end") {
  const ScratchFolder directory;
  {
    ChildProcess writer = Start("lazy", directory.path());
    REQUIRE(writer.ReadLine() == "written");
    writer.Kill();
  }
  SECTION("the kernel has them") {
    const auto store = OpenOrFail(directory.path());
    CHECK(Everything(*store, store->OpenSpace("numbers", {}).value()).size() == 100);
  }
  SECTION("a power cut tears the log: a prefix remains") {
    const auto logs = FilesWith(directory.path(), ".log");
    REQUIRE(logs.size() == 1);
    fs::resize_file(logs[0], fs::file_size(logs[0]) / 2 + 13);
    const auto store = OpenOrFail(directory.path());
    const auto items = Everything(*store, store->OpenSpace("numbers", {}).value());
    CHECK(items.size() >= 40);
    CHECK(items.size() <= 60);
    for (size_t i = 0; i < items.size(); ++i) CHECK(items[i].key == Number(i));
  }
}

// A store of 2000 numbers that was closed in order, and so lies in tables.
void MakeClosedStore(const std::string& directory) {
  const auto store = OpenOrFail(directory);
  const SpaceId space = store->OpenSpace("numbers", {}).value();
  WriteBatch batch;
  for (uint64_t i = 0; i < 2000; ++i) batch.Put(space, Number(i), std::string(100, 'v'));
  REQUIRE(store->Write(batch, Durability::kSync).ok());
}

// Opens and reads everything; DataLoss is the only good way to fail.
absl::Status OpenAndRead(const std::string& directory) {
  auto store = Open(directory);
  if (!store.ok()) return store.status();
  const auto space = (*store)->OpenSpace("numbers", {});
  if (!space.ok()) return space.status();
  const auto snapshot = (*store)->NewSnapshot();
  for (uint64_t i = 0; i < 2000; ++i) {
    const auto value = snapshot->Get(*space, Number(i));
    if (!value.ok()) return value.status();
    if (*value != std::string(100, 'v'))
      return absl::InternalError("a wrong value of " + Number(i));
  }
  return absl::OkStatus();
}

TEST_CASE("a damaged table is reported, never read") {
  const ScratchFolder directory;
  MakeClosedStore(directory / "good");
  const auto tables = FilesWith(directory / "good", ".sst");
  REQUIRE(tables.size() == 1);
  const uint64_t size = fs::file_size(tables[0]);
  int reported = 0;
  constexpr int kPlaces = 16;
  for (int place = 0; place < kPlaces; ++place) {
    const std::string bad = directory / ("bad" + std::to_string(place));
    fs::copy(directory / "good", bad);
    FlipByte(bad + "/" + tables[0].filename().string(),
             size * static_cast<uint64_t>(place) / kPlaces);
    const absl::Status status = OpenAndRead(bad);
    INFO("byte " << size * static_cast<uint64_t>(place) / kPlaces << " of " << size << ": "
                 << status);
    // A byte that nothing reads, as in a property block, may be wrong unnoticed.
    CHECK((status.ok() || status.code() == absl::StatusCode::kDataLoss));
    if (!status.ok()) ++reported;
  }
  CHECK(reported > kPlaces / 2);
}

TEST_CASE(
    "a listing goes past a damaged block and says what it skipped; the space can be cleared") {
  const uint64_t seed = test::Seed();
  for (const auto access : {SpaceOptions::Access::kOrdered, SpaceOptions::Access::kPoint}) {
    for (const size_t damaged_blocks : {1u, 3u}) {
      INFO("STRATA_SEED=" << seed << " blocks " << damaged_blocks);
      const ScratchFolder directory;
      constexpr uint64_t kKeys = 5000;
      Random random(seed);
      std::vector<std::string> keys;
      {
        const auto store = OpenOrFail(directory.path());
        const SpaceId space = store->OpenSpace("space", {access}).value();
        WriteBatch batch;
        for (uint64_t i = 0; i < kKeys; ++i) {
          std::string value(200, '\0');
          random.Fill(std::as_writable_bytes(std::span(value)));
          // Keys like those of libobject, of libdedup's streams, and short ones.
          std::string key = i % 2 == 0 ? "a/long/prefix/that/all/share/" + Number(i) : Number(i);
          if (i % 5 == 0) random.Fill(std::as_writable_bytes(std::span(key)).first(10));
          keys.push_back(key);
          batch.Put(space, key, value);
        }
        REQUIRE(store->Write(batch, Durability::kSync).ok());
      }
      std::sort(keys.begin(), keys.end());
      const fs::path table = FilesWith(directory.path(), ".sst").at(0);
      const uint64_t size = fs::file_size(table);
      REQUIRE(size > 900000);
      for (size_t i = 1; i <= damaged_blocks; ++i) FlipByte(table, size * i / 5);

      const auto store = OpenOrFail(directory.path());
      const SpaceId space = store->OpenSpace("space", {access}).value();
      CHECK(absl::IsDataLoss(store->VerifyChecksums()));
      CHECK(absl::IsDataLoss(store->NewSnapshot()->List(space, {}, {.max_items = 10000}).status()));
      std::vector<std::string> found;
      std::vector<Range> skipped;
      Range rest;
      for (bool more = true; more;) {
        const Page page = store->NewSnapshot()
                              ->List(space, rest, {.max_items = 700, .skip_damaged = true})
                              .value();
        for (const KeyValue& item : page.items) found.push_back(item.key);
        skipped.insert(skipped.end(), page.skipped.begin(), page.skipped.end());
        more = page.more;
        if (more) rest.begin = found.back() + std::string(1, '\0');
      }
      CHECK(skipped.size() == damaged_blocks);
      CHECK(found.size() > kKeys - damaged_blocks * 100);
      CHECK(found.size() < kKeys);
      CHECK(std::is_sorted(found.begin(), found.end()));
      std::vector<std::string> missing;
      std::set_difference(keys.begin(), keys.end(), found.begin(), found.end(),
                          std::back_inserter(missing));
      CHECK(missing.size() == kKeys - found.size());
      for (const std::string& key : missing) {
        CHECK(std::any_of(skipped.begin(), skipped.end(), [&key](const Range& range) {
          return key >= range.begin && (range.end.empty() || key < range.end);
        }));
      }
      // Damage in the way of nobody else.
      CHECK(store->NewSnapshot()->Get(space, found.front()).value().has_value());

      REQUIRE(store->ClearSpace(space).ok());
      CHECK(Everything(*store, space).empty());
      PutNow(*store, space, "key", "value");
      CHECK(Everything(*store, space).size() == 1);
      CHECK(store->Begin()->Get(space, "key").value() == "value");
    }
  }
}

TEST_CASE("compacting gives back the room of what was deleted, and only of small spaces") {
  const ScratchFolder directory;
  const auto table_bytes = [&] {
    uint64_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory.path())) {
      if (file.path().extension() == ".sst") bytes += file.file_size();
    }
    return bytes;
  };
  {
    const auto store = OpenOrFail(directory.path());
    const SpaceId space = store->OpenSpace("space", {}).value();
    Random random(test::Seed());
    for (int i = 0; i < 200; ++i) {
      std::string value(10'000, '\0');
      for (char& c : value) c = static_cast<char>(random.Next64());
      PutNow(*store, space, std::to_string(i), value);
    }
  }
  {
    const auto store = OpenOrFail(directory.path());
    const SpaceId space = store->OpenSpace("space", {}).value();
    for (int i = 1; i < 200; ++i) {
      WriteBatch batch;
      batch.Delete(space, std::to_string(i));
      REQUIRE(store->Write(batch, Durability::kSync).ok());
    }
    REQUIRE(store->Compact(1'000'000).ok());
    CHECK(table_bytes() > 1'900'000);
    const auto snapshot = store->NewSnapshot();
    REQUIRE(store->Compact(100'000'000).ok());
    CHECK(snapshot->Get(space, "0").value().has_value());
    CHECK(Everything(*store, space).size() == 1);
  }
  OpenOrFail(directory.path()).reset();
  CHECK(table_bytes() < 200'000);
}

TEST_CASE("a cleared space stays cleared, and views that are open outlive it") {
  const ScratchFolder directory;
  {
    const auto store = OpenOrFail(directory.path());
    const SpaceId space = store->OpenSpace("space", {}).value();
    const SpaceId other = store->OpenSpace("other", {}).value();
    PutNow(*store, space, "key", "value");
    PutNow(*store, other, "key", "value");
    const auto snapshot = store->NewSnapshot();
    REQUIRE(store->ClearSpace(space).ok());
    CHECK(snapshot->Get(other, "key").value() == "value");
    CHECK(snapshot->Get(space, "key").ok());
    PutNow(*store, space, "new", "value");
  }
  const auto store = OpenOrFail(directory.path());
  const SpaceId space = store->OpenSpace("space", {}).value();
  CHECK(Everything(*store, space).size() == 1);
  CHECK(store->VerifyChecksums().ok());
}

TEST_CASE("missing and mangled files are reported") {
  const ScratchFolder directory;
  MakeClosedStore(directory.path());
  SECTION("CURRENT is gone") { fs::remove(directory / "CURRENT"); }
  SECTION("CURRENT is gone, and the mark too") {
    fs::remove(directory / "CURRENT");
    fs::remove(directory / "STRATA_KV");
  }
  SECTION("CURRENT is garbage") { std::ofstream(directory / "CURRENT") << "garbage\n"; }
  SECTION("a table is gone") { fs::remove(FilesWith(directory.path(), ".sst")[0]); }
  SECTION("a table is cut short") {
    const fs::path table = FilesWith(directory.path(), ".sst")[0];
    fs::resize_file(table, fs::file_size(table) / 2);
  }
  SECTION("the manifest is damaged") { FlipByte(FilesWith(directory.path(), "MANIFEST")[0], 40); }
  SECTION("the mark is damaged") { FlipByte(directory / "STRATA_KV", 17); }
  SECTION("the mark is cut short") { fs::resize_file(directory / "STRATA_KV", 10); }
  const absl::Status status = OpenAndRead(directory.path());
  INFO(status);
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(std::string(status.message()).find(directory.path()) != std::string::npos);
}

TEST_CASE("a log damaged before its acknowledged end is reported, and left as it is") {
  const ScratchFolder directory;
  {
    ChildProcess writer = Start("write", directory.path());
    for (int left = 100; left > 0; --left) REQUIRE(writer.ReadLine().has_value());
    writer.Kill();
  }
  const auto logs = FilesWith(directory.path(), ".log");
  REQUIRE(logs.size() == 1);
  const uint64_t size = fs::file_size(logs[0]);
  SECTION("a byte flipped in the middle") { FlipByte(logs[0], size / 2); }
  SECTION("cut short") { fs::resize_file(logs[0], size / 2); }
  SECTION("gone") { fs::remove(logs[0]); }
  const auto listing = [&] {
    std::map<std::string, uint64_t> sizes;
    for (const char* kind : {".log", ".sst", "MANIFEST", "CURRENT"}) {
      for (const fs::path& file : FilesWith(directory.path(), kind))
        sizes[file] = fs::file_size(file);
    }
    return sizes;
  };
  const auto before = listing();
  for (int attempt = 0; attempt < 2; ++attempt) {
    const absl::Status status = Open(directory.path()).status();
    INFO(status);
    CHECK(status.code() == absl::StatusCode::kDataLoss);
    CHECK(listing() == before);
  }
}

TEST_CASE("an unknown future is refused") {
  const ScratchFolder directory;
  SECTION("a column family of somebody else's") {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* db = nullptr;
    REQUIRE(rocksdb::DB::Open(options, directory.path(), &db).ok());
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    REQUIRE(db->CreateColumnFamily({}, "theirs", &handle).ok());
    REQUIRE(db->DestroyColumnFamilyHandle(handle).ok());
    delete db;
    const absl::Status status = Open(directory.path()).status();
    INFO(status);
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(std::string(status.message()).find("theirs") != std::string::npos);
  }
  SECTION("a format of the mark") {
    // Version 2, with the checksum that belongs to it.
    const unsigned char mark[28] = {'S', 'T', 'R', 'A', 'T', 'A', 'K', 'V', 2};
    std::ofstream(directory / "STRATA_KV", std::ios::binary)
        .write(reinterpret_cast<const char*>(mark), 24)
        .write("\x00\x00\x00\x00", 4);
    CHECK_FALSE(Open(directory.path()).ok());
  }
}

TEST_CASE("a directory that cannot be used is named") {
  const ScratchFolder directory;
  std::ofstream(directory / "file") << "not a directory";
  const absl::Status file = Open(directory / "file").status();
  INFO(file);
  CHECK(file.code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(file.message()).find(directory / "file") != std::string::npos);
  CHECK(Open(directory / "file/below").status().code() == absl::StatusCode::kInvalidArgument);

  RocksDbOptions options;
  options.directory = directory / "absent";
  options.create_if_missing = false;
  CHECK(OpenRocksDbStore(options).status().code() == absl::StatusCode::kNotFound);
  CHECK_FALSE(fs::exists(options.directory));
  CHECK(Open("/proc/nowhere/kv").status().code() != absl::StatusCode::kOk);
}

// False: the child may not do this here.
bool CheckFilled(ChildProcess& child, const std::string& code, uint64_t* acknowledged) {
  const std::string first = child.ReadLine().value_or("nothing");
  if (first == "cannot mount") {
    WARN("this process may not mount a file system: a full disk was not tried");
    return false;
  }
  INFO("the child says '" << first << "'");
  REQUIRE(first.starts_with("acknowledged "));
  *acknowledged = std::stoull(first.substr(13));
  CHECK(*acknowledged > 0);
  CHECK(child.ReadLine() == code);
  const std::string later = child.ReadLine().value_or("nothing");
  INFO("and later '" << later << "'");
  CHECK(later.starts_with(code));
  CHECK(later.find("no more writes") != std::string::npos);
  CHECK(child.ReadLine() == "readable " + std::to_string(*acknowledged));
  return true;
}

TEST_CASE("a write that the file system refuses is an error, and stops further ones") {
  const ScratchFolder directory;
  ChildProcess child = Start("fill", directory.path());
  uint64_t acknowledged = 0;
  REQUIRE(CheckFilled(child, "UNAVAILABLE", &acknowledged));
  CHECK(child.Wait() == 0);
  const auto store = OpenOrFail(directory.path());
  const SpaceId space = store->OpenSpace("numbers", {}).value();
  // The one that failed may have reached the disk or not; none before it may be missing.
  const auto items = Everything(*store, space);
  CHECK(items.size() >= acknowledged);
  CHECK(items.size() <= acknowledged + 1);
  PutNow(*store, space, "works", "again");
}

TEST_CASE("a full disk is an error, and no loss") {
  const ScratchFolder directory;
  for (int round = 0; round < 5; ++round) {
    ChildProcess child = Start("fill-disk", directory.path());
    uint64_t acknowledged = 0;
    if (!CheckFilled(child, "RESOURCE_EXHAUSTED", &acknowledged)) return;
    const std::string while_full = child.ReadLine().value_or("nothing");
    INFO("the child says '" << while_full << "'");
    CHECK((while_full == "while full: OK" || while_full == "while full: RESOURCE_EXHAUSTED"));
    const std::string reopened = child.ReadLine().value_or("nothing");
    INFO("and then '" << reopened << "' of " << acknowledged);
    CHECK((reopened == "reopened " + std::to_string(acknowledged) ||
           reopened == "reopened " + std::to_string(acknowledged + 1)));
    const std::string written = child.ReadLine().value_or("nothing");
    INFO("and in the end '" << written << "'");
    CHECK(written == "OK");
    CHECK(child.Wait() == 0);
  }
}

TEST_CASE("a checkpoint taken while others write is a prefix of what they wrote") {
  const ScratchFolder directory;
  const auto store = OpenOrFail(directory / "store");
  const SpaceId left = store->OpenSpace("left", {}).value();
  const SpaceId right = store->OpenSpace("right", {SpaceOptions::Access::kPoint}).value();
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> written{0};
  std::atomic<int> failures{0};
  std::thread writer([&] {
    for (uint64_t i = 0; !stop; ++i) {
      WriteBatch batch;
      batch.Put(left, Number(i), "");
      batch.Put(right, "newest", Number(i));
      const Durability durability = i % 16 == 0 ? Durability::kSync : Durability::kAsync;
      if (!store->Write(batch, durability).ok()) ++failures;
      written = i + 1;
    }
  });
  std::vector<std::pair<std::string, uint64_t>> copies;
  for (int i = 0; i < 3; ++i) {
    const std::string copy = directory / ("copy" + std::to_string(i));
    const uint64_t before = written;
    while (written < before + 100) std::this_thread::yield();
    const uint64_t at_least = written;
    const absl::Status status = store->Checkpoint(copy);
    if (!status.ok()) ++failures;
    copies.emplace_back(copy, at_least);
  }
  stop = true;
  writer.join();
  REQUIRE(failures == 0);
  const absl::Status again = store->Checkpoint(copies[0].first);
  CHECK(again.code() == absl::StatusCode::kInvalidArgument);
  for (const auto& [path, at_least] : copies) {
    const auto copy = OpenOrFail(path);
    const auto items = Everything(*copy, copy->OpenSpace("left", {}).value());
    INFO(path << ": " << items.size() << " of at least " << at_least << ", " << written
              << " in all");
    CHECK(items.size() >= at_least);
    CHECK(items.size() <= written);
    for (size_t i = 0; i < items.size(); ++i) {
      if (items[i].key != Number(i)) FAIL("the copy lacks " << Number(i));
    }
    const SpaceId points = copy->OpenSpace("right", {SpaceOptions::Access::kPoint}).value();
    CHECK(copy->NewSnapshot()->Get(points, "newest").value() == Number(items.size() - 1));
    PutNow(*copy, points, "works", "yes");
  }
}

TEST_CASE("a store in memory has nothing to copy") {
  const ScratchFolder directory;
  CHECK(CreateMemoryStore()->Checkpoint(directory / "copy").code() ==
        absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace strata::kv

// SPDX-License-Identifier: Apache-2.0
//
// A process that uses a store and may die doing so.
//
//   kv_store_process hold DIR      opens the store, says "open", and waits for the end of its input
//   kv_store_process write DIR     four threads count upwards, each number committed with kSync; says
//                                  "THREAD NUMBER" after each acknowledgement, until it is killed
//   kv_store_process lazy DIR      writes 100 numbers with kAsync, says "written", waits
//   kv_store_process fill DIR      writes until a file may not grow, or the disk is full, any more;
//                                  says "acknowledged N" and what the store says then
//   kv_store_process fill-disk DIR the same on a small disk of its own, mounted at DIR/disk; then opens
//                                  the store again, with the disk still full and after making room
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "strata/base/random.h"
#include "strata/kv/engines.h"

namespace strata::kv {
namespace {

void Say(const std::string& line) {
  const std::string whole = line + "\n";
  if (write(STDOUT_FILENO, whole.data(), whole.size()) < 0) std::_Exit(3);
}

std::unique_ptr<Store> OpenOrDie(const std::string& directory) {
  RocksDbOptions options;
  options.directory = directory;
  options.memtable_bytes = 256u << 10;  // So that flushes and compactions happen too.
  auto store = OpenRocksDbStore(options);
  if (!store.ok()) {
    Say(store.status().ToString());
    std::exit(2);
  }
  return std::move(store).value();
}

void WaitForEndOfInput() {
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

std::string Number(uint64_t number) {
  char digits[32];
  std::snprintf(digits, sizeof(digits), "%012llu", static_cast<unsigned long long>(number));
  return digits;
}

void WriteUntilKilled(Store& store) {
  const SpaceId space = store.OpenSpace("numbers", {}).value();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      const std::string name = std::to_string(thread);
      const std::string padding(500, 'p');
      for (uint64_t number = 0;; ++number) {
        const std::unique_ptr<Transaction> txn = store.Begin();
        const std::string last = txn->Get(space, "last" + name).value().value_or("");
        number = last.empty() ? 0 : std::stoull(last) + 1;
        const bool ok = txn->Put(space, name + "/" + Number(number), padding).ok() &&
                        txn->Put(space, "last" + name, Number(number)).ok() &&
                        txn->Commit(Durability::kSync).ok();
        if (!ok) std::_Exit(4);
        Say(name + " " + Number(number));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void WriteLazily(Store& store) {
  const SpaceId space = store.OpenSpace("numbers", {}).value();
  for (uint64_t number = 0; number < 100; ++number) {
    WriteBatch batch;
    batch.Put(space, Number(number), std::string(1000, 'v'));
    if (!store.Write(batch, Durability::kAsync).ok()) std::_Exit(4);
  }
  Say("written");
  WaitForEndOfInput();
}

// What number N is written with: nothing that could be compressed.
std::string ValueOf(uint64_t number) {
  std::string value(20'000, '\0');
  Random(number).Fill(std::as_writable_bytes(std::span(value)));
  return value;
}

uint64_t CountReadable(Store& store, SpaceId space) {
  const auto snapshot = store.NewSnapshot();
  uint64_t readable = 0;
  while (snapshot->Get(space, Number(readable)).value() == ValueOf(readable)) ++readable;
  return readable;
}

void Fill(Store& store) {
  const SpaceId space = store.OpenSpace("numbers", {}).value();
  uint64_t acknowledged = 0;
  absl::Status status;
  for (;; ++acknowledged) {
    WriteBatch batch;
    batch.Put(space, Number(acknowledged), ValueOf(acknowledged));
    status = store.Write(batch, Durability::kSync);
    if (!status.ok()) break;
  }
  Say("acknowledged " + std::to_string(acknowledged));
  Say(absl::StatusCodeToString(status.code()));
  WriteBatch batch;
  batch.Put(space, "later", "");
  Say(store.Write(batch, Durability::kSync).ToString());
  Say("readable " + std::to_string(CountReadable(store, space)));
}

void LimitFileSize(rlim_t bytes) {
  signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{bytes, bytes};
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(5);
}

// A file system of 16 MiB that only this process sees.
bool MountSmallDisk(const std::string& path) {
  mkdir(path.c_str(), 0700);
  return unshare(CLONE_NEWNS) == 0 &&
         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("small", path.c_str(), "tmpfs", 0, "size=16m") == 0;
}

void FillDisk(const std::string& disk) {
  const std::string ballast = disk + "/ballast";
  std::ofstream(ballast) << std::string(9u << 20, 'b');
  Fill(*OpenOrDie(disk + "/store"));
  RocksDbOptions options;
  options.directory = disk + "/store";
  const absl::Status while_full = OpenRocksDbStore(options).status();
  Say("while full: " + absl::StatusCodeToString(while_full.code()));
  std::filesystem::remove(ballast);
  const std::unique_ptr<Store> store = OpenOrDie(options.directory);
  const SpaceId space = store->OpenSpace("numbers", {}).value();
  Say("reopened " + std::to_string(CountReadable(*store, space)));
  WriteBatch batch;
  batch.Put(space, "later", "");
  Say(store->Write(batch, Durability::kSync).ToString());
}

int Run(const std::string& mode, const std::string& directory) {
  if (mode == "fill-disk") {
    if (!MountSmallDisk(directory + "/disk")) {
      Say("cannot mount");
      return 0;
    }
    FillDisk(directory + "/disk");
    return 0;
  }
  const std::unique_ptr<Store> store = OpenOrDie(directory);
  if (mode == "hold") {
    Say("open");
    WaitForEndOfInput();
  } else if (mode == "write") {
    WriteUntilKilled(*store);
  } else if (mode == "lazy") {
    WriteLazily(*store);
  } else if (mode == "fill") {
    LimitFileSize(150'000);
    Fill(*store);
  }
  return 0;
}

}  // namespace
}  // namespace strata::kv

int main(int argc, char** argv) {
  if (argc != 3) return 1;
  return strata::kv::Run(argv[1], argv[2]);
}

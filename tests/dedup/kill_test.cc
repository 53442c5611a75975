// SPDX-License-Identifier: Apache-2.0
//
// A real process ingests into a real directory and is killed with SIGKILL, again and again; each
// time another one recovers, verifies, and reads back every stream that was acknowledged.
//
// STRATA_KILLS: how often [200; fewer with a sanitizer]. This process itself opens no store: it has
// one thread, so that forking is safe.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <map>
#include <string>

#include "journaled.h"
#include "strata/dedup/directory.h"
#include "support/block/temp_file.h"
#include "support/rounds.h"

namespace strata::dedup {
namespace {

constexpr size_t kMaxStreams = 10;

struct Promises {
  std::map<StreamId, uint64_t> stored;   // And the seed of the content.
  std::map<StreamId, uint64_t> leaving;  // Being deleted: whole or gone.
};

// What the ingesting process says before it goes on.
struct Message {
  enum class Kind : uint8_t { kStored, kDeleting, kDeleted } kind;
  StreamId id;
  uint64_t seed;
};

Bytes Content(uint64_t seed) {
  Bytes bytes = TextBytes(seed % 40, 30000 + 20000 * (seed % 9));
  const Bytes own = RandomBytes(seed, 5000);
  bytes.insert(bytes.end(), own.begin(), own.end());
  return bytes;
}

DirectoryOptions OptionsFor(const std::string& path, uint64_t round) {
  DirectoryOptions options;
  options.path = path;
  options.max_size_bytes = 64u << 20;
  options.store.container_bytes = 1u << 20;
  options.store.region_bytes = 64u << 10;
  options.store.worker_threads = round % 2;
  options.store.mode = static_cast<Mode>(round % 3);
  options.store.defer_compression = round % 4 < 2;
  options.store.encryption_key = EncryptionKey{std::byte{1}};
  return options;
}

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  _exit(1);
}

void Send(int pipe, const Message& message) {
  if (write(pipe, &message, sizeof(message)) != sizeof(message)) _exit(2);
}

// Until it is killed.
[[noreturn]] void Ingest(const std::string& path, uint64_t round, uint64_t seed,
                         const Promises& promises, int pipe) {
  auto directory = Directory::Open(OptionsFor(path, round));
  if (!directory.ok()) Fail("open to ingest: " + directory.status().ToString());
  Store& store = (*directory)->store();
  std::deque<StreamId> streams;
  for (const auto& [id, content] : promises.stored) streams.push_back(id);
  // However few streams a process gets to store before it is killed, some processes collect.
  for (uint64_t i = seed % 16;; ++i) {
    const auto info = Put(store, Content(seed + i));
    if (!info.ok()) Fail("ingest: " + info.status().ToString());
    Send(pipe, {Message::Kind::kStored, info->id, seed + i});
    streams.push_back(info->id);
    while (streams.size() > kMaxStreams) {
      const StreamId id = streams.front();
      streams.pop_front();
      Send(pipe, {Message::Kind::kDeleting, id, 0});
      if (const auto status = store.Delete(id); !status.ok()) Fail("delete: " + status.ToString());
      Send(pipe, {Message::Kind::kDeleted, id, 0});
    }
    if (i % 8 != 7) continue;
    const auto report = i % 16 == 7 ? store.CollectGarbage({.progress = nullptr})
                                    : store.FoldDuplicates({.progress = nullptr});
    if (!report.ok()) Fail("collect: " + report.status().ToString());
  }
}

// The containers alone bring back every record that the kv store had.
void CheckRebuilt(const std::string& path, uint64_t round) {
  const DirectoryOptions options = OptionsFor(path, round + 1);
  KvContent before;
  {
    auto directory = Directory::Open(options);
    if (!directory.ok()) Fail("open before the rebuild: " + directory.status().ToString());
    before = LoggedContent((*directory)->kv());
  }
  std::filesystem::remove_all(path + "/meta");
  const auto report = Directory::RebuildMetadata(options, nullptr);
  if (!report.ok()) Fail("rebuild: " + report.status().ToString());
  if (!report->lost.empty()) Fail("rebuild: " + report->lost[0]);
  auto directory = Directory::Open(options);
  if (!directory.ok()) Fail("open after the rebuild: " + directory.status().ToString());
  if (LoggedContent((*directory)->kv()) != before) Fail("the rebuild gave other records");
  const auto verified = (*directory)->store().Verify({});
  if (!verified.ok() || !verified->streams.empty()) Fail("verify after the rebuild");
}

[[noreturn]] void Check(const std::string& path, uint64_t round, const Promises& promises) {
  {
    auto directory = Directory::Open(OptionsFor(path, round + 1));
    if (!directory.ok()) Fail("open to check: " + directory.status().ToString());
    Store& store = (*directory)->store();
    for (const auto& [id, seed] : promises.stored) {
      const auto data = Get(store, id);
      if (!data.ok()) Fail("an acknowledged stream is lost: " + data.status().ToString());
      if (*data != Content(seed)) Fail("an acknowledged stream has changed: " + id.ToHex());
    }
    for (const auto& [id, seed] : promises.leaving) {
      const auto data = Get(store, id);
      if (absl::IsNotFound(data.status())) continue;
      if (!data.ok()) Fail("a stream that was being deleted: " + data.status().ToString());
      if (*data != Content(seed)) Fail("a stream that was being deleted has changed");
    }
    const auto report = store.Verify({});
    if (!report.ok()) Fail("verify: " + report.status().ToString());
    if (!report->container_damage.empty()) Fail("verify: " + report->container_damage[0]);
    if (!report->streams.empty()) Fail("verify: " + report->streams[0].detail);
  }
  if (round % 10 == 9) CheckRebuilt(path, round);
  _exit(0);
}

// Takes in what was said. False: nothing more comes.
bool Receive(int pipe, Promises* promises, uint64_t* acknowledged) {
  Message message;
  if (read(pipe, &message, sizeof(message)) != sizeof(message)) return false;
  switch (message.kind) {
    case Message::Kind::kStored:
      promises->stored[message.id] = message.seed;
      ++*acknowledged;
      break;
    case Message::Kind::kDeleting:
      promises->leaving.insert(promises->stored.extract(message.id));
      break;
    case Message::Kind::kDeleted:
      promises->leaving.erase(message.id);
      break;
  }
  return true;
}

int Wait(pid_t child) {
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

TEST_CASE("a killed process loses nothing that it acknowledged") {
  const char* const wish = std::getenv("STRATA_KILLS");
  const uint64_t kills = wish != nullptr ? std::strtoull(wish, nullptr, 10) : test::Rounds(200);
  const uint64_t seed = test::Seed();
  Random random(seed);
  const block::TempFile folder;
  const std::string path = folder.folder() + "/store";
  Promises promises;
  uint64_t acknowledged = 0;
  for (uint64_t round = 0; round < kills; ++round) {
    INFO("STRATA_SEED=" << seed << " kill " << round << "; see the standard error stream");
    int pipes[2];
    REQUIRE(pipe(pipes) == 0);
    const pid_t ingesting = fork();
    REQUIRE(ingesting >= 0);
    if (ingesting == 0) {
      close(pipes[0]);
      Ingest(path, round, random.Next64() >> 1, promises, pipes[1]);
    }
    random.Next64();  // As the other process did.
    close(pipes[1]);
    // Some die while they open the store, most while they ingest.
    if (round % 4 != 0) Receive(pipes[0], &promises, &acknowledged);
    // Now and then a garbage collection gets to its end.
    usleep(static_cast<useconds_t>(random.Uniform(round % 16 == 15 ? 400'000 : 20'000)));
    REQUIRE(kill(ingesting, SIGKILL) == 0);
    const int status = Wait(ingesting);
    REQUIRE(WIFSIGNALED(status));  // It did not end by itself.
    while (Receive(pipes[0], &promises, &acknowledged)) {
    }
    close(pipes[0]);

    const pid_t checking = fork();
    REQUIRE(checking >= 0);
    if (checking == 0) Check(path, round, promises);
    const int outcome = Wait(checking);
    REQUIRE(WIFEXITED(outcome));
    REQUIRE(WEXITSTATUS(outcome) == 0);
    // Deletions in doubt are done or not for good; whoever is still there is not looked at again.
    promises.leaving.clear();
  }
  CHECK(acknowledged >= kills * 3 / 4);
}

}  // namespace strata::dedup

// SPDX-License-Identifier: Apache-2.0
//
// An S3 server for tests that speak the protocol: everything in memory, or in a folder with --data.
// Prints "PORT n" when it listens and ends when its standard input does. Then it prints what it
// counted, one line per operation. Lines on its standard input: "stats", "stop", and "renew USER",
// which deletes that user and creates another one of the same name and keys.
//
//   s3_test_server [--data DIR] [--NAME VALUE]...     the names are in Flags()
//
// Users: ada (keys ADAKEY / ada-secret-key), bob (BOBKEY / bob-secret-key), and root, an
// administrator (ROOTKEY / root-secret-key).
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>

#include "strata/base/check.h"
#include "strata/block/devices.h"
#include "strata/dedup/store.h"
#include "strata/kv/engines.h"
#include "strata/object/store.h"
#include "strata/s3/server.h"
#include "support/must.h"

namespace {

using namespace strata;  // NOLINT: a program's own file

struct Arguments {
  std::string data;
  uint64_t device_mib = 4096;
  bool quiet = false;
  s3::ServerOptions server;
};

using Flag = std::function<void(Arguments&, const std::string&)>;

const std::map<std::string, Flag>& Flags() {
  auto milliseconds = [](const std::string& value) {
    return std::chrono::milliseconds(std::stoll(value));
  };
  static const std::map<std::string, Flag> flags = {
      {"--data", [](Arguments& a, const std::string& v) { a.data = v; }},
      {"--device-mib", [](Arguments& a, const std::string& v) { a.device_mib = std::stoull(v); }},
      {"--quiet", [](Arguments& a, const std::string& v) { a.quiet = v == "1"; }},
      {"--address", [](Arguments& a, const std::string& v) { a.server.address = v; }},
      {"--port", [](Arguments& a,
                    const std::string& v) { a.server.port = static_cast<uint16_t>(std::stoi(v)); }},
      {"--io-threads",
       [](Arguments& a, const std::string& v) { a.server.io_threads = std::stoi(v); }},
      {"--worker-threads",
       [](Arguments& a, const std::string& v) { a.server.worker_threads = std::stoi(v); }},
      {"--region", [](Arguments& a, const std::string& v) { a.server.region = v; }},
      {"--domain", [](Arguments& a, const std::string& v) { a.server.domains.push_back(v); }},
      {"--tls-certificate",
       [](Arguments& a, const std::string& v) { a.server.tls_certificate_path = v; }},
      {"--tls-key", [](Arguments& a, const std::string& v) { a.server.tls_key_path = v; }},
      {"--log-requests",
       [](Arguments& a, const std::string& v) { a.server.log_requests = v == "1"; }},
      {"--max-connections",
       [](Arguments& a, const std::string& v) { a.server.limits.max_connections = std::stoul(v); }},
      {"--max-body-memory",
       [](Arguments& a, const std::string& v) {
         a.server.limits.max_body_memory_bytes = std::stoul(v);
       }},
      {"--max-xml",
       [](Arguments& a, const std::string& v) { a.server.limits.max_xml_bytes = std::stoul(v); }},
      {"--max-header",
       [](Arguments& a, const std::string& v) {
         a.server.limits.max_header_bytes = std::stoul(v);
       }},
      {"--idle-timeout-ms",
       [=](Arguments& a, const std::string& v) { a.server.limits.idle_timeout = milliseconds(v); }},
      {"--header-timeout-ms",
       [=](Arguments& a, const std::string& v) {
         a.server.limits.header_timeout = milliseconds(v);
       }},
      {"--read-timeout-ms",
       [=](Arguments& a, const std::string& v) { a.server.limits.read_timeout = milliseconds(v); }},
      {"--write-timeout-ms",
       [=](Arguments& a, const std::string& v) {
         a.server.limits.write_timeout = milliseconds(v);
       }},
  };
  return flags;
}

using strata::test::Must;

void MakeUser(object::Store& store, const std::string& id, const std::string& access_key,
              const std::string& secret_key, bool admin) {
  if (!store.GetUser(id).ok()) {
    const std::string name = id == "ada" ? "Ada Lovelace" : id;
    const absl::Status made = store.CreateUser({.id = id, .display_name = name, .admin = admin});
    STRATA_CHECK(made.ok(), made.ToString());
  }
  const absl::Status added =
      store.AddAccessKey({.access_key = access_key, .secret_key = secret_key, .user_id = id});
  STRATA_CHECK(added.ok(), added.ToString());
}

void Renew(object::Store& store, const std::string& id) {
  const std::vector<object::AccessKey> keys = Must(store.ListAccessKeys(id));
  const absl::Status deleted = store.DeleteUser(id);
  STRATA_CHECK(deleted.ok(), deleted.ToString());
  for (const object::AccessKey& key : keys) {
    MakeUser(store, id, key.access_key, key.secret_key, false);
  }
}

void PrintStats(const s3::ServerStats& stats) {
  std::printf(
      "connections now=%lu accepted=%lu refused=%lu dismissed=%lu body_memory=%lu queued=%lu\n",
      stats.connections, stats.connections_accepted, stats.connections_refused,
      stats.connections_dismissed, stats.body_memory_bytes, stats.queued_jobs);
  for (const s3::OperationStats& row : stats.operations) {
    std::printf(
        "operation %s requests=%lu client_errors=%lu server_errors=%lu in=%lu out=%lu "
        "in_flight=%lu aborted=%lu\n",
        std::string(row.operation).c_str(), row.requests, row.client_errors, row.server_errors,
        row.bytes_in, row.bytes_out, row.in_flight, row.aborted);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const auto flag = Flags().find(argv[i]);
    if (flag == Flags().end()) {
      std::fprintf(stderr, "s3_test_server: no flag %s\n", argv[i]);
      return 2;
    }
    flag->second(arguments, argv[i + 1]);
  }

  std::unique_ptr<kv::Store> kv;
  std::unique_ptr<block::Device> device;
  const uint64_t device_bytes = arguments.device_mib << 20;
  if (arguments.data.empty()) {
    kv = kv::CreateMemoryStore();
    device = Must(block::CreateMemoryDevice({.block_count = device_bytes / 4096}));
  } else {
    std::filesystem::create_directories(arguments.data);
    kv = Must(kv::OpenRocksDbStore({.directory = arguments.data + "/kv", .log = {}}));
    device = Must(block::OpenFileDevice(
        {.path = arguments.data + "/containers", .size_bytes = device_bytes, .create = true}));
  }
  dedup::StoreOptions dedup_options;
  dedup_options.device = device.get();
  dedup_options.kv = kv.get();
  std::unique_ptr<dedup::Store> dedup = Must(dedup::Store::Open(dedup_options));
  object::StoreOptions object_options;
  object_options.dedup = dedup.get();
  object_options.kv = kv.get();
  std::unique_ptr<object::Store> store = Must(object::Store::Open(object_options));
  MakeUser(*store, "ada", "ADAKEY", "ada-secret-key", false);
  MakeUser(*store, "bob", "BOBKEY", "bob-secret-key", false);
  MakeUser(*store, "root", "ROOTKEY", "root-secret-key", true);

  arguments.server.store = store.get();
  if (!arguments.quiet) {
    arguments.server.log = [](LogLevel, std::string_view line) {
      std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
    };
  }
  std::unique_ptr<s3::Server> server = Must(s3::Server::Start(arguments.server));
  std::printf("PORT %u\n", server->port());
  std::fflush(stdout);

  std::string line;
  while (std::getline(std::cin, line)) {
    if (line == "stats") PrintStats(server->Stats());
    if (line.starts_with("renew ")) Renew(*store, line.substr(6));
    if (line == "stop") break;
    std::printf("OK\n");
    std::fflush(stdout);
  }
  const size_t cut_count = server->Stop(std::chrono::seconds(5));
  PrintStats(server->Stats());
  std::printf("STOPPED cut=%zu\n", cut_count);
  server.reset();
  store.reset();
  dedup.reset();
  return 0;
}

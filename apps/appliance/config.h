// SPDX-License-Identifier: Apache-2.0
//
// How an appliance is set up: one TOML file, overridden by the environment, overridden by flags.
//
//   STRATA_ASSIGN_OR_RETURN(Config config, LoadConfig({.file = path, .environment = ::environ}));
//
// Each key of the file is one row of a table (settings/): section, key, meaning, limits. Its name
// in the environment is STRATA_<SECTION>_<KEY>. Sizes take the suffixes K, M, G, T (powers of
// 1024). A value that is a string may stand for itself in either place; a list is comma-separated
// in the environment. Thread-safe: plain values and free functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "strata/base/log.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

struct Config {
  struct S3 {
    std::string listen = "127.0.0.1:9000";
    std::string region = "us-east-1";
    std::vector<std::string> domains;
    uint64_t io_threads = 2;
    uint64_t worker_threads = 64;
    uint64_t max_connections = 4096;
    uint64_t max_body_memory_bytes = 64u << 20;
    uint64_t drain_s = 30;  // How long a graceful stop waits for requests in progress.
    std::string tls_certificate;
    std::string tls_key;
  } s3;

  struct Metrics {
    std::string listen = "127.0.0.1:9090";  // Empty: no metrics, no health, no console.
  } metrics;

  struct Storage {
    std::string device;           // Empty: DATA/containers.
    uint64_t max_size_bytes = 0;  // Of DATA/containers; 0: its filesystem's.
    uint64_t kv_cache_bytes = 32u << 20;
    std::string encryption_key_file;  // Read when the stores are opened: key_file.h.
    dedup::StoreOptions store;
  } storage;

  struct Nvme {
    std::string listen = "127.0.0.1:4420";     // Empty: nothing is exported.
    std::string discovery = "127.0.0.1:8009";  // Empty: `listen` alone answers discovery.
    uint64_t workers = 2;
    bool busy_poll = false;
    uint64_t pool_bytes = 32u << 20;  // Of a worker.
    uint64_t max_connections = 4096;
    uint64_t max_controllers = 1024;  // Of a subsystem, as the hosts and namespaces.
    uint64_t max_io_queues = 64;      // Of a controller.
    uint64_t max_queue_entries = 1024;
    uint64_t max_namespaces = 1024;
    uint64_t max_hosts = 1024;
    uint64_t drain_s = 5;  // How long a graceful stop waits for commands in progress.
  } nvme;

  struct Maintenance {
    uint64_t reap_interval_s = 5;
    uint64_t gc_interval_s = 24 * 3600;  // 0: no collections of its own.
    double gc_garbage_ratio = 0.2;       // Also collect when this share was deleted.
    double gc_rewrite_below_live_ratio = 0.8;
    double fold_rewrite_below_live_ratio = 0.95;  // In modes that store equal chunks twice.
    uint64_t gc_max_bytes_per_second = 0;         // 0: no limit.
  } maintenance;

  struct LogSettings {
    LogLevel level = LogLevel::kInfo;
    bool json = false;
    bool requests = false;
  } log;
};

struct ConfigSources {
  std::string file{};                        // Empty: none.
  const char* const* environment = nullptr;  // NAME=VALUE..., ends with nullptr.
  // "s3.listen" -> value, as from flags; the strongest.
  std::map<std::string, std::string> overrides{};
};

// InvalidArgument: names the place (file and line, variable or flag), the key and what is wrong
// with it. NotFound, PermissionDenied: the file.
absl::StatusOr<Config> LoadConfig(const ConfigSources& sources);

// Every key with its value as a TOML document that LoadConfig() reads back, with a comment each.
std::string PrintConfig(const Config& config);

// "127.0.0.1:9000", "[::1]:9000", "localhost:0". InvalidArgument.
struct Endpoint {
  std::string address;  // An IP address.
  uint16_t port = 0;
};
absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text);
std::string PrintEndpoint(const Endpoint& endpoint);

}  // namespace strata::appliance

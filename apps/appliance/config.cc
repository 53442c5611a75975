// SPDX-License-Identifier: Apache-2.0
//
// The table of keys, and how a value's text becomes a field.
#include "appliance/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "appliance/config_file.h"
#include "strata/base/status_macros.h"
#include "strata/block/registry.h"
#include "strata/dedup/chunker.h"

namespace strata::appliance {
namespace {

struct Setting {
  const char* section;
  const char* key;
  const char* meaning;
  std::function<absl::Status(Config&, const std::string&)> set;
  std::function<std::string(const Config&)> print;  // As TOML.

  std::string name() const { return absl::StrCat(section, ".", key); }
};

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      absl::StrAppendFormat(&quoted, "\\u%04x", static_cast<unsigned char>(c));
      continue;
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

// A size as short as it can be said exactly.
std::string PrintSize(uint64_t bytes) {
  const char* const suffixes[] = {"", "K", "M", "G", "T"};
  size_t power = 0;
  while (power < 4 && bytes > 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++power;
  }
  return power == 0 ? absl::StrCat(bytes) : absl::StrCat("\"", bytes, suffixes[power], "\"");
}

// The makers of rows. `field` is a function from a Config to the field's reference.
template <typename Field>
Setting Text(const char* section, const char* key, const char* meaning, Field field) {
  return {section, key, meaning,
          [field](Config& config, const std::string& value) {
            field(config) = value;
            return absl::OkStatus();
          },
          [field](const Config& config) { return Quoted(field(config)); }};
}

template <typename Field>
Setting List(const char* section, const char* key, const char* meaning, Field field) {
  return {section, key, meaning,
          [field](Config& config, const std::string& value) {
            field(config) = absl::StrSplit(value, ',', absl::SkipWhitespace());
            return absl::OkStatus();
          },
          [field](const Config& config) {
            return absl::StrCat("[",
                                absl::StrJoin(field(config), ", ",
                                              [](std::string* out, const std::string& item) {
                                                *out += Quoted(item);
                                              }),
                                "]");
          }};
}

template <typename Field>
Setting ListenAddress(const char* section, const char* key, bool optional, const char* meaning,
                      Field field) {
  return {section, key, meaning,
          [field, optional](Config& config, const std::string& value) {
            field(config) = value;
            if (value.empty() && optional) return absl::OkStatus();
            return ParseEndpoint(value).status();
          },
          [field](const Config& config) { return Quoted(field(config)); }};
}

template <typename Field>
Setting Number(const char* section, const char* key, int64_t least, int64_t most,
               const char* meaning, Field field) {
  return {section, key, meaning,
          [field, least, most](Config& config, const std::string& value) {
            int64_t number = 0;
            if (!absl::SimpleAtoi(value, &number) || number < least || number > most) {
              return absl::InvalidArgumentError(
                  absl::StrCat("'", value, "' is not a whole number from ", least, " to ", most));
            }
            using Value = std::remove_reference_t<decltype(field(config))>;
            field(config) = static_cast<Value>(number);
            return absl::OkStatus();
          },
          [field](const Config& config) { return absl::StrCat(field(config)); }};
}

template <typename Field>
Setting Size(const char* section, const char* key, uint64_t least, uint64_t most,
             const char* meaning, Field field) {
  return {section, key, meaning,
          [field, least, most](Config& config, const std::string& value) -> absl::Status {
            STRATA_ASSIGN_OR_RETURN(const uint64_t bytes, block::ParseSizeBytes(value));
            if (bytes < least || bytes > most) {
              return absl::InvalidArgumentError(absl::StrCat(
                  "'", value, "' is not from ", PrintSize(least), " to ", PrintSize(most)));
            }
            using Value = std::remove_reference_t<decltype(field(config))>;
            field(config) = static_cast<Value>(bytes);
            return absl::OkStatus();
          },
          [field](const Config& config) { return PrintSize(field(config)); }};
}

template <typename Field>
Setting Ratio(const char* section, const char* key, const char* meaning, Field field) {
  return {section, key, meaning,
          [field](Config& config, const std::string& value) {
            double ratio = 0;
            if (!absl::SimpleAtod(value, &ratio) || !(ratio >= 0 && ratio <= 1)) {
              return absl::InvalidArgumentError(
                  absl::StrCat("'", value, "' is not a number from 0 to 1"));
            }
            field(config) = ratio;
            return absl::OkStatus();
          },
          [field](const Config& config) {
            const std::string text = absl::StrCat(field(config));
            return text.find('.') == std::string::npos ? text + ".0" : text;
          }};
}

template <typename Field>
Setting Flag(const char* section, const char* key, const char* meaning, Field field) {
  return {section, key, meaning,
          [field](Config& config, const std::string& value) {
            if (value != "true" && value != "false") {
              return absl::InvalidArgumentError(
                  absl::StrCat("'", value, "' is neither true nor false"));
            }
            field(config) = value == "true";
            return absl::OkStatus();
          },
          [field](const Config& config) { return field(config) ? "true" : "false"; }};
}

template <typename Value, typename Field>
Setting OneOf(const char* section, const char* key,
              std::vector<std::pair<const char*, Value>> names, const char* meaning, Field field) {
  return {section, key, meaning,
          [field, names](Config& config, const std::string& value) {
            for (const auto& [name, meant] : names) {
              if (value != name) continue;
              field(config) = meant;
              return absl::OkStatus();
            }
            return absl::InvalidArgumentError(absl::StrCat(
                "'", value, "' is none of ",
                absl::StrJoin(names, ", ",
                              [](std::string* out, const auto& name) { *out += name.first; })));
          },
          [field, names](const Config& config) {
            for (const auto& [name, meant] : names) {
              if (field(config) == meant) return Quoted(name);
            }
            return Quoted("");
          }};
}

#define STRATA_FIELD(path) ([](auto& config) -> auto& { return config.path; })

std::vector<Setting> S3Settings() {
  return {
      ListenAddress(
          "s3", "listen", false,
          "Address and port of the S3 service. The default is reachable from this machine "
          "alone; 0.0.0.0:9000 opens it to the network.",
          STRATA_FIELD(s3.listen)),
      Text("s3", "region", "The region that signatures must name; empty: any.",
           STRATA_FIELD(s3.region)),
      List("s3", "domains",
           "Host names under which a bucket may be a subdomain: BUCKET.s3.example.org.",
           STRATA_FIELD(s3.domains)),
      Number("s3", "io_threads", 1, 64, "Threads that move bytes between sockets and memory.",
             STRATA_FIELD(s3.io_threads)),
      Number("s3", "worker_threads", 1, 1024, "At most so many requests are in the store together.",
             STRATA_FIELD(s3.worker_threads)),
      Number("s3", "max_connections", 1, 1000000,
             "One more closes the longest idle one whose client is not known; where there is none "
             "it gets 503 SlowDown.",
             STRATA_FIELD(s3.max_connections)),
      Size("s3", "max_body_memory", 1u << 20, uint64_t{1} << 40,
           "Memory for content, documents and large heads on their way; beyond it content waits "
           "and the rest gets 503 SlowDown.",
           STRATA_FIELD(s3.max_body_memory_bytes)),
      Number("s3", "drain_s", 0, 3600,
             "Seconds that a graceful stop gives to requests in progress.",
             STRATA_FIELD(s3.drain_s)),
      Text("s3", "tls_certificate", "A PEM file with the certificate chain; empty: plain HTTP.",
           STRATA_FIELD(s3.tls_certificate)),
      Text("s3", "tls_key", "A PEM file with its private key.", STRATA_FIELD(s3.tls_key)),
      ListenAddress("metrics", "listen", true,
                    "Address and port of /metrics, /health, /ready and the console; empty: none.",
                    STRATA_FIELD(metrics.listen)),
  };
}

std::vector<Setting> StorageSettings() {
  return {
      Text("storage", "device",
           "URI of the device that holds the containers, as file:/dev/sdb; empty: the file "
           "containers in the data directory.",
           STRATA_FIELD(storage.device)),
      Size("storage", "max_size", 0, uint64_t{1} << 60,
           "The most that the file containers may grow to; 0: its filesystem's size.",
           STRATA_FIELD(storage.max_size_bytes)),
      OneOf<dedup::Compression>("storage", "compression",
                                {{"zstd", dedup::Compression::kZstd},
                                 {"lz4", dedup::Compression::kLz4},
                                 {"gzip", dedup::Compression::kGzip},
                                 {"none", dedup::Compression::kNone}},
                                "zstd, lz4, gzip or none, for new data.",
                                STRATA_FIELD(storage.store.compression)),
      Number("storage", "compression_level", -7, 19,
             "For zstd -7 to 19, for gzip 0 to 3; higher is smaller and slower.",
             STRATA_FIELD(storage.store.compression_level)),
      Flag("storage", "defer_compression",
           "Data is stored as it comes and compressed by the next garbage collection: faster "
           "writing, for more room until then.",
           STRATA_FIELD(storage.store.defer_compression)),
      Size("storage", "region_size", 16u << 10, 4u << 20,
           "Data compressed together: larger is smaller on disk, and slower for small reads.",
           STRATA_FIELD(storage.store.region_bytes)),
      OneOf<dedup::Mode>(
          "storage", "mode",
          {{"inline", dedup::Mode::kInline},
           {"hybrid", dedup::Mode::kHybrid},
           {"post-process", dedup::Mode::kPostProcess}},
          "inline finds equal data as it comes; hybrid does where memory answers and "
          "post-process never, both leave the rest to garbage collection.",
          STRATA_FIELD(storage.store.mode)),
      Number("storage", "worker_threads", 0, 64,
             "Threads that compress, decompress and fingerprint beside those of the requests.",
             STRATA_FIELD(storage.store.worker_threads)),
      Text("storage", "encryption_key_file",
           "A file with the key, 32 bytes or 64 hexadecimal digits, that encrypts the containers; "
           "empty: no encryption. Fixed when the store is made.",
           STRATA_FIELD(storage.encryption_key_file)),
      Size("storage", "metadata_cache", 0, uint64_t{1} << 40,
           "Memory for fingerprints of recently seen containers.",
           STRATA_FIELD(storage.store.metadata_cache_bytes)),
      Size("storage", "data_cache", 0, uint64_t{1} << 40, "Memory for decompressed data.",
           STRATA_FIELD(storage.store.data_cache_bytes)),
      Size("storage", "kv_cache", 1u << 20, uint64_t{1} << 40, "Memory for metadata blocks.",
           STRATA_FIELD(storage.kv_cache_bytes)),
      Size("storage", "container_size", 1u << 20, 64u << 20,
           "A power of two. Fixed when the store is made.",
           STRATA_FIELD(storage.store.container_bytes)),
      OneOf<dedup::ChunkAlgorithm>("storage", "chunker",
                                   {{"lincdc", dedup::ChunkAlgorithm::kLinCdc},
                                    {"fastcdc2020", dedup::ChunkAlgorithm::kFastCdc2020},
                                    {"fixed", dedup::ChunkAlgorithm::kFixed}},
                                   "lincdc, fastcdc2020 or fixed. Fixed when the store is made.",
                                   STRATA_FIELD(storage.store.chunker.algorithm)),
      Size("storage", "chunk_min", 64, 1u << 20, "Smallest chunk. Fixed when the store is made.",
           STRATA_FIELD(storage.store.chunker.min_bytes)),
      Size("storage", "chunk_avg", 256, 4u << 20,
           "Average chunk, a power of two. Fixed when the store is made.",
           STRATA_FIELD(storage.store.chunker.avg_bytes)),
      Size("storage", "chunk_max", 1u << 10, 16u << 20,
           "Largest chunk. Fixed when the store is made.",
           STRATA_FIELD(storage.store.chunker.max_bytes)),
  };
}

std::vector<Setting> UpkeepSettings() {
  return {
      Number("maintenance", "reap_interval_s", 1, 86400,
             "Seconds between clean-ups of what aborted uploads left.",
             STRATA_FIELD(maintenance.reap_interval_s)),
      Number("maintenance", "gc_interval_s", 0, 365 * 86400,
             "Seconds between garbage collections; 0: only `strata gc` collects.",
             STRATA_FIELD(maintenance.gc_interval_s)),
      Ratio("maintenance", "gc_garbage_ratio",
            "Collect sooner when so much of what was stored has been deleted since the last time.",
            STRATA_FIELD(maintenance.gc_garbage_ratio)),
      Ratio("maintenance", "gc_rewrite_below_live_ratio",
            "Containers with a smaller share in use are copied out and freed.",
            STRATA_FIELD(maintenance.gc_rewrite_below_live_ratio)),
      Ratio(
          "maintenance", "fold_rewrite_below_live_ratio",
          "The same where storage.mode is hybrid or post-process: what is stored again later does "
          "not count as in use.",
          STRATA_FIELD(maintenance.fold_rewrite_below_live_ratio)),
      Size("maintenance", "gc_max_rate", 0, uint64_t{1} << 50,
           "Bytes per second that a collection of its own reads and writes; 0: no limit.",
           STRATA_FIELD(maintenance.gc_max_bytes_per_second)),
      OneOf<LogLevel>("log", "level",
                      {{"debug", LogLevel::kDebug},
                       {"info", LogLevel::kInfo},
                       {"warning", LogLevel::kWarning},
                       {"error", LogLevel::kError}},
                      "debug, info, warning or error. SIGHUP reads it anew.",
                      STRATA_FIELD(log.level)),
      Flag("log", "json", "One JSON object per line.", STRATA_FIELD(log.json)),
      Flag("log", "requests", "One line per S3 request, at level info.",
           STRATA_FIELD(log.requests)),
  };
}

#undef STRATA_FIELD

const std::vector<Setting>& Settings() {
  static const std::vector<Setting>* const settings = [] {
    auto* all = new std::vector<Setting>();
    for (std::vector<Setting> group : {S3Settings(), StorageSettings(), UpkeepSettings()}) {
      all->insert(all->end(), group.begin(), group.end());
    }
    return all;
  }();
  return *settings;
}

absl::Status Set(Config& config, const std::string& name, const std::string& value,
                 std::string_view place) {
  const auto at = [&](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat(absl::string_view(place.data(), place.size()), ": ", what));
  };
  std::vector<std::string> known;
  for (const Setting& setting : Settings()) {
    if (setting.name() == name) {
      const absl::Status status = setting.set(config, value);
      return status.ok() ? status : at(absl::StrCat(name, ": ", status.message()));
    }
    if (name.rfind(absl::StrCat(setting.section, "."), 0) == 0) known.push_back(setting.key);
  }
  if (known.empty()) {
    return at(absl::StrCat("unknown key '", name, "'; sections are s3, metrics, storage, ",
                           "maintenance, log"));
  }
  return at(absl::StrCat("unknown key '", name, "'; its section has ", absl::StrJoin(known, ", ")));
}

std::string VariableOf(const Setting& setting) {
  return absl::AsciiStrToUpper(absl::StrCat("STRATA_", setting.section, "_", setting.key));
}

absl::Status ApplyEnvironment(Config& config, const char* const* environment) {
  if (environment == nullptr) return absl::OkStatus();
  for (; *environment != nullptr; ++environment) {
    const char* const equals = std::strchr(*environment, '=');
    if (equals == nullptr) continue;
    const std::string variable(*environment, equals);
    for (const Setting& setting : Settings()) {
      if (VariableOf(setting) != variable) continue;
      STRATA_RETURN_IF_ERROR(
          Set(config, setting.name(), equals + 1, absl::StrCat("environment ", variable)));
    }
  }
  return absl::OkStatus();
}

// What no row can see alone.
absl::Status CheckWhole(const Config& config) {
  if (config.s3.tls_certificate.empty() != config.s3.tls_key.empty()) {
    return absl::InvalidArgumentError("s3.tls_certificate and s3.tls_key belong together");
  }
  const uint32_t container_bytes = config.storage.store.container_bytes;
  if ((container_bytes & (container_bytes - 1)) != 0) {
    return absl::InvalidArgumentError("storage.container_size: not a power of two");
  }
  const int level = config.storage.store.compression_level;
  if (config.storage.store.compression == dedup::Compression::kGzip && (level < 0 || level > 3)) {
    return absl::InvalidArgumentError(
        absl::StrCat("storage.compression_level: ", level, " is not from 0 to 3, as gzip has it"));
  }
  const absl::Status chunker = dedup::CreateChunker(config.storage.store.chunker).status();
  if (!chunker.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("storage.chunker, chunk_min, chunk_avg, chunk_max: ", chunker.message()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Config> LoadConfig(const ConfigSources& sources) {
  Config config;
  if (!sources.file.empty()) {
    STRATA_ASSIGN_OR_RETURN(const std::vector<FileSetting> settings, ReadConfigFile(sources.file));
    for (const FileSetting& setting : settings) {
      STRATA_RETURN_IF_ERROR(
          Set(config, setting.name, setting.value, absl::StrCat(sources.file, ":", setting.line)));
    }
  }
  STRATA_RETURN_IF_ERROR(ApplyEnvironment(config, sources.environment));
  for (const auto& [name, value] : sources.overrides) {
    STRATA_RETURN_IF_ERROR(Set(config, name, value, "command line"));
  }
  STRATA_RETURN_IF_ERROR(CheckWhole(config));
  return config;
}

std::string PrintConfig(const Config& config) {
  std::string text;
  const char* section = "";
  for (const Setting& setting : Settings()) {
    if (std::strcmp(section, setting.section) != 0) {
      absl::StrAppend(&text, text.empty() ? "" : "\n", "[", setting.section, "]\n");
      section = setting.section;
    }
    absl::StrAppend(&text, "# ", setting.meaning, "\n", setting.key, " = ", setting.print(config),
                    "\n");
  }
  return text;
}

absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", absl::string_view(text.data(), text.size()), "' ", why));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("is not ADDRESS:PORT");
  std::string address(text.substr(0, colon));
  int port = 0;
  const std::string_view port_text = text.substr(colon + 1);
  if (port_text.empty() ||
      !std::all_of(port_text.begin(), port_text.end(),
                   [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }) ||
      !absl::SimpleAtoi(absl::string_view(port_text.data(), port_text.size()), &port) ||
      port > std::numeric_limits<uint16_t>::max()) {
    return bad("has no port from 0 to 65535");
  }
  if (address == "localhost") address = "127.0.0.1";
  in6_addr parsed;
  if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
    if (inet_pton(AF_INET6, address.c_str(), &parsed) != 1) return bad("has no IPv6 address");
  } else if (inet_pton(AF_INET, address.c_str(), &parsed) != 1) {
    return bad("has no IP address (IPv6 in brackets; names other than localhost are not resolved)");
  }
  return Endpoint{std::move(address), static_cast<uint16_t>(port)};
}

std::string PrintEndpoint(const Endpoint& endpoint) {
  if (endpoint.address.find(':') == std::string::npos) {
    return absl::StrCat(endpoint.address, ":", endpoint.port);
  }
  return absl::StrCat("[", endpoint.address, "]:", endpoint.port);
}

}  // namespace strata::appliance

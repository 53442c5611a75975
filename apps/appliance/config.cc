// SPDX-License-Identifier: Apache-2.0
//
// Where values come from, and which of them wins. The keys are in settings/.
#include "appliance/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "appliance/config_file.h"
#include "appliance/settings/sections.h"
#include "strata/base/status_macros.h"
#include "strata/dedup/chunker.h"

namespace strata::appliance {
namespace {

const std::vector<Setting>& Settings() {
  static const std::vector<Setting>* const settings = [] {
    auto* all = new std::vector<Setting>();
    for (const std::vector<Setting>& group :
         {S3Settings(), MetricsSettings(), StorageSettings(), NvmeSettings(), MaintenanceSettings(),
          LogSettings()}) {
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
  std::vector<std::string> known, sections;
  for (const Setting& setting : Settings()) {
    if (sections.empty() || sections.back() != setting.section) sections.push_back(setting.section);
    if (setting.name() == name) {
      const absl::Status status = setting.set(config, value);
      return status.ok() ? status : at(absl::StrCat(name, ": ", status.message()));
    }
    if (name.rfind(absl::StrCat(setting.section, "."), 0) == 0) known.push_back(setting.key);
  }
  if (known.empty()) {
    return at(
        absl::StrCat("unknown key '", name, "'; sections are ", absl::StrJoin(sections, ", ")));
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
  constexpr uint64_t kPoolUnit = 64u << 10;
  if (config.nvme.pool_bytes % kPoolUnit != 0) {
    return absl::InvalidArgumentError("nvme.pool_size: not a multiple of 64K");
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

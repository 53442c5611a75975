// SPDX-License-Identifier: Apache-2.0
//
// stratad: the appliance as a daemon.
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "appliance/config.h"
#include "appliance/root_keys.h"
#include "stratad/daemon.h"
#include "stratad/heap.h"

namespace {

using strata::appliance::Config;

constexpr char kFooter[] =
    "Every key of the configuration file is an environment variable too: STRATA_<SECTION>_<KEY>, "
    "as\n"
    "STRATA_S3_LISTEN. Flags win over the environment, the environment over the file; "
    "--check-config\n"
    "prints what comes of it.\n"
    "On the first start the user root gets the keys in STRATA_ROOT_ACCESS_KEY and\n"
    "STRATA_ROOT_SECRET_KEY, or generated ones that are written to DIR/root.keys.\n"
    "\n"
    "Example:\n"
    "  stratad --data /srv/strata --config /etc/strata/stratad.toml --s3 0.0.0.0:9000\n"
    "\n"
    "Exit codes: 0 stopped as asked, 1 failure, 2 usage, 3 configuration, 4 data directory, 5 "
    "address.";

int Run(int argc, char** argv) {
  CLI::App app("Strata: S3 object storage on a deduplicating, compressing, crash-safe store.",
               "stratad");
  strata::appliance::DaemonOptions options;
  auto& overrides = options.sources.overrides;
  bool check = false;
  app.add_option("--data", options.data, "The data directory; made when absent.")
      ->envname("STRATA_DATA");
  app.add_option("--config", options.sources.file, "The configuration file (TOML).");
  const auto setting = [&](const char* flag, const char* key, const char* meaning) {
    app.add_option_function<std::string>(
        flag, [&overrides, key](const std::string& value) { overrides[key] = value; }, meaning);
  };
  setting("--s3", "s3.listen", "ADDRESS:PORT of the S3 service [127.0.0.1:9000].");
  setting("--metrics", "metrics.listen", "ADDRESS:PORT of metrics and health [127.0.0.1:9090].");
  setting("--log-level", "log.level", "debug, info, warning or error [info].");
  app.add_flag("--check-config", check, "Check the configuration, print it, and end.");
  app.set_version_flag("--version", "stratad " STRATA_VERSION);
  app.footer(kFooter);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? strata::appliance::kExitStopped : strata::appliance::kExitUsage;
  }

  options.root_keys = strata::appliance::TakeRootKeysFromEnvironment();
  options.sources.environment = environ;
  const absl::StatusOr<Config> config = strata::appliance::LoadConfig(options.sources);
  if (!config.ok()) {
    std::fprintf(stderr, "stratad: %s\n", std::string(config.status().message()).c_str());
    return strata::appliance::kExitConfig;
  }
  if (check) {
    std::fputs(strata::appliance::PrintConfig(*config).c_str(), stdout);
    return strata::appliance::kExitStopped;
  }
  if (options.data.empty()) {
    std::fputs("stratad: --data DIR (or STRATA_DATA) is missing\n", stderr);
    return strata::appliance::kExitUsage;
  }
  options.config = *config;
  strata::appliance::LimitHeaps();
  return strata::appliance::RunDaemon(options);
}

}  // namespace

int main(int argc, char** argv) {
  umask(077);  // Whatever stratad makes is its user's alone.
  return Run(argc, argv);
}

// SPDX-License-Identifier: Apache-2.0
//
// Exports a block device over NVMe/TCP on this machine, while a program runs that gets its URI as
// the argument:
//
//   nvme_export 'mem:?size=64M' nvme_read
//   nvme_export 'file:/srv/disk?size=4G&create=1' 'read -r line; echo'     # Until Enter.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "strata/base/status_macros.h"
#include "strata/block/registry.h"
#include "strata/nvme/subsystem.h"
#include "strata/nvmeof/target.h"

namespace {

namespace block = strata::block;
namespace nvme = strata::nvme;
namespace nvmeof = strata::nvmeof;

constexpr char kNqn[] = "nqn.2026-11.org.example:export";

absl::Status Run(const std::string& uri, const std::string& command) {
  STRATA_ASSIGN_OR_RETURN(std::shared_ptr<block::Device> device,
                          block::Registry::WithDefaults().Open(uri));
  nvme::SubsystemOptions options;
  options.nqn = kNqn;
  options.allow_any_host = true;  // The listener is on this machine alone.
  STRATA_ASSIGN_OR_RETURN(const std::shared_ptr<nvme::Subsystem> subsystem,
                          nvme::CreateSubsystem(options));
  STRATA_ASSIGN_OR_RETURN(const uint32_t nsid, subsystem->AddNamespace(std::move(device), {}));

  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<nvmeof::Target> target, nvmeof::Target::Create({}));
  STRATA_RETURN_IF_ERROR(target->AddSubsystem(subsystem));
  STRATA_ASSIGN_OR_RETURN(const nvmeof::Endpoint any_port, nvmeof::ParseEndpoint("127.0.0.1", 0));
  STRATA_ASSIGN_OR_RETURN(const nvmeof::Endpoint endpoint,
                          target->AddListener({.endpoint = any_port}));

  // The target has no thread of its own: this one polls a worker, which sleeps in between.
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<nvmeof::Worker> worker, target->OpenWorker());
  std::atomic<bool> running{true};
  std::thread thread([&] {
    while (running) worker->Poll(1'000'000'000);
  });
  const std::string exported =
      "nvme-tcp:" + nvmeof::ToString(endpoint) + "/" + kNqn + "?nsid=" + std::to_string(nsid);
  std::printf("exported as %s\n", exported.c_str());
  std::fflush(stdout);
  const int result = std::system((command + " '" + exported + "'").c_str());
  running = false;
  worker->Wake();
  thread.join();
  std::printf("the hosts sent %llu commands\n",
              static_cast<unsigned long long>(target->statistics().commands));
  worker.reset();  // Before the target.
  return result == 0 ? absl::OkStatus() : absl::UnknownError("the command failed");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: nvme_export DEVICE-URI COMMAND\n");
    return 2;
  }
  const absl::Status status = Run(argv[1], argv[2]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

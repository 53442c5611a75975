// SPDX-License-Identifier: Apache-2.0
//
// Says what a controller on another machine is, and reads the beginning of one of its namespaces:
//
//   nvme_read 'nvme-tcp:192.168.7.1:4420/nqn.2026-11.org.example:disks?nsid=1'
#include <cstdio>
#include <string>

#include "strata/base/crc32c.h"
#include "strata/base/status_macros.h"
#include "strata/block/blocking.h"
#include "strata/block/buffer.h"
#include "strata/nvme/controller.h"
#include "strata/nvmeof/initiator.h"

namespace {

namespace block = strata::block;
namespace nvme = strata::nvme;
namespace nvmeof = strata::nvmeof;

absl::Status Run(const std::string& text) {
  STRATA_ASSIGN_OR_RETURN(const nvmeof::NvmeTcpUri uri, nvmeof::ParseNvmeTcpUri(text));
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<nvme::Controller> controller,
                          nvmeof::OpenNvmeTcp(uri));
  const nvme::IdentifyController identity = controller->identify();
  const std::string model(identity.GetText(nvme::IdentifyController::kModelNumber));
  std::printf("a controller of model %s, with namespaces:", model.c_str());
  for (const uint32_t nsid : controller->Namespaces()) std::printf(" %u", nsid);
  std::printf("\n");

  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<block::Device> device,
                          controller->OpenNamespace(uri.nsid));
  const block::Geometry& geometry = device->geometry();
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<block::Channel> channel, device->OpenChannel({}));

  block::Buffer data(geometry.max_transfer_bytes);
  STRATA_RETURN_IF_ERROR(block::ReadBlocking(*channel, block::Lba{0}, data.span()));
  const nvme::ControllerStatistics statistics = controller->statistics();
  std::printf(
      "its first %zu bytes have the CRC-32C %08x; 99 %% of commands took less than %llu us\n",
      data.size(), strata::Crc32c(data.span()),
      static_cast<unsigned long long>(statistics.latency.PercentileNs(0.99) / 1000));
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: nvme_read nvme-tcp:ADDRESS:PORT/NQN?nsid=1\n");
    return 2;
  }
  const absl::Status status = Run(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

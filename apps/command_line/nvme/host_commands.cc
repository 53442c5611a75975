// SPDX-License-Identifier: Apache-2.0
#include "command_line/nvme/host_commands.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "appliance/json.h"
#include "appliance/nvme/export_records.h"
#include "appliance/nvme/target_threads.h"
#include "command_line/nvme/block_commands.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"
#include "strata/nvme/controller.h"
#include "strata/nvme/wire/entries.h"
#include "strata/nvme/wire/identify.h"
#include "strata/nvmeof/initiator.h"

namespace strata::appliance {
namespace {

using nvme::Controller;
using nvme::IdentifyController;
using nvme::IdentifyNamespace;
using nvme::SubmissionEntry;

constexpr uint64_t kMostLogBytes = 16u << 20;
constexpr size_t kLogPieceBytes = 4096;

struct OpenedController {
  nvmeof::NvmeTcpUri uri;
  std::unique_ptr<Controller> controller;
};

absl::StatusOr<OpenedController> Connect(const std::string& text) {
  OpenedController opened;
  STRATA_ASSIGN_OR_RETURN(opened.uri, nvmeof::ParseNvmeTcpUri(text));
  STRATA_ASSIGN_OR_RETURN(opened.controller, nvmeof::OpenNvmeTcp(opened.uri));
  return opened;
}

// An admin command whose own status counts too.
absl::Status Receive(Controller& controller, const char* what, const SubmissionEntry& entry,
                     std::span<std::byte> data) {
  STRATA_ASSIGN_OR_RETURN(const nvme::PassthroughResult result,
                          controller.Admin(entry, nvme::DataDirection::kToHost, data));
  return result.status.ToAbsl(what);
}

absl::Status Identify(Controller& controller, nvme::Cns cns, uint32_t nsid,
                      std::span<std::byte> data) {
  return Receive(controller, "identify",
                 nvme::AdminEntry(nvme::AdminOpcode::kIdentify, nsid, static_cast<uint32_t>(cns)),
                 data);
}

// Empty: it has none.
std::string UuidOf(Controller& controller, uint32_t nsid) {
  std::array<std::byte, nvme::kIdentifyBytes> list{};
  if (!Identify(controller, nvme::Cns::kNamespaceDescriptors, nsid, list).ok()) return "";
  constexpr size_t kHead = sizeof(nvme::NamespaceDescriptor);
  for (size_t at = 0; at + kHead <= list.size();) {
    nvme::NamespaceDescriptor head;
    std::copy_n(list.begin() + static_cast<ptrdiff_t>(at), kHead, head.bytes.begin());
    const uint8_t kind = head.Get(nvme::NamespaceDescriptor::kKind);
    const uint8_t length = head.Get(nvme::NamespaceDescriptor::kLength);
    std::array<std::byte, 16> uuid;
    if (length == 0 || at + kHead + length > list.size()) return "";
    if (kind == nvme::kDescriptorUuid && length == uuid.size()) {
      std::copy_n(list.begin() + static_cast<ptrdiff_t>(at + kHead), length, uuid.begin());
      return PrintUuid(uuid);
    }
    at += kHead + length;
  }
  return "";
}

absl::StatusOr<Json> NamespacesJson(Controller& controller) {
  Json list = Json::array();
  for (const uint32_t nsid : controller.Namespaces()) {
    STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<block::Device> device,
                            controller.OpenNamespace(nsid));
    const block::Geometry& geometry = device->geometry();
    list.push_back({{"nsid", nsid},
                    {"size_bytes", geometry.block_count * geometry.block_size_bytes},
                    {"block_size_bytes", geometry.block_size_bytes},
                    {"read_only", geometry.read_only},
                    {"uuid", UuidOf(controller, nsid)}});
  }
  return list;
}

std::string Printed(std::string_view text) { return std::string(text); }

absl::StatusOr<Json> Discover(const NvmeHostRequest& request) {
  nvmeof::TcpOptions options;
  STRATA_ASSIGN_OR_RETURN(options.endpoint,
                          ParseTargetEndpoint(request.address, nvmeof::kDiscoveryPort));
  options.host_nqn = request.host_nqn;
  STRATA_ASSIGN_OR_RETURN(const std::vector<nvmeof::DiscoveryEntry> entries,
                          nvmeof::Discover(options));
  Json list = Json::array();
  for (const nvmeof::DiscoveryEntry& entry : entries) {
    const char* const type = entry.subsystem_type == 1   ? "referral"
                             : entry.subsystem_type == 2 ? "nvm"
                             : entry.subsystem_type == 3 ? "discovery"
                                                         : "unknown";
    list.push_back({{"subsystem", entry.subsystem_nqn},
                    {"transport", entry.transport_type == 3 ? "tcp" : "other"},
                    {"address", entry.address},
                    {"port", entry.service_id},
                    {"type", type},
                    {"port_id", entry.port_id},
                    {"controller_id", entry.controller_id},
                    {"admin_queue_size", entry.admin_queue_size}});
  }
  return Json{{"entries", std::move(list)}};
}

absl::StatusOr<Json> ShowConnected(const NvmeHostRequest& request) {
  STRATA_ASSIGN_OR_RETURN(const OpenedController opened, Connect(request.uri));
  const IdentifyController identity = opened.controller->identify();
  const uint32_t version = identity.Get(IdentifyController::kVersion);
  STRATA_ASSIGN_OR_RETURN(Json namespaces, NamespacesJson(*opened.controller));
  return Json{
      {"subsystem", Printed(identity.GetText(IdentifyController::kSubsystemNqn))},
      {"serial_number", Printed(identity.GetText(IdentifyController::kSerialNumber))},
      {"model_number", Printed(identity.GetText(IdentifyController::kModelNumber))},
      {"firmware", Printed(identity.GetText(IdentifyController::kFirmwareRevision))},
      {"version", absl::StrCat(version >> 16, ".", version >> 8 & 0xff, ".", version & 0xff)},
      {"controller_id", identity.Get(IdentifyController::kControllerId)},
      {"namespaces", std::move(namespaces)}};
}

absl::StatusOr<Json> ListNamespaces(const NvmeHostRequest& request) {
  STRATA_ASSIGN_OR_RETURN(const OpenedController opened, Connect(request.uri));
  STRATA_ASSIGN_OR_RETURN(Json namespaces, NamespacesJson(*opened.controller));
  return Json{{"namespaces", std::move(namespaces)}};
}

// The low eight bytes: no capacity of ours needs more.
template <typename Bytes>
uint64_t Low64(const Bytes& bytes) {
  return LoadLe64(bytes.data());
}

absl::StatusOr<Json> ShowController(const NvmeHostRequest& request) {
  STRATA_ASSIGN_OR_RETURN(const OpenedController opened, Connect(request.uri));
  using Id = IdentifyController;
  const Id id = opened.controller->identify();
  return Json{{"vid", id.Get(Id::kVendorId)},
              {"ssvid", id.Get(Id::kSubsystemVendorId)},
              {"sn", Printed(id.GetText(Id::kSerialNumber))},
              {"mn", Printed(id.GetText(Id::kModelNumber))},
              {"fr", Printed(id.GetText(Id::kFirmwareRevision))},
              {"rab", id.Get(Id::kArbitrationBurst)},
              {"cmic", id.Get(Id::kMultipath)},
              {"mdts", id.Get(Id::kMaxTransfer)},
              {"cntlid", id.Get(Id::kControllerId)},
              {"ver", id.Get(Id::kVersion)},
              {"oaes", id.Get(Id::kAsyncEvents)},
              {"ctratt", id.Get(Id::kAttributes)},
              {"cntrltype", id.Get(Id::kControllerType)},
              {"oacs", id.Get(Id::kAdminCommands)},
              {"acl", id.Get(Id::kAbortLimit0based)},
              {"aerl", id.Get(Id::kAsyncEventLimit0based)},
              {"frmw", id.Get(Id::kFirmwareUpdates)},
              {"lpa", id.Get(Id::kLogPages)},
              {"elpe", id.Get(Id::kErrorLogEntries0based)},
              {"npss", id.Get(Id::kPowerStates0based)},
              {"wctemp", id.Get(Id::kWarningTemperature)},
              {"cctemp", id.Get(Id::kCriticalTemperature)},
              {"tnvmcap", Low64(id.Get(Id::kTotalCapacity))},
              {"kas", id.Get(Id::kKeepAliveUnits)},
              {"sqes", id.Get(Id::kSubmissionEntrySizes)},
              {"cqes", id.Get(Id::kCompletionEntrySizes)},
              {"maxcmd", id.Get(Id::kMaxCommands)},
              {"nn", id.Get(Id::kNamespaceCount)},
              {"oncs", id.Get(Id::kIoCommands)},
              {"fuses", id.Get(Id::kFusedOperations)},
              {"fna", id.Get(Id::kFormatAttributes)},
              {"vwc", id.Get(Id::kVolatileWriteCache)},
              {"awun", id.Get(Id::kAtomicWrite0based)},
              {"awupf", id.Get(Id::kAtomicWritePowerFail0based)},
              {"acwu", id.Get(Id::kAtomicCompareWrite0based)},
              {"sgls", id.Get(Id::kSglSupport)},
              {"mnan", id.Get(Id::kMaxAllowedNamespaces)},
              {"subnqn", Printed(id.GetText(Id::kSubsystemNqn))},
              {"ioccsz", id.Get(Id::kCommandCapsuleUnits)},
              {"iorcsz", id.Get(Id::kResponseCapsuleUnits)},
              {"icdoff", id.Get(Id::kInCapsuleOffset)},
              {"fcatt", id.Get(Id::kFabricsAttributes)},
              {"msdbd", id.Get(Id::kMaxSglDescriptors)},
              {"ofcs", id.Get(Id::kFabricsCommands)}};
}

absl::StatusOr<Json> ShowNamespace(const NvmeHostRequest& request) {
  STRATA_ASSIGN_OR_RETURN(const OpenedController opened, Connect(request.uri));
  const uint32_t nsid = opened.uri.nsid == 0 ? 1 : opened.uri.nsid;
  using Id = IdentifyNamespace;
  Id id;
  STRATA_RETURN_IF_ERROR(Identify(*opened.controller, nvme::Cns::kNamespace, nsid, id.bytes));
  // An identifier that is not in use gives zeroes.
  if (id.Get(Id::kSize) == 0) {
    return absl::NotFoundError(absl::StrCat(opened.controller->name(), " has no namespace ", nsid));
  }
  const uint32_t format = id.Get(Id::kFormat0);
  const auto hex = [](std::span<const std::byte> bytes) {
    return ToHex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  return Json{{"nsid", nsid},
              {"nsze", id.Get(Id::kSize)},
              {"ncap", id.Get(Id::kCapacity)},
              {"nuse", id.Get(Id::kUtilisation)},
              {"nsfeat", id.Get(Id::kFeatures)},
              {"nlbaf", id.Get(Id::kFormats0based)},
              {"flbas", id.Get(Id::kFormat)},
              {"nmic", id.Get(Id::kMultipath)},
              {"dlfeat", id.Get(Id::kDeallocate)},
              {"nawun", id.Get(Id::kAtomicWrite0based)},
              {"nawupf", id.Get(Id::kAtomicWritePowerFail0based)},
              {"nvmcap", Low64(id.Get(Id::kNvmCapacity))},
              {"npwg", id.Get(Id::kWriteGranularity0based)},
              {"npwa", id.Get(Id::kWriteAlignment0based)},
              {"npdg", id.Get(Id::kDeallocateGranularity0based)},
              {"npda", id.Get(Id::kDeallocateAlignment0based)},
              {"nows", id.Get(Id::kOptimalWriteSize0based)},
              {"anagrpid", id.Get(Id::kAnaGroup)},
              {"nsattr", id.Get(Id::kAttributes)},
              {"nguid", hex(id.Get(Id::kNguid))},
              {"eui64", hex(id.Get(Id::kEui64))},
              {"uuid", UuidOf(*opened.controller, nsid)},
              {"metadata_bytes", format & 0xffff},
              {"block_size_bytes", uint64_t{1} << (format >> 16 & 0xff & 63)}};
}

absl::StatusOr<Json> ShowLogPage(const NvmeHostRequest& request) {
  const uint64_t length_bytes = request.length_bytes == 0 ? kLogPieceBytes : request.length_bytes;
  if (length_bytes % 4 != 0 || request.offset_bytes % 4 != 0 || length_bytes > kMostLogBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--offset and --length are multiples of 4 bytes, the latter up to ", kMostLogBytes));
  }
  STRATA_ASSIGN_OR_RETURN(const OpenedController opened, Connect(request.uri));
  std::vector<std::byte> page(length_bytes);
  for (size_t at = 0; at < page.size(); at += kLogPieceBytes) {
    const std::span<std::byte> piece =
        std::span(page).subspan(at, std::min(kLogPieceBytes, page.size() - at));
    const uint64_t offset_bytes = request.offset_bytes + at;
    const auto dwords_0based = static_cast<uint32_t>(piece.size() / 4 - 1);
    // Bit 15 leaves an event of the page as it is: looking changes nothing.
    SubmissionEntry entry = nvme::AdminEntry(nvme::AdminOpcode::kGetLogPage, nvme::kAllNamespaces,
                                             request.log_page | 1u << 15 | dwords_0based << 16);
    entry.Set(SubmissionEntry::kDword12, static_cast<uint32_t>(offset_bytes));
    entry.Set(SubmissionEntry::kDword13, static_cast<uint32_t>(offset_bytes >> 32));
    STRATA_RETURN_IF_ERROR(Receive(*opened.controller, "get log page", entry, piece));
  }
  return Json{{"page", request.log_page},
              {"offset_bytes", request.offset_bytes},
              {"size_bytes", page.size()},
              {"data", ToHex({reinterpret_cast<const char*>(page.data()), page.size()})}};
}

struct NamedCommand {
  const char* name;
  absl::StatusOr<Json> (*run)(const NvmeHostRequest& request);
};

constexpr NamedCommand kCommands[] = {
    {"nvme-discover", Discover},   {"nvme-connect", ShowConnected},
    {"nvme-list", ListNamespaces}, {"nvme-id-ctrl", ShowController},
    {"nvme-id-ns", ShowNamespace}, {"nvme-get-log", ShowLogPage},
};

}  // namespace

absl::StatusOr<Json> RunNvmeHostCommand(const std::string& command, const NvmeHostRequest& request,
                                        const dedup::ProgressCallback& progress) {
  for (const NamedCommand& known : kCommands) {
    if (command == known.name) return known.run(request);
  }
  return RunBlockCommand(command, request, progress);
}

}  // namespace strata::appliance

// SPDX-License-Identifier: Apache-2.0
#include "device/command_table.h"

#include <algorithm>

namespace strata::nvme {
namespace {

// Without a scope: Linux warns of every I/O command whose effects are more than these.
constexpr uint32_t kReads = kEffectSupported;
constexpr uint32_t kChanges = kEffectSupported | kEffectChangesContent;
constexpr uint32_t kOfController = kEffectSupported | kEffectScopeController;

constexpr uint8_t Number(AdminOpcode opcode) { return static_cast<uint8_t>(opcode); }
constexpr uint8_t Number(IoOpcode opcode) { return static_cast<uint8_t>(opcode); }

constexpr CommandRow kAdminCommands[] = {
    {Number(AdminOpcode::kGetLogPage), kOfController, 0, true},
    {Number(AdminOpcode::kIdentify), kOfController, 0, true},
    {Number(AdminOpcode::kAbort), kOfController},
    {Number(AdminOpcode::kSetFeatures), kOfController, 0, true},
    {Number(AdminOpcode::kGetFeatures), kOfController, 0, true},
    {Number(AdminOpcode::kAsyncEventRequest), kOfController, 0, true},
    {Number(AdminOpcode::kKeepAlive), kOfController, 0, true},
};

constexpr CommandRow kIoCommands[] = {
    {.opcode = Number(IoOpcode::kFlush), .effects = kReads, .takes_all_namespaces = true},
    {.opcode = Number(IoOpcode::kWrite),
     .effects = kChanges,
     .moves_blocks = true,
     .changes_blocks = true,
     .has_blocks = true,
     .direction = DataDirection::kToDevice},
    {.opcode = Number(IoOpcode::kRead),
     .effects = kReads,
     .moves_blocks = true,
     .has_blocks = true,
     .direction = DataDirection::kToHost},
    {.opcode = Number(IoOpcode::kCompare),
     .effects = kReads,
     .oncs = kOncsCompare,
     .moves_blocks = true,
     .has_blocks = true,
     .direction = DataDirection::kToDevice},
    {.opcode = Number(IoOpcode::kWriteZeroes),
     .effects = kChanges,
     .oncs = kOncsWriteZeroes,
     .changes_blocks = true,
     .has_blocks = true},
    {.opcode = Number(IoOpcode::kDatasetManagement),
     .effects = kChanges,
     .oncs = kOncsDatasetManagement,
     .direction = DataDirection::kToDevice},
    {.opcode = Number(IoOpcode::kVerify),
     .effects = kReads,
     .oncs = kOncsVerify,
     .has_blocks = true},
};

constexpr LogPage kLogPages[] = {
    LogPage::kSupportedLogPages,
    LogPage::kErrors,
    LogPage::kHealth,
    LogPage::kFirmwareSlots,
    LogPage::kChangedNamespaces,
    LogPage::kCommandEffects,
    LogPage::kFeatureEffects,
    LogPage::kManagementEffects,
};

constexpr LogPage kDiscoveryLogPages[] = {
    LogPage::kSupportedLogPages,
    LogPage::kErrors,
    LogPage::kDiscovery,
};

constexpr FeatureRow kFeatures[] = {
    {Feature::kArbitration, true, 0xffffff07},
    {Feature::kPowerManagement, true, 0x000000ff},
    {Feature::kTemperatureThreshold, true, 0x003fffff},
    {Feature::kErrorRecovery, true, 0x0000ffff},
    {Feature::kVolatileWriteCache, true, 0x00000001},
    {Feature::kQueueCount, true, 0xffffffff},
    {Feature::kWriteAtomicity, true, 0x00000001},
    {Feature::kAsyncEvents, true, 0xffffffff, true},
    {Feature::kKeepAliveTimer, true, 0xffffffff, true},
    {Feature::kHostId, false, 0},
};

constexpr Cns kCnsValues[] = {
    Cns::kNamespace,
    Cns::kController,
    Cns::kActiveNamespaces,
    Cns::kNamespaceDescriptors,
    Cns::kCommandSetNamespace,
    Cns::kCommandSetController,
    Cns::kCommandSetActiveNamespaces,
    Cns::kIndependentNamespace,
    Cns::kAllocatedNamespaces,
    Cns::kAllocatedNamespace,
    Cns::kControllers,
    Cns::kCommandSets,
};

template <typename Row, size_t kCount, typename Matches>
const Row* Find(const Row (&rows)[kCount], Matches matches) {
  const Row* row = std::find_if(std::begin(rows), std::end(rows), matches);
  return row == std::end(rows) ? nullptr : row;
}

}  // namespace

const CommandRow* FindAdminCommand(ControllerKind kind, uint8_t opcode) {
  return Find(kAdminCommands, [kind, opcode](const CommandRow& row) {
    return row.opcode == opcode && (kind == ControllerKind::kIo || row.in_discovery);
  });
}

const CommandRow* FindIoCommand(uint8_t opcode) {
  return Find(kIoCommands, [opcode](const CommandRow& row) { return row.opcode == opcode; });
}

std::span<const CommandRow> AdminCommands() { return kAdminCommands; }
std::span<const CommandRow> IoCommands() { return kIoCommands; }

std::span<const LogPage> LogPages(ControllerKind kind) {
  if (kind == ControllerKind::kDiscovery) return kDiscoveryLogPages;
  return kLogPages;
}

bool IsSupportedLogPage(ControllerKind kind, uint8_t page) {
  return std::ranges::any_of(LogPages(kind),
                             [page](LogPage known) { return static_cast<uint8_t>(known) == page; });
}

const FeatureRow* FindFeature(ControllerKind kind, uint8_t feature) {
  return Find(kFeatures, [kind, feature](const FeatureRow& row) {
    return static_cast<uint8_t>(row.feature) == feature &&
           (kind == ControllerKind::kIo || row.in_discovery);
  });
}
std::span<const FeatureRow> Features() { return kFeatures; }

bool IsSupportedCns(ControllerKind kind, uint8_t cns) {
  if (kind == ControllerKind::kDiscovery) return static_cast<Cns>(cns) == Cns::kController;
  return std::any_of(std::begin(kCnsValues), std::end(kCnsValues),
                     [cns](Cns known) { return static_cast<uint8_t>(known) == cns; });
}

}  // namespace strata::nvme

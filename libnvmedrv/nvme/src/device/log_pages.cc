// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "device/admin_pages.h"
#include "device/command_table.h"
#include "device/subsystem_model.h"
#include "strata/base/endian.h"

namespace strata::nvme {
namespace {

constexpr uint32_t kLogSupported = 1u << 0;
constexpr uint32_t kFeatureSupported = 1u << 0;
constexpr uint32_t kFeatureScopeController = 1u << 21;

void FillSupported(ControllerKind kind, AdminPage& page) {
  for (const LogPage log : LogPages(kind))
    StoreLe32(&page[4 * static_cast<size_t>(log)], kLogSupported);
}

void FillErrors(const ControllerModel& controller, AdminPage& page) {
  size_t at = 0;
  for (const ErrorLogEntry& entry : controller.Errors()) {
    std::ranges::copy(entry.bytes, page.begin() + static_cast<ptrdiff_t>(at));
    at += entry.bytes.size();
  }
}

uint64_t DataUnits(uint64_t bytes) {
  constexpr uint64_t kUnitBytes = 512'000;
  return (bytes + kUnitBytes - 1) / kUnitBytes;
}

// What is in the health log of a namespace. A comparison reads.
CounterTotals TotalsOf(const NamespaceStatistics& statistics) {
  const IoStatistics& reads = statistics[IoKind::kRead];
  const IoStatistics& writes = statistics[IoKind::kWrite];
  return {.reads = reads.commands - reads.errors,
          .writes = writes.commands - writes.errors,
          .read_bytes = reads.bytes,
          .written_bytes = writes.bytes,
          .media_errors = statistics.media_errors};
}

// `space` is null: of the controller.
void FillHealth(const ControllerModel& controller, const NamespaceEntry* space, AdminPage& page) {
  constexpr int64_t kHourNs = int64_t{3600} * 1'000'000'000;
  const CounterTotals totals =
      space == nullptr ? controller.Totals() : TotalsOf(space->ledger->Read());
  HealthLog log;
  log.Set(HealthLog::kAvailableSpare, 100);
  log.Set(HealthLog::kDataUnitsRead, DataUnits(totals.read_bytes));
  log.Set(HealthLog::kDataUnitsWritten, DataUnits(totals.written_bytes));
  log.Set(HealthLog::kReadCommands, totals.reads);
  log.Set(HealthLog::kWriteCommands, totals.writes);
  log.Set(
      HealthLog::kPowerOnHours,
      static_cast<uint64_t>((controller.clock.MonotonicNanos() - controller.created_ns) / kHourNs));
  log.Set(HealthLog::kMediaErrors, totals.media_errors);
  log.Set(HealthLog::kErrorLogEntries, controller.error_count());
  std::ranges::copy(log.bytes, page.begin());
}

void FillFirmware(const SubsystemOptions& options, AdminPage& page) {
  FirmwareSlotLog log;
  log.Set(FirmwareSlotLog::kActive, 1);
  log.SetText(FirmwareSlotLog::kSlot1, options.firmware_revision, ' ');
  std::ranges::copy(log.bytes, page.begin());
}

void FillChanged(ControllerModel& controller, bool retains_event, AdminPage& page) {
  size_t at = 0;
  for (const uint32_t nsid : controller.ChangedNamespaces(!retains_event)) {
    StoreLe32(&page[at], nsid);
    at += sizeof(uint32_t);
  }
}

void FillEffects(AdminPage& page) {
  for (const CommandRow& row : AdminCommands()) {
    StoreLe32(&page[CommandEffectsLog::kAdmin.offset + 4 * size_t{row.opcode}], row.effects);
  }
  for (const CommandRow& row : IoCommands()) {
    StoreLe32(&page[CommandEffectsLog::kIo.offset + 4 * size_t{row.opcode}], row.effects);
  }
}

void FillFeatures(AdminPage& page) {
  for (const FeatureRow& row : Features()) {
    StoreLe32(&page[4 * static_cast<size_t>(row.feature)],
              kFeatureSupported | kFeatureScopeController);
  }
}

}  // namespace

uint32_t LogPageBytes(LogPage log) {
  switch (log) {
    case LogPage::kSupportedLogPages:
    case LogPage::kFeatureEffects:
      return 1024;
    case LogPage::kHealth:
    case LogPage::kFirmwareSlots:
      return 512;
    default:
      return kIdentifyBytes;
  }
}

void FillLogPage(const AdminView& view, LogPage log, uint32_t nsid, bool retains_event,
                 AdminPage& page) {
  switch (log) {
    case LogPage::kSupportedLogPages:
      FillSupported(view.controller.kind(), page);
      return;
    case LogPage::kErrors:
      FillErrors(view.controller, page);
      return;
    case LogPage::kHealth:
      FillHealth(view.controller, view.Visible(nsid), page);
      return;
    case LogPage::kFirmwareSlots:
      FillFirmware(view.subsystem.options(), page);
      return;
    case LogPage::kChangedNamespaces:
      FillChanged(view.controller, retains_event, page);
      return;
    case LogPage::kCommandEffects:
      FillEffects(page);
      return;
    case LogPage::kFeatureEffects:
      FillFeatures(page);
      return;
    case LogPage::kManagementEffects:
    case LogPage::kDiscovery:
      return;  // No management command is supported. The discovery log is made elsewhere.
  }
}

}  // namespace strata::nvme

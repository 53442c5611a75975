// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "device/admin_pages.h"
#include "device/command_table.h"
#include "device/subsystem_model.h"
#include "strata/base/endian.h"

namespace strata::nvme {
namespace {

constexpr uint8_t kSharedNamespace = 0x01;  // NMIC.
constexpr uint8_t kWriteProtected = 0x01;   // NSATTR.
constexpr uint8_t kCacheNotPresent = 0x20;  // NSFEAT of CNS 08h.
constexpr size_t kMostListed = kIdentifyBytes / sizeof(uint32_t);

uint16_t Clamp16(uint64_t value) {
  return static_cast<uint16_t>(std::min<uint64_t>(value, std::numeric_limits<uint16_t>::max()));
}

uint16_t AtomicWrite0based(const block::Geometry& geometry) {
  // There is no way to say that nothing is promised.
  return geometry.atomic_write_blocks == 0 ? 0 : Clamp16(geometry.atomic_write_blocks - 1);
}

void FillFabrics(const FabricTraits& traits, IdentifyController& c) {
  using C = IdentifyController;
  c.Set(C::kSglSupport, traits.sgl_support);
  c.Set(C::kCommandCapsuleUnits, traits.command_capsule_bytes / 16);
  c.Set(C::kResponseCapsuleUnits, traits.response_capsule_bytes / 16);
  c.Set(C::kMaxSglDescriptors, traits.max_sgl_descriptors);
  c.Set(C::kFabricsCommands, traits.fabrics_commands);
}

void FillController(const AdminView& view, AdminPage& page) {
  const SubsystemOptions& options = view.subsystem.options();
  IdentifyController c;
  using C = IdentifyController;
  c.SetText(C::kSerialNumber, options.serial_number, ' ');
  c.SetText(C::kModelNumber, options.model_number, ' ');
  c.SetText(C::kFirmwareRevision, options.firmware_revision, ' ');
  c.SetText(C::kSubsystemNqn, options.nqn, '\0');
  c.Set(C::kMultipath, 0x03);  // Several ports, several controllers.
  c.Set(C::kMaxTransfer, static_cast<uint8_t>(std::countr_zero(options.max_transfer_bytes) - 12));
  c.Set(C::kControllerId, view.controller.id);
  c.Set(C::kVersion, kVersion21);
  const bool is_discovery = view.controller.kind() == ControllerKind::kDiscovery;
  c.Set(C::kAsyncEvents, is_discovery ? kDiscoveryNotices : kNamespaceNotices);
  c.Set(C::kAttributes, 0x01);  // Host identifiers of 128 bits.
  c.Set(C::kControllerType, is_discovery ? 0x02 : 0x01);
  c.Set(C::kAsyncEventLimit0based, static_cast<uint8_t>(options.max_async_events - 1));
  c.Set(C::kErrorLogEntries0based, ControllerModel::kErrorEntries - 1);
  c.Set(C::kKeepAliveUnits, 1);
  c.Set(C::kMaxCommands, Clamp16(options.max_queue_entries));
  FillFabrics(view.controller.traits, c);
  if (is_discovery) {
    c.Set(C::kLogPages, 0x04);  // Offsets and long pages.
    page = c.bytes;
    return;
  }
  c.Set(C::kAbortLimit0based, 3);
  c.Set(C::kFirmwareUpdates, 0x03);  // One slot, read-only.
  // Health of a namespace; effects; offsets and long pages; the pages of supported logs and feature
  // effects.
  c.Set(C::kLogPages, 0x01 | 0x02 | 0x04 | 0x20);
  c.Set(C::kSubmissionEntrySizes, 0x66);
  c.Set(C::kCompletionEntrySizes, 0x44);
  c.Set(C::kNamespaceCount, options.max_namespaces);
  c.Set(C::kMaxAllowedNamespaces, options.max_namespaces);
  uint16_t oncs = kOncsSaveAndSelect;
  for (const CommandRow& row : IoCommands()) oncs |= row.oncs;
  c.Set(C::kIoCommands, oncs);
  // Always present, for one namespace and for all: one with a cache may come at any time, and a
  // host that was told of none would not flush it. CNS 08h says which namespace has none.
  c.Set(C::kVolatileWriteCache, 0x07);
  uint16_t atomic_0based = std::numeric_limits<uint16_t>::max();
  bool has_namespace = false;
  for (const std::shared_ptr<const NamespaceEntry>& entry : view.table.entries) {
    if (entry == nullptr || !entry->VisibleTo(view.controller.host_nqn)) continue;
    has_namespace = true;
    atomic_0based = std::min(atomic_0based, AtomicWrite0based(entry->device->geometry()));
  }
  // The devices promise for a power cut; what they promise otherwise is not less.
  c.Set(C::kAtomicWritePowerFail0based, has_namespace ? atomic_0based : uint16_t{0});
  c.Set(C::kAtomicWrite0based, has_namespace ? atomic_0based : uint16_t{0});
  page = c.bytes;
}

void FillNamespace(const NamespaceEntry& entry, AdminPage& page) {
  const block::Geometry& geometry = entry.device->geometry();
  IdentifyNamespace n;
  using N = IdentifyNamespace;
  n.Set(N::kSize, geometry.block_count);
  n.Set(N::kCapacity, geometry.block_count);
  n.Set(N::kUtilisation, geometry.block_count);
  // Thin; atomic sizes of its own; preferred sizes.
  n.Set(N::kFeatures, (geometry.thin ? 0x01 : 0) | 0x02 | 0x10);
  n.Set(N::kMultipath, kSharedNamespace);
  // What is deallocated reads as zeroes; Write Zeroes may deallocate.
  n.Set(N::kDeallocate, geometry.supports_discard ? 0x09 : 0x00);
  n.Set(N::kAtomicWritePowerFail0based, AtomicWrite0based(geometry));
  n.Set(N::kAtomicWrite0based, AtomicWrite0based(geometry));
  StoreLe64(n.At(N::kNvmCapacity).data(), geometry.block_count * geometry.block_size_bytes);
  const uint32_t granule_blocks = std::max(4096 / geometry.block_size_bytes, 1u);
  const uint16_t granule_0based = Clamp16(granule_blocks - 1);
  n.Set(N::kWriteGranularity0based, granule_0based);
  n.Set(N::kWriteAlignment0based, granule_0based);
  n.Set(N::kDeallocateGranularity0based, granule_0based);
  n.Set(N::kDeallocateAlignment0based, granule_0based);
  n.Set(N::kOptimalWriteSize0based,
        Clamp16(geometry.max_transfer_bytes / geometry.block_size_bytes - 1));
  n.Set(N::kAttributes, entry.read_only ? kWriteProtected : 0);
  std::ranges::copy(entry.identity.nguid, n.At(N::kNguid).begin());
  std::ranges::copy(entry.identity.eui64, n.At(N::kEui64).begin());
  n.Set(N::kFormat0, static_cast<uint32_t>(std::countr_zero(geometry.block_size_bytes)) << 16);
  page = n.bytes;
}

void FillIndependent(const NamespaceEntry& entry, AdminPage& page) {
  IdentifyIndependentNamespace n;
  using N = IdentifyIndependentNamespace;
  n.Set(N::kFeatures, entry.device->geometry().volatile_write_cache ? 0 : kCacheNotPresent);
  n.Set(N::kMultipath, kSharedNamespace);
  n.Set(N::kAttributes, entry.read_only ? kWriteProtected : 0);
  n.Set(N::kStatus, 0x01);
  page = n.bytes;
}

void FillDescriptors(const NamespaceEntry& entry, AdminPage& page) {
  size_t at = 0;
  const auto add = [&](uint8_t kind, std::span<const std::byte> value) {
    if (std::ranges::all_of(value, [](std::byte b) { return b == std::byte{0}; }) &&
        kind != kDescriptorCommandSet) {
      return;
    }
    page[at + NamespaceDescriptor::kKind.offset] = std::byte{kind};
    page[at + NamespaceDescriptor::kLength.offset] = static_cast<std::byte>(value.size());
    std::ranges::copy(value,
                      page.begin() + static_cast<ptrdiff_t>(at) + NamespaceDescriptor::kSizeBytes);
    at += NamespaceDescriptor::kSizeBytes + value.size();
  };
  add(kDescriptorEui64, entry.identity.eui64);
  add(kDescriptorNguid, entry.identity.nguid);
  add(kDescriptorUuid, entry.identity.uuid);
  const std::byte command_set{static_cast<uint8_t>(CommandSet::kNvm)};
  add(kDescriptorCommandSet, {&command_set, 1});
}

void FillNamespaceList(const AdminView& view, uint32_t after_nsid, AdminPage& page) {
  size_t count = 0;
  for (size_t i = after_nsid; i < view.table.entries.size() && count < kMostListed; ++i) {
    const uint32_t nsid = static_cast<uint32_t>(i) + 1;
    if (view.Visible(nsid) != nullptr) StoreLe32(&page[4 * count++], nsid);
  }
}

void FillControllerList(const AdminView& view, uint16_t from_id, AdminPage& page) {
  constexpr size_t kMost = kIdentifyBytes / sizeof(uint16_t) - 1;
  size_t count = 0;
  for (const uint16_t id : view.subsystem.ControllerIds()) {
    if (id >= from_id && count < kMost) StoreLe16(&page[2 * ++count], id);
  }
  StoreLe16(page.data(), static_cast<uint16_t>(count));
}

void FillNvmController(const AdminView& view, AdminPage& page) {
  IdentifyNvmController c;
  // Verify reads, within MDTS. Zeroes and deallocated ranges have no limit of their own.
  c.Set(IdentifyNvmController::kVerifyLimit,
        static_cast<uint8_t>(std::countr_zero(view.subsystem.options().max_transfer_bytes) - 12));
  page = c.bytes;
}

bool DependsOnCommandSet(Cns cns) {
  return cns == Cns::kCommandSetNamespace || cns == Cns::kCommandSetController ||
         cns == Cns::kCommandSetActiveNamespaces;
}

}  // namespace

Status CheckIdentify(const AdminView& view, const IdentifyArguments& arguments) {
  const Status invalid_field = Status(StatusCode::kInvalidField).DoNotRetry();
  const Status invalid_namespace = Status(StatusCode::kInvalidNamespace).DoNotRetry();
  if (!IsSupportedCns(view.controller.kind(), arguments.cns)) return invalid_field;
  const Cns cns = static_cast<Cns>(arguments.cns);
  if (DependsOnCommandSet(cns) && arguments.command_set != static_cast<uint8_t>(CommandSet::kNvm)) {
    return invalid_field;
  }
  switch (cns) {
    case Cns::kNamespace:
    case Cns::kCommandSetNamespace:
    case Cns::kIndependentNamespace:
    case Cns::kAllocatedNamespace:
      // One that could exist and does not is described by zeroes.
      return arguments.nsid == 0 || arguments.nsid > view.table.entries.size() ? invalid_namespace
                                                                               : Status();
    case Cns::kNamespaceDescriptors:
      return view.Visible(arguments.nsid) == nullptr ? invalid_namespace : Status();
    case Cns::kActiveNamespaces:
    case Cns::kCommandSetActiveNamespaces:
    case Cns::kAllocatedNamespaces:
      return arguments.nsid >= 0xfffffffe ? invalid_namespace : Status();
    case Cns::kController:
    case Cns::kCommandSetController:
    case Cns::kControllers:
      return {};
    case Cns::kCommandSets:
      // The controller that is asked about: this one.
      return arguments.controller_id == 0xffff || arguments.controller_id == view.controller.id
                 ? Status()
                 : invalid_field;
  }
  return invalid_field;
}

void FillIdentify(const AdminView& view, const IdentifyArguments& arguments, AdminPage& page) {
  const NamespaceEntry* entry = view.Visible(arguments.nsid);
  switch (static_cast<Cns>(arguments.cns)) {
    case Cns::kNamespace:
    case Cns::kAllocatedNamespace:
      if (entry != nullptr) FillNamespace(*entry, page);
      return;
    case Cns::kIndependentNamespace:
      if (entry != nullptr) FillIndependent(*entry, page);
      return;
    case Cns::kNamespaceDescriptors:
      if (entry != nullptr) FillDescriptors(*entry, page);
      return;
    case Cns::kCommandSetNamespace:
      return;  // All of it is about protection information.
    case Cns::kController:
      FillController(view, page);
      return;
    case Cns::kCommandSetController:
      FillNvmController(view, page);
      return;
    case Cns::kActiveNamespaces:
    case Cns::kCommandSetActiveNamespaces:
    case Cns::kAllocatedNamespaces:
      FillNamespaceList(view, arguments.nsid, page);
      return;
    case Cns::kControllers:
      FillControllerList(view, arguments.controller_id, page);
      return;
    case Cns::kCommandSets:
      StoreLe64(page.data(), uint64_t{1} << static_cast<uint8_t>(CommandSet::kNvm));
      return;
  }
}

}  // namespace strata::nvme

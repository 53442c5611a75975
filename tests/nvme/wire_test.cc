// SPDX-License-Identifier: Apache-2.0
//
// Every offset, size and number of our tables against libnvme's headers, which were written from
// the same specifications by others.
#include <nvme/types.h>

#include <catch2/catch.hpp>
#include <cstddef>

#include "strata/nvme/wire/entries.h"
#include "strata/nvme/wire/fabrics.h"
#include "strata/nvme/wire/identify.h"
#include "strata/nvme/wire/log_pages.h"
#include "strata/nvme/wire/registers.h"

namespace strata::nvme {
namespace {

// Same place and same size.
#define SAME(ours, structure, theirs)                                              \
  do {                                                                             \
    INFO(#ours " and " #structure "." #theirs);                                    \
    CHECK((ours).offset == offsetof(struct structure, theirs));                    \
    CHECK((ours).kFieldBytes == sizeof(static_cast<structure*>(nullptr)->theirs)); \
  } while (false)

// Same place; theirs is wider, as a 16-byte counter is.
#define STARTS(ours, structure, theirs) CHECK((ours).offset == offsetof(struct structure, theirs))

TEST_CASE("Identify Controller lies where libnvme has it") {
  using C = IdentifyController;
  CHECK(C::kSizeBytes == sizeof(nvme_id_ctrl));
  SAME(C::kVendorId, nvme_id_ctrl, vid);
  SAME(C::kSubsystemVendorId, nvme_id_ctrl, ssvid);
  SAME(C::kSerialNumber, nvme_id_ctrl, sn);
  SAME(C::kModelNumber, nvme_id_ctrl, mn);
  SAME(C::kFirmwareRevision, nvme_id_ctrl, fr);
  SAME(C::kArbitrationBurst, nvme_id_ctrl, rab);
  SAME(C::kOui, nvme_id_ctrl, ieee);
  SAME(C::kMultipath, nvme_id_ctrl, cmic);
  SAME(C::kMaxTransfer, nvme_id_ctrl, mdts);
  SAME(C::kControllerId, nvme_id_ctrl, cntlid);
  SAME(C::kVersion, nvme_id_ctrl, ver);
  SAME(C::kResumeLatencyUs, nvme_id_ctrl, rtd3r);
  SAME(C::kShutdownLatencyUs, nvme_id_ctrl, rtd3e);
  SAME(C::kAsyncEvents, nvme_id_ctrl, oaes);
  SAME(C::kAttributes, nvme_id_ctrl, ctratt);
  SAME(C::kControllerType, nvme_id_ctrl, cntrltype);
  SAME(C::kRetryDelay1, nvme_id_ctrl, crdt1);
  SAME(C::kAdminCommands, nvme_id_ctrl, oacs);
  SAME(C::kAbortLimit0based, nvme_id_ctrl, acl);
  SAME(C::kAsyncEventLimit0based, nvme_id_ctrl, aerl);
  SAME(C::kFirmwareUpdates, nvme_id_ctrl, frmw);
  SAME(C::kLogPages, nvme_id_ctrl, lpa);
  SAME(C::kErrorLogEntries0based, nvme_id_ctrl, elpe);
  SAME(C::kPowerStates0based, nvme_id_ctrl, npss);
  SAME(C::kWarningTemperature, nvme_id_ctrl, wctemp);
  SAME(C::kCriticalTemperature, nvme_id_ctrl, cctemp);
  SAME(C::kTotalCapacity, nvme_id_ctrl, tnvmcap);
  SAME(C::kKeepAliveUnits, nvme_id_ctrl, kas);
  SAME(C::kSubmissionEntrySizes, nvme_id_ctrl, sqes);
  SAME(C::kCompletionEntrySizes, nvme_id_ctrl, cqes);
  SAME(C::kMaxCommands, nvme_id_ctrl, maxcmd);
  SAME(C::kNamespaceCount, nvme_id_ctrl, nn);
  SAME(C::kIoCommands, nvme_id_ctrl, oncs);
  SAME(C::kFusedOperations, nvme_id_ctrl, fuses);
  SAME(C::kFormatAttributes, nvme_id_ctrl, fna);
  SAME(C::kVolatileWriteCache, nvme_id_ctrl, vwc);
  SAME(C::kAtomicWrite0based, nvme_id_ctrl, awun);
  SAME(C::kAtomicWritePowerFail0based, nvme_id_ctrl, awupf);
  SAME(C::kAtomicCompareWrite0based, nvme_id_ctrl, acwu);
  SAME(C::kSglSupport, nvme_id_ctrl, sgls);
  SAME(C::kMaxAllowedNamespaces, nvme_id_ctrl, mnan);
  SAME(C::kSubsystemNqn, nvme_id_ctrl, subnqn);
  SAME(C::kCommandCapsuleUnits, nvme_id_ctrl, ioccsz);
  SAME(C::kResponseCapsuleUnits, nvme_id_ctrl, iorcsz);
  SAME(C::kInCapsuleOffset, nvme_id_ctrl, icdoff);
  SAME(C::kFabricsAttributes, nvme_id_ctrl, fcatt);
  SAME(C::kMaxSglDescriptors, nvme_id_ctrl, msdbd);
  SAME(C::kFabricsCommands, nvme_id_ctrl, ofcs);
  SAME(C::kDiscoveryType, nvme_id_ctrl, dctype);
  CHECK(kOncsCompare == NVME_CTRL_ONCS_COMPARE);
  CHECK(kOncsDatasetManagement == NVME_CTRL_ONCS_DSM);
  CHECK(kOncsWriteZeroes == NVME_CTRL_ONCS_WRITE_ZEROES);
  CHECK(kOncsSaveAndSelect == NVME_CTRL_ONCS_SAVE_FEATURES);
  CHECK(kOncsVerify == NVME_CTRL_ONCS_VERIFY);
}

TEST_CASE("Identify Namespace lies where libnvme has it") {
  using N = IdentifyNamespace;
  CHECK(N::kSizeBytes == sizeof(nvme_id_ns));
  SAME(N::kSize, nvme_id_ns, nsze);
  SAME(N::kCapacity, nvme_id_ns, ncap);
  SAME(N::kUtilisation, nvme_id_ns, nuse);
  SAME(N::kFeatures, nvme_id_ns, nsfeat);
  SAME(N::kFormats0based, nvme_id_ns, nlbaf);
  SAME(N::kFormat, nvme_id_ns, flbas);
  SAME(N::kMultipath, nvme_id_ns, nmic);
  SAME(N::kDeallocate, nvme_id_ns, dlfeat);
  SAME(N::kAtomicWrite0based, nvme_id_ns, nawun);
  SAME(N::kAtomicWritePowerFail0based, nvme_id_ns, nawupf);
  SAME(N::kNvmCapacity, nvme_id_ns, nvmcap);
  SAME(N::kWriteGranularity0based, nvme_id_ns, npwg);
  SAME(N::kWriteAlignment0based, nvme_id_ns, npwa);
  SAME(N::kDeallocateGranularity0based, nvme_id_ns, npdg);
  SAME(N::kDeallocateAlignment0based, nvme_id_ns, npda);
  SAME(N::kOptimalWriteSize0based, nvme_id_ns, nows);
  SAME(N::kAnaGroup, nvme_id_ns, anagrpid);
  SAME(N::kAttributes, nvme_id_ns, nsattr);
  SAME(N::kNguid, nvme_id_ns, nguid);
  SAME(N::kEui64, nvme_id_ns, eui64);
  SAME(N::kFormat0, nvme_id_ns, lbaf[0]);
  STARTS(N::kFormat0, nvme_id_ns, lbaf[0].ms);
  CHECK(N::kFormat0.offset + 2 == offsetof(nvme_id_ns, lbaf[0].ds));

  using I = IdentifyIndependentNamespace;
  CHECK(I::kSizeBytes == sizeof(nvme_id_independent_id_ns));
  SAME(I::kFeatures, nvme_id_independent_id_ns, nsfeat);
  SAME(I::kMultipath, nvme_id_independent_id_ns, nmic);
  SAME(I::kAnaGroup, nvme_id_independent_id_ns, anagrpid);
  SAME(I::kAttributes, nvme_id_independent_id_ns, nsattr);
  SAME(I::kStatus, nvme_id_independent_id_ns, nstat);

  using V = IdentifyNvmController;
  CHECK(V::kSizeBytes == sizeof(nvme_id_ctrl_nvm));
  SAME(V::kVerifyLimit, nvme_id_ctrl_nvm, vsl);
  SAME(V::kWriteZeroesLimit, nvme_id_ctrl_nvm, wzsl);
  SAME(V::kDsmRanges, nvme_id_ctrl_nvm, dmrl);
  SAME(V::kDsmRangeBlocks, nvme_id_ctrl_nvm, dmrsl);
  SAME(V::kDsmBlocks, nvme_id_ctrl_nvm, dmsl);

  SAME(NamespaceDescriptor::kKind, nvme_ns_id_desc, nidt);
  SAME(NamespaceDescriptor::kLength, nvme_ns_id_desc, nidl);
  CHECK(NamespaceDescriptor::kSizeBytes == offsetof(nvme_ns_id_desc, nid));
  CHECK(kDescriptorEui64 == NVME_NIDT_EUI64);
  CHECK(kDescriptorNguid == NVME_NIDT_NGUID);
  CHECK(kDescriptorUuid == NVME_NIDT_UUID);
  CHECK(kDescriptorCommandSet == NVME_NIDT_CSI);
}

TEST_CASE("log pages lie where libnvme has them") {
  using E = ErrorLogEntry;
  CHECK(E::kSizeBytes == sizeof(nvme_error_log_page));
  SAME(E::kErrorCount, nvme_error_log_page, error_count);
  SAME(E::kQueueId, nvme_error_log_page, sqid);
  SAME(E::kCommandId, nvme_error_log_page, cmdid);
  SAME(E::kStatus, nvme_error_log_page, status_field);
  SAME(E::kParameterLocation, nvme_error_log_page, parm_error_location);
  SAME(E::kLba, nvme_error_log_page, lba);
  SAME(E::kNamespaceId, nvme_error_log_page, nsid);

  using H = HealthLog;
  CHECK(H::kSizeBytes == sizeof(nvme_smart_log));
  SAME(H::kCriticalWarning, nvme_smart_log, critical_warning);
  SAME(H::kAvailableSpare, nvme_smart_log, avail_spare);
  SAME(H::kSpareThreshold, nvme_smart_log, spare_thresh);
  STARTS(H::kDataUnitsRead, nvme_smart_log, data_units_read);
  STARTS(H::kDataUnitsWritten, nvme_smart_log, data_units_written);
  STARTS(H::kReadCommands, nvme_smart_log, host_reads);
  STARTS(H::kWriteCommands, nvme_smart_log, host_writes);
  STARTS(H::kPowerOnHours, nvme_smart_log, power_on_hours);
  STARTS(H::kMediaErrors, nvme_smart_log, media_errors);
  STARTS(H::kErrorLogEntries, nvme_smart_log, num_err_log_entries);

  CHECK(FirmwareSlotLog::kSizeBytes == sizeof(nvme_firmware_slot));
  SAME(FirmwareSlotLog::kActive, nvme_firmware_slot, afi);
  SAME(FirmwareSlotLog::kSlot1, nvme_firmware_slot, frs[0]);
  CHECK(CommandEffectsLog::kSizeBytes == sizeof(nvme_cmd_effects_log));
  SAME(CommandEffectsLog::kAdmin, nvme_cmd_effects_log, acs);
  SAME(CommandEffectsLog::kIo, nvme_cmd_effects_log, iocs);
  CHECK(kEffectSupported == NVME_CMD_EFFECTS_CSUPP);
  CHECK(kEffectChangesContent == NVME_CMD_EFFECTS_LBCC);

  CHECK(static_cast<int>(LogPage::kSupportedLogPages) == NVME_LOG_LID_SUPPORTED_LOG_PAGES);
  CHECK(static_cast<int>(LogPage::kErrors) == NVME_LOG_LID_ERROR);
  CHECK(static_cast<int>(LogPage::kHealth) == NVME_LOG_LID_SMART);
  CHECK(static_cast<int>(LogPage::kFirmwareSlots) == NVME_LOG_LID_FW_SLOT);
  CHECK(static_cast<int>(LogPage::kChangedNamespaces) == NVME_LOG_LID_CHANGED_NS);
  CHECK(static_cast<int>(LogPage::kCommandEffects) == NVME_LOG_LID_CMD_EFFECTS);
  CHECK(static_cast<int>(LogPage::kFeatureEffects) == NVME_LOG_LID_FID_SUPPORTED_EFFECTS);
  CHECK(static_cast<int>(LogPage::kManagementEffects) == NVME_LOG_LID_MI_CMD_SUPPORTED_EFFECTS);
  CHECK(static_cast<int>(LogPage::kDiscovery) == NVME_LOG_LID_DISCOVER);
  CHECK(static_cast<int>(Feature::kArbitration) == NVME_FEAT_FID_ARBITRATION);
  CHECK(static_cast<int>(Feature::kPowerManagement) == NVME_FEAT_FID_POWER_MGMT);
  CHECK(static_cast<int>(Feature::kTemperatureThreshold) == NVME_FEAT_FID_TEMP_THRESH);
  CHECK(static_cast<int>(Feature::kErrorRecovery) == NVME_FEAT_FID_ERR_RECOVERY);
  CHECK(static_cast<int>(Feature::kVolatileWriteCache) == NVME_FEAT_FID_VOLATILE_WC);
  CHECK(static_cast<int>(Feature::kQueueCount) == NVME_FEAT_FID_NUM_QUEUES);
  CHECK(static_cast<int>(Feature::kWriteAtomicity) == NVME_FEAT_FID_WRITE_ATOMIC);
  CHECK(static_cast<int>(Feature::kAsyncEvents) == NVME_FEAT_FID_ASYNC_EVENT);
  CHECK(static_cast<int>(Feature::kKeepAliveTimer) == NVME_FEAT_FID_KATO);
  CHECK(static_cast<int>(Feature::kHostId) == NVME_FEAT_FID_HOST_ID);
  CHECK(kEventNotice == NVME_AER_NOTICE);
  CHECK(kNoticeNamespaces == NVME_AER_NOTICE_NS_CHANGED);
  CHECK(kNamespaceNotices == NVME_CTRL_OAES_NA);
}

TEST_CASE("fabrics structures lie where libnvme has them") {
  CHECK(ConnectData::kSizeBytes == sizeof(nvmf_connect_data));
  SAME(ConnectData::kHostId, nvmf_connect_data, hostid);
  SAME(ConnectData::kControllerId, nvmf_connect_data, cntlid);
  SAME(ConnectData::kSubsystemNqn, nvmf_connect_data, subsysnqn);
  SAME(ConnectData::kHostNqn, nvmf_connect_data, hostnqn);
  using D = DiscoveryLogEntry;
  CHECK(D::kSizeBytes == sizeof(nvmf_disc_log_entry));
  SAME(D::kTransportType, nvmf_disc_log_entry, trtype);
  SAME(D::kAddressFamily, nvmf_disc_log_entry, adrfam);
  SAME(D::kSubsystemType, nvmf_disc_log_entry, subtype);
  SAME(D::kTransportRequirements, nvmf_disc_log_entry, treq);
  SAME(D::kPortId, nvmf_disc_log_entry, portid);
  SAME(D::kControllerId, nvmf_disc_log_entry, cntlid);
  SAME(D::kAdminQueueSize, nvmf_disc_log_entry, asqsz);
  SAME(D::kFlags, nvmf_disc_log_entry, eflags);
  SAME(D::kServiceId, nvmf_disc_log_entry, trsvcid);
  SAME(D::kSubsystemNqn, nvmf_disc_log_entry, subnqn);
  SAME(D::kAddress, nvmf_disc_log_entry, traddr);
  SAME(D::kTransportSpecific, nvmf_disc_log_entry, tsas);
  CHECK(DiscoveryLogHeader::kSizeBytes == sizeof(nvmf_discovery_log));
  SAME(DiscoveryLogHeader::kGeneration, nvmf_discovery_log, genctr);
  SAME(DiscoveryLogHeader::kRecordCount, nvmf_discovery_log, numrec);
  SAME(DiscoveryLogHeader::kRecordFormat, nvmf_discovery_log, recfmt);
  CHECK(std::string(kDiscoveryNqn) == NVME_DISC_SUBSYS_NAME);
}

TEST_CASE("entries, opcodes and registers are libnvme's") {
  SAME(DsmRange::kAttributes, nvme_dsm_range, cattr);
  SAME(DsmRange::kBlockCount, nvme_dsm_range, nlb);
  SAME(DsmRange::kStartLba, nvme_dsm_range, slba);
  CHECK(DsmRange::kSizeBytes == sizeof(nvme_dsm_range));

  CHECK(static_cast<int>(AdminOpcode::kDeleteSubmissionQueue) == nvme_admin_delete_sq);
  CHECK(static_cast<int>(AdminOpcode::kCreateSubmissionQueue) == nvme_admin_create_sq);
  CHECK(static_cast<int>(AdminOpcode::kGetLogPage) == nvme_admin_get_log_page);
  CHECK(static_cast<int>(AdminOpcode::kDeleteCompletionQueue) == nvme_admin_delete_cq);
  CHECK(static_cast<int>(AdminOpcode::kCreateCompletionQueue) == nvme_admin_create_cq);
  CHECK(static_cast<int>(AdminOpcode::kIdentify) == nvme_admin_identify);
  CHECK(static_cast<int>(AdminOpcode::kAbort) == nvme_admin_abort_cmd);
  CHECK(static_cast<int>(AdminOpcode::kSetFeatures) == nvme_admin_set_features);
  CHECK(static_cast<int>(AdminOpcode::kGetFeatures) == nvme_admin_get_features);
  CHECK(static_cast<int>(AdminOpcode::kAsyncEventRequest) == nvme_admin_async_event);
  CHECK(static_cast<int>(AdminOpcode::kKeepAlive) == nvme_admin_keep_alive);
  CHECK(kFabricsOpcode == nvme_admin_fabrics);
  CHECK(static_cast<int>(IoOpcode::kFlush) == nvme_cmd_flush);
  CHECK(static_cast<int>(IoOpcode::kWrite) == nvme_cmd_write);
  CHECK(static_cast<int>(IoOpcode::kRead) == nvme_cmd_read);
  CHECK(static_cast<int>(IoOpcode::kCompare) == nvme_cmd_compare);
  CHECK(static_cast<int>(IoOpcode::kWriteZeroes) == nvme_cmd_write_zeroes);
  CHECK(static_cast<int>(IoOpcode::kDatasetManagement) == nvme_cmd_dsm);
  CHECK(static_cast<int>(IoOpcode::kVerify) == nvme_cmd_verify);
  CHECK(static_cast<int>(Cns::kCommandSets) == NVME_IDENTIFY_CNS_COMMAND_SET_STRUCTURE);
  CHECK(static_cast<int>(Cns::kIndependentNamespace) == NVME_IDENTIFY_CNS_CSI_INDEPENDENT_ID_NS);
  CHECK(static_cast<int>(Cns::kControllers) == NVME_IDENTIFY_CNS_CTRL_LIST);

  CHECK(static_cast<int>(Property::kCapabilities) == NVME_REG_CAP);
  CHECK(static_cast<int>(Property::kVersion) == NVME_REG_VS);
  CHECK(static_cast<int>(Property::kConfiguration) == NVME_REG_CC);
  CHECK(static_cast<int>(Property::kStatus) == NVME_REG_CSTS);
  CHECK(static_cast<int>(Property::kSubsystemReset) == NVME_REG_NSSR);
  CHECK(static_cast<int>(Property::kReadyTimeouts) == NVME_REG_CRTO);
  const auto same = [](BitRange ours, unsigned shift, uint64_t mask) {
    CHECK(ours.shift == shift);
    CHECK(ours.mask() >> ours.shift == mask);
  };
  same(cap::kMaxQueueEntries0based, NVME_CAP_MQES_SHIFT, NVME_CAP_MQES_MASK);
  same(cap::kContiguousQueues, NVME_CAP_CQR_SHIFT, NVME_CAP_CQR_MASK);
  same(cap::kTimeout500ms, NVME_CAP_TO_SHIFT, NVME_CAP_TO_MASK);
  same(cap::kDoorbellStride, NVME_CAP_DSTRD_SHIFT, NVME_CAP_DSTRD_MASK);
  same(cap::kSubsystemReset, NVME_CAP_NSSRC_SHIFT, NVME_CAP_NSSRC_MASK);
  same(cap::kCommandSets, NVME_CAP_CSS_SHIFT, NVME_CAP_CSS_MASK);
  same(cap::kPageSizeMin, NVME_CAP_MPSMIN_SHIFT, NVME_CAP_MPSMIN_MASK);
  same(cap::kPageSizeMax, NVME_CAP_MPSMAX_SHIFT, NVME_CAP_MPSMAX_MASK);
  same(cap::kReadyModes, NVME_CAP_CRMS_SHIFT, NVME_CAP_CRMS_MASK);
  same(cc::kEnable, NVME_CC_EN_SHIFT, NVME_CC_EN_MASK);
  same(cc::kCommandSet, NVME_CC_CSS_SHIFT, NVME_CC_CSS_MASK);
  same(cc::kPageSize, NVME_CC_MPS_SHIFT, NVME_CC_MPS_MASK);
  same(cc::kArbitration, NVME_CC_AMS_SHIFT, NVME_CC_AMS_MASK);
  same(cc::kShutdown, NVME_CC_SHN_SHIFT, NVME_CC_SHN_MASK);
  same(cc::kSubmissionEntrySize, NVME_CC_IOSQES_SHIFT, NVME_CC_IOSQES_MASK);
  same(cc::kCompletionEntrySize, NVME_CC_IOCQES_SHIFT, NVME_CC_IOCQES_MASK);
  same(csts::kReady, NVME_CSTS_RDY_SHIFT, NVME_CSTS_RDY_MASK);
  same(csts::kFatal, NVME_CSTS_CFS_SHIFT, NVME_CSTS_CFS_MASK);
  same(csts::kShutdown, NVME_CSTS_SHST_SHIFT, NVME_CSTS_SHST_MASK);
}

TEST_CASE("fields are little-endian wherever they lie") {
  SubmissionEntry entry;
  entry.Set(SubmissionEntry::kCommandId, 0x1234);
  entry.Set(SubmissionEntry::kNamespaceId, 0x89abcdef);
  entry.Set(SubmissionEntry::kStartLba, 0x0102030405060708);
  CHECK(entry.bytes[2] == std::byte{0x34});
  CHECK(entry.bytes[3] == std::byte{0x12});
  CHECK(entry.bytes[4] == std::byte{0xef});
  CHECK(entry.bytes[7] == std::byte{0x89});
  CHECK(entry.bytes[40] == std::byte{0x08});
  CHECK(entry.bytes[47] == std::byte{0x01});
  CHECK(entry.command_id() == 0x1234);
  CHECK(entry.namespace_id() == 0x89abcdef);
  CHECK(entry.Get(SubmissionEntry::kStartLba) == 0x0102030405060708);
  CHECK(entry.Get(SubmissionEntry::kDword11) == 0x01020304);

  IdentifyController identify;
  identify.SetText(IdentifyController::kSerialNumber, "S1", ' ');
  CHECK(identify.bytes[4] == std::byte{'S'});
  CHECK(identify.bytes[23] == std::byte{' '});
  CHECK(identify.GetText(IdentifyController::kSerialNumber) == "S1");
  identify.SetText(IdentifyController::kFirmwareRevision, "longer than eight", ' ');
  CHECK(identify.GetText(IdentifyController::kFirmwareRevision) == "longer t");
  CHECK(identify.Get(IdentifyController::kArbitrationBurst) == 0);
  identify.SetText(IdentifyController::kSubsystemNqn, kDiscoveryNqn, '\0');
  CHECK(identify.GetText(IdentifyController::kSubsystemNqn) == kDiscoveryNqn);
}

}  // namespace
}  // namespace strata::nvme

// SPDX-License-Identifier: Apache-2.0
//
// Keys: docs/formats/nvme.md. An NQN holds no zero byte, which ends it in a key.
#include "appliance/nvme/export_store.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strata/base/log.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

constexpr char kSpace[] = "appliance.nvme";

// The first byte of a key names its table.
constexpr char kFormatTable = 'F';
constexpr char kHostTable = 'H';
constexpr char kListenerTable = 'L';
constexpr char kNamespaceTable = 'N';
constexpr char kSubsystemTable = 'S';
constexpr char kFormat[] = R"({"version":1})";

std::string Key(char table, std::string_view name) {
  std::string key(1, table);
  key += name;
  return key;
}

// All that belongs to a subsystem in a table begins with this.
std::string Prefix(char table, const std::string& nqn) { return Key(table, nqn) + '\0'; }

std::string NamespaceKey(const std::string& nqn, uint32_t nsid) {
  std::string key = Prefix(kNamespaceTable, nqn);
  for (int shift = 24; shift >= 0; shift -= 8) key += static_cast<char>(nsid >> shift & 0xff);
  return key;
}

std::string HostKey(const std::string& nqn, const std::string& host) {
  return Prefix(kHostTable, nqn) + host;
}

absl::Status Damaged(const std::string& key) {
  return absl::DataLossError(
      absl::StrCat("NVMe exports: the key '", LogLine(key), "' belongs to no table"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ExportStore>> ExportStore::Open(kv::Store* kv) {
  std::unique_ptr<ExportStore> store(new ExportStore(kv));
  STRATA_ASSIGN_OR_RETURN(const std::vector<kv::SpaceInfo> spaces, kv->ListSpaces());
  for (const kv::SpaceInfo& space : spaces) {
    if (space.name == kSpace) STRATA_RETURN_IF_ERROR(store->Load());
  }
  return store;
}

absl::Status ExportStore::Load() {
  STRATA_ASSIGN_OR_RETURN(space_, kv_.OpenSpace(kSpace, {}));
  // Subsystems first: hosts and namespaces belong to one.
  STRATA_RETURN_IF_ERROR(kv::ForEach(kv_, *space_, kv::Range{Key(kSubsystemTable, ""), ""},
                                     [this](const kv::KeyValue& item) { return Take(item); }));
  return kv::ForEach(kv_, *space_, kv::Range{"", Key(kSubsystemTable, "")},
                     [this](const kv::KeyValue& item) { return Take(item); });
}

absl::Status ExportStore::Take(const kv::KeyValue& item) {
  const std::string_view name = std::string_view(item.key).substr(item.key.empty() ? 0 : 1);
  const char table = item.key.empty() ? '\0' : item.key[0];
  const size_t end = name.find('\0');
  const std::string first(name.substr(0, end));
  const std::string_view rest = end == std::string_view::npos ? "" : name.substr(end + 1);
  const std::string what = absl::StrCat("NVMe exports, ", LogLine(first));
  if (table == kFormatTable) return absl::OkStatus();
  if (table == kSubsystemTable) {
    STRATA_ASSIGN_OR_RETURN(SubsystemRecord record, DecodeSubsystem(what, item.value));
    record.nqn = first;
    state_.subsystems[first].record = std::move(record);
    return absl::OkStatus();
  }
  if (table == kListenerTable) {
    STRATA_ASSIGN_OR_RETURN(ListenerRecord record, DecodeListener(what, item.value));
    record.address = first;
    state_.listeners[first] = std::move(record);
    return absl::OkStatus();
  }
  const auto subsystem = state_.subsystems.find(first);
  if (subsystem == state_.subsystems.end()) return Damaged(item.key);
  if (table == kHostTable && !rest.empty()) {
    STRATA_ASSIGN_OR_RETURN(HostRecord record, DecodeHost(what, item.value));
    record.nqn = std::string(rest);
    subsystem->second.hosts[record.nqn] = std::move(record);
    return absl::OkStatus();
  }
  if (table == kNamespaceTable && rest.size() == 4) {
    STRATA_ASSIGN_OR_RETURN(NamespaceRecord record, DecodeNamespace(what, item.value));
    for (const char byte : rest) record.nsid = record.nsid << 8 | static_cast<uint8_t>(byte);
    subsystem->second.namespaces[record.nsid] = std::move(record);
    return absl::OkStatus();
  }
  return Damaged(item.key);
}

absl::StatusOr<kv::SpaceId> ExportStore::Space() {
  if (!space_.has_value()) {
    STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space, kv_.OpenSpace(kSpace, {}));
    kv::WriteBatch batch;
    batch.Put(space, Key(kFormatTable, ""), kFormat);
    STRATA_RETURN_IF_ERROR(kv_.Write(batch, kv::Durability::kSync));
    space_ = space;
  }
  return *space_;
}

absl::Status ExportStore::Put(const SubsystemRecord& record) {
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space, Space());
  kv::WriteBatch batch;
  batch.Put(space, Key(kSubsystemTable, record.nqn), Encode(record));
  STRATA_RETURN_IF_ERROR(kv_.Write(batch, kv::Durability::kSync));
  state_.subsystems[record.nqn].record = record;
  return absl::OkStatus();
}

absl::Status ExportStore::Put(const std::string& nqn, const HostRecord& record) {
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space, Space());
  kv::WriteBatch batch;
  batch.Put(space, HostKey(nqn, record.nqn), Encode(record));
  STRATA_RETURN_IF_ERROR(kv_.Write(batch, kv::Durability::kSync));
  state_.subsystems.at(nqn).hosts[record.nqn] = record;
  return absl::OkStatus();
}

absl::Status ExportStore::Put(const std::string& nqn, const NamespaceRecord& record,
                              std::optional<uint32_t> next_nsid) {
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space, Space());
  ExportedSubsystem& subsystem = state_.subsystems.at(nqn);
  SubsystemRecord owner = subsystem.record;
  owner.next_nsid = next_nsid.value_or(owner.next_nsid);
  kv::WriteBatch batch;
  batch.Put(space, NamespaceKey(nqn, record.nsid), Encode(record));
  if (next_nsid.has_value()) batch.Put(space, Key(kSubsystemTable, nqn), Encode(owner));
  STRATA_RETURN_IF_ERROR(kv_.Write(batch, kv::Durability::kSync));
  subsystem.record = std::move(owner);
  subsystem.namespaces[record.nsid] = record;
  return absl::OkStatus();
}

absl::Status ExportStore::Put(const ListenerRecord& record) {
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space, Space());
  kv::WriteBatch batch;
  batch.Put(space, Key(kListenerTable, record.address), Encode(record));
  STRATA_RETURN_IF_ERROR(kv_.Write(batch, kv::Durability::kSync));
  state_.listeners[record.address] = record;
  return absl::OkStatus();
}

absl::Status ExportStore::DeleteSubsystem(const std::string& nqn) {
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space, Space());
  kv::WriteBatch batch;
  batch.Delete(space, Key(kSubsystemTable, nqn));
  batch.DeleteRange(space, kv::PrefixRange(Prefix(kHostTable, nqn)));
  batch.DeleteRange(space, kv::PrefixRange(Prefix(kNamespaceTable, nqn)));
  STRATA_RETURN_IF_ERROR(kv_.Write(batch, kv::Durability::kSync));
  state_.subsystems.erase(nqn);
  return absl::OkStatus();
}

absl::Status ExportStore::DeleteHost(const std::string& nqn, const std::string& host_nqn) {
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space, Space());
  kv::WriteBatch batch;
  batch.Delete(space, HostKey(nqn, host_nqn));
  STRATA_RETURN_IF_ERROR(kv_.Write(batch, kv::Durability::kSync));
  state_.subsystems.at(nqn).hosts.erase(host_nqn);
  return absl::OkStatus();
}

absl::Status ExportStore::DeleteNamespace(const std::string& nqn, uint32_t nsid) {
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space, Space());
  kv::WriteBatch batch;
  batch.Delete(space, NamespaceKey(nqn, nsid));
  STRATA_RETURN_IF_ERROR(kv_.Write(batch, kv::Durability::kSync));
  state_.subsystems.at(nqn).namespaces.erase(nsid);
  return absl::OkStatus();
}

absl::Status ExportStore::DeleteListener(const std::string& address) {
  STRATA_ASSIGN_OR_RETURN(const kv::SpaceId space, Space());
  kv::WriteBatch batch;
  batch.Delete(space, Key(kListenerTable, address));
  STRATA_RETURN_IF_ERROR(kv_.Write(batch, kv::Durability::kSync));
  state_.listeners.erase(address);
  return absl::OkStatus();
}

}  // namespace strata::appliance
